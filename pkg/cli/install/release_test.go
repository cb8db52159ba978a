// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"io"
	"strings"
	"testing"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chartutil"
	kubefake "helm.sh/helm/v3/pkg/kube/fake"
	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
	helmtime "helm.sh/helm/v3/pkg/time"
)

// newTestHelm is Helm with its records in memory and no cluster behind it.
func newTestHelm(t *testing.T) *helm {
	t.Helper()
	capabilities := chartutil.DefaultCapabilities.Copy()
	capabilities.KubeVersion = chartutil.KubeVersion{Version: "v1.37.2", Major: "1", Minor: "37"}
	return &helm{now: time.Now, config: &action.Configuration{
		Releases:     storage.Init(driver.NewMemory()),
		KubeClient:   &kubefake.PrintingKubeClient{Out: io.Discard},
		Capabilities: capabilities,
		Log:          t.Logf,
	}}
}

func TestApply(t *testing.T) {
	helm := newTestHelm(t)
	for want := 1; want <= 2; want++ {
		applied, err := helm.apply(t.Context(), map[string]any{"controller": map[string]any{"replicas": want}}, false)
		if err != nil {
			t.Fatal(err)
		}
		if applied.Version != want || applied.Info.Status != release.StatusDeployed {
			t.Errorf("revision %d is %s, want revision %d deployed", applied.Version, applied.Info.Status, want)
		}
	}
	found, err := helm.remove(time.Second)
	if err != nil || !found {
		t.Fatalf("removed %t (%v), want true", found, err)
	}
	if found, err = helm.remove(time.Second); err != nil || found {
		t.Errorf("removed %t (%v) once more, want false", found, err)
	}
	if applied, err := helm.apply(t.Context(), nil, false); err != nil || applied.Version != 1 {
		t.Errorf("installing again gave %v (%v), want revision 1", applied, err)
	}
}

// An installation that was killed in the middle must not block the next one.
func TestApplyAfterACrash(t *testing.T) {
	tests := map[string]struct {
		status release.Status
		age    time.Duration
		want   string
	}{
		"first one broken off":      {release.StatusPendingInstall, time.Hour, ""},
		"upgrade broken off":        {release.StatusPendingUpgrade, time.Hour, ""},
		"another is at work":        {release.StatusPendingUpgrade, time.Second, "another program"},
		"the one before had failed": {release.StatusFailed, time.Second, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			helm := newTestHelm(t)
			applied, err := helm.apply(t.Context(), nil, false)
			if err != nil {
				t.Fatal(err)
			}
			applied.Info.Status, applied.Info.LastDeployed = test.status, helmtime.Time{Time: helm.now().Add(-test.age)}
			if err := helm.config.Releases.Update(applied); err != nil {
				t.Fatal(err)
			}
			_, err = helm.apply(t.Context(), nil, false)
			if test.want == "" && err != nil {
				t.Fatal(err)
			}
			if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestApplyRefusesBadValues(t *testing.T) {
	helm := newTestHelm(t)
	if _, err := helm.apply(t.Context(), map[string]any{"apiServer": 1}, false); err == nil {
		t.Error("an unknown value was taken")
	}
	if last, err := helm.last(); err != nil || last != nil {
		t.Errorf("left %v (%v) behind", last, err)
	}
}
