// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
)

// FlagAllowedStorage has what volumes and classes of the tenant may be, as Argument writes it.
const FlagAllowedStorage = "allowed-storage"

// fieldAllowedStorage is where the host's administrator allows it.
const fieldAllowedStorage = "spec.isolation.allowedStorage"

// StorageRefusal is a field of a volume or class that the host's administrator does not allow.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type StorageRefusal struct {
	// Path is the field; Value is what it holds, where that is a short text.
	Path, Value string
	// Why is the reason, Remedy who can lift the refusal, or what serves instead.
	Why, Remedy string
}

func (r StorageRefusal) String() string {
	name := r.Path
	if r.Value != "" {
		name += fmt.Sprintf(" %q", r.Value)
	}
	return fmt.Sprintf("%s is refused: %s; %s", name, r.Why, r.Remedy)
}

// IsZero says that nothing is allowed.
func (a AllowedStorage) IsZero() bool { return len(a.CSI)+len(a.NFS)+len(a.StorageClasses) == 0 }

// In returns what is allowed to the virtual clusters of a host namespace.
func (a AllowedStorage) In(namespace string) AllowedStorage {
	of := func(namespaces []string) bool { return len(namespaces) > 0 && !slices.Contains(namespaces, namespace) }
	narrowed := *a.DeepCopy()
	narrowed.CSI = slices.DeleteFunc(narrowed.CSI, func(each AllowedCSI) bool { return of(each.Namespaces) })
	narrowed.NFS = slices.DeleteFunc(narrowed.NFS, func(each AllowedNFS) bool { return of(each.Namespaces) })
	narrowed.StorageClasses = slices.DeleteFunc(narrowed.StorageClasses, func(each AllowedStorageClass) bool { return of(each.Namespaces) })
	return narrowed
}

// Argument writes what is allowed as the value of an argument of a container; nothing is empty.
// It has no dollar sign: a kubelet would replace $(NAME) with variables of the container.
func (a AllowedStorage) Argument() (string, error) {
	if a.IsZero() {
		return "", nil
	}
	text, err := json.Marshal(a)
	if err != nil {
		return "", fmt.Errorf("encode allowed storage: %w", err)
	}
	return strings.ReplaceAll(string(text), "$", `\u0024`), nil
}

