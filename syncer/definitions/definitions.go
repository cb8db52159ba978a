// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package definitions makes a virtual cluster serve kinds of its host. It creates the
// CustomResourceDefinition inside from the host's, and has it store the version in which the
// syncer copies objects. It copies names, schemas, subresources and columns. It does not copy a
// conversion, because that needs a webhook that runs on the host: with one, there is only the
// version that the syncer copies.
//
// It never changes a tenant's own definition. If that serves the version, the syncer uses it;
// otherwise the syncer does not sync the kind.
package definitions

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	typedv1 "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset/typed/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/resources"
)

const (
	// interval is how often the definitions inside are compared with the host's, soon
	// the first pause while one is missing, which grows to the interval.
	interval = time.Minute
	soon     = 2 * time.Second
	// established is how long a definition may take to be served.
	established = 30 * time.Second
)

// Installer has the virtual cluster serve kinds of the host.
type Installer struct {
	// Host reads definitions; Virtual writes them.
	Host, Virtual typedv1.CustomResourceDefinitionInterface
	// Wide are the definitions of kinds whose objects belong to no namespace.
	Wide map[string]bool
	// ClusterID marks what the installer made.
	ClusterID string
	// Shown are the definitions of kinds whose host objects are shown inside. The installer marks
	// them, so that it finds these objects again when no setting names the kind.
	Shown map[string]bool
	Clock clock.Clock
}

// Outcome is what became of the definitions.
type Outcome struct {
	// Kinds are those that both sides serve, in the order of their rules.
	Kinds []resources.RuledKind
	// Missing says of each other kind what keeps it.
	Missing map[string]error
	// Grants are the ReferenceGrants inside; none where the host does not know the kind, or no kind
	// of the Gateway API is synced.
	Grants schema.GroupVersionResource
}

// Install makes the definitions of the rules' kinds inside.
func (i *Installer) Install(ctx context.Context, rules []tenancyv1.KindRule) Outcome {
	outcome := Outcome{Missing: map[string]error{}}
	for n := range rules {
		kind, err := i.one(ctx, &rules[n])
		if err != nil {
			outcome.Missing[rules[n].Definition()] = err
			klog.FromContext(ctx).Error(err, "A kind is not synced", "kind", rules[n].Definition())
			continue
		}
		outcome.Kinds = append(outcome.Kinds, kind)
	}
	if slices.ContainsFunc(outcome.Kinds, func(kind resources.RuledKind) bool {
		return kind.GroupVersionResource().Group == tenancyv1.GroupGatewayAPI
	}) {
		outcome.Grants = i.grants(ctx)
	}
	return outcome
}

