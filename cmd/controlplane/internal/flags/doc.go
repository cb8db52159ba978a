// Package flags is the command line of "k3s server", as k3s documents it.
//
// Every documented flag is known here. A flag is either held, which means that
// it has its full effect, or it asks for a function that this binary does not
// hold (an agent, a scheduler, embedded etcd …). Such a flag is refused with the
// remedy, unless its value asks for exactly what is the case already. Nothing
// is accepted and then ignored without a word: what has no effect but does no
// harm is returned as a warning.
//
// Values come from the command line, then from config files, then from the
// environment, then from defaults; the first that has one wins.
package flags
