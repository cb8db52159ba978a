// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/component-base/metrics"
	"k8s.io/utils/clock"

	"garret.dev/garret/syncer/engine"
)

// TestWhoHasNoTwinIsToldWhy wants a kind that leaves objects inside to have a sentence that says
// why, and no other kind. TestWhatIsOffIsNotFollowed registers each kind that there is.
func TestWhoHasNoTwinIsToldWhy(t *testing.T) {
	some := func(*corev1.ConfigMap) bool { return true }
	for name, test := range map[string]struct {
		kind declared[*corev1.ConfigMap]
		want bool
	}{
		"all":                {declared[*corev1.ConfigMap]{}, true},
		"some":               {declared[*corev1.ConfigMap]{wanted: some, unwanted: "nothing needs it"}, true},
		"some, unexplained":  {declared[*corev1.ConfigMap]{wanted: some}, false},
		"all, and a refusal": {declared[*corev1.ConfigMap]{unwanted: "nothing needs it"}, false},
	} {
		virtual, host := NewVirtual(fake.NewClientset()), NewHost(fake.NewClientset(), testTranslator().Cluster(), ShownNodes{})
		b := &builder{engine: &engine.Engine{}, Config: Config{Translator: testTranslator(), Virtual: virtual, Host: host,
			Metrics: engine.NewMetrics(metrics.NewKubeRegistry()), Clock: clock.RealClock{}}}
		declare(b, virtual.ConfigMaps, host.ConfigMaps, test.kind)
		if (b.err == nil) != test.want || b.err != nil && !strings.Contains(b.err.Error(), "configmaps: wanted and unwanted go together") {
			t.Errorf("%s: got %v", name, b.err)
		}
	}
}
