// Package server runs kube-apiserver, kube-controller-manager and the
// datastore as one process.
//
// The components are upstream's own, made from their own option types and command line flags,
// so whatever a flag of theirs means outside it means here. Only the timing differs: parts
// start in parallel, the server builds no documents before somebody asks for them, and the
// garbage collector rests until the API is ready. None of this changes an answer: /readyz is
// upstream's, with every check that it has.
//
// If one part ends, the process ends; whoever runs it starts it again.
package server
