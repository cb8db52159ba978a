// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

type specChange = func(*tenancy.VirtualClusterSpec)

func specOf(changes ...specChange) tenancy.VirtualClusterSpec {
	var spec tenancy.VirtualClusterSpec
	for _, change := range changes {
		change(&spec)
	}
	return spec
}

func datastoreIn(secret string) specChange {
	return func(spec *tenancy.VirtualClusterSpec) {
		spec.ControlPlane.Datastore = &tenancy.DatastoreSpec{EndpointSecretRef: corev1.LocalObjectReference{Name: secret}}
	}
}

func level(level tenancy.PodSecurityLevel) specChange {
	return func(spec *tenancy.VirtualClusterSpec) { spec.Isolation.PodSecurity = level }
}

func quotaOfPods(pods string) specChange {
	return func(spec *tenancy.VirtualClusterSpec) {
		spec.Isolation.ResourceQuota = &corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse(pods)}}
	}
}

func policies(on bool) specChange {
	return func(spec *tenancy.VirtualClusterSpec) { spec.Syncer.ToHost.NetworkPolicies.Enabled = &on }
}

func ruled(path string) specChange {
	return func(spec *tenancy.VirtualClusterSpec) {
		spec.Syncer.ToHost.Custom = []tenancy.KindRule{{APIVersion: "example.org/v1", Resource: "widgets", Fields: []tenancy.FieldRule{{Path: path}}}}
	}
}

// widgetsOf has widgets of namespaces of the host shown: NAMESPACE/NAME, or /NAME of its own.
func widgetsOf(sources ...string) specChange {
	return func(spec *tenancy.VirtualClusterSpec) {
		kind := tenancy.KindFromHost{APIVersion: "example.org/v1", Resource: "widgets"}
		for _, source := range sources {
			namespace, name, _ := strings.Cut(source, "/")
			kind.Mappings = append(kind.Mappings, tenancy.CustomMapping{From: tenancy.CustomSource{Namespace: namespace, Name: name}, To: tenancy.CustomTarget{Namespace: "shop"}})
		}
		spec.Syncer.FromHost.Custom = append(spec.Syncer.FromHost.Custom, kind)
	}
}

func routes(on bool) specChange {
	return func(spec *tenancy.VirtualClusterSpec) { spec.Syncer.ToHost.HTTPRoutes.Enabled = &on }
}

func flag(arg string) specChange {
	return func(spec *tenancy.VirtualClusterSpec) { spec.Syncer.ExtraArgs = []string{arg} }
}

func shown(names ...string) specChange {
	return func(spec *tenancy.VirtualClusterSpec) {
		for _, name := range names {
			mapping := tenancy.ObjectMapping{From: tenancy.HostObjectName{Name: name}, To: tenancy.InsideObjectName{Namespace: "default", Name: "here"}}
			spec.Syncer.FromHost.ConfigMaps.Mappings = append(spec.Syncer.FromHost.ConfigMaps.Mappings, mapping)
			spec.Syncer.FromHost.Secrets.Mappings = append(spec.Syncer.FromHost.Secrets.Mappings, mapping)
		}
	}
}

// shows has the spec show Services: NAMESPACE/NAME of the host, with @NAMESPACE/NAME of a virtual cluster behind.
func shows(sources ...string) specChange {
	return func(spec *tenancy.VirtualClusterSpec) {
		for _, text := range sources {
			service, cluster, inOther := strings.Cut(text, "@")
			var source tenancy.ServiceSource
			source.Namespace, source.Name, _ = strings.Cut(service, "/")
			if inOther {
				source.VirtualCluster = &tenancy.VirtualClusterName{}
				source.VirtualCluster.Namespace, source.VirtualCluster.Name, _ = strings.Cut(cluster, "/")
			}
			spec.Syncer.FromHost.Services.Mappings = append(spec.Syncer.FromHost.Services.Mappings, tenancy.ServiceMapping{From: source})
		}
	}
}

// leads has a name inside lead to a Service of the host.
func leads(namespace, name string) specChange {
	return func(spec *tenancy.VirtualClusterSpec) {
		spec.DNS.Resolve = append(spec.DNS.Resolve, tenancy.ResolveRule{Name: "db.example.org", Service: &tenancy.ServiceSource{Namespace: namespace, Name: name}},
			tenancy.ResolveRule{Name: "web.example.org", Alias: "example.org"})
	}
}