// ParseAllowedStorage reads what Argument wrote.
func ParseAllowedStorage(argument string) (AllowedStorage, error) {
	var allowed AllowedStorage
	if argument == "" {
		return allowed, nil
	}
	decoder := json.NewDecoder(bytes.NewReader([]byte(argument)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&allowed); err != nil {
		return AllowedStorage{}, fmt.Errorf("allowed storage: %w", err)
	}
	return allowed, nil
}

// JudgeVolume says what of a PersistentVolume is not allowed. A volume that is not of a kind
// known here is refused, whatever the kind.
func (a AllowedStorage) JudgeVolume(spec *corev1.PersistentVolumeSpec) []StorageRefusal {
	var refusals []StorageRefusal
	others := spec.PersistentVolumeSource
	others.CSI, others.NFS = nil, nil
	switch {
	case others != corev1.PersistentVolumeSource{}:
		refusals = append(refusals, StorageRefusal{Path: "spec", Why: "its kind of volume reaches data of nodes or of anybody", Remedy: "no setting lifts it; use spec.csi or spec.nfs"})
	case spec.CSI != nil:
		refusals = append(refusals, a.judgeCSI(spec)...)
	case spec.NFS != nil:
		refusals = append(refusals, a.judgeNFS(spec)...)
	default:
		refusals = append(refusals, StorageRefusal{Path: "spec", Why: "it names no volume", Remedy: "set spec.csi or spec.nfs"})
	}
	if spec.NodeAffinity != nil {
		refusals = append(refusals, StorageRefusal{Path: "spec.nodeAffinity", Why: "it names nodes of the host", Remedy: "no setting lifts it; leave it out"})
	}
	if spec.VolumeAttributesClassName != nil && *spec.VolumeAttributesClassName != "" {
		refusals = append(refusals, StorageRefusal{Path: "spec.volumeAttributesClassName", Value: *spec.VolumeAttributesClassName, Why: "it names a class of the host", Remedy: "no setting lifts it; leave it out"})
	}
	if policy := spec.PersistentVolumeReclaimPolicy; policy != corev1.PersistentVolumeReclaimRetain {
		refusals = append(refusals, StorageRefusal{Path: "spec.persistentVolumeReclaimPolicy", Value: string(policy),
			Why: "the host would delete data that Garret did not create", Remedy: "set it to " + string(corev1.PersistentVolumeReclaimRetain)})
	}
	return refusals
}

func (a AllowedStorage) judgeCSI(spec *corev1.PersistentVolumeSpec) []StorageRefusal {
	volume := spec.CSI
	rest := *volume
	rest.Driver, rest.VolumeHandle, rest.VolumeAttributes, rest.FSType, rest.ReadOnly = "", "", nil, "", false
	if !reflect.DeepEqual(rest, corev1.CSIPersistentVolumeSource{}) {
		return []StorageRefusal{{Path: "spec.csi", Why: "it names a Secret, which may be of any namespace of the host", Remedy: "no setting lifts it; leave the references of Secrets out"}}
	}
	if strings.Contains(volume.VolumeHandle, "..") {
		return []StorageRefusal{{Path: "spec.csi.volumeHandle", Value: volume.VolumeHandle, Why: "it may lead out of what is allowed", Remedy: "no setting lifts it; write the handle without .."}}
	}
	return fewest(a.CSI, StorageRefusal{"spec.csi.driver", volume.Driver, "no volume of this driver is allowed", canAdd("csi")}, func(each AllowedCSI) (bool, []StorageRefusal) {
		if each.Driver != volume.Driver {
			return false, nil
		}
		var refusals []StorageRefusal
		if !matchesValue(each.VolumeHandles, volume.VolumeHandle) {
			refusals = append(refusals, StorageRefusal{"spec.csi.volumeHandle", volume.VolumeHandle, "no such handle is allowed", canAdd("csi.volumeHandles")})
		}
		refusals = append(refusals, judgeValues(each.VolumeAttributes, volume.VolumeAttributes, "spec.csi.volumeAttributes", "csi.volumeAttributes")...)
		return true, append(refusals, judgeOptions(each.MountOptions, spec.MountOptions, "spec.mountOptions", "csi.mountOptions")...)
	})
}

func (a AllowedStorage) judgeNFS(spec *corev1.PersistentVolumeSpec) []StorageRefusal {
	share := spec.NFS
	if !IsCleanPath(share.Path) {
		return []StorageRefusal{{Path: "spec.nfs.path", Value: share.Path, Why: "it may lead out of what is allowed", Remedy: "write it from / on, without . and .., and without a / at the end"}}
	}
	return fewest(a.NFS, StorageRefusal{"spec.nfs.server", share.Server, "no share of this server is allowed", canAdd("nfs")}, func(each AllowedNFS) (bool, []StorageRefusal) {
		if each.Server != share.Server {
			return false, nil
		}
		var refusals []StorageRefusal
		if !slices.ContainsFunc(each.Paths, func(allowed string) bool {
			return share.Path == allowed || strings.HasPrefix(share.Path, strings.TrimSuffix(allowed, "/")+"/")
		}) {
			refusals = append(refusals, StorageRefusal{"spec.nfs.path", share.Path, "no such directory is allowed", canAdd("nfs.paths")})
		}
		return true, append(refusals, judgeOptions(each.MountOptions, spec.MountOptions, "spec.mountOptions", "nfs.mountOptions")...)
	})
}

// JudgeClass says what of a StorageClass is not allowed.
func (a AllowedStorage) JudgeClass(class *storagev1.StorageClass) []StorageRefusal {
	return fewest(a.StorageClasses, StorageRefusal{"provisioner", class.Provisioner, "no class of this provisioner is allowed", canAdd("storageClasses")}, func(each AllowedStorageClass) (bool, []StorageRefusal) {
		if each.Provisioner != class.Provisioner {
			return false, nil
		}
		refusals := judgeValues(each.Parameters, class.Parameters, "parameters", "storageClasses.parameters")
		return true, append(refusals, judgeOptions(each.MountOptions, class.MountOptions, "mountOptions", "storageClasses.mountOptions")...)
	})
}

// fewest are the refusals by the entry that comes closest. An entry allows a volume or class as a
// whole, or not: what two entries allow in part is not allowed.
func fewest[T any](entries []T, none StorageRefusal, judge func(T) (concerned bool, refusals []StorageRefusal)) []StorageRefusal {
	var best []StorageRefusal
	found := false
	for _, each := range entries {
		concerned, refusals := judge(each)
		if concerned && (!found || len(refusals) < len(best)) {
			best, found = refusals, true
		}
	}
	if !found {
		return []StorageRefusal{none}
	}
	return best
}

func judgeValues(allowed []AllowedValues, values map[string]string, field, in string) []StorageRefusal {
	var refusals []StorageRefusal
	for _, key := range slices.Sorted(maps.Keys(values)) {
		refusal := StorageRefusal{Path: field + "[" + key + "]", Value: values[key], Why: "no such value is allowed", Remedy: canAdd(in)}
		if NamesSecret(key) {
			refusal.Why, refusal.Remedy = "it names a Secret or a namespace of the host", "no setting lifts it; leave it out"
			refusals = append(refusals, refusal)
			continue
		}
		if !slices.ContainsFunc(allowed, func(each AllowedValues) bool { return each.Name == key && matchesValue(each.Values, values[key]) }) {
			refusals = append(refusals, refusal)
		}
	}
	return refusals
}

func judgeOptions(allowed, options []string, field, in string) []StorageRefusal {
	var refusals []StorageRefusal
	for i, option := range options {
		if !slices.Contains(allowed, option) {
			refusals = append(refusals, StorageRefusal{fmt.Sprintf("%s[%d]", field, i), option, "no such option is allowed", canAdd(in)})
		}
	}
	return refusals
}

// matchesValue tells whether one of the patterns is the value, or its beginning and a *.
func matchesValue(patterns []string, value string) bool {
	return MatchesKey(patterns, value) && (slices.Contains(patterns, value) || !strings.Contains(value, ".."))
}

// NamesSecret tells whether the key of a parameter or attribute names a Secret or a namespace.
func NamesSecret(key string) bool {
	key = strings.ToLower(key)
	return strings.Contains(key, "secret") || strings.Contains(key, "namespace")
}

// IsCleanPath tells whether a path is absolute and written in the shortest way.
func IsCleanPath(text string) bool { return path.IsAbs(text) && path.Clean(text) == text }

// canAdd is the remedy of what the host's administrator may allow.
func canAdd(field string) string {
	return fmt.Sprintf("the host's administrator can add it to %s.%s of HostCluster %s", fieldAllowedStorage, field, LocalHostCluster)
}
