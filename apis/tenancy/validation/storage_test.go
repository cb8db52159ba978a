// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"garret.dev/garret/apis/tenancy"
)

func TestAllowedStorage(t *testing.T) {
	values := func(name string, values ...string) []tenancy.AllowedValues {
		return []tenancy.AllowedValues{{Name: name, Values: values}}
	}
	for name, test := range map[string]struct {
		allowed tenancy.AllowedStorage
		want    []string
	}{
		"nothing": {tenancy.AllowedStorage{}, nil},
		"some": {tenancy.AllowedStorage{
			CSI:            []tenancy.AllowedCSI{{Driver: "disks.example.org", VolumeHandles: []string{"team-a-*", "*"}, VolumeAttributes: values("tier", "", "fast"), MountOptions: []string{"nfsvers=4.1"}, Namespaces: []string{"team-a"}}},
			NFS:            []tenancy.AllowedNFS{{Server: "192.0.2.7", Paths: []string{"/", "/exports/a"}}},
			StorageClasses: []tenancy.AllowedStorageClass{{Provisioner: "garret.dev/local-path", Parameters: values("pathPattern", "a")}},
		}, nil},
		"no driver":   {tenancy.AllowedStorage{CSI: []tenancy.AllowedCSI{{Driver: "a b", VolumeHandles: []string{"a*b", ""}}}}, []string{"csi[0].driver: RFC 1123", "csi[0].volumeHandles[0]: at its end alone", "csi[0].volumeHandles[1]: which values are allowed"}},
		"snapshots":   {tenancy.AllowedStorage{CSI: []tenancy.AllowedCSI{{Driver: "a", SnapshotHandles: []string{"team-a-*"}}}}, nil},
		"no snapshot": {tenancy.AllowedStorage{CSI: []tenancy.AllowedCSI{{Driver: "a", SnapshotHandles: []string{"a*b", ""}}}}, []string{"csi[0].snapshotHandles[0]: at its end alone", "csi[0].snapshotHandles[1]: which values are allowed"}},
		"no handle":   {tenancy.AllowedStorage{CSI: []tenancy.AllowedCSI{{Driver: "a"}}}, []string{"csi[0].volumeHandles: or in snapshotHandles"}},
		"secrets":     {tenancy.AllowedStorage{CSI: []tenancy.AllowedCSI{{Driver: "a", VolumeHandles: []string{"a"}, VolumeAttributes: values("secretName", "*")}}, StorageClasses: []tenancy.AllowedStorageClass{{Provisioner: "a/b", Parameters: values("csi.storage.k8s.io/provisioner-secret-namespace", "*")}}}, []string{"csi[0].volumeAttributes[0].name: a tenant could name anybody's", "storageClasses[0].parameters[0].name: a tenant could name anybody's"}},
		"paths":       {tenancy.AllowedStorage{NFS: []tenancy.AllowedNFS{{Server: "a/b", Paths: []string{"exports", "/a/../b", "/a/"}}}}, []string{"nfs[0].server: must be one name", "nfs[0].paths[0]: must begin with /", "nfs[0].paths[1]: must begin with /", "nfs[0].paths[2]: must begin with /"}},
		"options":     {tenancy.AllowedStorage{NFS: []tenancy.AllowedNFS{{Server: "a", Paths: []string{"/a"}, MountOptions: []string{"ro,suid"}, Namespaces: []string{"A"}}}}, []string{"nfs[0].mountOptions[0]: must be one option", "nfs[0].namespaces[0]: RFC 1123"}},
		"provisioner": {tenancy.AllowedStorage{StorageClasses: []tenancy.AllowedStorageClass{{Provisioner: "a b", Parameters: values("", "a")}}}, []string{"storageClasses[0].provisioner: name part", "storageClasses[0].parameters[0].name: name the key"}},
		"too much":    {tenancy.AllowedStorage{NFS: []tenancy.AllowedNFS{{Server: strings.Repeat("a", maxAllowedStorage), Paths: []string{"/a"}}}}, []string{": may not be more than"}},
	} {
		t.Run(name, func(t *testing.T) {
			var want []string
			for _, each := range test.want {
				want = append(want, strings.Replace("spec.isolation.allowedStorage."+each, ".:", ":", 1))
			}
			expect(t, hostIsolation(&tenancy.HostIsolation{AllowedStorage: test.allowed}, field.NewPath("spec", "isolation")), want...)
		})
	}
}
