// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"

	"garret.dev/garret/apis/tenancy"
)

// TestLentRights says what each change of a spec takes. Where there is something to
// take, the test makes the change without the right, too.
func TestLentRights(t *testing.T) {
	const (
		secret     = "get secrets db"
		privileged = "use podsecuritylevels.tenancy.garret.dev privileged"
		policy     = "create networkpolicies.networking.k8s.io"
		database   = "get services db in prod"
		deletion   = "delete virtualclusters.tenancy.garret.dev demo"
		entry      = "get virtualclusters/proxy.tenancy.garret.dev other"
	)
	kubeconfig := []string{"create virtualclusters/kubeconfig.tenancy.garret.dev " + existing().Name, "create secrets"}
	var widgets, writes []string
	for _, verb := range []string{"get", "list", "watch", "create", "update", "patch", "delete"} {
		writes = append(writes, verb+" httproutes.gateway.networking.k8s.io")
		widgets = append(widgets, verb+" widgets.example.org")
	}
	reads := func(what string) (all []string) {
		for _, verb := range []string{"get", "list", "watch"} {
			all = append(all, verb+" widgets.example.org"+what)
		}
		return all
	}
	for name, test := range map[string]struct {
		old, now []specChange
		want     []string
	}{
		"routes":                    {nil, []specChange{routes(true)}, writes},
		"routes that are off":       {nil, []specChange{routes(false)}, nil},
		"routes that stay":          {[]specChange{routes(true)}, []specChange{routes(true)}, nil},
		"a widget of the namespace": {nil, []specChange{widgetsOf("/main")}, reads(" main")},
		"one of another":            {nil, []specChange{widgetsOf("prod/main")}, reads(" main in prod")},
		"all of another":            {[]specChange{widgetsOf("prod/main")}, []specChange{widgetsOf("prod/main", "prod/*")}, reads(" in prod")},
		"a widget shown already":    {[]specChange{widgetsOf("prod/main")}, []specChange{widgetsOf("prod/main")}, nil},
		"another of them":           {[]specChange{widgetsOf("prod/main")}, []specChange{widgetsOf("prod/other")}, reads(" other in prod")},
		"a kind by a rule":          {nil, []specChange{ruled("spec.size")}, widgets},
		"a rule stays":              {[]specChange{ruled("spec.size")}, []specChange{ruled("spec.size")}, nil},
		"a rule opens more":         {[]specChange{ruled("spec.size")}, []specChange{ruled("spec")}, widgets},
		"a rule goes":               {[]specChange{ruled("spec.size")}, nil, nil},
		"nothing in particular":     {nil, nil, nil},
		"baseline":                  {nil, []specChange{level(tenancy.PodSecurityBaseline)}, nil},
		"restricted to baseline":    {[]specChange{level(tenancy.PodSecurityRestricted)}, []specChange{level(tenancy.PodSecurityBaseline)}, nil},
		"privileged":                {nil, []specChange{level(tenancy.PodSecurityPrivileged)}, []string{privileged}},
		"baseline to privileged":    {[]specChange{level(tenancy.PodSecurityBaseline)}, []specChange{level(tenancy.PodSecurityPrivileged)}, []string{privileged}},
		"privileged stays":          {[]specChange{level(tenancy.PodSecurityPrivileged)}, []specChange{level(tenancy.PodSecurityPrivileged)}, nil},
		"privileged is given up":    {[]specChange{level(tenancy.PodSecurityPrivileged)}, []specChange{level(tenancy.PodSecurityRestricted)}, nil},
		"datastore":                 {nil, []specChange{datastoreIn("db")}, []string{secret}},
		"datastore without a name":  {nil, []specChange{datastoreIn("")}, nil},
		"datastore stays":           {[]specChange{datastoreIn("db")}, []specChange{datastoreIn("db")}, nil},
		"another datastore":         {[]specChange{datastoreIn("mine")}, []specChange{datastoreIn("db")}, []string{secret}},
		"quota of the namespace":    {nil, []specChange{quotaOfPods("5")}, []string{"create resourcequotas"}},
		"the same quota":            {[]specChange{quotaOfPods("1000")}, []specChange{quotaOfPods("1k")}, nil},
		"another quota":             {[]specChange{quotaOfPods("5")}, []specChange{quotaOfPods("6")}, []string{"update resourcequotas"}},
		"quota is taken away":       {[]specChange{quotaOfPods("5")}, nil, []string{"delete resourcequotas"}},
		"limits":                    {nil, []specChange{ranges(corev1.LimitTypePod)}, []string{"create limitranges"}},
		"other limits":              {[]specChange{ranges(corev1.LimitTypePod)}, []specChange{ranges(corev1.LimitTypeContainer)}, []string{"update limitranges"}},
		"policies of tenants":       {nil, []specChange{policies(true)}, []string{policy}},
		"policies by a flag":        {nil, []specChange{flag("--sync-resources=networkpolicies")}, []string{policy}},
		"accounts of tenants":       {nil, []specChange{flag("--sync-resources=serviceaccounts")}, []string{"create serviceaccounts"}},
		"policies stay":             {[]specChange{flag("--sync-resources=networkpolicies")}, []specChange{policies(true)}, nil},
		"policies go":               {[]specChange{policies(true)}, []specChange{policies(false)}, nil},
		"objects of the host":       {nil, []specChange{shown("a", "b", "a")}, []string{"get configmaps a", "get configmaps b", "get secrets a", "get secrets b"}},
		"objects stay":              {[]specChange{shown("a", "b")}, []specChange{shown("b")}, nil},
		"another object":            {[]specChange{shown("a")}, []specChange{shown("a", "b")}, []string{"get configmaps b", "get secrets b"}},
		"limits are taken away":     {[]specChange{ranges(corev1.LimitTypePod)}, nil, []string{"delete limitranges"}},
		"a Service of the host":     {nil, []specChange{shows("prod/db")}, []string{database}},
		"one of the own namespace":  {nil, []specChange{shows("team/db")}, []string{"get services db"}},
		"a Service stays":           {[]specChange{shows("prod/db", "prod/web")}, []specChange{shows("prod/db")}, nil},
		"another Service":           {[]specChange{shows("prod/web")}, []specChange{shows("prod/web", "prod/db")}, []string{database}},
		"of another virtual one":    {nil, []specChange{shows("prod/db@/other")}, []string{entry}},
		"of one elsewhere":          {[]specChange{shows("prod/db@/other")}, []specChange{shows("prod/db@prod/other")}, []string{entry + " in prod"}},
		"virtual, then the host's":  {[]specChange{shows("prod/db@/other")}, []specChange{shows("prod/db")}, []string{database}},
		"a name of a Service":       {nil, []specChange{leads("prod", "db")}, []string{database}},
		"a name stays":              {[]specChange{leads("prod", "db")}, []specChange{leads("prod", "db")}, nil},
		"a name on the host":        {nil, []specChange{calls("web", "shop")}, []string{"create services"}},
		"a name on the host stays":  {[]specChange{calls("web", "shop")}, []specChange{calls("web", "shop")}, nil},
		"the name of another":       {[]specChange{calls("web", "shop")}, []specChange{calls("api", "shop")}, []string{"create services"}},
		"deleted without use":       {nil, []specChange{gone(10)}, []string{deletion}},
		"deleted sooner":            {[]specChange{gone(10)}, []specChange{gone(9)}, []string{deletion}},
		"deleted later":             {[]specChange{gone(10)}, []specChange{gone(11)}, nil},
		"not deleted any more":      {[]specChange{gone(10)}, nil, nil},
		"less counts as use":        {[]specChange{gone(10)}, []specChange{gone(10, "bob")}, []string{deletion}},
		"as much counts as use":     {[]specChange{gone(10, "bob")}, []specChange{gone(10, "bob")}, nil},
		"more counts as use":        {[]specChange{gone(10, "bob")}, []specChange{gone(10)}, nil},
		"a kubeconfig":              {nil, []specChange{keeps("argo", "view")}, kubeconfig},
		"a kubeconfig stays":        {[]specChange{keeps("argo", "view")}, []specChange{keeps("argo", "view")}, nil},
		"it gets another role":      {[]specChange{keeps("argo", "view")}, []specChange{keeps("argo", "edit")}, kubeconfig},
		"it goes elsewhere":         {[]specChange{keeps("argo", "view")}, []specChange{keeps("flux", "view")}, kubeconfig},
		"a kubeconfig goes":         {[]specChange{keeps("argo", "view")}, nil, nil},
		"all at once, in one order": {nil, []specChange{datastoreIn("db"), level(tenancy.PodSecurityPrivileged), quotaOfPods("1"), ranges(corev1.LimitTypePod)}, []string{secret, privileged, "create resourcequotas", "create limitranges"}},
	} {
		t.Run(name, func(t *testing.T) {
			vc, old := existing(), specOf(test.old...)
			vc.Spec = specOf(test.now...)
			ctx := request.WithNamespace(request.WithUser(t.Context(), &user.DefaultInfo{Name: "alice"}), "team")
			var asked []string
			missing := ""
			r := rights{authorizer.AuthorizerFunc(func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
				if a.GetUser().GetName() != "alice" || a.GetNamespace() == "" || !a.IsResourceRequest() {
					t.Errorf("asked about %v", a)
				}
				resource := a.GetResource()
				if a.GetSubresource() != "" {
					resource += "/" + a.GetSubresource()
				}
				if a.GetAPIGroup() != "" {
					resource += "." + a.GetAPIGroup()
				}
				right := strings.TrimSpace(a.GetVerb() + " " + resource + " " + a.GetName())
				if a.GetNamespace() != "team" {
					right += " in " + a.GetNamespace()
				}
				asked = append(asked, right)
				if right == missing {
					return authorizer.DecisionNoOpinion, "", nil
				}
				return authorizer.DecisionAllow, "", nil
			})}
			if err := r.check(ctx, vc, &old); err != nil || !slices.Equal(asked, test.want) {
				t.Fatalf("with every right: got %v, asked %q, want %q", err, asked, test.want)
			}
			for _, missing = range test.want {
				err := r.check(ctx, vc, &old)
				if !apierrors.IsForbidden(err) {
					t.Fatalf("without the right to %s: got %v, want Forbidden", missing, err)
				}
				verb, _, _ := strings.Cut(missing, " ")
				if !strings.Contains(err.Error(), `user "alice" cannot `+verb) || !strings.Contains(err.Error(), "spec.") {
					t.Errorf("got %q, want the field, the right and the user", err)
				}
			}
		})
	}
}

// TestUnknownRights keeps the door shut while nobody can tell.
func TestUnknownRights(t *testing.T) {
	vc := existing()
	vc.Spec = specOf(datastoreIn("db"))
	r := rights{authorizer.AuthorizerFunc(func(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
		return authorizer.DecisionNoOpinion, "", errors.New("the host does not answer")
	})}
	ctx := request.WithNamespace(request.WithUser(t.Context(), &user.DefaultInfo{Name: "alice"}), "team")
	if err := r.check(ctx, vc, &tenancy.VirtualClusterSpec{}); !apierrors.IsInternalError(err) {
		t.Errorf("got %v, want an internal error", err)
	}
	if err := r.check(t.Context(), vc, &tenancy.VirtualClusterSpec{}); !apierrors.IsInternalError(err) {
		t.Errorf("without a user: got %v, want an internal error", err)
	}
}
