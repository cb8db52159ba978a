// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
)

// Rules are the kinds that go to the host by a rule, and clients of both sides for them.
type Rules struct {
	Virtual, Host dynamic.Interface
	Kinds         []RuledKind
	// Classes are kinds of CustomResourceDefinitions whose objects belong to no namespace.
	Classes []RuledKind
	// Released are kinds that hold data and have lost their rule.
	Released []schema.GroupVersionResource
	// Grants are the ReferenceGrants inside; none where the host does not know the kind.
	Grants schema.GroupVersionResource
	// Shown are kinds of which objects of the host are shown inside, Hidden those of which some were.
	Shown  []ShownKind
	Hidden []schema.GroupVersionResource
}

// RuledKind is a kind that both sides serve.
type RuledKind struct {
	tenancyv1.KindRule
	// Kind is what objects of it call themselves.
	Kind string
	// HasStatus says that the kind has the subresource status.
	HasStatus bool
}

// ruled is a kind by a rule, with its two sides.
type ruled struct {
	RuledKind
	b             *builder
	tree          *fieldTree
	status        [][]string
	virtual, host *engine.Store[*unstructured.Unstructured]
	controller    *engine.Controller
	// rename replaces further names of the host by those inside; nil for none.
	rename func(virtual, host *unstructured.Unstructured, text string) string
	// bound finds the name of the content inside that the status tells; nil for a kind without one.
	bound func(ctx context.Context, virtual, host *unstructured.Unstructured) (string, error)
}

// indexNamed is the index that finds objects by namespace/name of what they name of a kind.
func indexNamed(resource string) string { return "named-" + resource }

// rules makes the stores of all kinds with a rule. Others look at them: an object brings
// what it names.
func (b *builder) rules() {
	for _, kind := range b.Rules.Kinds {
		tree, err := newFieldTree(kind.Fields)
		if err != nil {
			b.fail(fmt.Errorf("rule of %s: %w", kind.Definition(), err))
			return
		}
		r := &ruled{RuledKind: kind, b: b, tree: tree}
		for _, text := range kind.Status {
			steps, err := tenancyv1.ParsePath(text)
			if err != nil {
				b.fail(fmt.Errorf("rule of %s: status %s: %w", kind.Definition(), text, err))
				return
			}
			var path []string
			for _, step := range steps {
				path = append(path, step.Name)
			}
			r.status = append(r.status, path)
		}
		indexers := cache.Indexers{}
		for _, resource := range []string{tenancyv1.ResourceSecrets, tenancyv1.ResourceConfigMaps} {
			indexers[indexNamed(resource)] = r.byNamed(resource)
		}
		at := kind.GroupVersionResource()
		options := marked(b.Translator.Cluster())
		if kind.Definition() == tenancyv1.SnapshotDefinition {
			options.Indexers = cache.Indexers{indexContent: byContent}
		}
		r.virtual = engine.NewDynamicStore(b.Virtual.Informers, at, kind.Kind, b.Rules.Virtual, engine.StoreOptions{Indexers: indexers})
		r.host = engine.NewDynamicStore(b.Host.Informers, at, kind.Kind, b.Rules.Host, options)
		b.ruled = append(b.ruled, r)
	}
	if len(b.ruled) > 0 && !b.Rules.Grants.Empty() {
		b.grants = engine.NewDynamicStore(b.Virtual.Informers, b.Rules.Grants, "ReferenceGrant", b.Rules.Virtual, engine.StoreOptions{})
	}
}

// byRule adds the controllers of kinds with a rule.
func (b *builder) byRule() {
	for _, r := range b.ruled {
		kind := declared[*unstructured.Unstructured]{
			apply: r.apply, references: r.references, status: r.report, wanted: r.wanted, unwanted: unwantedMapped, keepsData: r.KeepsData, adopt: r.adopt,
		}
		if r.Definition() == tenancyv1.SnapshotDefinition {
			b.snapshots(r, &kind)
		}
		r.controller = declare(b, r.virtual, r.host, kind)
		if !r.KeepsData {
			// It may have held data by an earlier rule.
			b.released(r.virtual)
		}
	}
	for _, r := range b.ruled {
		b.followPermissions(r)
	}
	for _, kind := range b.Rules.Released {
		b.released(engine.NewDynamicStore(b.Virtual.Informers, kind, "", b.Rules.Virtual, engine.StoreOptions{}))
	}
}

func (b *builder) released(virtual *engine.Store[*unstructured.Unstructured]) {
	b.engine.AddTask(func(ctx context.Context) { engine.Release(ctx, virtual) })
}

