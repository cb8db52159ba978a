package server

import (
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
	chain := &aggregatorapiserver.APIAggregator{}
	if err := calmAggregation(chain); err != nil {
		t.Fatalf("without documents: %v", err)
	}
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
	if err := calmAggregation(chain); err != nil {
		t.Fatal(err)
	}
	(*queue).AddAfter("k8s_internal_local_delegation_chain_0000000001", time.Second)
	(*queue).AddAfter("v1.example.com", time.Second)
	for name, want := range map[string]time.Duration{
		"k8s_internal_local_delegation_chain_0000000001": collectInterval,
		"v1.example.com": time.Second,
	} {
		if got := recorded.of[name]; got != want {
			t.Errorf("%s is read again after %s, want %s", name, got, want)
		}
	}
}

func TestAFieldThatIsNotThereIsAnError(t *testing.T) {
	if _, err := private[int](&delays{}, "of"); err == nil {
		t.Error("a field of another type was returned")
	}
	if _, err := private[int](&delays{}, "absent"); err == nil {
		t.Error("a field that is not there was returned")
	}
}
