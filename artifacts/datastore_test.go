// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package artifacts

import (
	"maps"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
)

// TestDatastoreValues looks that each flag of the datastore is there when it is
// asked for and no sooner, and that the file in it is one that is mounted.
func TestDatastoreValues(t *testing.T) {
	secrets := map[string]any{"caSecretName": "store-ca", "clientSecretName": "store-client"}
	with := func(more map[string]any) map[string]any {
		all := maps.Clone(secrets)
		maps.Copy(all, more)
		return set("apiserver", map[string]any{"replicas": 2, "datastore": all})
	}
	tests := map[string]struct {
		values  map[string]any
		flags   []string
		mounted map[string]string // path of a file to the Secret that it comes from
	}{
		"embedded, in clear": {values: nil},
		"a database over tls with a client certificate": {
			values: with(map[string]any{"endpointSecretName": "store"}),
			flags: []string{"--datastore-cafile=/etc/garret/datastore-ca/ca.crt",
				"--datastore-certfile=/etc/garret/datastore-client/tls.crt", "--datastore-keyfile=/etc/garret/datastore-client/tls.key"},
			mounted: map[string]string{"/etc/garret/datastore-ca/ca.crt": "store-ca",
				"/etc/garret/datastore-client/tls.crt": "store-client", "/etc/garret/datastore-client/tls.key": "store-client"},
		},
		"etcd over tls with a client certificate": {
			values: with(map[string]any{"etcdServers": []any{"https://a:2379", "https://b:2379"}}),
			flags: []string{"--etcd-servers=https://a:2379,https://b:2379", "--etcd-cafile=/etc/garret/datastore-ca/ca.crt",
				"--etcd-certfile=/etc/garret/datastore-client/tls.crt", "--etcd-keyfile=/etc/garret/datastore-client/tls.key"},
			mounted: map[string]string{"/etc/garret/datastore-ca/ca.crt": "store-ca", "/etc/garret/datastore-client/tls.key": "store-client"},
		},
		"encrypted": {
			values:  set("apiserver", set("encryption", set("secretName", "store-keys"))),
			flags:   []string{"--encryption-provider-config=/etc/garret/encryption/config.yaml", "--encryption-provider-config-automatic-reload=true"},
			mounted: map[string]string{"/etc/garret/encryption/config.yaml": "store-keys"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			found := find[*appsv1.StatefulSet](t, objects(t, test.values), "garret-apiserver")
			var flags []string
			for _, arg := range found.Spec.Template.Spec.Containers[0].Args {
				if strings.HasPrefix(arg, "--datastore") || strings.HasPrefix(arg, "--etcd") || strings.HasPrefix(arg, "--encryption") {
					flags = append(flags, arg)
				}
			}
			if !slices.Equal(flags, test.flags) {
				t.Errorf("got flags %q, want %q", flags, test.flags)
			}
			files := secretFiles(found)
			for path, secret := range test.mounted {
				if files[path] != secret {
					t.Errorf("%s comes from %q, want the Secret %q", path, files[path], secret)
				}
			}
			if test.mounted == nil && len(files) > 0 {
				t.Errorf("got files %v, want none", files)
			}
		})
	}
}

// secretFiles are the files that Secrets are mounted as, with the Secrets' names.
func secretFiles(found *appsv1.StatefulSet) map[string]string {
	files := map[string]string{}
	for _, mount := range found.Spec.Template.Spec.Containers[0].VolumeMounts {
		volume := volumeNamed(found, mount.Name)
		if volume == nil || volume.Secret == nil {
			continue
		}
		for _, item := range volume.Secret.Items {
			files[mount.MountPath+"/"+item.Path] = volume.Secret.SecretName
		}
	}
	return files
}
