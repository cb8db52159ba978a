// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/server/options"
	"k8s.io/client-go/tools/clientcmd"
)

// k3sFiles are the files of k3s that its API server finds when it starts, from 1.21 to 1.36: k3s writes
// all of server/tls before. They are below --data-dir.
var k3sFiles = []string{"/data/server/tls/server-ca.crt", "/data/server/tls/client-kube-apiserver.crt", "/data/server/tls/client-kube-apiserver.key"}

// TestActivityOnK3s hands the arguments to the API server as k3s does, which puts two dashes before
// whatever comes after --kube-apiserver-arg.
func TestActivityOnK3s(t *testing.T) {
	for _, distro := range []string{"k3s", "k8s"} {
		for _, version := range []string{"v1.21.2", "v1.36.3", "v1.37.2"} {
			values := testValues()
			values.Kubernetes.Distro, values.Kubernetes.Version, values.Activity.Enabled = distro, version, true
			got := render(t, values, parse(t, `audit: {enabled: true}`))
			var handed []string
			for _, arg := range got.container(t, "k3s").Args {
				if flag, ok := strings.CutPrefix(arg, "--kube-apiserver-arg="); ok && strings.HasPrefix(flag, "audit-") {
					handed = append(handed, "--"+flag)
				}
			}
			audit := options.NewAuditOptions()
			flags := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
			audit.AddFlags(flags)
			if err := flags.Parse(handed); err != nil {
				t.Fatalf("%s %s: the API server would not start with %q: %v", distro, version, handed, err)
			}
			for _, err := range audit.Validate() {
				t.Errorf("%s %s: the API server would not start: %v", distro, version, err)
			}
			webhook := &audit.WebhookOptions
			if webhook.ConfigFile == "" || webhook.BatchOptions.Mode != options.ModeBatch || !webhook.TruncateOptions.Enabled {
				t.Errorf("%s %s: got %+v, want a webhook that is sent batches", distro, version, webhook)
			}
			mounted := got.container(t, "k3s").VolumeMounts
			for _, file := range []string{audit.PolicyFile, webhook.ConfigFile} {
				if !slices.ContainsFunc(mounted, func(m corev1.VolumeMount) bool { return m.MountPath == path.Dir(file) }) {
					t.Errorf("%s %s: nothing is mounted where %s is", distro, version, file)
				}
			}
			config, err := clientcmd.Load([]byte(got.statefulSet.Spec.Template.Annotations[webhookAnnotation]))
			if err != nil {
				t.Fatal(err)
			}
			used := config.Contexts[config.CurrentContext]
			user := config.AuthInfos[used.AuthInfo]
			for _, file := range []string{config.Clusters[used.Cluster].CertificateAuthority, user.ClientCertificate, user.ClientKey} {
				if !slices.Contains(k3sFiles, file) {
					t.Errorf("%s %s: the webhook needs %s, which k3s does not write", distro, version, file)
				}
			}
		}
	}
}
