// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package quota

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	quotageneric "k8s.io/apiserver/pkg/quota/v1/generic"
	"k8s.io/client-go/tools/cache"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/quota"
)

// settle is how long a quota has to stay as it is before less is written to it:
// longer than a write takes from admission to the datastore.
const settle = time.Second

// reconcile counts for one quota, and says after what time to look again, if so.
func (c *Controller) reconcile(ctx context.Context, name cache.ObjectName) (time.Duration, error) {
	bounding, err := c.quotas.ResourceQuotas(name.Namespace).Get(name.Name)
	if apierrors.IsNotFound(err) || (err == nil && len(quota.Bounded(bounding)) == 0) {
		c.settling.forget(name)
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	known, err := c.clusters.VirtualClusters(name.Namespace).List(labels.Everything())
	if err != nil {
		return 0, err
	}
	counted, err := used(bounding, known)
	if err != nil {
		return 0, err
	}
	change := compare(bounding.Status.Used, counted)
	if change == same {
		c.settling.forget(name)
		return 0, nil
	}
	settled := c.settling.settled(name, bounding)
	if change == less && !settled {
		return settle, nil
	}
	return c.write(ctx, bounding, settled)
}

// write counts what is stored now, which the cache may not know yet, and writes it
// to the quota. Unless the quota has settled, it only raises.
func (c *Controller) write(ctx context.Context, bounding *corev1.ResourceQuota, settled bool) (time.Duration, error) {
	stored, err := c.client.TenancyV1().VirtualClusters(bounding.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return 0, fmt.Errorf("virtual clusters in %s: %w", bounding.Namespace, err)
	}
	clusters := make([]*tenancyv1.VirtualCluster, 0, len(stored.Items))
	for i := range stored.Items {
		clusters = append(clusters, &stored.Items[i])
	}
	counted, err := used(bounding, clusters)
	if err != nil {
		return 0, err
	}
	changed := bounding.DeepCopy()
	changed.Status.Used = merge(bounding.Status.Used, counted, settled)
	again := time.Duration(0)
	if compare(changed.Status.Used, counted) != same {
		again = settle
	}
	if compare(bounding.Status.Used, changed.Status.Used) == same {
		return again, nil
	}
	_, err = c.host.CoreV1().ResourceQuotas(bounding.Namespace).UpdateStatus(ctx, changed, metav1.UpdateOptions{FieldManager: tenancyv1.FieldManagerController})
	return again, err
}

// merge lays what was counted over what is used, the larger of both unless lower.
func merge(current, counted corev1.ResourceList, lower bool) corev1.ResourceList {
	merged := corev1.ResourceList{}
	for name, quantity := range current {
		merged[name] = quantity
	}
	for name, quantity := range counted {
		if before, known := merged[name]; !known || lower || quantity.Cmp(before) > 0 {
			merged[name] = quantity
		}
	}
	return merged
}

// difference is between what is used as written and as counted.
type difference int

const (
	same difference = iota
	// less was counted of some, and more of none.
	less
	// more was counted of some, or one is not written at all.
	more
)

func compare(current, counted corev1.ResourceList) difference {
	found := same
	for name, quantity := range counted {
		before, known := current[name]
		switch {
		case !known || quantity.Cmp(before) > 0:
			return more
		case quantity.Cmp(before) < 0:
			found = less
		}
	}
	return found
}

// settling remembers since when quotas of which too much is used are as they are.
type settling struct {
	mutex sync.Mutex
	seen  map[cache.ObjectName]sighting
	now   func() time.Time
}

type sighting struct {
	version string
	since   time.Time
}

func newSettling() *settling { return &settling{seen: map[cache.ObjectName]sighting{}, now: time.Now} }

// settled is true when the quota has been as it is for long enough.
func (s *settling) settled(name cache.ObjectName, bounding *corev1.ResourceQuota) bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if last, ok := s.seen[name]; ok && last.version == bounding.ResourceVersion {
		return s.now().Sub(last.since) >= settle
	}
	s.seen[name] = sighting{bounding.ResourceVersion, s.now()}
	return false
}

func (s *settling) forget(name cache.ObjectName) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	delete(s.seen, name)
}

func listOf(clusters []*tenancyv1.VirtualCluster) quotageneric.ListFuncByNamespace {
	return func(string) ([]runtime.Object, error) {
		objects := make([]runtime.Object, 0, len(clusters))
		for _, vc := range clusters {
			objects = append(objects, vc)
		}
		return objects, nil
	}
}
