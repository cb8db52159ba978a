// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	tenancyfake "garret.dev/garret/generated/clientset/versioned/fake"
	tenancyinformers "garret.dev/garret/generated/informers/externalversions"
	"garret.dev/garret/pkg/chart"
)

// deployer is a controller that knows its host, and what is on it.
func deployer(t *testing.T, published bool, objects ...runtime.Object) *Controller {
	t.Helper()
	cidr := &networkingv1.ServiceCIDR{ObjectMeta: metav1.ObjectMeta{Name: defaultServiceCIDR}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.96.0.0/16", "fd00::/112"}}}
	host := fake.NewClientset(append(objects, cidr)...)
	host.Resources = []*metav1.APIResourceList{
		{GroupVersion: "storage.k8s.io/v1", APIResources: []metav1.APIResource{{Name: tenancyv1.ResourceAttributesClasses}}},
		{GroupVersion: "resource.k8s.io/v1", APIResources: []metav1.APIResource{{Name: tenancyv1.ResourceDeviceClasses}, {Name: tenancyv1.ResourceDeviceClaims}}},
	}
	watched := watch(host, tenancyinformers.NewSharedInformerFactory(tenancyfake.NewSimpleClientset(), 0), "garret-system")
	if published {
		authority := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "garret-system", Name: tenancyv1.CAConfigMap}, Data: map[string]string{tenancyv1.CAConfigMapKey: "PEM\n"}}
		if err := watched.mapChanges.GetStore().Add(authority); err != nil {
			t.Fatal(err)
		}
	}
	local := &tenancyv1.HostCluster{ObjectMeta: metav1.ObjectMeta{Name: tenancyv1.LocalHostCluster}, Spec: tenancyv1.HostClusterSpec{Isolation: tenancyv1.HostIsolation{
		InlineVolumeDrivers: []string{"secrets-store.csi.k8s.io"}, DeviceConfigDrivers: []string{"gpu.example.org"}, EndpointRanges: []string{"192.0.2.0/24"}, ExternalIPRanges: []string{"203.0.113.0/24"}, EgressRanges: []string{"198.51.100.0/24"},
	}}}
	if err := watched.hostChanges.GetStore().Add(local); err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		if binding, is := object.(*rbacv1.ClusterRoleBinding); is {
			which := slices.Index(lentRoles(), binding.Name)
			if err := watched.lentChanges[which].GetStore().Add(binding); err != nil {
				t.Fatal(err)
			}
		}
		if role, is := object.(*rbacv1.ClusterRole); is {
			if err := watched.openedChanges.GetStore().Add(role); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, object := range objects {
		var store cache.Store
		switch object.(type) {
		case *corev1.Namespace:
			store = watched.spaceChanges.GetStore()
		case *rbacv1.Role:
			store = watched.kept[3].GetStore()
		case *rbacv1.RoleBinding:
			store = watched.kept[4].GetStore()
		default:
			continue
		}
		if err := store.Add(object); err != nil {
			t.Fatal(err)
		}
	}
	clock := clocktesting.NewFakeClock(now)
	return &Controller{
		Dependencies: Dependencies{Host: host, Clock: clock}, watched: watched,
		facts:   &hostFacts{host: host, configMaps: watched.configMaps, namespace: "garret-system", clock: clock},
		options: Options{ClusterDomain: "cluster.local", Version: "v0.1.0", ImageRepository: "garret.dev/garret", K3sImage: "docker.io/rancher/k3s", ImagePullPolicy: "IfNotPresent"},
	}
}

