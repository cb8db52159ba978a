// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "garret.dev/garret/apis/tenancy/v1"
	applyv1 "garret.dev/garret/generated/applyconfiguration/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// doze has the virtual cluster fall asleep for want of use, as garret-controller writes it. A pass
// of garret-controller that began before may write the status of before once more.
func (m *machine) doze(t *testing.T) {
	t.Helper()
	clusters := host.garret.Clients.TenancyV1().VirtualClusters(m.Namespace)
	var number int64
	framework.Succeeds(t, "it is put to sleep for want of use", func(ctx context.Context) error {
		vc, err := clusters.Get(ctx, m.Name, metav1.GetOptions{})
		switch {
		case err != nil:
			return err
		case vc.Status.Asleep() && vc.Status.Sleep.Number != number:
			return fmt.Errorf("it has not woken yet: %+v", vc.Status.Sleep)
		case vc.Status.Asleep() && vc.Status.Phase == v1.PhaseSleeping:
			return nil
		case vc.Status.Asleep():
			return errors.New("garret-controller has not seen it yet")
		}
		number = 1
		if vc.Status.Sleep != nil {
			number = vc.Status.Sleep.Number + 1
		}
		status := applyv1.VirtualClusterStatus().WithSleep(applyv1.SleepStatus().
			WithNumber(number).WithSince(metav1.Now()).WithReason(v1.SleepReasonInactive))
		_, err = clusters.ApplyStatus(ctx, applyv1.VirtualCluster(m.Name, m.Namespace).WithResourceVersion(vc.ResourceVersion).WithStatus(status),
			metav1.ApplyOptions{FieldManager: v1.FieldManagerController, Force: true})
		if err == nil {
			err = errors.New("it was only just written")
		}
		return err
	})
}

// askAndKill kills garret-apiserver while requests wait for the wake that they asked for. Each gets an
// answer, or none that looks like one, and the wake goes on.
func (m *machine) askAndKill(t *testing.T) {
	t.Helper()
	clusters := host.garret.Clients.TenancyV1()
	answers := make(chan error, 5)
	for range cap(answers) {
		go func() {
			answers <- clusters.RESTClient().Get().Namespace(m.Namespace).Resource("virtualclusters").Name(m.Name).
				SubResource("proxy", "api", "v1", "namespaces").MaxRetries(0).Do(t.Context()).Error()
		}()
	}
	framework.Succeeds(t, "somebody asks for the wake", func(ctx context.Context) error {
		vc, err := clusters.VirtualClusters(m.Namespace).Get(ctx, m.Name, metav1.GetOptions{})
		if err == nil && (vc.Status.WakeRequest == nil || vc.Status.WakeRequest.Sleep != vc.Status.Sleep.Number) {
			err = fmt.Errorf("got %+v", vc.Status.WakeRequest)
		}
		return err
	})
	host.garret.Program.Kill()
	start(t, host.garret.Program)
	for range cap(answers) {
		select {
		case err := <-answers:
			if status := apierrors.APIStatus(nil); err == nil || errors.As(err, &status) && status.Status().Code < 500 {
				t.Errorf("a request that waited got %v, want an error to try again after", err)
			}
		case <-time.After(framework.Timeout):
			t.Fatal("a request hangs although nobody serves it")
		}
	}
}
