// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package projected

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/record"
	"k8s.io/component-base/metrics"
	testingclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/pki/pkitest"
)

// idle is a reconciler that leaves all to the test.
type idle struct{}

func (idle) Reconcile(context.Context, types.NamespacedName) (time.Duration, error) { return 0, nil }

// fixture is a Source over a stand-in of the API server inside, and a signer.
type fixture struct {
	t       *testing.T
	source  *Source
	virtual *fake.Clientset
	clock   *testingclock.FakeClock
	events  *record.FakeRecorder
	signer  *pkitest.Authority
	pod     *corev1.Pod
	secret  *corev1.Secret
}

func start(t *testing.T, sources ...corev1.VolumeProjection) *fixture {
	t.Helper()
	f := &fixture{
		t: t, clock: testingclock.NewFakeClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)),
		events: record.NewFakeRecorder(20), secret: &corev1.Secret{},
		virtual: fake.NewClientset(
			&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1", UID: "node-uid"}},
			&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "robot", UID: "robot-uid"}}),
		pod: &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "web-uid"},
			Spec: corev1.PodSpec{NodeName: "node-1", ServiceAccountName: "robot", Volumes: []corev1.Volume{
				{Name: "v", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: sources}}}}},
		},
	}
	f.signer = pkitest.NewAuthority(t, "root")
	requests := 0
	f.virtual.PrependReactor("create", "podcertificaterequests", func(action clienttesting.Action) (bool, runtime.Object, error) {
		requests++
		action.(clienttesting.CreateAction).GetObject().(*certificatesv1.PodCertificateRequest).Name = fmt.Sprint("req-", requests)
		return false, nil, nil
	})
	inside := engine.NewInformers(f.virtual)
	f.source = New(Options{
		Virtual: f.virtual, Informers: inside, Recorder: f.events, Clock: f.clock, Served: true,
		Pods:  engine.NewStore(inside, corev1.SchemeGroupVersion.WithResource("pods"), f.virtual.CoreV1().Pods, engine.StoreOptions{}),
		Nodes: engine.NewStore(inside, corev1.SchemeGroupVersion.WithResource("nodes"), engine.Cluster(f.virtual.CoreV1().Nodes), engine.StoreOptions{}),
	})
	f.source.pods.Follow()
	controller := engine.NewController(engine.ControllerOptions{Name: "test", Workers: 1, Reconciler: idle{},
		Metrics: engine.NewMetrics(metrics.NewKubeRegistry()), Clock: f.clock})
	if err := f.source.Follow(controller); err != nil {
		t.Fatal(err)
	}
	for _, informer := range inside.Followed() {
		go informer.RunWithContext(t.Context())
		eventually(t, "the cache is filled", informer.HasSynced)
	}
	for _, resource := range []string{"podcertificaterequests", "clustertrustbundles"} {
		// A stand-in's watch does not tell what happened before it began.
		eventually(t, "the watch of "+resource, func() bool {
			return slices.ContainsFunc(f.virtual.Actions(), func(action clienttesting.Action) bool { return action.Matches("watch", resource) })
		})
	}
	return f
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 2*time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) { return condition(), nil })
	if err != nil {
		t.Fatalf("%s: not within 20 s", what)
	}
}

// fill has the Source fill the Secret, and returns when it is to be called again.
func (f *fixture) fill() time.Duration {
	f.t.Helper()
	after, err := f.source.Fill(f.t.Context(), f.pod, f.secret)
	if err != nil {
		f.t.Fatal(err)
	}
	return after
}

// file is what the volume has at the path; nil for none.
func (f *fixture) file(path string) []byte {
	for _, place := range placesOf(f.pod) {
		items, _ := Items(place.volume, place.index, place.source, nil)
		for _, item := range items {
			if item.Path == path {
				return f.secret.Data[item.Key]
			}
		}
	}
	return nil
}

// told is the next Event on the pod, or that there is none.
func (f *fixture) told() string {
	select {
	case event := <-f.events.Events:
		return event
	default:
		return "nothing"
	}
}

func (f *fixture) wantTold(want string) {
	f.t.Helper()
	if got := f.told(); !strings.Contains(got, want) {
		f.t.Errorf("event: got %q, want %q", got, want)
	}
}

// bundle puts one into the virtual cluster, and waits until it is known.
func (f *fixture) bundle(name, signer string, labels map[string]string, text string) {
	f.t.Helper()
	bundle := &certificatesv1.ClusterTrustBundle{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec: certificatesv1.ClusterTrustBundleSpec{SignerName: signer, TrustBundle: text}}
	if _, err := f.virtual.CertificatesV1().ClusterTrustBundles().Create(f.t.Context(), bundle, metav1.CreateOptions{}); err != nil {
		f.t.Fatal(err)
	}
	eventually(f.t, "the bundle is known", func() bool {
		known, found := f.source.bundles.Get("", name)
		if found && known.Spec.TrustBundle != "" {
			f.t.Error("the cache holds what a bundle holds")
		}
		return found
	})
}

