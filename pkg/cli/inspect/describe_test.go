// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	ktesting "k8s.io/client-go/testing"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

func rule(resource string, verbs ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{tenancyv1.GroupName}, Resources: []string{resource}, Verbs: verbs}
}

func TestEntriesOf(t *testing.T) {
	otherName := rule("virtualclusters/proxy", "create")
	otherName.ResourceNames = []string{"other"}
	otherGroup := rule("virtualclusters/proxy", "create")
	otherGroup.APIGroups = []string{"apps"}
	for name, test := range map[string]struct {
		rule rbacv1.PolicyRule
		want string
	}{
		"administrator":             {rule("virtualclusters/proxy", "create"), "enter as administrator"},
		"reader":                    {rule("virtualclusters/proxy", "get"), "look inside"},
		"kubeconfig":                {rule("virtualclusters/kubeconfig", "create"), "take a kubeconfig"},
		"gateway":                   {rule("virtualclusters", "get", "list"), "see it; enter where the gateway is open"},
		"any resource":              {rule("*", "get"), "look inside, see it; enter where the gateway is open"},
		"any proxy":                 {rule("*/proxy", "get"), "look inside"},
		"list alone":                {rule("virtualclusters", "list", "watch"), ""},
		"another virtual cluster":   {otherName, ""},
		"another group":             {otherGroup, ""},
		"a proxy of another kind":   {rule("nodes/proxy", "get"), ""},
		"a subresource by wildcard": {rule("virtualclusters/*", "get"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			subjects := []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "ci", Name: "deploy"}}
			got := entriesOf([]rbacv1.PolicyRule{test.rule}, "demo", subjects, "RoleBinding a")
			if test.want == "" {
				if len(got) > 0 {
					t.Errorf("got %v, want nobody", got)
				}
				return
			}
			if want := (entry{"ServiceAccount ci/deploy", test.want, "RoleBinding a"}); len(got) != 1 || got[0] != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestWhatMayNotBeSeenIsLeftOut(t *testing.T) {
	client := fake.NewClientset(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "vc-demo-0"}})
	for _, resource := range []string{"pods", "rolebindings", "events"} {
		client.PrependReactor("list", resource, func(ktesting.Action) (bool, runtime.Object, error) {
			return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "", errors.New("no"))
		})
	}
	v := &view{client: client, object: &tenancyv1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "demo"}}}
	var out bytes.Buffer
	v.describePods(t.Context(), &out)
	v.describeEntrance(t.Context(), &out)
	v.describeEvents(t.Context(), &out)
	if got := strings.Count(out.String(), "<you may not see this>"); got != 3 {
		t.Errorf("%d of 3 sections said that they may not be seen:\n%s", got, out.String())
	}
}

// TestSleepIsDescribed says when a virtual cluster sleeps, and what becomes of it.
func TestSleepIsDescribed(t *testing.T) {
	ago := metav1.NewTime(time.Now().Add(-3 * time.Hour))
	period := &metav1.Duration{Duration: 30 * time.Minute}
	for name, test := range map[string]struct {
		spec            tenancyv1.VirtualClusterSpec
		status          tenancyv1.VirtualClusterStatus
		sleep, deletion string
	}{
		"nothing": {},
		"all": {tenancyv1.VirtualClusterSpec{Sleep: tenancyv1.SleepSpec{AfterInactivity: period, Schedule: "0 20 * * *", WakeSchedule: "0 7 * * *", TimeZone: "Europe/Berlin", DeleteAfterInactivity: period}},
			tenancyv1.VirtualClusterStatus{LastActivityTime: &ago, Sleep: &tenancyv1.SleepStatus{Since: &ago, Reason: "Inactive"}},
			`after 30m0s without use; at "0 20 * * *"; wakes at "0 7 * * *"; in the zone Europe/Berlin; last used 3h ago; asleep for 3h, Inactive`, "after 30m0s without use"},
		"woken": {tenancyv1.VirtualClusterSpec{DeletionProtection: true, Sleep: tenancyv1.SleepSpec{DeleteAfterInactivity: period}},
			tenancyv1.VirtualClusterStatus{Sleep: &tenancyv1.SleepStatus{Woken: &tenancyv1.WokenStatus{Time: &ago, Cause: "Request", User: "alice"}}},
			"woken 3h ago, Request alice", "refused while spec.deletionProtection is true"},
	} {
		t.Run(name, func(t *testing.T) {
			vc := &tenancyv1.VirtualCluster{Spec: test.spec, Status: test.status}
			if got := sleep(vc); got != test.sleep {
				t.Errorf("sleep: got %q, want %q", got, test.sleep)
			}
			if got := deletion(vc); got != test.deletion {
				t.Errorf("deletion: got %q, want %q", got, test.deletion)
			}
		})
	}
}
