// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package rights

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

const (
	// foreignID is the id of another virtual cluster in the namespace.
	foreignID = "abcdef0123"
	// ownAddress, foreignAddress and openAddress are those of a pod of the virtual
	// cluster, of a pod of the other one, and of what the HostCluster opens.
	ownAddress, foreignAddress, openAddress = "10.0.0.7", "10.0.0.8", "192.0.2.7"
)

var dryRun = []string{metav1.DryRunAll}

// borrowed is what somebody with the role edit in the namespace does with the account of
// the syncer there, which edit lets them impersonate.
type borrowed struct {
	*kubernetes.Clientset
	id string
	// objects are those of any kind.
	objects dynamic.Interface
}

// borrow makes somebody with edit who takes the account of a syncer.
func borrow(t *testing.T, account string) *borrowed {
	t.Helper()
	editor := shared.host.Certified(t, "editor-"+account)
	shared.host.BindClusterRole(t, editor, namespace, "edit")
	config := editor.Config(shared.host.Config.Host, shared.host.Config.CAData)
	config.Impersonate = rest.ImpersonationConfig{UserName: "system:serviceaccount:" + namespace + ":" + account}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	framework.Eventually(t, "the account can be borrowed", func(ctx context.Context) (bool, error) {
		_, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{Limit: 1})
		return err == nil, nil
	})
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return &borrowed{client, v1.ClusterID(shared.object.UID), objects}
}

// marked is the metadata of a host object of the virtual cluster with this id, if any.
func marked(name, id string) metav1.ObjectMeta {
	object := metav1.ObjectMeta{Name: name, Namespace: namespace}
	if id != "" {
		object.Labels = map[string]string{v1.LabelCluster: id}
	}
	return object
}

func podOf(name, id string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: marked(name, id), Spec: corev1.PodSpec{
		Containers: []corev1.Container{{Name: "app", Image: "busybox:1", Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m")}}}},
		ReadinessGates: []corev1.PodReadinessGate{{ConditionType: "example.com/gate"}},
	}}
}

// furnishNamespace has a pod, a ConfigMap, a Secret, a claim and a Service in the namespace of the
// virtual cluster, of another one, and of neither.
func furnishNamespace(t *testing.T, own string) {
	t.Helper()
	ctx, core := t.Context(), shared.host.Client.CoreV1()
	framework.Eventually(t, "there is a ServiceAccount", func(ctx context.Context) (bool, error) {
		_, err := core.ServiceAccounts(namespace).Get(ctx, "default", metav1.GetOptions{})
		return err == nil, nil
	})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, id := range map[string]string{"own": own, "foreign": foreignID, "plain": ""} {
		pod, err := core.Pods(namespace).Create(ctx, podOf(name, id), metav1.CreateOptions{})
		must(err)
		address := map[string]string{"own": ownAddress, "foreign": foreignAddress, "plain": "10.0.0.9"}[name]
		pod.Status.Phase, pod.Status.PodIP, pod.Status.PodIPs = corev1.PodRunning, address, []corev1.PodIP{{IP: address}}
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse}}
		_, err = core.Pods(namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{})
		must(err)
		_, err = core.ConfigMaps(namespace).Create(ctx, &corev1.ConfigMap{ObjectMeta: marked(name, id)}, metav1.CreateOptions{})
		must(err)
		_, err = core.Secrets(namespace).Create(ctx, &corev1.Secret{ObjectMeta: marked(name, id)}, metav1.CreateOptions{})
		must(err)
		_, err = core.Services(namespace).Create(ctx, &corev1.Service{ObjectMeta: marked(name, id), Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}, metav1.CreateOptions{})
		must(err)
		t.Cleanup(func() {
			ctx := context.Background()
			_ = core.Pods(namespace).Delete(ctx, name, *metav1.NewDeleteOptions(0))
			_ = core.ConfigMaps(namespace).Delete(ctx, name, metav1.DeleteOptions{})
			_ = core.Secrets(namespace).Delete(ctx, name, metav1.DeleteOptions{})
			_ = core.Services(namespace).Delete(ctx, name, metav1.DeleteOptions{})
		})
	}
	// The record of a virtual cluster of the same name, which is no more.
	record := v1.ReleaseName(name) + "-lineage"
	_, err := core.ConfigMaps(namespace).Create(ctx, &corev1.ConfigMap{ObjectMeta: marked(record, "0000000000")}, metav1.CreateOptions{})
	must(err)
	t.Cleanup(func() { _ = core.ConfigMaps(namespace).Delete(context.Background(), record, metav1.DeleteOptions{}) })
}

// slice is one of a Service with this address.
func (b *borrowed) slice(service, id, address string) *discoveryv1.EndpointSlice {
	object := marked("slice", id)
	if object.Labels == nil {
		object.Labels = map[string]string{}
	}
	object.Labels[discoveryv1.LabelServiceName] = service
	return &discoveryv1.EndpointSlice{ObjectMeta: object, AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{address}}}}
}

