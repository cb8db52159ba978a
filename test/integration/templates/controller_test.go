// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package templates

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/record"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/generated/clientset/versioned"
	"garret.dev/garret/generated/clientset/versioned/scheme"
	"garret.dev/garret/generated/informers/externalversions"
	"garret.dev/garret/pkg/controller/hostcluster"
	"garret.dev/garret/pkg/controller/quota"
	templatecontroller "garret.dev/garret/pkg/controller/template"
	"garret.dev/garret/test/framework"
)

// runControllers runs the controllers that deploy nothing until the test ends, with the rights that
// the install chart gives to garret-controller and no others.
func runControllers(t *testing.T) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := shared.host.WriteServiceAccount(t.Context(), file, v1.SystemNamespace, "garret-controller"); err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", file)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	host, tenancy := kubernetes.NewForConfigOrDie(config), versioned.NewForConfigOrDie(config)
	informers := externalversions.NewSharedInformerFactory(tenancy, 0)
	broadcaster := record.NewBroadcaster()
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: host.CoreV1().Events("")})
	recorder := broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: v1.FieldManagerController})
	templates, err := templatecontroller.New(tenancy, informers, recorder, templatecontroller.Options{RetryRefused: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := hostcluster.New(host, tenancy, informers)
	if err != nil {
		t.Fatal(err)
	}
	quotas, err := quota.New(host, tenancy, informers)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	all := []func(context.Context) error{templates.Run, hosts.Run, quotas.Run}
	ended := make(chan error, len(all))
	informers.Start(ctx.Done())
	for _, run := range all {
		go func() { ended <- run(ctx) }()
	}
	t.Cleanup(func() {
		stop()
		for range all {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		informers.Shutdown()
		broadcaster.Shutdown()
	})
}

// until waits for a virtual cluster to be as the condition wants it.
func until(t *testing.T, namespace, name, what string, condition func(*v1.VirtualCluster) bool) {
	t.Helper()
	framework.Eventually(t, name+" "+what, func(ctx context.Context) (bool, error) {
		got, err := shared.garret.Clients.TenancyV1().VirtualClusters(namespace).Get(ctx, name, metav1.GetOptions{})
		return err == nil && condition(got), nil
	})
}

func TestTemplateControllerKeepsInStep(t *testing.T) {
	runControllers(t)
	level := func(args, distro string) string {
		return `{"versions":[{"version":"1.0.0","defaults":{"syncer":{"extraArgs":["` + args + `"]},"kubernetes":{"distro":"` + distro + `"}}}]}`
	}
	template(t, "followed", level("--v=1", "k3s"))
	in := clusters(t)
	follow := ref("followed")
	follow.Sync = true
	namespace := create(t, in, "follows", v1.VirtualClusterSpec{TemplateRef: follow}).Namespace
	create(t, in, "stays", v1.VirtualClusterSpec{TemplateRef: ref("followed")})

	change := func(args, distro string) {
		t.Helper()
		setTemplate(t, "followed", level(args, distro))
	}
	applied := func(vc *v1.VirtualCluster) *metav1.Condition {
		return meta.FindStatusCondition(vc.Status.Conditions, v1.ConditionTemplateApplied)
	}
	change("--v=2", "k3s")
	until(t, namespace, "follows", "has the new default", func(vc *v1.VirtualCluster) bool { return vc.Spec.Syncer.ExtraArgs[0] == "--v=2" })

	// The distribution cannot be changed: that is said, and nothing else changes.
	change("--v=3", "k8s")
	until(t, namespace, "follows", "says what is wrong", func(vc *v1.VirtualCluster) bool {
		c := applied(vc)
		return c.Status == metav1.ConditionFalse && c.Reason == v1.ReasonRefused && strings.Contains(c.Message, "spec.kubernetes.distro") &&
			vc.Spec.Syncer.ExtraArgs[0] == "--v=2"
	})
	framework.Eventually(t, "an event says it too", func(ctx context.Context) (bool, error) {
		events, err := shared.host.Client.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=" + v1.ReasonRefused})
		return err == nil && len(events.Items) == 1 && strings.Contains(events.Items[0].Message, "cannot be changed"), nil
	})
	change("--v=4", "k3s")
	until(t, namespace, "follows", "is in step again", func(vc *v1.VirtualCluster) bool {
		return applied(vc).Status == metav1.ConditionTrue && vc.Spec.Syncer.ExtraArgs[0] == "--v=4"
	})

	// Without a template what it said stays, and that is said.
	change("--v=5", "k3s")
	until(t, namespace, "follows", "has the last default", func(vc *v1.VirtualCluster) bool { return vc.Spec.Syncer.ExtraArgs[0] == "--v=5" })
	if err := templates().Delete(t.Context(), "followed", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, namespace, "follows", "says that the template is gone", func(vc *v1.VirtualCluster) bool {
		c := applied(vc)
		return c.Status == metav1.ConditionUnknown && c.Reason == v1.ReasonGone && strings.Contains(c.Message, "spec.templateRef.sync") &&
			c.ObservedGeneration == vc.Generation && vc.Spec.Syncer.ExtraArgs[0] == "--v=5"
	})
	if stays, err := in.Get(t.Context(), "stays", metav1.GetOptions{}); err != nil || applied(stays).Status != metav1.ConditionTrue {
		t.Errorf("the one that does not follow: got %+v, %v; want it to know nothing of that", applied(stays), err)
	}
	// Who does not want to follow any more has nothing to complain of.
	got := patched(t, in, "follows", `{"spec":{"templateRef":{"sync":false}}}`)
	if c := applied(got); c.Status != metav1.ConditionTrue || c.ObservedGeneration != got.Generation {
		t.Errorf("follows no more: got %+v, want True", c)
	}
	_, err := in.Patch(t.Context(), "follows", types.MergePatchType, []byte(`{"spec":{"templateRef":{"sync":true}}}`), metav1.PatchOptions{})
	invalid(t, err, [2]string{"spec.templateRef.name", "there is no VirtualClusterTemplate of this name"})

	// Another template of the same name, with the same generation as it had at first.
	template(t, "followed", level("--v=6", "k3s"))
	patched(t, in, "follows", `{"spec":{"templateRef":{"sync":true}}}`)
	until(t, namespace, "follows", "follows the new one", func(vc *v1.VirtualCluster) bool { return vc.Spec.Syncer.ExtraArgs[0] == "--v=6" })
	stays, err := in.Get(t.Context(), "stays", metav1.GetOptions{})
	if err != nil || stays.Spec.Syncer.ExtraArgs[0] != "--v=1" || stays.Generation != 1 {
		t.Errorf("the one that does not follow: got %v in generation %d, %v; want --v=1 in 1", stays.Spec.Syncer.ExtraArgs, stays.Generation, err)
	}
}

func TestHostClusterStatus(t *testing.T) {
	runControllers(t)
	version, err := shared.host.Client.Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	counted := func(ctx context.Context) (bool, error) {
		host, err := shared.garret.Clients.TenancyV1().HostClusters().Get(ctx, v1.LocalHostCluster, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			// The server makes it once it runs.
			return false, nil
		}
		if err != nil {
			return false, err
		}
		all, err := shared.garret.Clients.TenancyV1().VirtualClusters("").List(ctx, metav1.ListOptions{})
		return err == nil && int(host.Status.VirtualClusters) == len(all.Items) && host.Status.KubernetesVersion == version.GitVersion &&
			host.Status.ObservedGeneration == host.Generation && meta.IsStatusConditionTrue(host.Status.Conditions, v1.ConditionReady), err
	}
	in := clusters(t)
	create(t, in, "one", v1.VirtualClusterSpec{})
	create(t, in, "two", v1.VirtualClusterSpec{})
	framework.Eventually(t, "both are counted", counted)
	if err := in.Delete(t.Context(), "one", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	framework.Eventually(t, "one is counted no more", counted)
	table := shared.host.Kubectl().Do(t, "get", "hc", "-o", "wide")
	if !strings.Contains(table, "local") || !strings.Contains(table, "True") || !strings.Contains(table, version.GitVersion) {
		t.Errorf("got:\n%s\nwant local, ready, with its version", table)
	}
}
