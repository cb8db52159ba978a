// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

func TestInside(t *testing.T) {
	for _, tc := range []struct {
		name    string
		host    user.DefaultInfo
		want    Identity
		refused string
	}{
		{
			name: "a user and their groups get the prefix",
			host: user.DefaultInfo{Name: "alice", Groups: []string{"dev", "ops"}},
			want: Identity{User: "host:alice", Groups: []string{"garret:viewers", "host:dev", "host:ops"}},
		},
		{
			name: "names of the system are names like others",
			host: user.DefaultInfo{Name: "system:admin", Groups: []string{"system:masters", "system:authenticated"}},
			want: Identity{User: "host:system:admin", Groups: []string{"garret:viewers", "host:system:masters", "host:system:authenticated"}},
		},
		{
			name: "nobody chooses a group of Garret's own",
			host: user.DefaultInfo{Name: "garret:relay", Groups: []string{"garret:admins"}},
			want: Identity{User: "host:garret:relay", Groups: []string{"garret:viewers", "host:garret:admins"}},
		},
		{
			name: "UID and extra stay behind",
			host: user.DefaultInfo{Name: "bob", UID: "42", Extra: map[string][]string{"scopes": {"all"}}},
			want: Identity{User: "host:bob", Groups: []string{"garret:viewers"}},
		},
		{
			name: "letters of all alphabets are letters",
			host: user.DefaultInfo{Name: "Žofie"},
			want: Identity{User: "host:Žofie", Groups: []string{"garret:viewers"}},
		},
		{
			name: "a group that a header would change is lost",
			host: user.DefaultInfo{Name: "bob", Groups: []string{"dev\r\nImpersonate-User: root", "ops ", "", "qa"}},
			want: Identity{User: "host:bob", Groups: []string{"garret:viewers", "host:qa"}},
		},
		{name: "no name", host: user.DefaultInfo{}, refused: "empty"},
		{name: "a name with a line break", host: user.DefaultInfo{Name: "a\nb"}, refused: "control character"},
		{name: "a name that a header would trim", host: user.DefaultInfo{Name: "alice "}, refused: "white space"},
		{name: "a name that is not text", host: user.DefaultInfo{Name: "a\xff"}, refused: "UTF-8"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Inside(&tc.host, v1.GroupViewers)
			if tc.refused != "" {
				if err == nil || !strings.Contains(err.Error(), tc.refused) {
					t.Fatalf("got %v, %v; want an error about %q", got, err, tc.refused)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got %v, %v; want %v", got, err, tc.want)
			}
		})
	}
}

func TestGate(t *testing.T) {
	cluster := &tenancy.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "demo"}}
	for _, tc := range []struct {
		name      string
		decision  authorizer.Decision
		err       error
		user      string
		upgrade   bool
		wantGroup string
		wantError func(error) bool
	}{
		{name: "who may create is an administrator", decision: authorizer.DecisionAllow, wantGroup: v1.GroupAdmins},
		{name: "and may upgrade", decision: authorizer.DecisionAllow, upgrade: true, wantGroup: v1.GroupAdmins},
		{name: "who may not is a viewer", decision: authorizer.DecisionNoOpinion, wantGroup: v1.GroupViewers},
		{name: "also when denied in so many words", decision: authorizer.DecisionDeny, wantGroup: v1.GroupViewers},
		{name: "a viewer does not upgrade", decision: authorizer.DecisionNoOpinion, upgrade: true, wantError: apierrors.IsForbidden},
		{name: "an authorizer out of order makes nobody a viewer", decision: authorizer.DecisionNoOpinion, err: errors.New("no answer"), wantError: apierrors.IsInternalError},
		{name: "an error beside a permission does not take it away", decision: authorizer.DecisionAllow, err: errors.New("one of two"), wantGroup: v1.GroupAdmins},
		{name: "a name that cannot travel is forbidden", decision: authorizer.DecisionAllow, user: "a\nb", wantError: apierrors.IsForbidden},
	} {
		t.Run(tc.name, func(t *testing.T) {
			name := tc.user
			if name == "" {
				name = "alice"
			}
			gate := NewGate(authorizer.AuthorizerFunc(func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
				got := []string{a.GetUser().GetName(), a.GetVerb(), a.GetNamespace(), a.GetAPIGroup(), a.GetResource(), a.GetSubresource(), a.GetName()}
				want := []string{name, "create", "team", "tenancy.garret.dev", "virtualclusters", "proxy", "demo"}
				if !reflect.DeepEqual(got, want) || !a.IsResourceRequest() {
					t.Errorf("asked about %q, want %q", got, want)
				}
				return tc.decision, "", tc.err
			}))
			got, err := gate.Enter(t.Context(), &user.DefaultInfo{Name: name}, cluster, tc.upgrade)
			if tc.wantError != nil {
				if !tc.wantError(err) {
					t.Fatalf("got %v, %v; want another error", got, err)
				}
				return
			}
			if want := (Identity{User: "host:alice", Groups: []string{tc.wantGroup}}); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, %v; want %v", got, err, want)
			}
		})
	}
}

func TestEnterable(t *testing.T) {
	ready := metav1.Condition{Type: v1.ConditionReady, Status: metav1.ConditionFalse, Reason: "ImagePullBackOff", Message: "no such image"}
	asleep := metav1.Condition{Type: v1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1.ReasonAsleep, Message: "wake it with: garret wake demo"}
	dormant := metav1.Condition{Type: v1.ConditionAsleep, Status: metav1.ConditionTrue, Reason: v1.ReasonAsleep}
	up := metav1.Condition{Type: v1.ConditionControlPlaneReady, Status: metav1.ConditionTrue, Reason: "Answering"}
	down := metav1.Condition{Type: v1.ConditionControlPlaneReady, Status: metav1.ConditionFalse, Reason: "Starting", Message: "readyz answers 500"}
	for _, tc := range []struct {
		name       string
		conditions []metav1.Condition
		authority  string
		want       string
		// final says that no client is to ask again by itself.
		final bool
	}{
		{name: "nothing reported", want: "its phase is Pending"},
		{name: "the sum tells why", conditions: []metav1.Condition{ready}, want: "ImagePullBackOff: no such image"},
		{name: "the control plane tells more", conditions: []metav1.Condition{ready, down}, authority: "pem", want: "Starting: readyz answers 500"},
		{name: "without an authority nobody can be trusted", conditions: []metav1.Condition{up}, want: "certificate authority"},
		{name: "a control plane that answers is enough", conditions: []metav1.Condition{ready, up}, authority: "pem"},
		{name: "one that sleeps is not asked, whatever was reported before", conditions: []metav1.Condition{asleep, dormant, up}, authority: "pem", want: "wake it with: garret wake demo", final: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cluster := &tenancy.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "demo"}}
			if tc.final {
				cluster.Status.Phase = tenancy.Phase(v1.PhaseSleeping)
			}
			cluster.Status.Conditions = tc.conditions
			cluster.Status.CertificateAuthorityData = []byte(tc.authority)
			err := Enterable(cluster)
			if tc.want == "" {
				if err != nil {
					t.Fatalf("got %v, want no error", err)
				}
				return
			}
			seconds, retry := apierrors.SuggestsClientDelay(err)
			if !apierrors.IsServiceUnavailable(err) || retry == tc.final || (!tc.final && seconds < 1) || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "team/demo") {
				t.Errorf("got %v (retry after %d), want 503 about team/demo with %q and Retry-After", err, seconds, tc.want)
			}
		})
	}
}
