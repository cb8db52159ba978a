// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// toldRefusals is how many pods a message names that budgets keep.
const toldRefusals = 3

// evict asks the host to evict pods, within their budgets. Those that budgets keep until
// the time is over are deleted: nobody makes others in their place, so that a budget might
// keep them for ever. It returns why pods were refused.
func (c *Controller) evict(ctx context.Context, vc *tenancyv1.VirtualCluster, m *memory, pods []metav1.PartialObjectMetadata) ([]string, error) {
	ending := c.endingSince(vc.Status.Sleep.Since.Time)
	if !ending.now.Before(ending.graceful) {
		return nil, c.endPodsBy(ctx, vc, m, pods, ending)
	}
	var refused []string
	var deleted []metav1.PartialObjectMetadata
	for i := range pods {
		pod := &pods[i]
		if pod.DeletionTimestamp != nil {
			deleted = append(deleted, *pod)
			continue
		}
		err := c.Host.PolicyV1().Evictions(vc.Namespace).Evict(ctx, &policyv1.Eviction{
			ObjectMeta:    metav1.ObjectMeta{Namespace: vc.Namespace, Name: pod.Name},
			DeleteOptions: &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &pod.UID}},
		})
		switch {
		case apierrors.IsTooManyRequests(err) || apierrors.IsInternalError(err):
			// The latter is for a pod of several budgets.
			if len(refused) < toldRefusals {
				refused = append(refused, fmt.Sprintf("the host does not evict pod %s: %s", pod.Name, budgetMessage(err)))
			}
		case tolerable(err) != nil:
			return nil, fmt.Errorf("evict pod %s: %w", pod.Name, err)
		}
	}
	// A pod that ends may have asked for more time than there is.
	return refused, c.endPodsBy(ctx, vc, m, deleted, ending)
}

// budgetMessage names the budget where the host does.
func budgetMessage(err error) string {
	status, ok := err.(apierrors.APIStatus)
	if !ok {
		return err.Error()
	}
	message := status.Status().Message
	if details := status.Status().Details; details != nil {
		for _, cause := range details.Causes {
			if cause.Type == policyv1.DisruptionBudgetCause {
				message += " " + cause.Message
			}
		}
	}
	return message
}

// recordPods has the host remember which pods are put to sleep, before the first of them
// is. Without it a syncer would take what is gone for deleted.
func (c *Controller) recordPods(ctx context.Context, vc *tenancyv1.VirtualCluster, pods []metav1.PartialObjectMetadata) error {
	client := c.Host.CoreV1().ConfigMaps(vc.Namespace)
	name := tenancyv1.SleepRecordName(vc.Name)
	found, err := client.Get(ctx, name, metav1.GetOptions{})
	if ignoreNotFound(err) != nil {
		return fmt.Errorf("record of pods: %w", err)
	}
	missing := map[string]string{}
	for i := range pods {
		virtual := pods[i].Annotations[tenancyv1.AnnotationVirtualUID]
		if virtual != "" && (err != nil || found.Data[virtual] != string(pods[i].UID)) {
			missing[virtual] = string(pods[i].UID)
		}
	}
	if err == nil && found.Labels[tenancyv1.LabelCluster] != clusterID(vc) {
		return fmt.Errorf("record of pods: the ConfigMap %s does not belong to this virtual cluster: delete it", name)
	}
	if apierrors.IsNotFound(err) {
		_, err = client.Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{tenancyv1.LabelCluster: clusterID(vc)}}, Data: missing,
		}, metav1.CreateOptions{FieldManager: tenancyv1.FieldManagerController})
	} else if len(missing) > 0 {
		err = c.patchRecord(ctx, found, missing)
	}
	if err != nil {
		return fmt.Errorf("record of pods: %w", err)
	}
	return nil
}

// forgetRunning takes out of the record what is on the host, and not on its way out.
func (c *Controller) forgetRunning(ctx context.Context, vc *tenancyv1.VirtualCluster, pods []metav1.PartialObjectMetadata) error {
	found, err := c.Host.CoreV1().ConfigMaps(vc.Namespace).Get(ctx, tenancyv1.SleepRecordName(vc.Name), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("record of pods: %w", err)
	}
	running := map[string]any{}
	for i := range pods {
		virtual := pods[i].Annotations[tenancyv1.AnnotationVirtualUID]
		if pods[i].DeletionTimestamp == nil && found.Data[virtual] == string(pods[i].UID) {
			running[virtual] = nil
		}
	}
	if len(running) == 0 {
		return nil
	}
	if err := c.patchRecord(ctx, found, running); err != nil {
		return fmt.Errorf("record of pods: %w", err)
	}
	return nil
}

// patchRecord changes some entries of one life of the record. The syncer changes others.
func (c *Controller) patchRecord(ctx context.Context, record *corev1.ConfigMap, data any) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": record.UID}, "data": data})
	if err != nil {
		return err
	}
	_, err = c.Host.CoreV1().ConfigMaps(record.Namespace).Patch(ctx, record.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: tenancyv1.FieldManagerController})
	return err
}