func (b *borrowed) createSlice(slice *discoveryv1.EndpointSlice) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := b.DiscoveryV1().EndpointSlices(namespace).Create(ctx, slice, metav1.CreateOptions{DryRun: dryRun})
		return err
	}
}

func (b *borrowed) patchPod(name, subresource, patch string) func(context.Context) error {
	var subresources []string
	if subresource != "" {
		subresources = []string{subresource}
	}
	return func(ctx context.Context) error {
		_, err := b.CoreV1().Pods(namespace).Patch(ctx, name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{DryRun: dryRun}, subresources...)
		return err
	}
}

// debug adds a container to a pod that runs.
func (b *borrowed) debug(name string) func(context.Context) error {
	return func(ctx context.Context) error {
		pod, err := b.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Image: "busybox:1", TerminationMessagePolicy: corev1.TerminationMessageReadFile, ImagePullPolicy: corev1.PullIfNotPresent}}}
		_, err = b.CoreV1().Pods(namespace).UpdateEphemeralContainers(ctx, name, pod, metav1.UpdateOptions{DryRun: dryRun})
		return err
	}
}

// label is a patch that makes an object the virtual cluster's.
func label(id string) []byte {
	patch, _ := json.Marshal(map[string]any{"metadata": map[string]any{"labels": map[string]any{v1.LabelCluster: id}}})
	return patch
}

