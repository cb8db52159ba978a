package etcdclient

import (
	"context"
	"sync"
	"time"

	"go.etcd.io/etcd/client/v3/kubernetes"
)

// countLife is how long a number of objects is kept that this process does not change. Events
// that end by themselves, and writes of other servers on the same database, count after it.
const countLife = 10 * time.Minute

// counted keeps the number of objects of one storage. Each storage asks for its number once a
// minute, for a metric and for the estimate of what a list costs. In an idle control plane
// these are most of all questions to the database.
type counted struct {
	kubernetes.Interface
	now func() time.Time

	mu sync.Mutex
	// writes says how many writes there were when the number was asked for.
	writes uint64
	known  map[string]number
}

// number is how many objects there were at a moment.
type number struct {
	count  int64
	writes uint64
	at     time.Time
}

func newCounted(client kubernetes.Interface) *counted {
	return &counted{Interface: client, now: time.Now, known: map[string]number{}}
}

// Count returns the number that it knows, unless something was written since.
func (c *counted) Count(ctx context.Context, prefix string, options kubernetes.CountOptions) (int64, error) {
	c.mu.Lock()
	last, found := c.known[prefix]
	writes, now := c.writes, c.now()
	c.mu.Unlock()
	if found && last.writes == writes && now.Sub(last.at) < countLife {
		return last.count, nil
	}
	count, err := c.Interface.Count(ctx, prefix, options)
	if err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known[prefix] = number{count: count, writes: writes, at: now}
	return count, nil
}

// OptimisticPut writes, after which the number counts no more.
func (c *counted) OptimisticPut(ctx context.Context, key string, value []byte, revision int64, options kubernetes.PutOptions) (kubernetes.PutResponse, error) {
	defer c.written()
	return c.Interface.OptimisticPut(ctx, key, value, revision, options)
}

// OptimisticDelete deletes, after which the number counts no more.
func (c *counted) OptimisticDelete(ctx context.Context, key string, revision int64, options kubernetes.DeleteOptions) (kubernetes.DeleteResponse, error) {
	defer c.written()
	return c.Interface.OptimisticDelete(ctx, key, revision, options)
}

// written notes a write when it has ended. A count that was asked for before is stale then,
// whichever of the two the database did first.
func (c *counted) written() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes++
}