// grants has the virtual cluster serve ReferenceGrants, in the newest version that the host serves.
// They stay inside. Without them, nothing opens one namespace to another.
func (i *Installer) grants(ctx context.Context) schema.GroupVersionResource {
	rule := tenancyv1.KindRule{APIVersion: tenancyv1.GroupGatewayAPI, Resource: tenancyv1.ResourceReferenceGrants}
	rule.APIVersion += "/" + tenancyv1.ReferenceGrantVersions()[0]
	host, err := i.Host.Get(ctx, rule.Definition(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return schema.GroupVersionResource{}
	}
	for _, version := range tenancyv1.ReferenceGrantVersions() {
		if err != nil || !Serves(host, version) {
			continue
		}
		rule.APIVersion = tenancyv1.GroupGatewayAPI + "/" + version
		if _, err = i.one(ctx, &rule); err == nil {
			return rule.GroupVersionResource()
		}
	}
	if err != nil {
		klog.FromContext(ctx).Error(err, "No ReferenceGrant opens anything")
	}
	return schema.GroupVersionResource{}
}

// Run keeps the definitions inside as the host's are, and reports what became of them,
// until the context ends. It fails when a kind can be synced that could not at first: the
// syncer has to start over then.
func (i *Installer) Run(ctx context.Context, rules []tenancyv1.KindRule, first Outcome, report func(Outcome)) error {
	if len(rules) == 0 {
		return nil
	}
	report(first)
	pause := interval
	if len(first.Missing) > 0 {
		pause = soon
	}
	for {
		select {
		case <-i.Clock.After(pause):
		case <-ctx.Done():
			return nil
		}
		now := i.Install(ctx, rules)
		if ctx.Err() != nil {
			return nil
		}
		for _, kind := range now.Kinds {
			if first.Missing[kind.Definition()] != nil {
				return fmt.Errorf("the syncer can sync %s now: restarting", kind.Definition())
			}
		}
		if now.Grants != first.Grants && !now.Grants.Empty() {
			return fmt.Errorf("the syncer can read %s now: restarting", now.Grants.GroupResource())
		}
		report(now)
		pause = min(2*pause, interval)
	}
}

// one makes the definition of a rule's kind, and returns the kind when it is served.
func (i *Installer) one(ctx context.Context, rule *tenancyv1.KindRule) (made resources.RuledKind, err error) {
	name := rule.Definition()
	host, err := i.Host.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return made, fmt.Errorf("definition on the host: %w", err)
	}
	scope := apiextensionsv1.NamespaceScoped
	if i.Wide[name] {
		scope = apiextensionsv1.ClusterScoped
	}
	wanted, err := inside(host, rule.GroupVersionResource().Version, i.ClusterID, scope)
	if err != nil {
		return made, err
	}
	if i.Shown[name] {
		wanted.Labels[tenancyv1.LabelMapped] = i.ClusterID
	}
	current, err := i.Virtual.Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		if _, err := i.Virtual.Create(ctx, wanted, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return made, fmt.Errorf("definition inside: %w", err)
		}
	case err != nil:
		return made, fmt.Errorf("definition inside: %w", err)
	case current.Labels[tenancyv1.LabelCluster] == i.ClusterID:
		if err := i.update(ctx, current, wanted); err != nil {
			return made, err
		}
	case i.Shown[name] && current.Labels[tenancyv1.LabelMapped] != i.ClusterID:
		// It is a tenant's, and stays so but for the mark.
		current.Labels = with(current.Labels, tenancyv1.LabelMapped, i.ClusterID)
		if _, err := i.Virtual.Update(ctx, current, metav1.UpdateOptions{}); err != nil {
			return made, fmt.Errorf("definition inside: %w", err)
		}
	}
	served := wanted.Spec.Versions[0].Subresources
	return resources.RuledKind{KindRule: *rule, Kind: wanted.Spec.Names.Kind, HasStatus: served != nil && served.Status != nil}, i.await(ctx, name, wanted)
}

// Hidden returns the kinds whose host objects were shown inside, and no longer are.
func (i *Installer) Hidden(ctx context.Context) ([]schema.GroupVersionResource, error) {
	marked, err := i.Virtual.List(ctx, metav1.ListOptions{LabelSelector: tenancyv1.LabelMapped + "=" + i.ClusterID})
	if err != nil {
		return nil, fmt.Errorf("definitions inside: %w", err)
	}
	var kinds []schema.GroupVersionResource
	for _, definition := range marked.Items {
		for _, version := range definition.Spec.Versions {
			if !i.Shown[definition.Name] && version.Served && version.Storage {
				kinds = append(kinds, schema.GroupVersionResource{Group: definition.Spec.Group, Version: version.Name, Resource: definition.Spec.Names.Plural})
			}
		}
	}
	return kinds, nil
}

func with(entries map[string]string, key, value string) map[string]string {
	made := map[string]string{key: value}
	for key, value := range entries {
		if _, set := made[key]; !set {
			made[key] = value
		}
	}
	return made
}

