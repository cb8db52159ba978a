// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package template

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	tenancyclient "garret.dev/garret/generated/clientset/versioned"
	tenancyinformers "garret.dev/garret/generated/informers/externalversions"
	tenancylisters "garret.dev/garret/generated/listers/tenancy/v1"
	"garret.dev/garret/pkg/controller/work"
)

const (
	// Name is the controller's, in queues and logs.
	Name = "template"

	workers    = 2
	retryFirst = 200 * time.Millisecond
	retryLast  = time.Minute
	// maxMessage keeps a status small.
	maxMessage = 1024
)

// reasonTemplateChanged is that of the event for a change that was applied.
const reasonTemplateChanged = "TemplateChanged"

// Options say how templates are applied.
type Options struct {
	// RetryRefused is after what time a change that was refused is tried again.
	RetryRefused time.Duration
}

// Controller makes the writes.
type Controller struct {
	client    tenancyclient.Interface
	recorder  record.EventRecorder
	options   Options
	clusters  tenancylisters.VirtualClusterLister
	templates tenancylisters.VirtualClusterTemplateLister
	synced    []cache.InformerSynced
	queue     *work.Queue
}

// New returns a controller; somebody else starts the informers, and Run the work.
func New(client tenancyclient.Interface, informers tenancyinformers.SharedInformerFactory, recorder record.EventRecorder, options Options) (*Controller, error) {
	kinds := informers.Tenancy().V1()
	clusters, templates := kinds.VirtualClusters().Informer(), kinds.VirtualClusterTemplates().Informer()
	c := &Controller{
		client: client, recorder: recorder, options: options,
		clusters: kinds.VirtualClusters().Lister(), templates: kinds.VirtualClusterTemplates().Lister(),
		synced: []cache.InformerSynced{clusters.HasSynced, templates.HasSynced},
		queue:  work.NewQueue(Name, "virtualCluster", retryFirst, retryLast, clock.RealClock{}),
	}
	_, clusterErr := clusters.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: c.enqueue,
		UpdateFunc: func(before, now any) {
			// A write of the status, which may be our own, is no reason to try again.
			if generation(before) != generation(now) {
				c.enqueue(now)
			}
		},
	})
	_, templateErr := templates.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: c.enqueueUsers,
		UpdateFunc: func(before, now any) {
			if generation(before) != generation(now) {
				c.enqueueUsers(now)
			}
		},
		DeleteFunc: c.enqueueUsers,
	})
	if err := errors.Join(clusterErr, templateErr); err != nil {
		return nil, fmt.Errorf("%s controller: %w", Name, err)
	}
	return c, nil
}

func generation(object any) int64 {
	accessor, err := meta.Accessor(object)
	if err != nil {
		return 0
	}
	return accessor.GetGeneration()
}

func (c *Controller) enqueue(object any) {
	if vc, ok := object.(*tenancyv1.VirtualCluster); ok && inStep(vc) {
		c.queue.Add(cache.MetaObjectToName(vc))
	}
}

// enqueueUsers enqueues the virtual clusters that follow a template.
func (c *Controller) enqueueUsers(object any) {
	template, err := cache.DeletionHandlingObjectToName(object)
	if err != nil {
		utilruntime.HandleError(err)
		return
	}
	all, err := c.clusters.List(labels.Everything())
	if err != nil {
		utilruntime.HandleError(fmt.Errorf("virtual clusters of the template %s: %w", template.Name, err))
		return
	}
	for _, vc := range all {
		if inStep(vc) && vc.Spec.TemplateRef.Name == template.Name {
			c.queue.Add(cache.MetaObjectToName(vc))
		}
	}
}

// inStep says whether a virtual cluster is to follow its template.
func inStep(vc *tenancyv1.VirtualCluster) bool {
	ref := vc.Spec.TemplateRef
	return ref != nil && ref.Name != "" && ref.Sync && vc.DeletionTimestamp == nil
}

// Run works until ctx ends. Only one process should.
func (c *Controller) Run(ctx context.Context) error {
	c.queue.Run(ctx, workers, c.reconcile, c.synced...)
	return nil
}

