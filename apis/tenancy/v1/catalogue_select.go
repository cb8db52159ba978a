// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"fmt"
	"slices"
	"strings"
)

// CataloguedKind is the row of this name.
func CataloguedKind(resource string) (SyncedKind, bool) {
	for _, kind := range Catalogue() {
		if kind.Name() == resource {
			return kind, true
		}
	}
	return SyncedKind{}, false
}

// CataloguedResources lists the names of all kinds that can be synced.
func CataloguedResources() []string { return resourcesOf(func(SyncedKind) bool { return true }) }

// SyncedResources lists the kinds that are synced unless told otherwise.
func SyncedResources() []string { return resourcesOf(func(k SyncedKind) bool { return k.Default }) }

func resourcesOf(which func(SyncedKind) bool) []string {
	var names []string
	for _, kind := range Catalogue() {
		if which(kind) {
			names = append(names, kind.Name())
		}
	}
	slices.Sort(names)
	return names
}

// DefinedKinds are those of the selected kinds that a CustomResourceDefinition makes.
func DefinedKinds(synced map[string]bool) []SyncedKind {
	return slices.DeleteFunc(Catalogue(), func(k SyncedKind) bool { return !k.Defined || !synced[k.Name()] })
}

// ReservedResources lists the kinds with a rule of Garret's own. A flag may switch them off, so
// that a manifest says that nothing switches them on.
func ReservedResources() []string {
	var names []string
	for _, built := range (&SyncerSpec{}).BuiltIn() {
		names = append(names, built.Rule.Resource)
	}
	return names
}

// SelectResources says for each kind of the catalogue whether it is synced, given the names of
// kinds to sync and not to sync. A kind in both lists is synced. A kind that needs an unsynced
// kind is never synced.
func SelectResources(enable, disable []string) (map[string]bool, error) {
	selection := map[string]bool{}
	catalogue := Catalogue()
	for _, kind := range catalogue {
		selection[kind.Name()] = kind.Default
	}
	for _, name := range disable {
		if _, known := selection[name]; known {
			selection[name] = false
		} else if !slices.Contains(ReservedResources(), name) {
			return nil, fmt.Errorf("unknown kind %q: the kinds are %s", name, strings.Join(CataloguedResources(), ", "))
		}
	}
	for _, name := range enable {
		if slices.Contains(ReservedResources(), name) {
			return nil, fmt.Errorf("cannot sync %q by a flag: a field of spec.syncer.toHost switches it on", name)
		}
		if _, known := selection[name]; !known {
			return nil, fmt.Errorf("cannot sync %q: the kinds are %s", name, strings.Join(CataloguedResources(), ", "))
		}
		selection[name] = true
	}
	for _, kind := range catalogue {
		for _, needed := range kind.Needs {
			selection[kind.Name()] = selection[kind.Name()] && selection[needed]
		}
	}
	return selection, nil
}

// SelectByArgs is SelectResources with what the arguments of a syncer ask for.
// It reads them as the syncer does, in the form that validation accepts.
func SelectByArgs(args []string) (map[string]bool, error) {
	return SelectResources(namedByArgs(args, FlagSyncResources), namedByArgs(args, FlagDisableSyncResources))
}

// namedByArgs are the names that all arguments of the flag list.
func namedByArgs(args []string, flag string) []string {
	var names []string
	for _, arg := range args {
		if value, is := strings.CutPrefix(arg, "--"+flag+"="); is && value != "" {
			names = append(names, strings.Split(value, ",")...)
		}
	}
	return names
}