// wanted keeps what is shown of the host from going there. What nothing permits any more leaves the
// host, and comes back without what is not permitted.
func (r *ruled) wanted(virtual *unstructured.Unstructured) bool {
	if isShown(virtual, tenancyv1.LabelMapped, r.b.Translator.Cluster().ID) {
		return false
	}
	host, found := r.twin(virtual)
	return r.KeepsData || !found || !r.trespasses(virtual, host)
}

// translate is what of the object goes to the host, and what it names, by kind.
func (r *ruled) translate(virtual *unstructured.Unstructured) (map[string]any, *translation, error) {
	from := virtual.GetNamespace()
	return r.translated(virtual, translation{
		refer: r.b.referrals,
		forbids: func(of schema.GroupResource, named types.NamespacedName, reference map[string]any) (string, string) {
			return r.b.forbids(r, from, of, named, reference)
		},
		admitting: func(reference map[string]any) []string { return r.b.admitting(from, reference) },
	})
}

// translated is translate with the fields refer, forbids and admitting of a translation.
func (r *ruled) translated(virtual *unstructured.Unstructured, by translation) (map[string]any, *translation, error) {
	t := &by
	t.translator, t.namespace = r.b.Translator, virtual.GetNamespace()
	t.gatewayAPI = r.GroupVersionResource().Group == tenancyv1.GroupGatewayAPI
	t.named, t.shown = map[string][]types.NamespacedName{}, map[types.NamespacedName]types.NamespacedName{}
	made, _, err := t.inside(r.tree, "", "", virtual.Object)
	if err != nil {
		return nil, t, err
	}
	return made.(map[string]any), t, nil
}

// naming is what the object names inside of the kind, whether or not it may now. One that is refused
// for another reason names nothing.
func (r *ruled) naming(virtual *unstructured.Unstructured) (named map[string][]types.NamespacedName, refused bool) {
	_, done, err := r.translated(virtual, translation{
		forbids: func(schema.GroupResource, types.NamespacedName, map[string]any) (string, string) { return "", "" },
	})
	if err != nil {
		return nil, true
	}
	return done.named, false
}

// apply gives the host object the fields that the rule names, and takes away what is not
// asked for any more.
func (r *ruled) apply(virtual, host *unstructured.Unstructured) error {
	fields, _, err := r.translate(virtual)
	if err != nil {
		return err
	}
	if host.Object == nil {
		host.Object = map[string]any{}
	}
	for name := range r.tree.within {
		if value, asked := fields[name]; asked {
			host.Object[name] = value
		} else {
			delete(host.Object, name)
		}
	}
	return nil
}

// references are the names of others of its own namespace.
func (r *ruled) references(virtual *unstructured.Unstructured) []string {
	var all []string
	named, _ := r.naming(virtual)
	for _, names := range named {
		for _, named := range names {
			if named.Namespace == virtual.GetNamespace() {
				all = append(all, named.Name)
			}
		}
	}
	return all
}

func (r *ruled) byNamed(resource string) cache.IndexFunc {
	return func(object any) ([]string, error) {
		virtual, ok := object.(*unstructured.Unstructured)
		if !ok {
			return nil, nil
		}
		var keys []string
		named, _ := r.naming(virtual)
		for _, each := range named[resource] {
			keys = append(keys, each.String())
		}
		return keys, nil
	}
}

// twin is the host's object of one inside.
func (r *ruled) twin(virtual *unstructured.Unstructured) (*unstructured.Unstructured, bool) {
	host, found := r.host.Get(r.host.Namespace(), r.b.Translator.HostName(virtual.GetNamespace(), virtual.GetName()))
	if !found {
		return nil, false
	}
	identity, ours := r.b.Translator.IdentityOf(host)
	return host, ours && identity.UID == virtual.GetUID()
}

// namedByRule tells whether an object that is on the host by a rule names the one of this key, and may.
func (b *builder) namedByRule(resource, key string) bool {
	return slices.ContainsFunc(b.ruled, func(r *ruled) bool {
		return slices.ContainsFunc(r.virtual.ByIndex(indexNamed(resource), key), func(virtual *unstructured.Unstructured) bool {
			// What only a refused one names is not brought there.
			_, done, err := r.translate(virtual)
			_, hosted := r.twin(virtual)
			return err == nil && hosted && slices.ContainsFunc(done.named[resource], func(named types.NamespacedName) bool { return named.String() == key })
		})
	})
}

// followRules are the changes that concern whether namedByRule is true.
func (b *builder) followRules(resource string) []follow {
	var follows []follow
	for _, r := range b.ruled {
		keys := func(virtual *unstructured.Unstructured) []types.NamespacedName {
			named, _ := r.naming(virtual)
			return named[resource]
		}
		follows = append(follows,
			follow{r.virtual.Informer(), func(object any) []types.NamespacedName { return keys(object.(*unstructured.Unstructured)) }},
			follow{r.host.Informer(), func(object any) []types.NamespacedName {
				identity, ours := b.Translator.IdentityOf(object.(*unstructured.Unstructured))
				if !ours {
					return nil
				}
				virtual, found := r.virtual.Get(identity.Namespace, identity.Name)
				if !found {
					return nil // its own end was seen
				}
				return keys(virtual)
			}})
	}
	return follows
}

