// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	explainv1alpha1 "garret.dev/garret/apis/explain/v1alpha1"
	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/explain"
	"garret.dev/garret/test/framework"
)

// furnished are specs of more fields than the table's, which are copied, translated and dropped.
var furnished = map[string]string{
	tenancyv1.ResourcePods: `{"serviceAccountName": "default", "subdomain": "web", "hostname": "one", "priorityClassName": "system-cluster-critical",
		"nodeSelector": {"disk": "fast"}, "tolerations": [{"key": "spot", "operator": "Exists"}], "imagePullSecrets": [{"name": "registry"}],
		"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": {"app": "web"}}}],
		"volumes": [{"name": "scratch", "emptyDir": {}}, {"name": "settings", "configMap": {"name": "settings", "optional": true}}],
		"containers": [{"name": "app", "image": "busybox:1", "args": ["sleep", "9"], "resources": {"requests": {"cpu": "100m"}},
			"env": [{"name": "PLAIN", "value": "x"}, {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
			"envFrom": [{"secretRef": {"name": "mine", "optional": true}}], "ports": [{"containerPort": 80}],
			"volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}, {"name": "settings", "mountPath": "/settings"}]},
			{"name": "beside", "image": "busybox:2"}]}`,
	tenancyv1.ResourceIngresses: `{"ingressClassName": "one", "tls": [{"hosts": ["shop.example"], "secretName": "shop"}], "rules": [{"host": "shop.example",
		"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"number": 80}}}}]}}]}`,
	tenancyv1.ResourceServices: `{"type": "NodePort", "selector": {"app": "web"}, "ports": [{"name": "http", "port": 80}, {"name": "more", "port": 81, "targetPort": "more"}]}`,
}

// checkExplained holds what is told of an object against what lies on both sides: while
// the host refuses it, when it is there, and when somebody on the host has added to it.
func checkExplained(s *subject, name string) {
	virtual := s.create(name, func(object *unstructured.Unstructured) {
		labels := object.GetLabels()
		labels[labelRefused] = "yes"
		object.SetLabels(labels)
		object.SetAnnotations(map[string]string{"prometheus.io/scrape": "true", "example.org/note": "stays"})
		if richer, is := furnished[s.Resource]; is {
			s.must(json.Unmarshal([]byte(`{"spec":`+richer+`}`), &object.Object))
		}
	})
	s.awaitEvent(virtual.GetUID(), "HostRefused")
	refused := s.explained(name)
	if refused.State != explainv1alpha1.Refused || !slices.ContainsFunc(refused.Reasons, func(reason explainv1alpha1.Reason) bool {
		return reason.Reason == "HostRefused" && strings.Contains(reason.Message, "the policy does not bear "+name)
	}) {
		s.t.Errorf("got %s %v, want it refused in the policy's words", refused.State, refused.Reasons)
	}
	if !slices.ContainsFunc(refused.Events, func(event explainv1alpha1.Event) bool { return event.Reason == "HostRefused" }) {
		s.t.Errorf("events: got %v, want that of the refusal", refused.Events)
	}
	s.patch(s.inside, name, nil, "metadata", "labels", labelRefused)
	s.awaitTwin(name, virtual.GetUID())
	s.tellsTheTruth(name)

	const foreign = "other-tenant.example/token"
	s.patch(s.onHost, s.hostName(name), "s3cret", "metadata", "annotations", foreign)
	told := s.tellsTheTruth(name)
	if text, err := json.Marshal(told); err != nil || strings.Contains(string(text), "s3cret") || strings.Contains(string(text), "other-tenant") {
		s.t.Errorf("got %s, %v: it names what somebody else wrote on the host", text, err)
	}
	if answer := s.askToExplain(name, "jane", ""); answer.Code != http.StatusForbidden {
		s.t.Errorf("got code %d for somebody without rights, want it forbidden", answer.Code)
	}
}

func (s *subject) askToExplain(name, user, group string) *httptest.ResponseRecorder {
	path := explainv1alpha1.Path + "/"
	called := s.Resource
	row, catalogued := tenancyv1.CataloguedKind(s.Resource)
	mirror := s.Resource == "nodes" || s.Resource == "persistentvolumes"
	catalogued = catalogued || mirror
	if row.Namespaced || !catalogued {
		path += "namespaces/" + s.namespace + "/"
	}
	if !catalogued {
		called = s.GroupResource().String()
	}
	request, answer := httptest.NewRequest(http.MethodGet, path+called+"/"+name, nil), httptest.NewRecorder()
	request.Header.Set("X-Remote-User", user)
	request.Header.Set("X-Remote-Group", group)
	explain.New(explain.Options{Source: s.engine, Virtual: s.virtual}).ServeHTTP(answer, request)
	return answer
}

