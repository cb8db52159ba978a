// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package hostcluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	tenancyclient "garret.dev/garret/generated/clientset/versioned"
	tenancyinformers "garret.dev/garret/generated/informers/externalversions"
	tenancylisters "garret.dev/garret/generated/listers/tenancy/v1"
	"garret.dev/garret/pkg/controller/work"
)

const (
	// Name is the controller's, in queues and logs.
	Name = "hostcluster"

	// gather is how long changes are gathered, so that many creates are one write.
	gather = 250 * time.Millisecond
	// lookAgain is how often the host itself is looked at: its version, and our rights on it.
	lookAgain  = time.Minute
	retryFirst = 200 * time.Millisecond
	retryLast  = 30 * time.Second
)

// Reasons of the condition Ready.
const (
	reasonDeployable    = "Deployable"
	reasonMissingRights = "MissingRights"
)

// needed are rights without which nothing can be deployed.
func needed() []authorizationv1.ResourceAttributes {
	return []authorizationv1.ResourceAttributes{
		{Verb: "create", Group: "apps", Resource: "statefulsets"},
		{Verb: "create", Resource: "services"},
		{Verb: "create", Resource: "serviceaccounts"},
		{Verb: "create", Resource: "secrets"},
		{Verb: "create", Group: "rbac.authorization.k8s.io", Resource: "roles"},
		{Verb: "create", Group: "rbac.authorization.k8s.io", Resource: "rolebindings"},
	}
}

// Controller keeps the status.
type Controller struct {
	host     kubernetes.Interface
	client   tenancyclient.Interface
	hosts    tenancylisters.HostClusterLister
	clusters tenancylisters.VirtualClusterLister
	synced   []cache.InformerSynced
	queue    *work.Queue
}

// New returns a controller; somebody else starts the informers, and Run the work.
func New(host kubernetes.Interface, client tenancyclient.Interface, informers tenancyinformers.SharedInformerFactory) (*Controller, error) {
	kinds := informers.Tenancy().V1()
	hosts, clusters := kinds.HostClusters().Informer(), kinds.VirtualClusters().Informer()
	c := &Controller{
		host: host, client: client,
		hosts: kinds.HostClusters().Lister(), clusters: kinds.VirtualClusters().Lister(),
		synced: []cache.InformerSynced{hosts.HasSynced, clusters.HasSynced},
		queue:  work.NewQueue(Name, "hostCluster", retryFirst, retryLast, clock.RealClock{}),
	}
	soon := func(any) { c.queue.AddAfter(cache.NewObjectName("", tenancyv1.LocalHostCluster), gather) }
	_, hostErr := hosts.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: soon, UpdateFunc: func(_, now any) { soon(now) }})
	_, clusterErr := clusters.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: soon, DeleteFunc: soon})
	if err := errors.Join(hostErr, clusterErr); err != nil {
		return nil, fmt.Errorf("%s controller: %w", Name, err)
	}
	return c, nil
}

// Run works until ctx ends. Only one process should.
func (c *Controller) Run(ctx context.Context) error {
	c.queue.Run(ctx, 1, func(ctx context.Context, name cache.ObjectName) (time.Duration, error) {
		return lookAgain, c.reconcile(ctx, name.Name)
	}, c.synced...)
	return nil
}

func (c *Controller) reconcile(ctx context.Context, name string) error {
	host, err := c.hosts.Get(name)
	if apierrors.IsNotFound(err) {
		// It comes back by itself, and that will be an event.
		return nil
	}
	if err != nil {
		return err
	}
	changed := host.DeepCopy()
	if err := c.observe(ctx, changed); err != nil {
		return err
	}
	if equality.Semantic.DeepEqual(host.Status, changed.Status) {
		return nil
	}
	_, err = c.client.TenancyV1().HostClusters().UpdateStatus(ctx, changed, metav1.UpdateOptions{FieldManager: tenancyv1.FieldManagerController})
	return err
}

// observe fills in the status.
func (c *Controller) observe(ctx context.Context, host *tenancyv1.HostCluster) error {
	all, err := c.clusters.List(labels.Everything())
	if err != nil {
		return err
	}
	var count int32
	for _, vc := range all {
		if vc.Spec.HostClusterRef.Name == host.Name {
			count++
		}
	}
	version, err := c.host.Discovery().ServerVersion()
	if err != nil {
		return fmt.Errorf("version of the host: %w", err)
	}
	missing, err := c.missingRights(ctx)
	if err != nil {
		return err
	}
	ready := metav1.Condition{
		Type: tenancyv1.ConditionReady, Status: metav1.ConditionTrue, Reason: reasonDeployable,
		Message: "garret-controller can deploy virtual clusters", ObservedGeneration: host.Generation,
	}
	if len(missing) > 0 {
		ready.Status, ready.Reason = metav1.ConditionFalse, reasonMissingRights
		ready.Message = "garret-controller may not " + strings.Join(missing, ", ") + ": apply the roles of the install chart again"
	}
	meta.SetStatusCondition(&host.Status.Conditions, ready)
	host.Status.ObservedGeneration = host.Generation
	host.Status.KubernetesVersion = version.GitVersion
	host.Status.VirtualClusters = count
	return nil
}

// missingRights asks the host which of the needed rights we do not have.
func (c *Controller) missingRights(ctx context.Context) ([]string, error) {
	var missing []string
	for _, right := range needed() {
		review, err := c.host.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx,
			&authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &right}}, metav1.CreateOptions{})
		if err != nil {
			return nil, fmt.Errorf("ask the host for our rights: %w", err)
		}
		if !review.Status.Allowed {
			missing = append(missing, right.Verb+" "+right.Resource)
		}
	}
	return missing, nil
}
