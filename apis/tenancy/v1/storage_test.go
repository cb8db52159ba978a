// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/utils/ptr"
)

func someStorage() AllowedStorage {
	return AllowedStorage{
		CSI: []AllowedCSI{
			{Driver: "disks.example.org", VolumeHandles: []string{"team-a-*", "shared"}, VolumeAttributes: []AllowedValues{{Name: "tier", Values: []string{"fast", "cold-*"}}}, MountOptions: []string{"noatime"}},
			{Driver: "disks.example.org", VolumeHandles: []string{"archive"}},
			{Driver: "other.example.org", VolumeHandles: []string{"*"}, Namespaces: []string{"team-b"}},
		},
		NFS: []AllowedNFS{{Server: "192.0.2.7", Paths: []string{"/exports/team-a"}, MountOptions: []string{"nfsvers=4.1"}}},
		StorageClasses: []AllowedStorageClass{
			{Provisioner: "disks.example.org", Parameters: []AllowedValues{{Name: "tier", Values: []string{"fast"}}, {Name: "adminSecretName", Values: []string{"*"}}}, MountOptions: []string{"noatime"}},
		},
	}
}

// refusedIn wants the fields to be refused, each with a reason and a remedy.
func refusedIn(t *testing.T, got []StorageRefusal, want ...string) {
	t.Helper()
	var paths []string
	for _, refusal := range got {
		paths = append(paths, refusal.Path)
		if refusal.Why == "" || refusal.Remedy == "" {
			t.Errorf("%s: got no reason, or no remedy: %+v", refusal.Path, refusal)
		}
	}
	if strings.Join(paths, " ") != strings.Join(want, " ") {
		t.Errorf("got %v, want %v", paths, want)
	}
}