// calls gives a Service inside a name on the host.
func calls(from, to string) specChange {
	return func(spec *tenancy.VirtualClusterSpec) {
		spec.Syncer.ToHost.Services.Mappings = []tenancy.HostServiceMapping{{From: tenancy.ServiceName{Namespace: "default", Name: from}, To: to}}
	}
}

// keeps has a Secret of the namespace hold a kubeconfig.
func keeps(secret, role string) specChange {
	return func(spec *tenancy.VirtualClusterSpec) {
		spec.KubeconfigSecret = &tenancy.KubeconfigSecret{Name: secret, ClusterRole: role}
	}
}

func ranges(kind corev1.LimitType) specChange {
	return func(spec *tenancy.VirtualClusterSpec) {
		spec.Isolation.LimitRange = &corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{Type: kind}}}
	}
}

// gone deletes the virtual cluster after hours without use.
func gone(hours int, ignored ...string) specChange {
	return func(spec *tenancy.VirtualClusterSpec) {
		spec.Sleep.DeleteAfterInactivity = &metav1.Duration{Duration: time.Duration(hours) * time.Hour}
		for _, user := range ignored {
			spec.Sleep.Ignore = append(spec.Sleep.Ignore, tenancy.IgnoredRequests{Users: []string{user}})
		}
	}
}

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

// lendNothing are the fields that name something, and why that lends no right.
var lendNothing = map[string]string{
	"templateRef.name":                      "templates are there for everybody who makes virtual clusters, and what they fill in is judged as the writer's",
	"templateRef.version":                   "the same",
	"templateRef.parameters.name":           "it is the name of a parameter",
	"hostClusterRef.name":                   "there is one",
	"kubernetes.version":                    "it is the tag of an image that Garret names",
	"access.clusterRole":                    "it is in the virtual cluster, whose administrator the writer is",
	"controlPlane.resources.claims.name":    "validation refuses claims",
	"controlPlane.resources.claims.request": "validation refuses claims",
	"syncer.pods.images.from":               "a pod may name any image",
	"syncer.pods.runtimeClassName":          "a pod may name any class of the host",
	"syncer.pods.priorityClasses.name":      "the class is inside; the one on the host takes leave of the HostCluster",
	"controlPlane.storage.storageClassName": "a class is no object of the namespace; the host's quotas bound what is asked of it",
}

// naming matches the last part of the path of a field that names something.
var naming = regexp.MustCompile(`(?i)(ref|refs|name|names|from|secret|secrets|configmaps?|claims?|class|role|account|request|version)$`)

// TestFieldsThatName wants a decision about each field of a spec that names
// something: it takes a right, or a reason why it lends none.
func TestFieldsThatName(t *testing.T) {
	var found []string
	for _, path := range namingFields(reflect.TypeFor[v1.VirtualClusterSpec](), "") {
		lends := slices.ContainsFunc(lentFields, func(l lent) bool { return path == l.field || strings.HasPrefix(path, l.field+".") })
		if !lends && lendNothing[path] == "" {
			t.Errorf("spec.%s names something: give it a row in lentFields, or a reason in this test", path)
		}
		found = append(found, path)
	}
	for path := range lendNothing {
		if !slices.Contains(found, path) {
			t.Errorf("there is no field spec.%s", path)
		}
	}
	for _, each := range lentFields {
		if _, there := fieldAt(reflect.TypeFor[v1.VirtualClusterSpec](), strings.Split(each.field, ".")); !there {
			t.Errorf("there is no field spec.%s", each.field)
		}
	}
}

// namingFields are the paths of strings whose name says that they name something, and of
// everything in a type that refers to an object.
func namingFields(of reflect.Type, path string) []string {
	switch of.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return namingFields(of.Elem(), path)
	case reflect.String:
		if naming.MatchString(path) {
			return []string{path}
		}
	case reflect.Struct:
		var found []string
		for field := range of.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name == "" || !field.IsExported() {
				continue
			}
			found = append(found, namingFields(field.Type, strings.TrimPrefix(path+"."+name, "."))...)
		}
		return found
	}
	return nil
}

func fieldAt(of reflect.Type, path []string) (reflect.Type, bool) {
	for of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	if len(path) == 0 {
		return of, true
	}
	for field := range of.Fields() {
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name == path[0] {
			return fieldAt(field.Type, path[1:])
		}
	}
	return nil, false
}

