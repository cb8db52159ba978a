// Package quiet keeps an idle control plane from waking up.
//
// A named work queue wakes twice a second to update its own metric. With the hundred queues of
// a control plane, that causes a third of an idle one's wake-ups. client-go has no setting for
// it, and leaves the loop out only where nobody provides metrics. The first call of SetProvider
// decides, and a package of the components makes that call during its initialization. Go
// initializes packages in the order of their paths, after those that they import. This package
// imports only client-go's queues, so it comes first.
//
// The price is the metrics workqueue_*, which Kubernetes does not promise to keep.
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
