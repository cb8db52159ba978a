// Package server runs kube-apiserver, kube-controller-manager and the
// datastore as one process.
//
// The components are upstream's own, made from their own option types and
// command line flags, so whatever a flag of theirs means outside it means here.
// What differs is when work is done: parts start side by side, documents that
// nobody has asked for are not built, and the garbage collector rests until
// the API is ready. None of it changes an answer: /readyz is upstream's, with
// every check that it has.
//
// If one part ends, the process ends; whoever runs it starts it again.
package server