// explained is what an administrator is told inside.
func (s *subject) explained(name string) *explainv1alpha1.Explanation {
	s.t.Helper()
	answer := s.askToExplain(name, "root", "system:masters")
	told := &explainv1alpha1.Explanation{}
	if err := json.Unmarshal(answer.Body.Bytes(), told); err != nil || answer.Code != http.StatusOK {
		s.t.Fatalf("got code %d, %s", answer.Code, answer.Body.String())
	}
	return told
}

// shownExplained holds what is told of an object without a namespace that is shown of the host against both sides.
func (s *side) shownExplained(resource schema.GroupVersionResource, name string) {
	s.t.Helper()
	shown := &subject{side: s, kind: &kind{GroupVersionResource: resource}, inside: shared.virtualObjects.Resource(resource), onHost: shared.hostObjects.Resource(resource)}
	told := shown.tellsTheTruth(name)
	if text, err := json.Marshal(told); err != nil || strings.Contains(string(text), "of-the-host") || told.Direction != explainv1alpha1.FromHost {
		s.t.Errorf("got %s, %v: want nothing of the host's own in it", text, err)
	}
}

// volumeExplained wants all of a volume inside to be told of, as made for the claim on the host: of
// the volume there, nothing is known.
func (s *side) volumeExplained(name, claim string) {
	s.t.Helper()
	resource := schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumes"}
	volume := &subject{side: s, kind: &kind{GroupVersionResource: resource}, inside: shared.virtualObjects.Resource(resource)}
	inside, err := volume.inside.Get(s.t.Context(), name, metav1.GetOptions{})
	s.must(err)
	told, rest := volume.explained(name), substance(inside)
	if told.State != explainv1alpha1.OnHost || told.Direction != explainv1alpha1.FromHost || told.Host.Name != claim {
		s.t.Errorf("got %s, %s, %v, want it to be on the host as the claim %s", told.State, told.Direction, told.Host, claim)
	}
	for _, field := range told.Fields {
		if made := field.Verdict == explainv1alpha1.Added || field.Verdict == explainv1alpha1.Kept; !made || field.Host != "" || !says(field.Inside, *at(substance(inside), field.Field)) {
			s.t.Errorf("got %+v, want what was made of it inside, %v", field, unboxed(*at(substance(inside), field.Field)))
		}
		*at(rest, field.Field) = nil
	}
	if len(told.Fields) == 0 || left(rest) > 0 {
		s.t.Errorf("nothing is told of %v", unboxed(rest))
	}
}

