// Package flags is the command line of "k3s server", as k3s documents it.
//
// It knows every documented flag. A flag either has its full effect, or asks for a function
// that this binary does not have, such as an agent, a scheduler or embedded etcd. The package
// refuses such a flag with the remedy, unless its value asks for exactly what is the case
// already. It never silently ignores a flag: one without effect that does no harm becomes a
// warning.
//
// Values come from the command line, then from config files, then from the environment, then
// from defaults; the first source with a value wins.
package flags