func TestJudgeVolume(t *testing.T) {
	csi := func(driver, handle string) *corev1.PersistentVolumeSpec {
		return &corev1.PersistentVolumeSpec{PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: driver, VolumeHandle: handle}}}
	}
	nfs := func(server, path string) *corev1.PersistentVolumeSpec {
		return &corev1.PersistentVolumeSpec{PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			PersistentVolumeSource: corev1.PersistentVolumeSource{NFS: &corev1.NFSVolumeSource{Server: server, Path: path}}}
	}
	with := func(spec *corev1.PersistentVolumeSpec, change func(*corev1.PersistentVolumeSpec)) *corev1.PersistentVolumeSpec {
		change(spec)
		return spec
	}
	own := func() *corev1.PersistentVolumeSpec { return csi("disks.example.org", "team-a-1") }
	for name, test := range map[string]struct {
		spec *corev1.PersistentVolumeSpec
		want []string
	}{
		"own handle":          {own(), nil},
		"shared handle":       {csi("disks.example.org", "shared"), nil},
		"another's handle":    {csi("disks.example.org", "team-b-1"), []string{"spec.csi.volumeHandle"}},
		"the pattern in it":   {csi("disks.example.org", "x-team-a-1"), []string{"spec.csi.volumeHandle"}},
		"a longer exact one":  {csi("disks.example.org", "shared-2"), []string{"spec.csi.volumeHandle"}},
		"climbing":            {csi("disks.example.org", "team-a-/../team-b-1"), []string{"spec.csi.volumeHandle"}},
		"another driver":      {csi("hostpath.csi.k8s.io", "team-a-1"), []string{"spec.csi.driver"}},
		"attribute":           {with(own(), func(s *corev1.PersistentVolumeSpec) { s.CSI.VolumeAttributes = map[string]string{"tier": "cold-1"} }), nil},
		"its value":           {with(own(), func(s *corev1.PersistentVolumeSpec) { s.CSI.VolumeAttributes = map[string]string{"tier": "slow"} }), []string{"spec.csi.volumeAttributes[tier]"}},
		"a climbing value":    {with(own(), func(s *corev1.PersistentVolumeSpec) { s.CSI.VolumeAttributes = map[string]string{"tier": "cold-/../x"} }), []string{"spec.csi.volumeAttributes[tier]"}},
		"another attribute":   {with(own(), func(s *corev1.PersistentVolumeSpec) { s.CSI.VolumeAttributes = map[string]string{"path": "/"} }), []string{"spec.csi.volumeAttributes[path]"}},
		"two entries in part": {with(csi("disks.example.org", "archive"), func(s *corev1.PersistentVolumeSpec) { s.MountOptions = []string{"noatime"} }), []string{"spec.csi.volumeHandle"}},
		"option":              {with(own(), func(s *corev1.PersistentVolumeSpec) { s.MountOptions = []string{"noatime"} }), nil},
		"another option":      {with(own(), func(s *corev1.PersistentVolumeSpec) { s.MountOptions = []string{"noatime", "suid"} }), []string{"spec.mountOptions[1]"}},
		"secret": {with(own(), func(s *corev1.PersistentVolumeSpec) {
			s.CSI.NodeStageSecretRef = &corev1.SecretReference{Name: "a", Namespace: "kube-system"}
		}), []string{"spec.csi"}},
		"secret to expand": {with(own(), func(s *corev1.PersistentVolumeSpec) { s.CSI.NodeExpandSecretRef = &corev1.SecretReference{Name: "a"} }), []string{"spec.csi"}},
		"nodes":            {with(own(), func(s *corev1.PersistentVolumeSpec) { s.NodeAffinity = &corev1.VolumeNodeAffinity{} }), []string{"spec.nodeAffinity"}},
		"to be deleted": {with(own(), func(s *corev1.PersistentVolumeSpec) {
			s.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimDelete
		}), []string{"spec.persistentVolumeReclaimPolicy"}},
		"class of attributes":             {with(own(), func(s *corev1.PersistentVolumeSpec) { s.VolumeAttributesClassName = ptr.To("gold") }), []string{"spec.volumeAttributesClassName"}},
		"share":                           {nfs("192.0.2.7", "/exports/team-a"), nil},
		"below it":                        {nfs("192.0.2.7", "/exports/team-a/x"), nil},
		"beside it":                       {nfs("192.0.2.7", "/exports/team-ab"), []string{"spec.nfs.path"}},
		"above it":                        {nfs("192.0.2.7", "/exports"), []string{"spec.nfs.path"}},
		"climbing out of it":              {nfs("192.0.2.7", "/exports/team-a/../team-b"), []string{"spec.nfs.path"}},
		"not cleaned":                     {nfs("192.0.2.7", "/exports/team-a//x"), []string{"spec.nfs.path"}},
		"another server":                  {nfs("192.0.2.8", "/exports/team-a"), []string{"spec.nfs.server"}},
		"option of another source":        {with(nfs("192.0.2.7", "/exports/team-a"), func(s *corev1.PersistentVolumeSpec) { s.MountOptions = []string{"noatime"} }), []string{"spec.mountOptions[0]"}},
		"nothing":                         {with(own(), func(s *corev1.PersistentVolumeSpec) { s.CSI = nil }), []string{"spec"}},
		"a directory of the node as well": {with(own(), func(s *corev1.PersistentVolumeSpec) { s.HostPath = &corev1.HostPathVolumeSource{Path: "/"} }), []string{"spec"}},
	} {
		t.Run(name, func(t *testing.T) {
			refusedIn(t, someStorage().In("team-a").JudgeVolume(test.spec), test.want...)
			if all := (AllowedStorage{}).JudgeVolume(test.spec); len(all) == 0 {
				t.Error("it is allowed where nothing is")
			}
		})
	}
	if got := someStorage().In("team-b").JudgeVolume(csi("other.example.org", "x")); len(got) > 0 {
		t.Errorf("an entry of the namespace: got %v", got)
	}
	refusedIn(t, someStorage().In("team-a").JudgeVolume(csi("other.example.org", "x")), "spec.csi.driver")
}