// boundPatience is how long the status of a new object waits for the name of what it is bound to.
const boundPatience = time.Minute

// report writes the status inside where the host's differs, in the names inside. Its error is also
// what an Event has to tell the tenant.
func (r *ruled) report(ctx context.Context, virtual, host *unstructured.Unstructured) error {
	if len(r.status) == 0 {
		return nil
	}
	changed := virtual.DeepCopy()
	_, done, refused := r.translate(virtual)
	done.known = r.b.nameInside
	readable := r.readable(virtual)
	if r.rename != nil {
		named := readable
		readable = func(text string) string { return r.rename(virtual, host, named(text)) }
	}
	for _, path := range r.status {
		value, found, err := unstructured.NestedFieldNoCopy(host.Object, path...)
		if err != nil {
			return fmt.Errorf("status of the host's %s: %w", r.Resource, err)
		}
		if !found {
			remove(changed.Object, path)
			continue
		}
		read := mapText(done.readNames(runtime.DeepCopyJSONValue(value), r.host.Namespace()), readable)
		read = done.explain(virtual.Object, read, path[len(path)-1])
		if err := unstructured.SetNestedField(changed.Object, read, path...); err != nil {
			return fmt.Errorf("status inside: %w", err)
		}
	}
	var unbound error
	if r.bound != nil {
		// Whoever waits for the status wants to find the name in it; whoever cannot have it, the rest.
		if unbound = r.reportBound(ctx, changed, host); unbound != nil && r.b.Clock.Since(host.GetCreationTimestamp().Time) < boundPatience {
			return unbound
		}
	}
	if status, has := changed.Object["status"]; has {
		inside := virtual.GetGeneration()
		if refused != nil {
			// The host has an earlier one.
			inside--
		}
		observeInside(status, host.GetGeneration(), inside)
	}
	told := errors.Join(unbound, done.refusal())
	if equality.Semantic.DeepEqual(changed, virtual) {
		return told
	}
	writer, ok := r.virtual.Writer(virtual.GetNamespace()).(statusWriter[*unstructured.Unstructured])
	if !ok {
		return fmt.Errorf("the store of %s writes no status", r.Resource)
	}
	if _, err := writer.UpdateStatus(ctx, changed, metav1.UpdateOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return errors.Join(told, fmt.Errorf("status inside: %w", err))
	}
	return told
}

// remove removes a field, and what holds nothing without it: a schema may allow no status, and
// require a field of one.
func remove(object map[string]any, path []string) {
	if _, found, err := unstructured.NestedFieldNoCopy(object, path...); err != nil || !found {
		return
	}
	unstructured.RemoveNestedField(object, path...)
	for holder := path[:len(path)-1]; len(holder) > 0; holder = holder[:len(holder)-1] {
		if left, found, err := unstructured.NestedMap(object, holder...); err != nil || !found || len(left) > 0 {
			return
		}
		unstructured.RemoveNestedField(object, holder...)
	}
}

// readable replaces the host's names by those inside, for what the object names.
func (r *ruled) readable(virtual *unstructured.Unstructured) func(string) string {
	names := map[string][]string{virtual.GetNamespace(): {virtual.GetName()}}
	named, _ := r.naming(virtual)
	for _, all := range named {
		for _, each := range all {
			names[each.Namespace] = append(names[each.Namespace], each.Name)
		}
	}
	return func(text string) string {
		for namespace, names := range names {
			text = r.b.Translator.Readable(namespace, names...).Replace(text)
		}
		return text
	}
}

// observeInside replaces the generations that the host's controller saw by that of the object inside, in
// the status and in its conditions. The two count different changes.
func observeInside(value any, host, inside int64) {
	const observed = "observedGeneration"
	switch v := value.(type) {
	case []any:
		for i := range v {
			observeInside(v[i], host, inside)
		}
	case map[string]any:
		for _, field := range v {
			observeInside(field, host, inside)
		}
		if seen, is := v[observed].(int64); is && seen >= host {
			v[observed] = inside
		} else if is {
			// What it saw was an earlier one.
			v[observed] = max(0, min(seen, inside-1))
		}
	}
}

// mapText is the value with every text in it mapped.
func mapText(value any, text func(string) string) any {
	switch v := value.(type) {
	case string:
		return text(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = mapText(v[i], text)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for key := range v {
			out[key] = mapText(v[key], text)
		}
		return out
	}
	return runtime.DeepCopyJSONValue(value)
}