// tellsTheTruth waits until nothing is wrong with what is told: either side may change meanwhile.
func (s *subject) tellsTheTruth(name string) *explainv1alpha1.Explanation {
	s.t.Helper()
	var told *explainv1alpha1.Explanation
	var wrong []string
	s.t.Cleanup(func() {
		if s.t.Failed() {
			s.t.Logf("wrong with what is told of %s %s:\n%s", s.Resource, name, strings.Join(wrong, "\n"))
		}
	})
	framework.Eventually(s.t, "what is told of "+s.Resource+" "+name+" is so", func(ctx context.Context) (bool, error) {
		inside, err := s.inside.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		hostName := name
		if inside.GetNamespace() != "" {
			hostName = s.hostName(name)
		}
		host, err := s.onHost.Get(ctx, hostName, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		told = s.explained(name)
		wrong = untruths(told, inside, host)
		return len(wrong) == 0, nil
	})
	return told
}

// untruths are what is wrong with an explanation of an object that is on the host as asked.
func untruths(told *explainv1alpha1.Explanation, inside, host *unstructured.Unstructured) []string {
	var wrong []string
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if told.State != explainv1alpha1.OnHost || told.Host.Name != host.GetName() || told.Host.Namespace != host.GetNamespace() || told.Host.UID != host.GetUID() {
		say("got %s %v %v, want it on the host", told.State, told.Host, told.Reasons)
		return wrong
	}
	restInside, restHost := substance(inside), substance(host)
	// Items are known by their names: nothing is taken away before all is found.
	var found []*any
	for _, field := range told.Fields {
		onHost := field.HostField
		if onHost == "" {
			onHost = field.Field
		}
		if strings.HasSuffix(field.Host, " more") {
			continue
		}
		a, b := *at(substance(inside), field.Field), *at(substance(host), onHost)
		if !says(field.Inside, a) || !says(field.Host, b) {
			say("%+v: got %v inside, %v on the host", field, a, b)
		}
		if problem := misjudged(told.Direction, field, a, b); problem != "" {
			say("%+v: %s", field, problem)
		}
		found = append(found, at(restInside, field.Field), at(restHost, onHost))
	}
	others := map[*any]explainv1alpha1.Field{}
	for _, field := range told.Fields {
		if strings.HasSuffix(field.Host, " more") {
			others[at(restHost, field.Field)] = field
		}
	}
	for _, place := range found {
		*place = nil
	}
	for place, field := range others {
		if got := fmt.Sprintf("%d more", left(*place)); got != field.Host {
			say("%+v: got %s", field, got)
		}
		*place = nil
	}
	if left(restInside) > 0 || left(restHost) > 0 {
		say("nothing is told of %v inside, %v on the host", unboxed(restInside), unboxed(restHost))
	}
	return wrong
}

// misjudged says what is wrong with the verdict on a field that has these values.
func misjudged(direction explainv1alpha1.Direction, field explainv1alpha1.Field, inside, host any) string {
	equal := reflect.DeepEqual(inside, host)
	// What is written is the other side's where the kind is shown of the host.
	from, to := inside, host
	if direction == explainv1alpha1.FromHost {
		from, to = host, inside
	}
	wrong := false
	switch field.Verdict {
	case explainv1alpha1.Copied, explainv1alpha1.Reported:
		wrong = !equal || inside == nil
	case explainv1alpha1.Translated:
		wrong = equal && field.HostField == "" || inside == nil || host == nil
	case explainv1alpha1.Added:
		wrong = from != nil && direction == explainv1alpha1.FromHost || to == nil || field.Inside != "" && direction == explainv1alpha1.ToHost
	case explainv1alpha1.Dropped:
		wrong = from == nil || to != nil && field.Host == ""
	case explainv1alpha1.ChangedByHost:
		wrong = equal || direction != explainv1alpha1.ToHost
	default:
		return "nothing is under way"
	}
	if wrong {
		return fmt.Sprintf("it is not so: %v inside, %v on the host", inside, host)
	}
	return ""
}

// substance is an object without what each API server keeps for itself.
func substance(object *unstructured.Unstructured) any {
	out := runtime.DeepCopyJSON(object.Object)
	for _, name := range []string{"apiVersion", "kind", "status"} {
		delete(out, name)
	}
	metadata := out["metadata"].(fields)
	for _, name := range []string{"creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "finalizers", "generateName", "generation",
		"managedFields", "resourceVersion", "selfLink", "uid"} {
		delete(metadata, name)
	}
	return boxed(out)
}

// boxed puts each value into a place of its own, so that it can be taken away.
func boxed(value any) any {
	switch value := value.(type) {
	case fields:
		all := map[string]*any{}
		for key, item := range value {
			inner := boxed(item)
			all[key] = &inner
		}
		return all
	case []any:
		if len(value) == 0 {
			return value
		}
		if _, maps := value[0].(fields); !maps {
			return value
		}
		all := make([]*any, 0, len(value))
		for _, item := range value {
			inner := boxed(item)
			all = append(all, &inner)
		}
		return all
	}
	return value
}

// at is the place of a path in a boxed value.
func at(value any, path string) *any {
	here := &value
	for path != "" && here != nil {
		var step string
		if rest, item := strings.CutPrefix(path, "["); item {
			step, path, _ = strings.Cut(rest, "]")
		} else {
			path = strings.TrimPrefix(path, ".")
			end := strings.IndexAny(path, ".[")
			if end < 0 {
				end = len(path)
			}
			step, path = path[:end], path[end:]
		}
		switch value := (*here).(type) {
		case map[string]*any:
			here = value[step]
		case []*any:
			here = itemOf(value, step)
		default:
			here = nil
		}
	}
	if here == nil {
		return new(any)
	}
	return here
}

func itemOf(list []*any, step string) *any {
	for _, place := range list {
		item, _ := (*place).(map[string]*any)
		for _, name := range []string{"name", "mountPath"} {
			if item[name] != nil && *item[name] == step {
				return place
			}
		}
	}
	if i, err := strconv.Atoi(step); err == nil && i < len(list) {
		return list[i]
	}
	return nil
}

// left is how many items of a boxed value are not taken away.
func left(value any) int {
	count := 0
	switch value := value.(type) {
	case map[string]*any:
		for _, item := range value {
			count += min(1, left(*item))
		}
	case []*any:
		for _, item := range value {
			count += min(1, left(*item))
		}
	case []any:
		count = min(1, len(value))
	case nil:
	default:
		count = 1
	}
	return count
}

// says tells whether a text that is told is of the value.
func says(told string, value any) bool {
	if told == explainv1alpha1.Hidden {
		return value != nil
	}
	if text, is := value.(string); is || value == nil {
		return told == text
	}
	text, err := json.Marshal(unboxed(value))
	return err == nil && told == string(text)
}

func unboxed(value any) any {
	if boxes, is := value.([]*any); is {
		all := make([]any, 0, len(boxes))
		for _, item := range boxes {
			all = append(all, unboxed(*item))
		}
		return all
	}
	if boxes, is := value.(map[string]*any); is {
		all := fields{}
		for key, item := range boxes {
			all[key] = unboxed(*item)
		}
		return all
	}
	return value
}