// TestOtherVolumesAreRefused wants every kind of volume that Kubernetes has or will have to be
// refused, but those that can be allowed.
func TestOtherVolumesAreRefused(t *testing.T) {
	sources := reflect.TypeFor[corev1.PersistentVolumeSource]()
	for i := range sources.NumField() {
		field := sources.Field(i)
		if field.Name == "CSI" || field.Name == "NFS" {
			continue
		}
		spec := &corev1.PersistentVolumeSpec{PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain}
		reflect.ValueOf(&spec.PersistentVolumeSource).Elem().Field(i).Set(reflect.New(field.Type.Elem()))
		if got := someStorage().JudgeVolume(spec); len(got) != 1 || got[0].Path != "spec" {
			t.Errorf("%s: got %v, want it refused", field.Name, got)
		}
	}
}

func TestJudgeClass(t *testing.T) {
	class := func(change func(*storagev1.StorageClass)) *storagev1.StorageClass {
		c := &storagev1.StorageClass{Provisioner: "disks.example.org", Parameters: map[string]string{"tier": "fast"}, MountOptions: []string{"noatime"}}
		if change != nil {
			change(c)
		}
		return c
	}
	for name, test := range map[string]struct {
		class *storagev1.StorageClass
		want  []string
	}{
		"allowed":           {class(nil), nil},
		"plain":             {class(func(c *storagev1.StorageClass) { c.Parameters, c.MountOptions = nil, nil }), nil},
		"provisioner":       {class(func(c *storagev1.StorageClass) { c.Provisioner = "nfs.csi.k8s.io" }), []string{"provisioner"}},
		"value":             {class(func(c *storagev1.StorageClass) { c.Parameters["tier"] = "slow" }), []string{"parameters[tier]"}},
		"parameter":         {class(func(c *storagev1.StorageClass) { c.Parameters["pool"] = "a" }), []string{"parameters[pool]"}},
		"option":            {class(func(c *storagev1.StorageClass) { c.MountOptions = []string{"suid"} }), []string{"mountOptions[0]"}},
		"an allowed secret": {class(func(c *storagev1.StorageClass) { c.Parameters["adminSecretName"] = "a" }), []string{"parameters[adminSecretName]"}},
		"secret of CSI":     {class(func(c *storagev1.StorageClass) { c.Parameters["csi.storage.k8s.io/provisioner-SECRET-name"] = "a" }), []string{"parameters[csi.storage.k8s.io/provisioner-SECRET-name]"}},
		"namespace":         {class(func(c *storagev1.StorageClass) { c.Parameters["userNamespace"] = "kube-system" }), []string{"parameters[userNamespace]"}},
	} {
		t.Run(name, func(t *testing.T) { refusedIn(t, someStorage().JudgeClass(test.class), test.want...) })
	}
}

// TestAllowedStorageArgument wants what is allowed to come through an argument of a container.
func TestAllowedStorageArgument(t *testing.T) {
	allowed := someStorage()
	allowed.CSI[0].VolumeHandles = append(allowed.CSI[0].VolumeHandles, "$(POD_NAME)")
	argument, err := allowed.Argument()
	if err != nil || strings.Contains(argument, "$") {
		t.Fatalf("got %s and %v, want no dollar sign", argument, err)
	}
	if got, err := ParseAllowedStorage(argument); err != nil || !reflect.DeepEqual(got, allowed) {
		t.Errorf("got %+v and %v, want %+v", got, err, allowed)
	}
	if argument, err := (AllowedStorage{}).Argument(); argument != "" || err != nil {
		t.Errorf("nothing: got %q and %v", argument, err)
	}
	if _, err := ParseAllowedStorage(`{"hostPath":[]}`); err == nil {
		t.Error("an unknown field is read without a word")
	}
}