// TestBorrowedAccount has somebody with edit borrow the account of a syncer. It
// opens nothing that is not of its virtual cluster, and no address but its own.
func TestBorrowedAccount(t *testing.T) {
	b := borrow(t, v1.ReleaseName(name))
	furnishNamespace(t, b.id)
	core, dry := b.CoreV1(), metav1.CreateOptions{DryRun: dryRun}
	dryPatch, dryDelete := metav1.PatchOptions{DryRun: dryRun}, metav1.DeleteOptions{DryRun: dryRun}
	const (
		writes, changes = "writes objects of its own virtual cluster only", "changes and deletes objects of its own virtual cluster only"
		notOwn          = "is no address of a pod of the virtual cluster"
	)
	type deed struct {
		do func(context.Context) error
		// want is a part of the refusal.
		want string
	}
	attacks := map[string]deed{
		"make a pod of nobody's": {func(ctx context.Context) error {
			_, err := core.Pods(namespace).Create(ctx, podOf("new", ""), dry)
			return err
		}, writes},
		"make a pod of another's": {func(ctx context.Context) error {
			_, err := core.Pods(namespace).Create(ctx, podOf("new", foreignID), dry)
			return err
		}, writes},
		"make a Secret of nobody's": {func(ctx context.Context) error {
			_, err := core.Secrets(namespace).Create(ctx, &corev1.Secret{ObjectMeta: marked("new", "")}, dry)
			return err
		}, writes},
		"make a claim of nobody's": {func(ctx context.Context) error {
			_, err := core.PersistentVolumeClaims(namespace).Create(ctx, claimOf("new", ""), dry)
			return err
		}, writes},
		"make another's pod its own":   {b.patchPod("foreign", "", string(label(b.id))), changes},
		"make a plain pod its own":     {b.patchPod("plain", "", string(label(b.id))), changes},
		"make a pod its own by status": {b.patchPod("foreign", "status", string(label(b.id))), changes},
		"give its own pod away":        {b.patchPod("own", "", string(label(foreignID))), writes},
		"take the label off its own":   {b.patchPod("own", "", `{"metadata":{"labels":{"`+v1.LabelCluster+`":null}}}`), writes},
		"annotate another's pod":       {b.patchPod("foreign", "", `{"metadata":{"annotations":{"a":"b"}}}`), writes},
		"delete another's pod":         {func(ctx context.Context) error { return core.Pods(namespace).Delete(ctx, "foreign", dryDelete) }, changes},
		"delete a plain Secret":        {func(ctx context.Context) error { return core.Secrets(namespace).Delete(ctx, "plain", dryDelete) }, changes},
		"delete another's ConfigMap":   {func(ctx context.Context) error { return core.ConfigMaps(namespace).Delete(ctx, "foreign", dryDelete) }, changes},
		"change another's Service": {func(ctx context.Context) error {
			_, err := core.Services(namespace).Patch(ctx, "foreign", types.MergePatchType, []byte(`{"spec":{"selector":{"a":"b"}}}`), dryPatch)
			return err
		}, writes},
		"take another's Service": {func(ctx context.Context) error {
			_, err := core.Services(namespace).Patch(ctx, "foreign", types.MergePatchType, label(b.id), dryPatch)
			return err
		}, changes},
		"enter another's pod":            {b.debug("foreign"), writes},
		"enter a plain pod":              {b.debug("plain"), writes},
		"grow another's pod":             {b.patchPod("foreign", "resize", `{"spec":{"containers":[{"name":"app","resources":{"requests":{"cpu":"1"}}}]}}`), writes},
		"move its own pod's address":     {b.patchPod("own", "status", `{"status":{"podIP":"10.0.0.8","podIPs":[{"$patch":"replace"},{"ip":"10.0.0.8"}]}}`), "sets conditions of a pod's status and nothing else in it"},
		"add an address to its own pod":  {b.patchPod("own", "status", `{"status":{"podIPs":[{"$patch":"replace"},{"ip":"`+ownAddress+`"},{"ip":"2001:db8::1"}]}}`), "sets conditions of a pod's status"},
		"end its own pod":                {b.patchPod("own", "status", `{"status":{"phase":"Succeeded"}}`), "sets conditions of a pod's status"},
		"say where its own pod is":       {b.patchPod("own", "status", `{"status":{"hostIP":"10.0.0.8"}}`), "sets conditions of a pod's status"},
		"call its own pod ready":         {b.patchPod("own", "status", `{"status":{"conditions":[{"type":"Ready","status":"True"}]}}`), "sets the conditions of a pod's readiness gates only"},
		"forget that its own pod is not": {b.patchPod("own", "status", `{"status":{"conditions":[{"$patch":"delete","type":"Ready"}]}}`), "sets the conditions of a pod's readiness gates only"},
		"open the host's API server":     {b.createSlice(b.slice("own", b.id, "10.96.0.1")), notOwn},
		"open another's pod":             {b.createSlice(b.slice("own", b.id, foreignAddress)), notOwn},
		"open a pod of the namespace":    {b.createSlice(b.slice("own", b.id, "10.0.0.9")), notOwn},
		"open an address for another":    {b.createSlice(b.slice("own", foreignID, foreignAddress)), "virtual cluster"},
		"open an address for nobody":     {b.createSlice(b.slice("own", "", ownAddress)), "virtual cluster"},
		"lead another's Service astray":  {b.createSlice(b.slice("foreign", b.id, ownAddress)), "foreign is no Service of the virtual cluster"},
		"lead a plain Service astray":    {b.createSlice(b.slice("plain", b.id, ownAddress)), "plain is no Service of the virtual cluster"},
		"take over the host's own slices": {func(ctx context.Context) error {
			_, err := b.DiscoveryV1().EndpointSlices(namespace).Patch(ctx, "there", types.MergePatchType, label(b.id), dryPatch)
			return err
		}, "virtual cluster"},
	}
	own := map[string]func(context.Context) error{
		"a pod": func(ctx context.Context) error {
			_, err := core.Pods(namespace).Create(ctx, podOf("new", b.id), dry)
			return err
		},
		"a Secret": func(ctx context.Context) error {
			_, err := core.Secrets(namespace).Create(ctx, &corev1.Secret{ObjectMeta: marked("new", b.id)}, dry)
			return err
		},
		"a claim": func(ctx context.Context) error {
			_, err := core.PersistentVolumeClaims(namespace).Create(ctx, claimOf("new", b.id), dry)
			return err
		},
		"a change":                    b.patchPod("own", "", `{"metadata":{"annotations":{"a":"b"}}}`),
		"a container to debug":        b.debug("own"),
		"a readiness gate":            b.patchPod("own", "status", `{"status":{"conditions":[{"type":"example.com/gate","status":"True"}]}}`),
		"a slice of its pod":          b.createSlice(b.slice("own", b.id, ownAddress)),
		"a slice of an opened range":  b.createSlice(b.slice("own", b.id, openAddress)),
		"a slice without any address": b.createSlice(&discoveryv1.EndpointSlice{ObjectMeta: b.slice("own", b.id, "").ObjectMeta, AddressType: discoveryv1.AddressTypeIPv4}),
		"its Service": func(ctx context.Context) error {
			_, err := core.Services(namespace).Patch(ctx, "own", types.MergePatchType, []byte(`{"spec":{"selector":{"a":"b"}}}`), dryPatch)
			return err
		},
		"an end": func(ctx context.Context) error { return core.Pods(namespace).Delete(ctx, "own", dryDelete) },
		"the record of before": func(ctx context.Context) error {
			_, err := core.ConfigMaps(namespace).Update(ctx, &corev1.ConfigMap{ObjectMeta: marked(v1.ReleaseName(name)+"-lineage", b.id)}, metav1.UpdateOptions{DryRun: dryRun})
			return err
		},
	}
	setEndpointRanges(t, `["192.0.2.0/24"]`)
	if _, err := shared.host.Client.DiscoveryV1().EndpointSlices(namespace).Create(t.Context(), &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Name: "there", Labels: map[string]string{discoveryv1.LabelServiceName: "plain"}}, AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.9"}}}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = shared.host.Client.DiscoveryV1().EndpointSlices(namespace).Delete(context.Background(), "there", metav1.DeleteOptions{})
	})
	framework.Eventually(t, "the policy is in force", func(ctx context.Context) (bool, error) {
		return apierrors.IsForbidden(attacks["delete another's pod"].do(ctx)), nil
	})
	for what, attack := range attacks {
		if err := attack.do(t.Context()); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), attack.want) {
			t.Errorf("%s: got %v, want it forbidden: %s", what, err, attack.want)
		}
	}
	for what, do := range own {
		if err := do(t.Context()); err != nil {
			t.Errorf("%s of its own: %v", what, err)
		}
	}
}