// TestBounds fills the host's quota in where nobody set one, and refuses more.
func TestBounds(t *testing.T) {
	list := func(pairs ...string) corev1.ResourceList {
		if len(pairs) == 0 {
			return nil
		}
		hard := corev1.ResourceList{}
		for i := 0; i < len(pairs); i += 2 {
			hard[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
		}
		return hard
	}
	none := corev1.ResourceList(nil)
	for name, test := range map[string]struct {
		most, old, asked, want corev1.ResourceList
		isNew                  bool
		refused                []string
	}{
		"no bounds":                {none, none, list("pods", "900"), list("pods", "900"), true, nil},
		"nothing set":              {list("pods", "10", "secrets", "5"), none, none, list("pods", "10", "secrets", "5"), true, nil},
		"another name set":         {list("pods", "10"), none, list("services", "3"), list("pods", "10", "services", "3"), true, nil},
		"less":                     {list("pods", "10"), none, list("pods", "3"), list("pods", "3"), true, nil},
		"as much, in other words":  {list("requests.cpu", "1"), none, list("requests.cpu", "1000m"), list("requests.cpu", "1"), true, nil},
		"more":                     {list("pods", "10", "secrets", "5"), none, list("pods", "11", "secrets", "6"), list("pods", "11", "secrets", "6"), true, []string{"pods", "secrets"}},
		"more than nothing":        {list("services.nodeports", "0"), none, list("services.nodeports", "1"), list("services.nodeports", "1"), true, []string{"services.nodeports"}},
		"stored ones stay":         {list("pods", "10"), list("pods", "50"), list("pods", "50"), list("pods", "50"), false, nil},
		"stored without stays":     {list("pods", "10"), none, list("secrets", "9"), list("secrets", "9"), false, nil},
		"raised":                   {list("pods", "10"), list("pods", "5"), list("pods", "11"), list("pods", "11"), false, []string{"pods"}},
		"lowered, still too much":  {list("pods", "10"), list("pods", "50"), list("pods", "40"), list("pods", "40"), false, []string{"pods"}},
		"lowered":                  {list("pods", "10"), list("pods", "50"), list("pods", "10"), list("pods", "10"), false, nil},
		"taken away":               {list("pods", "10"), list("pods", "5"), none, list("pods", "10"), false, nil},
		"zero set where there was": {list("pods", "10"), none, list("pods", "0"), list("pods", "0"), false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			host := &tenancy.HostCluster{}
			host.Name, host.Spec.Isolation.Quota.Hard = "local", test.most
			var spec tenancy.VirtualClusterSpec
			spec.Isolation.Quota.Hard = test.asked.DeepCopy()
			var old *tenancy.VirtualClusterSpec
			if !test.isNew {
				old = &tenancy.VirtualClusterSpec{}
				old.Isolation.Quota.Hard = test.old
			}
			var refused []string
			for _, err := range bound(&spec, old, host) {
				refused = append(refused, strings.TrimSuffix(strings.TrimPrefix(err.Field, "spec.isolation.quota.hard["), "]"))
				if !strings.Contains(err.Detail, "have spec.isolation.quota of the HostCluster raised") {
					t.Errorf("no remedy in %q", err.Detail)
				}
			}
			if !slices.Equal(refused, test.refused) {
				t.Errorf("refused %q, want %q", refused, test.refused)
			}
			got, want := spec.Isolation.Quota.Hard, test.want
			same := len(got) == len(want)
			for name := range want {
				a, b := got[name], want[name]
				same = same && a.Cmp(b) == 0
			}
			if !same {
				t.Errorf("got %v, want %v", fmt.Sprint(got), fmt.Sprint(want))
			}
		})
	}
	if errs := bound(&tenancy.VirtualClusterSpec{}, nil, nil); errs != nil {
		t.Errorf("without a host cluster: got %v", errs)
	}
}