// reconcile makes the write where the template is not what was applied.
func (c *Controller) reconcile(ctx context.Context, name cache.ObjectName) (time.Duration, error) {
	vc, err := c.clusters.VirtualClusters(name.Namespace).Get(name.Name)
	if apierrors.IsNotFound(err) {
		return 0, nil
	}
	if err != nil || !inStep(vc) {
		return 0, err
	}
	template, err := c.templates.Get(vc.Spec.TemplateRef.Name)
	if apierrors.IsNotFound(err) {
		return 0, c.gone(ctx, vc)
	}
	if err != nil || applied(vc, template) {
		return 0, err
	}
	now, err := c.client.TenancyV1().VirtualClusters(vc.Namespace).Patch(ctx, vc.Name, types.MergePatchType, []byte(`{}`),
		metav1.PatchOptions{FieldManager: tenancyv1.FieldManagerController})
	switch {
	case apierrors.IsInvalid(err) || apierrors.IsForbidden(err):
		return c.options.RetryRefused, c.tell(ctx, vc, metav1.ConditionFalse, tenancyv1.ReasonRefused,
			fmt.Sprintf("The template %s has changed and cannot be applied: %v", template.Name, err))
	case err != nil:
		return 0, err
	}
	klog.FromContext(ctx).Info("Applied the template", "template", template.Name, "version", version(now), "changed", now.Generation != vc.Generation)
	if now.Generation != vc.Generation {
		c.recorder.Eventf(now, corev1.EventTypeNormal, reasonTemplateChanged,
			"The spec follows the template %s, version %s", template.Name, version(now))
	}
	return 0, nil
}

// applied says whether what was applied last is this state of the template, and
// whether that is what the status says.
func applied(vc *tenancyv1.VirtualCluster, template *tenancyv1.VirtualClusterTemplate) bool {
	last := vc.Status.Template
	return last != nil && last.Name == template.Name && last.UID == template.UID && last.Generation == template.Generation &&
		meta.IsStatusConditionTrue(vc.Status.Conditions, tenancyv1.ConditionTemplateApplied)
}

func version(vc *tenancyv1.VirtualCluster) string {
	if vc.Status.Template == nil {
		return ""
	}
	return vc.Status.Template.Version
}

// gone tells that there is nothing to follow any more, unless the cache lags:
// templates and virtual clusters come by watches of their own.
func (c *Controller) gone(ctx context.Context, vc *tenancyv1.VirtualCluster) error {
	name := vc.Spec.TemplateRef.Name
	_, err := c.client.TenancyV1().VirtualClusterTemplates().Get(ctx, name, metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		return err
	}
	return c.tell(ctx, vc, metav1.ConditionUnknown, tenancyv1.ReasonGone, fmt.Sprintf(
		"The template %s does not exist any more. The spec keeps what version %s of it set. Create a template of this name, name another, or set spec.templateRef.sync to false.", name, version(vc)))
}

// tell says in the status and by an event why the template is not followed.
func (c *Controller) tell(ctx context.Context, vc *tenancyv1.VirtualCluster, status metav1.ConditionStatus, reason, message string) error {
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "")
	}
	changed := vc.DeepCopy()
	if !meta.SetStatusCondition(&changed.Status.Conditions, metav1.Condition{
		Type: tenancyv1.ConditionTemplateApplied, Status: status, Reason: reason,
		Message: message, ObservedGeneration: vc.Generation,
	}) {
		return nil
	}
	klog.FromContext(ctx).Info("The template is not followed", "reason", reason, "message", message)
	if _, err := c.client.TenancyV1().VirtualClusters(vc.Namespace).UpdateStatus(ctx, changed,
		metav1.UpdateOptions{FieldManager: tenancyv1.FieldManagerController}); err != nil {
		return fmt.Errorf("report that the template is not followed: %w", err)
	}
	c.recorder.Event(vc, corev1.EventTypeWarning, reason, message)
	return nil
}