// TestReleasesOfBefore lets the syncer of a release without the policy's rights go on as it did.
func TestReleasesOfBefore(t *testing.T) {
	account := v1.ReleaseName("before")
	if _, err := shared.host.Client.CoreV1().ServiceAccounts(namespace).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: account}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = shared.host.Client.CoreV1().ServiceAccounts(namespace).Delete(context.Background(), account, metav1.DeleteOptions{})
	})
	subject := framework.User{Subject: rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: account}}
	shared.host.Grant(t, subject, namespace,
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods", "configmaps"}, Verbs: []string{"list", "create", "delete"}},
		rbacv1.PolicyRule{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: []string{"create"}})
	b := borrow(t, account)
	if _, err := b.CoreV1().ConfigMaps(namespace).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: marked("new", "1111111111")}, metav1.CreateOptions{DryRun: dryRun}); err != nil {
		t.Errorf("a ConfigMap: %v", err)
	}
	if err := b.createSlice(b.slice("own", "1111111111", "192.0.2.200"))(t.Context()); err != nil {
		t.Errorf("a slice: %v", err)
	}
}

// TestEditCannotWidenTheRole tries what would make the borrowed account more than it is.
func TestEditCannotWidenTheRole(t *testing.T) {
	b := borrow(t, v1.ReleaseName(name))
	administrator := newCaller(t, rbacv1.UserKind, "namespace-admin")
	shared.host.BindClusterRole(t, administrator.User, namespace, "admin")
	framework.Eventually(t, "the administrator of the namespace reads roles", func(ctx context.Context) (bool, error) {
		_, err := administrator.client.RbacV1().Roles(namespace).Get(ctx, v1.ReleaseName(name), metav1.GetOptions{})
		return err == nil, nil
	})
	for who, client := range map[string]kubernetes.Interface{"the account itself": b, "the administrator of the namespace": administrator.client} {
		for what, patch := range map[string]string{
			"no longer bound":   `[{"op":"replace","path":"/rules","value":%s}]`,
			"another's objects": `[{"op":"add","path":"/rules/-","value":{"apiGroups":["tenancy.garret.dev"],"resources":["hostobjects"],"resourceNames":["` + foreignID + `"],"verbs":["own"]}}]`,
		} {
			if strings.Contains(patch, "%s") {
				role, err := shared.host.Client.RbacV1().Roles(namespace).Get(t.Context(), v1.ReleaseName(name), metav1.GetOptions{})
				if err != nil {
					t.Fatal(err)
				}
				var rules []rbacv1.PolicyRule
				for _, rule := range role.Rules {
					if rule.Resources[0] != "hostobjects" {
						rules = append(rules, rule)
					}
				}
				raw, err := json.Marshal(rules)
				if err != nil {
					t.Fatal(err)
				}
				patch = fmt.Sprintf(patch, raw)
			}
			_, err := client.RbacV1().Roles(namespace).Patch(t.Context(), v1.ReleaseName(name), types.JSONPatchType, []byte(patch), metav1.PatchOptions{DryRun: dryRun})
			if !apierrors.IsForbidden(err) {
				t.Errorf("%s, %s: got %v, want it forbidden", who, what, err)
			}
		}
	}
}

func claimOf(name, id string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{ObjectMeta: marked(name, id), Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
	}}
}

// setEndpointRanges opens ranges until the test ends.
func setEndpointRanges(t *testing.T, ranges string) {
	t.Helper()
	hosts := shared.garret.Clients.TenancyV1().HostClusters()
	framework.Eventually(t, "the HostCluster opens the range", func(ctx context.Context) (bool, error) {
		_, err := hosts.Patch(ctx, v1.LocalHostCluster, types.MergePatchType, []byte(`{"spec":{"isolation":{"endpointRanges":`+ranges+`}}}`), metav1.PatchOptions{})
		return err == nil, nil
	})
	t.Cleanup(func() {
		_, _ = hosts.Patch(context.Background(), v1.LocalHostCluster, types.MergePatchType, []byte(`{"spec":{"isolation":null}}`), metav1.PatchOptions{})
	})
}
