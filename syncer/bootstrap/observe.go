// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/translate"
)

// observe looks at the control plane and the parts.
func (r *Reporter) observe(ctx context.Context, last state) state {
	now := state{version: last.version, authority: last.authority}
	ctx, cancel := context.WithTimeout(ctx, observeTimeout)
	defer cancel()
	confirmed := r.confirmed(ctx)
	if !confirmed || last.controlPlane != (trouble{}) || r.clock.Since(r.asked) >= refreshInterval {
		now.controlPlane, now.version = r.check(ctx, last)
	}
	if now.controlPlane == (trouble{}) && r.Room != nil {
		if err := r.Room(); err != nil {
			now.controlPlane = trouble{"VolumeFull", err.Error()}
		}
	}
	if bundle, err := r.authority.Bundle(); err == nil {
		now.authority = string(bundle)
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.seen, r.seenAt = now.controlPlane, r.clock.Now()
	now.access, now.kubeconfig, now.metrics, now.custom = r.access, r.kubeconfig, r.metrics, r.custom
	now.quota, now.resting, now.used = r.quota, r.resting, r.used
	now.orphaned = describeOrphans(r.orphans, r.undone, r.cluster)
	for _, part := range r.parts {
		if found, pending := r.pending[part]; pending {
			now.syncer = found
			break
		}
	}
	return now
}

// confirmed tells whether the control plane says that its data are still the same. It then answers, and
// reaches its database.
func (r *Reporter) confirmed(ctx context.Context) bool {
	if r.Confirm == nil {
		return false
	}
	// All checks follow where it does not answer, and need time, too.
	ctx, cancel := context.WithTimeout(ctx, observeTimeout/2)
	defer cancel()
	return r.Confirm(ctx) == nil
}

// check is what all checks of the API server say, whether anybody gets in, and its version.
func (r *Reporter) check(ctx context.Context, last state) (trouble, string) {
	version := last.version
	if body, err := r.virtual.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Raw(); err != nil {
		if r.Stopped != nil && utilnet.IsConnectionRefused(err) {
			r.Stopped()
		}
		return trouble{"NotAnswering", "the API server inside is not ready: " + unready(body, err)}, version
	}
	if version == "" || last.controlPlane != (trouble{}) {
		// It may have come back as another version.
		if info, err := r.virtual.Discovery().ServerVersion(); err == nil {
			version = info.GitVersion
		}
	}
	r.asked = r.clock.Now()
	return r.letsIn(ctx), version
}

// ControlPlane is why the control plane is not ready, as the last look at it found, and
// whether anybody has looked of late.
func (r *Reporter) ControlPlane() (why string, known bool) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.seen.message, !r.seenAt.IsZero() && r.clock.Since(r.seenAt) < 2*calmInterval
}

// letsIn is why nobody gets in who has the right: the API server is ready before the rules
// are there by which the relay acts for users.
func (r *Reporter) letsIn(ctx context.Context) trouble {
	review, err := r.virtual.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{User: tenancyv1.RelayUser,
			ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "impersonate", Resource: "users"}},
	}, metav1.CreateOptions{})
	switch {
	case err != nil:
		return trouble{"NotAnswering", "the API server inside does not say who may enter: " + firstLine(err)}
	case !review.Status.Allowed:
		return trouble{reasonRightsNotLoaded, "the API server inside does not let Garret act for its users yet: the syncer is creating the rules for that, or the API server is loading them"}
	}
	return trouble{}
}

// namedOrphans is how many orphans of a kind a condition names.
const namedOrphans = 5

// describeOrphans says which data the host keeps, and what to do; it is empty when
// there are none.
func describeOrphans(orphans map[string][]string, undone string, cluster translate.Cluster) string {
	var kinds []string
	for _, resource := range slices.Sorted(maps.Keys(orphans)) {
		names := orphans[resource]
		if len(names) == 0 {
			continue
		}
		more := ""
		if len(names) > namedOrphans {
			more = fmt.Sprintf(" and %d more", len(names)-namedOrphans)
			names = names[:namedOrphans]
		}
		kinds = append(kinds, resource+" "+strings.Join(names, ", ")+more)
	}
	if len(kinds) == 0 {
		return ""
	}
	message := fmt.Sprintf("The host keeps the data of objects that are missing inside. Decide with: garret recover %s -n %s. ", cluster.Name, cluster.HostNamespace)
	if undone != "" {
		message += "The last decision failed for these: " + undone + ". "
	}
	message += "They are " + strings.Join(kinds, "; ")
	return message
}

// unready names the checks that fail, which an answer of /readyz lists among all
// others, or says why there is no such answer.
func unready(body []byte, err error) string {
	var failing []string
	for line := range strings.Lines(string(body)) {
		if check, ok := strings.CutPrefix(line, "[-]"); ok {
			name, _, _ := strings.Cut(strings.TrimSpace(check), " ")
			failing = append(failing, name)
		}
	}
	if len(failing) == 0 {
		return firstLine(err)
	}
	return "waiting for " + strings.Join(failing, ", ")
}
