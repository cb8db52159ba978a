package server

import (
	"fmt"
	"reflect"
	"sync"
	"time"
	"unsafe"

	"k8s.io/client-go/util/workqueue"
	aggregatorapiserver "k8s.io/kube-aggregator/pkg/apiserver"
	"k8s.io/kube-aggregator/pkg/controllers/openapiv3"
	"k8s.io/kube-aggregator/pkg/controllers/openapiv3/aggregator"
)

const (
	// collectSoonest is how often the aggregator reads which OpenAPI documents the servers of
	// this process have, where they have just changed. Upstream always reads so often.
	collectSoonest = time.Second
	// collectLatest is how often it does so where they have not changed for long.
	collectLatest = time.Minute
	// collectLatestShared is the same where other servers may write the definitions.
	collectLatestShared = 5 * time.Second
)

// collection decides when the aggregator reads the list of OpenAPI documents. The documents of
// this process change with custom resource definitions only, some moments after a definition was
// written. Those of other servers come and go with APIServices.
type collection struct {
	latest time.Duration
	now    func() time.Time

	mu sync.Mutex
	// since is when a definition or an APIService was written last, or when the process began.
	since time.Time
	queue workqueue.TypedRateLimitingInterface[string]
	// names are the servers of the process, as the queue has them.
	names map[string]bool
}

func newCollection(shared bool) *collection {
	c := &collection{latest: collectLatest, now: time.Now, since: time.Now(), names: map[string]bool{}}
	if shared {
		c.latest = collectLatestShared
	}
	return c
}

// changed notes that one was written: the aggregator reads soon, and often.
func (c *collection) changed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.since = c.now()
	for name := range c.names {
		c.queue.AddAfter(name, collectSoonest)
	}
}

// holds is for how long what was read stays true, as far as is known now.
func (c *collection) holds() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.interval()
}

// interval is a tenth of the time for which no definition was written. A document that takes
// long to build so waits little longer than that.
func (c *collection) interval() time.Duration {
	return min(max(c.now().Sub(c.since)/10, collectSoonest), c.latest)
}

// calm lets the aggregator of OpenAPI documents read as the collection says. It must run before
// the server does. Where upstream's parts have changed, they stay as they are.
func (c *collection) calm(chain *aggregatorapiserver.APIAggregator) error {
	held, err := private[*openapiv3.AggregationController](chain, "openAPIV3AggregationController")
	if err != nil || *held == nil {
		// Without a controller, the aggregator serves no documents.
		return err
	}
	queue, err := private[workqueue.TypedRateLimitingInterface[string]](*held, "queue")
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = *queue
	*queue = calmQueue{c.queue, c}
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

// calmQueue is a queue that the servers of this process come back to when the collection says.
type calmQueue struct {
	workqueue.TypedRateLimitingInterface[string]
	collection *collection
}

func (q calmQueue) AddAfter(name string, delay time.Duration) {
	if aggregator.IsLocalAPIService(name) {
		q.collection.mu.Lock()
		defer q.collection.mu.Unlock()
		q.collection.names[name] = true
		delay = max(delay, q.collection.interval())
	}
	q.TypedRateLimitingInterface.AddAfter(name, delay)
}
