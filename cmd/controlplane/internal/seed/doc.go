// Package seed gives a new cluster the objects that every cluster of a version
// begins with: bootstrap roles, priority levels, system namespaces, service
// accounts of controllers. Upstream writes them one by one at a first start,
// which is most of the time of that start.
//
// A seed is a database that the server itself has made, reduced to those
// objects (Prune) and stamped with what made it. Installing it copies it into
// the data directory and gives each object an identity and an age of its own
// (UIDs are random, as if the objects had just been created: tools know a
// cluster by the UID of kube-system). The server then reconciles them as it
// does at every start, so a seed can make a start quicker, never different. A
// seed that is missing, or was made by another version, is left aside.
package seed
