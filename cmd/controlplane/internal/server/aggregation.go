package server

import (
	"fmt"
	"reflect"
	"time"
	"unsafe"

	"k8s.io/client-go/util/workqueue"
	aggregatorapiserver "k8s.io/kube-aggregator/pkg/apiserver"
	"k8s.io/kube-aggregator/pkg/controllers/openapiv3"
	"k8s.io/kube-aggregator/pkg/controllers/openapiv3/aggregator"
)

// collectInterval is how often the aggregator reads which OpenAPI documents the servers of this
// process have. They change with custom resource definitions only. Upstream reads once a second,
// and has no setting for it.
const collectInterval = 5 * time.Second

// calmAggregation lets the aggregator of OpenAPI documents read seldom. It must run before the
// server does. Where upstream's parts have changed, they stay as they are.
func calmAggregation(chain *aggregatorapiserver.APIAggregator) error {
	held, err := private[*openapiv3.AggregationController](chain, "openAPIV3AggregationController")
	if err != nil || *held == nil {
		// Without a controller, the aggregator serves no documents.
		return err
	}
	queue, err := private[workqueue.TypedRateLimitingInterface[string]](*held, "queue")
	if err != nil {
		return err
	}
	*queue = calmQueue{*queue}
	return nil
}

// private returns the address of a field that upstream does not export.
func private[F, S any](holder *S, name string) (*F, error) {
	field := reflect.ValueOf(holder).Elem().FieldByName(name)
	if !field.IsValid() || field.Type() != reflect.TypeFor[F]() {
		return nil, fmt.Errorf("%T has no field %s of type %s", holder, name, reflect.TypeFor[F]())
	}
	return (*F)(unsafe.Pointer(field.UnsafeAddr())), nil
}

// calmQueue is a queue that the servers of this process come back to after collectInterval.
type calmQueue struct {
	workqueue.TypedRateLimitingInterface[string]
}

func (q calmQueue) AddAfter(name string, delay time.Duration) {
	if aggregator.IsLocalAPIService(name) {
		delay = max(delay, collectInterval)
	}
	q.TypedRateLimitingInterface.AddAfter(name, delay)
}