// TestBoundSleep has what nobody uses sleep no later, and go no sooner, than the host's administrator says.
func TestBoundSleep(t *testing.T) {
	hours := func(n int) *metav1.Duration {
		if n == 0 {
			return nil
		}
		return &metav1.Duration{Duration: time.Duration(n) * time.Hour}
	}
	const asleep, gone = "spec.sleep.afterInactivity", "spec.sleep.deleteAfterInactivity"
	for name, test := range map[string]struct {
		most, least, old, after, deleteAfter, want int
		isNew, memory                              bool
		refused                                    []string
	}{
		"no bounds":                     {0, 0, 0, 900, 1, 900, true, false, nil},
		"nothing set":                   {8, 24, 0, 0, 0, 8, true, false, nil},
		"sooner asleep, later gone":     {8, 24, 0, 1, 48, 1, true, false, nil},
		"later asleep, sooner gone":     {8, 24, 0, 9, 23, 9, true, false, []string{asleep, gone}},
		"stored ones stay":              {8, 24, 9, 9, 9, 9, false, false, nil},
		"stored ones are changed":       {8, 24, 9, 10, 23, 10, false, false, []string{asleep, gone}},
		"taken away":                    {8, 0, 9, 0, 0, 8, false, false, nil},
		"never, as stored":              {8, 0, 0, 0, 0, 0, false, false, nil},
		"what cannot sleep need not":    {8, 0, 0, 0, 0, 0, true, true, nil},
		"what cannot sleep may be gone": {8, 24, 0, 0, 1, 0, true, true, []string{gone}},
	} {
		t.Run(name, func(t *testing.T) {
			host := &tenancy.HostCluster{}
			host.Name = "local"
			host.Spec.Sleep = tenancy.HostSleep{MaxAfterInactivity: hours(test.most), MinDeleteAfterInactivity: hours(test.least)}
			spec := tenancy.VirtualClusterSpec{Sleep: tenancy.SleepSpec{AfterInactivity: hours(test.after), DeleteAfterInactivity: hours(test.deleteAfter)}}
			if test.memory {
				spec.ControlPlane.Storage.Persistent = new(bool)
			}
			var old *tenancy.VirtualClusterSpec
			if !test.isNew {
				old = &tenancy.VirtualClusterSpec{Sleep: tenancy.SleepSpec{AfterInactivity: hours(test.old), DeleteAfterInactivity: hours(test.old)}}
			}
			var refused []string
			for _, err := range bound(&spec, old, host) {
				refused = append(refused, err.Field)
				if !strings.Contains(err.Detail, "have spec.sleep.m") {
					t.Errorf("no remedy in %q", err.Detail)
				}
			}
			if !slices.Equal(refused, test.refused) {
				t.Errorf("refused %q, want %q", refused, test.refused)
			}
			if got, want := spec.Sleep.AfterInactivity, hours(test.want); (got == nil) != (want == nil) || got != nil && *got != *want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

// TestBoundPodRules refuses labels, annotations and priority classes for pods that the host's
// administrator does not allow, and leaves alone what was there before.
func TestBoundPodRules(t *testing.T) {
	rules := func(label, annotation, class string) tenancy.PodRules {
		return tenancy.PodRules{
			Images: []tenancy.ImageRule{{From: "docker.io", To: "mirror.example.org"}}, NodeSelector: map[string]string{"pool": "a"}, RuntimeClassName: "x",
			Labels: map[string]string{"example.org/account": label}, Annotations: map[string]string{"example.org/note": annotation},
			PriorityClasses: []tenancy.PriorityClassRule{{Name: "high", Host: class}},
		}
	}
	all := []string{"spec.syncer.pods.labels[example.org/account]", "spec.syncer.pods.annotations[example.org/note]", "spec.syncer.pods.priorityClasses[0].host"}
	open := tenancy.AllowedPodRules{Labels: []string{"example.org/account"}, Annotations: []string{"example.org/*"}, PriorityClasses: []string{"low"}}
	for name, test := range map[string]struct {
		allowed  tenancy.AllowedPodRules
		old, now tenancy.PodRules
		refused  []string
	}{
		"nothing is allowed":         {tenancy.AllowedPodRules{}, tenancy.PodRules{}, rules("a", "b", "low"), all},
		"all is allowed":             {open, tenancy.PodRules{}, rules("a", "b", "low"), nil},
		"another class":              {open, tenancy.PodRules{}, rules("a", "b", "high"), all[2:]},
		"labels are no annotations":  {tenancy.AllowedPodRules{Labels: []string{"example.org/*"}}, tenancy.PodRules{}, rules("a", "b", "low"), all[1:]},
		"stored ones stay":           {tenancy.AllowedPodRules{}, rules("a", "b", "low"), rules("a", "b", "low"), nil},
		"stored ones are changed":    {tenancy.AllowedPodRules{}, rules("a", "b", "low"), rules("c", "d", "high"), all},
		"what lends nothing is free": {tenancy.AllowedPodRules{}, tenancy.PodRules{}, tenancy.PodRules{NodeSelector: map[string]string{"pool": "a"}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			host := &tenancy.HostCluster{}
			host.Name, host.Spec.Isolation.AllowedPodRules = "local", test.allowed
			var spec, old tenancy.VirtualClusterSpec
			spec.Syncer.Pods, old.Syncer.Pods = test.now, test.old
			var refused []string
			for _, err := range bound(&spec, &old, host) {
				refused = append(refused, err.Field)
				if !strings.Contains(err.Detail, "have it added to spec.isolation.allowedPodRules.") {
					t.Errorf("no remedy in %q", err.Detail)
				}
			}
			if !slices.Equal(refused, test.refused) {
				t.Errorf("refused %q, want %q", refused, test.refused)
			}
		})
	}
}

// TestPodSecurityWarnings tells what the labels of the namespace on the host mean for a spec.
func TestPodSecurityWarnings(t *testing.T) {
	const none = "enforces no level of Pod Security on the host"
	for name, test := range map[string]struct {
		label, asked, before, want string
	}{
		"nothing enforced":            {"", "baseline", "", none + ": only the syncer enforces the level baseline; set the label pod-security.kubernetes.io/enforce=baseline on the namespace"},
		"privileged enforced":         {"privileged", "restricted", "", "set the label pod-security.kubernetes.io/enforce=restricted on the namespace"},
		"the same enforced":           {"baseline", "baseline", "", ""},
		"less enforced":               {"baseline", "restricted", "", ""},
		"more enforced":               {"restricted", "baseline", "", "the namespace team enforces restricted on the host, which refuses pods that only baseline allows"},
		"privileged where it is open": {"", "privileged", "", "whoever creates pods in the virtual cluster controls the host's nodes"},
		"privileged where it is not":  {"baseline", "privileged", "", "enforces baseline on the host, which refuses"},
		"an update of it":             {"", "restricted", "baseline", none},
		"an update of something else": {"", "baseline", "baseline", ""},
		"an unknown namespace":        {"-", "baseline", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			indexer := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
			namespace := &corev1.Namespace{}
			namespace.Name = "team"
			if test.label != "" {
				namespace.Labels = map[string]string{v1.LabelEnforce: test.label}
			}
			if test.label != "-" {
				if err := indexer.Add(namespace); err != nil {
					t.Fatal(err)
				}
			}
			s := testStrategy()
			s.namespaces = corelisters.NewNamespaceLister(indexer)
			vc, old := existing(), existing()
			vc.Spec.Isolation.PodSecurity, old.Spec.Isolation.PodSecurity = tenancy.PodSecurityLevel(test.asked), tenancy.PodSecurityLevel(test.before)
			got := s.WarningsOnUpdate(t.Context(), vc, old)
			if test.before == "" {
				got = s.WarningsOnCreate(t.Context(), vc)
			}
			if (test.want == "") != (len(got) == 0) || len(got) > 0 && !strings.Contains(got[0], test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// TestBoundStorage wants kinds of storage to be switched on only where something of them is allowed to
// the namespace.
func TestBoundStorage(t *testing.T) {
	on := tenancy.VirtualClusterSpec{}
	on.Syncer.ToHost.PersistentVolumes.Enabled, on.Syncer.ToHost.StorageClasses.Enabled = ptr.To(true), ptr.To(true)
	host := &tenancy.HostCluster{ObjectMeta: metav1.ObjectMeta{Name: "local"}}
	host.Spec.Isolation.AllowedStorage = tenancy.AllowedStorage{NFS: []tenancy.AllowedNFS{{Server: "192.0.2.7", Paths: []string{"/a"}, Namespaces: []string{"team-a"}}}}
	const volumes, classes = "spec.syncer.toHost.persistentVolumes.enabled", "spec.syncer.toHost.storageClasses.enabled"
	for name, test := range map[string]struct {
		spec, old *tenancy.VirtualClusterSpec
		namespace string
		host      *tenancy.HostCluster
		want      []string
	}{
		"off":               {&tenancy.VirtualClusterSpec{}, nil, "team-b", host, nil},
		"no classes":        {&on, nil, "team-a", host, []string{classes}},
		"nothing":           {&on, nil, "team-b", host, []string{volumes, classes}},
		"on already":        {&on, &on, "team-b", host, nil},
		"no host to ask of": {&on, nil, "team-b", nil, nil},
	} {
		var got []string
		for _, err := range boundStorage(test.spec, test.old, test.namespace, test.host) {
			got = append(got, err.Field)
			if !strings.Contains(err.Detail, "spec.isolation.allowedStorage") {
				t.Errorf("%s: got %v, want the remedy", name, err)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
	}
}
