// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"

	v1alpha1 "garret.dev/garret/apis/explain/v1alpha1"
	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/isolation"
	"garret.dev/garret/syncer/translate"
)

// bookkeeping are the fields of metadata that each API server keeps for itself.
var bookkeeping = []string{"creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "finalizers", "generateName",
	"generation", "managedFields", "resourceVersion", "selfLink", "uid"}

// four are one field of the four objects of a Look: inside, asked for, after the next
// pass, and on the host. Nil is for none.
type four struct{ inside, asked, next, host any }

func (f four) each(get func(any) any) four {
	return four{get(f.inside), get(f.asked), get(f.next), get(f.host)}
}

func (f four) all() []any { return []any{f.inside, f.asked, f.next, f.host} }

// place is where a field stands.
type place struct {
	// inside and host are its paths.
	inside, host string
	// of is its type; nil where that is not known.
	of reflect.Type
	// decision is that of isolation about it, or about what it is a part of.
	decision isolation.Decision
	why      string
	// own says that its key is one of the syncer's own, rekeyed that it has another on the host.
	own, rekeyed bool
}

func (p place) child(name string) place {
	next := p
	next.inside, next.host = join(p.inside, name), join(p.host, name)
	of := dereferenced(p.of)
	if next.of, _ = fieldOf(of, name); of == nil {
		return next
	}
	decided := p.decision == isolation.LeftOut || p.decision == isolation.Refused
	if decision, why, known := isolation.Decided(of, name); known && !decided {
		next.decision, next.why = decision, why
	}
	return next
}

func (p place) item(inside, host string) place {
	next := p
	next.inside, next.host = p.inside+"["+inside+"]", p.host+"["+host+"]"
	next.of = nil
	if of := dereferenced(p.of); of != nil && (of.Kind() == reflect.Slice || of.Kind() == reflect.Map) {
		next.of = of.Elem()
	}
	return next
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// comparison makes the fields of an Explanation.
type comparison struct {
	look   *engine.Look
	judge  func(place, four) v1alpha1.Field
	fields []v1alpha1.Field
}

// compare returns what became of each field of the object.
func compare(look *engine.Look) ([]v1alpha1.Field, error) {
	c := &comparison{look: look}
	c.judge = c.toHost
	if look.FromHost {
		c.judge = c.fromHost
	}
	var values four
	for _, each := range []struct {
		object engine.Object
		into   *any
	}{{look.Virtual, &values.inside}, {look.Asked, &values.asked}, {look.Next, &values.next}, {look.Host, &values.host}} {
		object, into := each.object, each.into
		if object == nil {
			continue
		}
		// What is unstructured comes back as it is, and belongs to a cache.
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object.DeepCopyObject())
		if err != nil {
			return nil, fmt.Errorf("fields of %s: %w", look.Resource.Resource, err)
		}
		for _, name := range []string{"apiVersion", "kind", "status"} {
			delete(content, name)
		}
		if metadata, ok := content["metadata"].(map[string]any); ok {
			for _, name := range bookkeeping {
				delete(metadata, name)
			}
		}
		*into = content
	}
	c.walk(place{of: reflect.TypeOf(look.Virtual)}, values)
	return c.fields, nil
}

func (c *comparison) walk(at place, values four) {
	switch {
	case every[map[string]any](values):
		if named(at.of) {
			c.structure(at, values)
		} else {
			c.mapping(at, values)
		}
	case every[[]any](values) && ofMaps(values):
		c.list(at, values)
	default:
		c.leaf(at, values)
	}
}

func (c *comparison) leaf(at place, values four) {
	for _, value := range values.all() {
		if value != nil {
			c.add(at, c.judge(at, values))
			return
		}
	}
}

func (c *comparison) add(at place, field v1alpha1.Field) {
	if c.isSecret(at) {
		conceal(&field.Inside)
		conceal(&field.Host)
	}
	c.put(at, field)
}

func (c *comparison) put(at place, field v1alpha1.Field) {
	field.Field = at.inside
	if at.host != at.inside {
		field.HostField = at.host
	}
	c.fields = append(c.fields, field)
}

// structure compares fields that the type names.
func (c *comparison) structure(at place, values four) {
	if at.of.Kind() == reflect.Pointer && slices.ContainsFunc(values.all(), isEmpty) && len(keysOf(values.all()...)) == 0 {
		// That it is there is what it says, as of an emptyDir.
		c.leaf(at, values)
		return
	}
	for _, name := range keysOf(values.all()...) {
		c.walk(at.child(name), values.each(func(value any) any { return valueOf(value, name) }))
	}
}

// mapping compares what stands under keys that somebody chose. The translation gives keys of
// tenants others on the host.
func (c *comparison) mapping(at place, values four) {
	onHost := keysOf(values.asked, values.next, values.host)
	var paired []string
	for _, key := range keysOf(values.inside) {
		hostKey := key
		if own := translate.Key(key); !slices.Contains(onHost, key) && slices.Contains(onHost, own) {
			hostKey = own
		}
		paired = append(paired, hostKey)
		item := at.item(key, hostKey)
		item.rekeyed = key != hostKey
		c.walk(item, four{valueOf(values.inside, key), valueOf(values.asked, hostKey), valueOf(values.next, hostKey), valueOf(values.host, hostKey)})
	}
	others := 0
	for _, key := range onHost {
		if slices.Contains(paired, key) {
			continue
		}
		item := at.item(key, key)
		item.own = tenancyv1.IsOwnKey(key) && strings.HasPrefix(at.inside, "metadata.")
		if !item.own && valueOf(values.asked, key) == nil {
			others++
			continue
		}
		c.walk(item, values.each(func(value any) any { return valueOf(value, key) }))
	}
	c.others(at, others)
}

// list compares items of lists, by a name where all have one, or by their places.
func (c *comparison) list(at place, values four) {
	others := 0
	compare := func(inside, host string, item four) {
		if item.inside == nil && item.asked == nil {
			others++
			return
		}
		c.walk(at.item(inside, host), item)
	}
	if name := nameOf(at.inside, values); name != "" {
		var keys []string
		byName := values.each(func(list any) any { return itemsBy(name, list, &keys) })
		for _, key := range keys {
			compare(key, key, byName.each(func(items any) any { return valueOf(items, key) }))
		}
		c.others(at, others)
		return
	}
	lengths := [4]int{}
	for i, list := range values.all() {
		lengths[i] = len(items(list))
	}
	// The syncer puts what it adds to envFrom before the tenant's own.
	shift := 0
	if strings.HasSuffix(at.inside, ".envFrom") {
		shift = max(lengths[1]-lengths[0], 0)
	}
	for i := range max(lengths[0]+shift, lengths[1], lengths[2], lengths[3]) {
		item := values.each(func(list any) any { return itemAt(list, i) })
		item.inside = itemAt(values.inside, i-shift)
		inside := i
		if item.inside != nil {
			inside = i - shift
		}
		compare(fmt.Sprint(inside), fmt.Sprint(i), item)
	}
	c.others(at, others)
}

// others tells of what only the host has under names of its own.
func (c *comparison) others(at place, count int) {
	if count == 0 {
		return
	}
	field := v1alpha1.Field{Verdict: v1alpha1.ChangedByHost, Host: fmt.Sprintf("%d more", count), Why: whyOthers}
	if c.look.FromHost {
		field.Verdict, field.Why = v1alpha1.Dropped, whyStays
	}
	c.put(at, field)
}
