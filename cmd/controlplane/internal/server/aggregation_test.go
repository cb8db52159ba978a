package server

import (
	"maps"
	"testing"
	"time"

	"k8s.io/client-go/util/workqueue"
	aggregatorapiserver "k8s.io/kube-aggregator/pkg/apiserver"
	"k8s.io/kube-aggregator/pkg/controllers/openapiv3"
	"k8s.io/kube-aggregator/pkg/controllers/openapiv3/aggregator"
)

// noDocuments is an aggregator of documents before there are any.
type noDocuments struct{ aggregator.SpecProxier }

func (noDocuments) GetAPIServiceNames() []string { return nil }

// delays records with what delay each name is added.
type delays struct {
	workqueue.TypedRateLimitingInterface[string]
	of map[string]time.Duration
}

func (d delays) AddAfter(name string, delay time.Duration) { d.of[name] = delay }

// TestServersOfTheProcessAreReadSeldom also finds out whether upstream's parts have changed.
func TestServersOfTheProcessAreReadSeldom(t *testing.T) {
	const local, remote = "k8s_internal_local_delegation_chain_0000000001", "v1.example.com"
	now := time.Now()
	reads := newCollection(false)
	reads.now = func() time.Time { return now }
	chain := &aggregatorapiserver.APIAggregator{}
	if err := reads.calm(chain); err != nil {
		t.Fatalf("without documents: %v", err)
	}
	reads.changed()
	held, err := private[*openapiv3.AggregationController](chain, "openAPIV3AggregationController")
	if err != nil {
		t.Fatal(err)
	}
	*held = openapiv3.NewAggregationController(noDocuments{})
	queue, err := private[workqueue.TypedRateLimitingInterface[string]](*held, "queue")
	if err != nil {
		t.Fatal(err)
	}
	(*queue).ShutDown()
	recorded := delays{of: map[string]time.Duration{}}
	*queue = recorded
	if err := reads.calm(chain); err != nil {
		t.Fatal(err)
	}
	again := func(when string, want time.Duration) {
		t.Helper()
		for name, want := range map[string]time.Duration{local: want, remote: time.Second} {
			(*queue).AddAfter(name, time.Second)
			if got := recorded.of[name]; got != want {
				t.Errorf("%s, %s is read again after %s, want %s", when, name, got, want)
			}
		}
	}
	again("at the start", collectSoonest)
	now = now.Add(30 * time.Second)
	again("after half a minute", 3*time.Second)
	now = now.Add(time.Hour)
	again("after an hour", collectLatest)
	reads.latest = collectLatestShared
	again("with other servers", collectLatestShared)
	reads.latest = collectLatest

	// A definition is written while the next read is a minute away.
	clear(recorded.of)
	reads.changed()
	if got, want := recorded.of, map[string]time.Duration{local: collectSoonest}; !maps.Equal(got, want) {
		t.Errorf("after a definition was written: got %v, want %v", got, want)
	}
	again("after a definition was written", collectSoonest)
}

func TestAFieldThatIsNotThereIsAnError(t *testing.T) {
	if _, err := private[int](&delays{}, "of"); err == nil {
		t.Error("a field of another type was returned")
	}
	if _, err := private[int](&delays{}, "absent"); err == nil {
		t.Error("a field that is not there was returned")
	}
}