func projectBundle(bundle corev1.ClusterTrustBundleProjection) corev1.VolumeProjection {
	bundle.Path = "ca.pem"
	return corev1.VolumeProjection{ClusterTrustBundle: &bundle}
}

func TestTrustBundles(t *testing.T) {
	one, two := pkitest.NewAuthority(t, "one"), pkitest.NewAuthority(t, "two")
	signer := ptr.To("example.org/ca")
	matching := func(labels map[string]string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchLabels: labels}
	}
	for name, test := range map[string]struct {
		projection corev1.ClusterTrustBundleProjection
		// want are the anchors; nil for a pod that is not to start.
		want []*pkitest.Authority
		told string
	}{
		"by name":             {corev1.ClusterTrustBundleProjection{Name: ptr.To("named")}, []*pkitest.Authority{one}, "nothing"},
		"missing":             {corev1.ClusterTrustBundleProjection{Name: ptr.To("none")}, nil, `MountVolume.SetUp failed for volume "v": ClusterTrustBundle "none" is not found`},
		"missing, optional":   {corev1.ClusterTrustBundleProjection{Name: ptr.To("none"), Optional: ptr.To(true)}, []*pkitest.Authority{}, "nothing"},
		"all of a signer":     {corev1.ClusterTrustBundleProjection{SignerName: signer, LabelSelector: matching(nil)}, []*pkitest.Authority{one, two}, "nothing"},
		"by label":            {corev1.ClusterTrustBundleProjection{SignerName: signer, LabelSelector: matching(map[string]string{"live": "yes"})}, []*pkitest.Authority{two}, "nothing"},
		"no selector":         {corev1.ClusterTrustBundleProjection{SignerName: signer}, nil, `no ClusterTrustBundle of signer "example.org/ca" matches`},
		"no match, optional":  {corev1.ClusterTrustBundleProjection{SignerName: signer, LabelSelector: matching(map[string]string{"live": "no"}), Optional: ptr.To(true)}, []*pkitest.Authority{}, "nothing"},
		"of another's signer": {corev1.ClusterTrustBundleProjection{SignerName: ptr.To("example.org/other"), LabelSelector: matching(nil)}, nil, "example.org/other"},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t, projectBundle(test.projection))
			f.bundle("named", "", nil, "a comment\n"+string(one.PEM()))
			f.bundle("example.org:ca:1", *signer, nil, string(slices.Concat(one.PEM(), one.PEM())))
			f.bundle("example.org:ca:2", *signer, map[string]string{"live": "yes"}, string(two.PEM()))
			f.fill()
			f.fill()
			got := f.file("ca.pem")
			if (got == nil) != (test.want == nil) {
				t.Errorf("got %q, want a file only where the pod may start", got)
			}
			pool := x509.NewCertPool()
			pool.AppendCertsFromPEM(got)
			want := x509.NewCertPool()
			for _, authority := range test.want {
				want.AddCert(authority.Certificate)
			}
			if !pool.Equal(want) || bytes.Count(got, []byte("BEGIN")) != len(test.want) {
				t.Errorf("got %s, want %d anchors", got, len(test.want))
			}
			f.wantTold(test.told)
			if again := f.told(); again != "nothing" {
				t.Errorf("told again: %s", again)
			}
		})
	}
}

// TestWhatIsMountedStays deletes a bundle that a pod has, and brings it again.
func TestWhatIsMountedStays(t *testing.T) {
	one := pkitest.NewAuthority(t, "one")
	f := start(t, projectBundle(corev1.ClusterTrustBundleProjection{Name: ptr.To("named")}))
	f.bundle("named", "", nil, string(one.PEM()))
	f.fill()
	if err := f.virtual.CertificatesV1().ClusterTrustBundles().Delete(t.Context(), "named", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	f.fill()
	f.wantTold("is not found")
	if !bytes.Equal(f.file("ca.pem"), one.PEM()) {
		t.Errorf("got %q, want what the pod had", f.file("ca.pem"))
	}
}

// TestTooMuchIsRefused has bundles that do not fit into a Secret.
func TestTooMuchIsRefused(t *testing.T) {
	f := start(t, projectBundle(corev1.ClusterTrustBundleProjection{Name: ptr.To("large")}))
	f.bundle("large", "", nil, string(pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: make([]byte, 800<<10)})))
	f.fill()
	f.wantTold("but the host cluster accepts only 1048576 for one pod")
	if f.file("ca.pem") != nil {
		t.Error("the bundle was put into the Secret")
	}
}

// TestNotServed has an API server of an earlier minor, where the fields came by another gate.
func TestNotServed(t *testing.T) {
	f := start(t, projectCertificate("ED25519"))
	f.source.served = false
	f.fill()
	f.wantTold("the API server inside does not serve certificates.k8s.io/v1")
}
