// Package seed gives a new cluster the objects that every cluster of a version starts with:
// bootstrap roles, priority levels, system namespaces, service accounts of controllers.
// Upstream writes them one by one at a first start, which is most of the time of that start.
//
// A seed is a database that the server itself has written, reduced to those objects (Prune) and
// stamped with the version that wrote it. Installing it copies it into the data directory and
// gives each object a new identity and age. UIDs are random, as if the objects had just been
// created: tools identify a cluster by the UID of kube-system. The server then reconciles the
// objects as at every start, so a seed can make a start quicker, but never different. The
// server ignores a seed that is missing, or comes from another version.
package seed