func TestValues(t *testing.T) {
	vc := object(1)
	vc.Status.ClusterID = "0123456789"
	vc.Spec.Kubernetes = tenancyv1.KubernetesSpec{Distro: tenancyv1.DistroK3s, Version: "v1.37.2", ExtraArgs: []string{"--a=b"}}
	vc.Spec.Syncer.ExtraArgs = []string{"--v=2", "--disable-sync-resources=secrets"}
	vc.Spec.Isolation.NetworkPolicy.PublicEgress = ptr.To(false)
	vc.Spec.Isolation.LimitRange = &corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{Type: corev1.LimitTypeContainer}}}
	classes := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: tenancyv1.RoleHostClasses}}
	got, err := deployer(t, true, classes).values(t.Context(), vc, &customKinds{})
	if err != nil {
		t.Fatal(err)
	}
	synced, err := tenancyv1.SelectResources(nil, []string{tenancyv1.ResourceSecrets})
	if err != nil {
		t.Fatal(err)
	}
	want := chart.Values{
		Cluster:    chart.Cluster{Name: "demo", ID: "0123456789", UID: "u"},
		Kubernetes: chart.Kubernetes{Distro: "k3s", Version: "v1.37.2", ExtraArgs: []string{"--a=b"}},
		ControlPlane: chart.ControlPlane{Image: "docker.io/rancher/k3s:v1.37.2-k3s1", Storage: chart.Storage{Persistent: true, Size: "5Gi", DatabaseBytes: "2147483648"},
			Resources: chart.ControlPlaneResources(corev1.ResourceRequirements{})},
		Syncer: chart.Syncer{Image: "garret.dev/garret/syncer:v0.1.0", ExtraArgs: []string{"--v=2", "--disable-sync-resources=secrets"}},
		RBAC:   chart.RBAC{Rules: tenancyv1.SyncerRules(synced)},
		Isolation: chart.Isolation{
			InlineVolumeDrivers: []string{"secrets-store.csi.k8s.io"}, DeviceConfigDrivers: []string{"gpu.example.org"}, EndpointRanges: []string{"192.0.2.0/24"}, ExternalIPRanges: []string{"203.0.113.0/24"},
			NetworkPolicy: chart.NetworkPolicy{Enabled: true, AllowedRanges: []string{"198.51.100.0/24"}},
			LimitRange:    vc.Spec.Isolation.LimitRange,
		},
		ImagePullPolicy: corev1.PullIfNotPresent,
		Host:            chart.Host{ServiceCIDR: "10.96.0.0/16,fd00::/112", ClusterDomain: "cluster.local", ClientCA: "PEM"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestActivityIsNotedWhereItMatters has the API server inside tell of requests only where
// something follows from them.
func TestActivityIsNotedWhereItMatters(t *testing.T) {
	hour := &metav1.Duration{Duration: time.Hour}
	for name, test := range map[string]struct {
		sleep tenancyv1.SleepSpec
		want  bool
	}{
		"nothing":               {tenancyv1.SleepSpec{}, false},
		"by the clock alone":    {tenancyv1.SleepSpec{Schedule: "0 20 * * *", Ignore: []tenancyv1.IgnoredRequests{{Verbs: []string{"get"}}}}, false},
		"asleep by inactivity":  {tenancyv1.SleepSpec{AfterInactivity: hour}, true},
		"deleted by inactivity": {tenancyv1.SleepSpec{DeleteAfterInactivity: hour}, true},
	} {
		t.Run(name, func(t *testing.T) {
			vc := object(1)
			vc.Spec.Sleep = test.sleep
			got, err := deployer(t, true).values(t.Context(), vc, &customKinds{})
			if err != nil || got.Activity.Enabled != test.want {
				t.Errorf("got %t, %v, want %t", got.Activity.Enabled, err, test.want)
			}
		})
	}
}

// TestPodRules hands on what the owner asks for while the host's administrator allows it, below
// the administrator's own.
func TestPodRules(t *testing.T) {
	asked := tenancyv1.PodRules{NodeSelector: map[string]string{"pool": "own", "disk": "own"}, Labels: map[string]string{"example.org/a": "own", "example.org/b": "own", "example.org/c": "own"}}
	host := tenancyv1.HostIsolation{
		Pods:            tenancyv1.PodRules{NodeSelector: map[string]string{"pool": "host"}, Labels: map[string]string{"example.org/a": "host"}},
		AllowedPodRules: tenancyv1.AllowedPodRules{Labels: []string{"example.org/a", "example.org/b"}},
	}
	argument, err := podRules(&asked, &host)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tenancyv1.ParsePodRules(argument)
	want := tenancyv1.PodRules{NodeSelector: map[string]string{"pool": "host", "disk": "own"}, Labels: map[string]string{"example.org/a": "host", "example.org/b": "own"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if argument, err := podRules(&tenancyv1.PodRules{Labels: map[string]string{"x": "y"}}, &tenancyv1.HostIsolation{}); argument != "" || err != nil {
		t.Errorf("nothing is allowed: got %q, %v, want no rules", argument, err)
	}
}

// An object of an earlier release may name a kind that this one does not know.
func TestUnknownKind(t *testing.T) {
	vc := object(1)
	vc.Spec.Syncer.ExtraArgs = []string{"--sync-resources=fruits"}
	_, err := deployer(t, true).values(t.Context(), vc, &customKinds{})
	if found := new(trouble); !errors.As(err, &found) || found.Reason != reasonInvalidSpec || !found.final {
		t.Errorf("got %v, want a trouble with the spec that only its owner can end", err)
	}
}

func TestImages(t *testing.T) {
	c := deployer(t, true)
	for distro, want := range map[tenancyv1.Distro]string{
		tenancyv1.DistroK3s: "docker.io/rancher/k3s:v1.36.3-k3s1", tenancyv1.DistroK8s: "garret.dev/garret/controlplane:v1.36.3",
	} {
		if got := c.controlPlaneImage(tenancyv1.KubernetesSpec{Distro: distro, Version: "v1.36.3"}); got != want {
			t.Errorf("%s: got %s, want %s", distro, got, want)
		}
	}
}

func TestStorage(t *testing.T) {
	off, class, size := false, "fast", resource.MustParse("10Gi")
	tests := []struct {
		name string
		spec tenancyv1.StorageSpec
		want chart.Storage
	}{
		{"defaults", tenancyv1.StorageSpec{}, chart.Storage{Persistent: true, Size: "5Gi", DatabaseBytes: "2147483648"}},
		{"given", tenancyv1.StorageSpec{Size: &size, StorageClassName: &class}, chart.Storage{Persistent: true, Size: "10Gi", StorageClassName: &class, DatabaseBytes: "4294967296"}},
		{"not kept", tenancyv1.StorageSpec{Persistent: &off}, chart.Storage{Size: "5Gi", DatabaseBytes: "2147483648"}},
	}
	for _, test := range tests {
		if got := storage(test.spec); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got %+v, want %+v", test.name, got, test.want)
		}
	}
}

func TestHostNotReady(t *testing.T) {
	_, err := deployer(t, false).values(t.Context(), object(1), &customKinds{})
	if found := new(trouble); !errors.As(err, &found) || found.Reason != reasonHostNotReady || found.final {
		t.Errorf("got %v, want to wait for the host", err)
	}
}

func TestDatastore(t *testing.T) {
	secret := func(keys ...string) *corev1.Secret {
		made := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "db"}, Data: map[string][]byte{}}
		for _, key := range keys {
			made.Data[key] = []byte("x")
		}
		return made
	}
	tests := []struct {
		name    string
		secret  *corev1.Secret
		want    []string
		wantErr bool
	}{
		{"not there", secret().DeepCopy(), nil, true},
		{"without an endpoint", secret("ca.crt"), nil, true},
		{"endpoint", secret("endpoint"), []string{"endpoint"}, false},
		{"everything, and more", secret("tls.key", "endpoint", "other", "tls.crt", "ca.crt", "token"), []string{"endpoint", "token", "ca.crt", "tls.crt", "tls.key"}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var objects []runtime.Object
			if len(test.secret.Data) > 0 {
				objects = append(objects, test.secret)
			}
			vc := object(1)
			vc.Spec.ControlPlane.Datastore = &tenancyv1.DatastoreSpec{EndpointSecretRef: corev1.LocalObjectReference{Name: "db"}}
			got, err := deployer(t, true, objects...).datastore(t.Context(), vc)
			if test.wantErr {
				if found := new(trouble); !errors.As(err, &found) || found.Reason != reasonDatastoreNotFound {
					t.Errorf("got %v, want a trouble with the Secret", err)
				}
				return
			}
			if err != nil || got.SecretName != "db" || !reflect.DeepEqual(got.SecretKeys, test.want) {
				t.Errorf("got %+v, %v; want keys %q", got, err, test.want)
			}
		})
	}
}

func TestTenantValues(t *testing.T) {
	vc := object(1)
	if got, err := tenantValues(vc); got != nil || err != nil {
		t.Errorf("none: got %v, %v", got, err)
	}
	vc.Spec.Helm.Values = &runtime.RawExtension{Raw: []byte(`{"networkPolicy":{"enabled":true}}`)}
	if got, err := tenantValues(vc); err != nil || got["networkPolicy"] == nil {
		t.Errorf("some: got %v, %v", got, err)
	}
	vc.Spec.Helm.Values.Raw = []byte(`["x"]`)
	if _, err := tenantValues(vc); err == nil {
		t.Error("a list: got no error")
	}
}
