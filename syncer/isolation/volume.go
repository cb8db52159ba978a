// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package isolation

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// fieldPaths are what a pod may read of itself.
var fieldPaths = []string{
	"metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
	"status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
}

func readable(path any, _ Exceptions) bool {
	text := path.(string)
	return slices.Contains(fieldPaths, text) || strings.HasPrefix(text, "metadata.annotations['") || strings.HasPrefix(text, "metadata.labels['")
}

func volumeTable() []typeRules {
	const inside = "the field inside"
	return []typeRules{
		of[corev1.Volume](passed("name")),
		of[corev1.VolumeSource](
			passed("configMap", "downwardAPI", "emptyDir", "persistentVolumeClaim", "projected", "secret"),
			passed("image").because("the node pulls it with the pull secrets of the pod, like any image"),
			passed("hostPath").because(byPodSecurity),
			passed("csi").because("the driver decides, see CSIVolumeSource"),
			translated("the claim that the controllers inside create for it, which the syncer syncs", "ephemeral"),
			refused("the volume names storage of the host, whoever owns it", "no setting lifts it; use a PersistentVolumeClaim",
				"awsElasticBlockStore", "azureDisk", "azureFile", "cephfs", "cinder", "fc", "flexVolume", "flocker", "gcePersistentDisk", "glusterfs",
				"iscsi", "nfs", "photonPersistentDisk", "portworxVolume", "quobyte", "rbd", "scaleIO", "storageos", "vsphereVolume"),
			refused("the node would run git as root", "no setting lifts it; clone into an emptyDir from an init container", "gitRepo"),
		),
		of[corev1.HostPathVolumeSource](passed("path", "type").because(byPodSecurity)),
		of[corev1.EmptyDirVolumeSource](passed("medium", "mode", "sizeLimit")),
		of[corev1.SecretVolumeSource](
			passed("defaultMode", "defaultUser", "items", "optional"),
			translated("the copy on the host, of the Secret inside", "secretName"),
		),
		of[corev1.ConfigMapVolumeSource](passed("defaultMode", "defaultUser", "items", "optional")),
		of[corev1.KeyToPath](passed("key", "mode", "path", "user")),
		of[corev1.PersistentVolumeClaimVolumeSource](
			passed("readOnly"),
			translated("the host's claim, of the claim inside", "claimName"),
		),
		of[corev1.EphemeralVolumeSource](leftOut("the controllers inside create the claim from it", "volumeClaimTemplate")),
		of[corev1.ImageVolumeSource](passed("pullPolicy", "reference")),
		of[corev1.CSIVolumeSource](
			passed("fsType", "readOnly"),
			passed("volumeAttributes").because("whoever allows the driver answers for what it opens"),
			translated("the copy on the host, of the Secret inside", "nodePublishSecretRef"),
			refused("an inline volume tells its driver what to open",
				"the host's administrator can add the driver to spec.isolation.inlineVolumeDrivers of HostCluster "+tenancyv1.LocalHostCluster, "driver").
				unless(func(driver any, exceptions Exceptions) bool {
					return slices.Contains(exceptions.InlineVolumeDrivers, driver.(string))
				}),
		),
		of[corev1.ProjectedVolumeSource](passed("defaultMode", "defaultUser", "sources")),
		of[corev1.VolumeProjection](
			passed("configMap", "downwardAPI", "secret"),
			translated("a Secret on the host with the token, which the API server inside issues", "serviceAccountToken"),
			translated("a Secret on the host with the bundles inside", "clusterTrustBundle"),
			translated("a Secret on the host with the certificate, which a signer inside issues", "podCertificate"),
		),
		of[corev1.SecretProjection](passed("items", "optional")),
		of[corev1.ConfigMapProjection](passed("items", "optional")),
		of[corev1.ServiceAccountTokenProjection](translated("the token that the API server inside issues", "audience", "expirationSeconds", "path", "user")),
		of[corev1.ClusterTrustBundleProjection](translated("the bundles inside that the field selects", "labelSelector", "name", "optional", "path", "signerName", "user")),
		of[corev1.PodCertificateProjection](translated("the certificate that the syncer requests inside", "certificateChainPath", "credentialBundlePath", "keyPath",
			"keyType", "maxExpirationSeconds", "signerName", "user", "userAnnotations")),
		of[corev1.DownwardAPIVolumeSource](passed("defaultMode", "defaultUser", "items")),
		of[corev1.DownwardAPIProjection](passed("items")),
		of[corev1.DownwardAPIVolumeFile](passed("mode", "path", "resourceFieldRef", "user"), translated(inside, "fieldRef")),
		of[corev1.ObjectFieldSelector](
			passed("apiVersion"),
			refused("a pod reads "+strings.Join(fieldPaths, ", ")+" of itself", "no setting lifts it", "fieldPath").unless(readable),
		),
		of[corev1.ResourceFieldSelector](passed("containerName", "divisor", "resource")),
	}
}