// update makes the definition what the host's is. An earlier version stays: objects may
// be stored in it.
func (i *Installer) update(ctx context.Context, current, wanted *apiextensionsv1.CustomResourceDefinition) error {
	changed := current.DeepCopy()
	versions := wanted.Spec.Versions
	for _, version := range current.Spec.Versions {
		if !slices.ContainsFunc(versions, func(now apiextensionsv1.CustomResourceDefinitionVersion) bool { return now.Name == version.Name }) {
			version.Storage = false
			versions = append(versions, version)
		}
	}
	changed.Spec.Names, changed.Spec.Versions = wanted.Spec.Names, versions
	for key, value := range wanted.Annotations {
		changed.Annotations = with(changed.Annotations, key, value)
	}
	if mark, shown := wanted.Labels[tenancyv1.LabelMapped]; shown {
		changed.Labels = with(changed.Labels, tenancyv1.LabelMapped, mark)
	}
	if equality.Semantic.DeepEqual(current.Spec, changed.Spec) && equality.Semantic.DeepEqual(current.Labels, changed.Labels) &&
		equality.Semantic.DeepEqual(current.Annotations, changed.Annotations) {
		return nil
	}
	if _, err := i.Virtual.Update(ctx, changed, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("definition inside: %w", err)
	}
	return nil
}

// await returns once the version is served under the names of the host.
func (i *Installer) await(ctx context.Context, name string, wanted *apiextensionsv1.CustomResourceDefinition) error {
	return wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, established, true, func(ctx context.Context) (bool, error) {
		current, err := i.Virtual.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, fmt.Errorf("definition inside: %w", err)
		}
		if !Serves(current, wanted.Spec.Versions[0].Name) || current.Spec.Names.Kind != wanted.Spec.Names.Kind || current.Spec.Scope != wanted.Spec.Scope {
			return false, fmt.Errorf("a tenant wrote the definition inside, and it serves no %s of version %s: delete it, or add that version", wanted.Spec.Names.Kind, wanted.Spec.Versions[0].Name)
		}
		return isTrue(current, apiextensionsv1.Established) && isTrue(current, apiextensionsv1.NamesAccepted), nil
	})
}

// Serves says whether the definition serves the version.
func Serves(definition *apiextensionsv1.CustomResourceDefinition, version string) bool {
	_, served := versionOf(definition, version)
	return served
}

func versionOf(definition *apiextensionsv1.CustomResourceDefinition, name string) (apiextensionsv1.CustomResourceDefinitionVersion, bool) {
	for _, version := range definition.Spec.Versions {
		if version.Name == name && version.Served {
			return version, true
		}
	}
	return apiextensionsv1.CustomResourceDefinitionVersion{}, false
}

func isTrue(definition *apiextensionsv1.CustomResourceDefinition, condition apiextensionsv1.CustomResourceDefinitionConditionType) bool {
	for _, each := range definition.Status.Conditions {
		if each.Type == condition {
			return each.Status == apiextensionsv1.ConditionTrue
		}
	}
	return false
}

// inside is the definition for the virtual cluster.
func inside(host *apiextensionsv1.CustomResourceDefinition, version, id string, scope apiextensionsv1.ResourceScope) (*apiextensionsv1.CustomResourceDefinition, error) {
	served, found := versionOf(host, version)
	if !found || host.Spec.Scope != scope {
		return nil, fmt.Errorf("the host serves no %s of version %s whose scope is %s", host.Name, version, scope)
	}
	served.Storage = true
	versions := []apiextensionsv1.CustomResourceDefinitionVersion{served}
	if host.Spec.Conversion == nil || host.Spec.Conversion.Strategy == apiextensionsv1.NoneConverter {
		for _, other := range host.Spec.Versions {
			if other.Served && other.Name != version {
				other.Storage = false
				versions = append(versions, other)
			}
		}
	}
	made := &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: host.Name, Labels: map[string]string{tenancyv1.LabelCluster: id}},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: host.Spec.Group, Names: host.Spec.Names, Scope: host.Spec.Scope,
			Versions:   versions,
			Conversion: &apiextensionsv1.CustomResourceConversion{Strategy: apiextensionsv1.NoneConverter},
		},
	}
	// Groups of Kubernetes' own projects need to say who approved them. What a project says under the
	// name of the group is its release, for those who ask.
	for key, value := range host.Annotations {
		if key == apiextensionsv1.KubeAPIApprovedAnnotation || strings.HasPrefix(key, host.Spec.Group+"/") {
			made.Annotations = with(made.Annotations, key, value)
		}
	}
	return made, nil
}
