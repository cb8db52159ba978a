// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

// syncer judges the rules for pods, the choice of kinds, and that fields and arguments do not contradict each other.
func syncer(spec *tenancy.SyncerSpec, path *field.Path) field.ErrorList {
	errs := syncerArgs(spec.ExtraArgs, path.Child("extraArgs"))
	errs = append(errs, podRules(&spec.Pods, path.Child("pods"))...)
	external := &v1.SyncerSpec{}
	if err := v1.Convert_tenancy_SyncerSpec_To_v1_SyncerSpec(spec, external, nil); err != nil {
		return append(errs, field.InternalError(path, err))
	}
	errs = append(errs, shownKinds(external.FromHost.Custom, external.Rules(), path.Child("fromHost", "custom"))...)
	errs = append(errs, kindRules(external.ToHost.Custom, external.BuiltIn(), external.FromHost.Custom, path.Child("toHost", "custom"))...)
	for _, choice := range external.Choices() {
		at := path.Child(choice.Field)
		if choice.Selector != nil {
			errs = append(errs, metav1validation.ValidateLabelSelector(choice.Selector, metav1validation.LabelSelectorValidationOptions{}, at.Child("selector"))...)
		}
		if choice.Enabled == nil {
			continue
		}
		other := v1.FlagSyncResources
		if *choice.Enabled {
			other = v1.FlagDisableSyncResources
		}
		for i, arg := range spec.ExtraArgs {
			if names, is := strings.CutPrefix(arg, "--"+other+"="); is && named(names, choice.Resource) {
				errs = append(errs, field.Invalid(path.Child("extraArgs").Index(i), arg,
					fmt.Sprintf("says the opposite of spec.syncer.%s.enabled, which is %t: keep one of them", choice.Field, *choice.Enabled)))
			}
		}
	}
	for _, built := range external.BuiltIn() {
		for i, arg := range spec.ExtraArgs {
			if names, is := strings.CutPrefix(arg, "--"+v1.FlagDisableSyncResources+"="); is && built.Enabled != nil && *built.Enabled && named(names, built.Rule.Resource) {
				errs = append(errs, field.Invalid(path.Child("extraArgs").Index(i), arg,
					fmt.Sprintf("says the opposite of spec.syncer.%s.enabled, which is true: keep one of them", built.Field)))
			}
		}
	}
	errs = append(errs, missingNeeds(external, path)...)
	errs = append(errs, contentsOfSnapshots(external, path.Child("toHost", "volumeSnapshotContents", "enabled"))...)
	errs = append(errs, hostMappings(spec.ToHost.Services.Mappings, path.Child("toHost", "services", "mappings"))...)
	fromHost := path.Child("fromHost")
	errs = append(errs, mappings(spec.FromHost.Services.Mappings, fromHost.Child("services", "mappings"))...)
	errs = append(errs, objectsFromHost(spec.FromHost.ConfigMaps, fromHost.Child("configMaps"))...)
	errs = append(errs, objectsFromHost(spec.FromHost.Secrets, fromHost.Child("secrets"))...)
	return append(errs, nodesFromHost(&spec.FromHost.Nodes, fromHost.Child("nodes"))...)
}

// missingNeeds wants what a kind needs to be asked for with it, where that is off by default: what
// is shown of the host is for somebody to choose.
func missingNeeds(spec *v1.SyncerSpec, path *field.Path) field.ErrorList {
	args := spec.Args()
	selection, err := v1.SelectByArgs(args)
	if err != nil {
		return nil // told of the argument
	}
	fields := map[string]string{}
	for _, choice := range spec.Choices() {
		fields[choice.Resource] = choice.Field
	}
	var errs field.ErrorList
	for _, kind := range v1.Catalogue() {
		asked := slices.ContainsFunc(args, func(arg string) bool {
			names, is := strings.CutPrefix(arg, "--"+v1.FlagSyncResources+"=")
			return is && named(names, kind.Name())
		})
		if asked && kind.OfNodes() && !showsNodes(args) {
			errs = append(errs, field.Required(path.Child("fromHost", "nodes", "enabled"),
				fmt.Sprintf("spec.syncer.%s tells of nodes: show the nodes of the host as well, or leave it out", fields[kind.Resource])))
		}
		for _, needed := range kind.Needs {
			if other, _ := v1.CataloguedKind(needed); asked && !other.Default && !selection[needed] {
				errs = append(errs, field.Required(path.Child(fields[needed]),
					fmt.Sprintf("spec.syncer.%s needs it: switch it on as well, with a selector of what tenants may name", fields[kind.Name()])))
			}
		}
	}
	return errs
}

// showsNodes says whether the arguments have the host's nodes shown.
func showsNodes(args []string) bool {
	return slices.ContainsFunc(args, func(arg string) bool {
		value, is := strings.CutPrefix(arg, "--"+v1.FlagNodesFromHost)
		on, err := strconv.ParseBool(strings.TrimPrefix(value, "="))
		return is && (value == "" || err == nil && on)
	})
}

// objectsFromHost wants no two objects of a kind in one place inside.
func objectsFromHost(objects tenancy.ObjectsFromHost, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	taken := map[tenancy.InsideObjectName]bool{}
	for i, mapping := range objects.Mappings {
		if taken[mapping.To] {
			errs = append(errs, field.Duplicate(path.Child("mappings").Index(i).Child("to"), mapping.To.Namespace+"/"+mapping.To.Name))
		}
		taken[mapping.To] = true
	}
	return errs
}

// named tells whether a list with commas has the name.
func named(list, name string) bool {
	for each := range strings.SplitSeq(list, ",") {
		if each == name {
			return true
		}
	}
	return false
}

// contentsOfSnapshots refuses contents whose snapshots stay inside: none would reach the host.
func contentsOfSnapshots(spec *v1.SyncerSpec, path *field.Path) field.ErrorList {
	on := spec.ToHost.VolumeSnapshotContents.Enabled
	if on == nil || !*on || slices.ContainsFunc(spec.Rules(), func(rule v1.KindRule) bool { return rule.Definition() == v1.SnapshotDefinition }) {
		return nil
	}
	return field.ErrorList{field.Invalid(path, true, "contents go to the host for volume snapshots, which stay inside: set spec.syncer.toHost.volumeSnapshots.enabled to true, or leave it off")}
}
