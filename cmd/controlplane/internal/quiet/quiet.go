// Package quiet keeps a control plane that nobody uses from waking up.
//
// A work queue that has a name wakes twice a second to renew a metric of its own. The
// hundred queues of a control plane make that the most frequent thing that an idle one
// does: a third of its wake-ups. client-go has no setting for it, and leaves the loop out
// only where no metrics are provided. The first who calls SetProvider decides, and a
// package of the components calls it when it is initialized. Packages are initialized in
// the order of their paths, after those that they import: this one imports client-go's
// queues alone, and so comes first.
//
// What is lost are the metrics workqueue_*, which are not among those that Kubernetes
// promises to keep.
package quiet

import (
	_ "unsafe" // For go:linkname.

	"k8s.io/client-go/util/workqueue"
)

// none is the provider that client-go begins with, whose type it does not export. Queues
// compare theirs with it.
//
//go:linkname none k8s.io/client-go/util/workqueue.globalMetricsProvider
var none workqueue.MetricsProvider

func init() { workqueue.SetProvider(none) }
