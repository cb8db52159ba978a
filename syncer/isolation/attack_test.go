// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package isolation

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

func inVolume(source corev1.VolumeSource) func(*corev1.PodSpec) {
	return func(spec *corev1.PodSpec) { spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: source}} }
}

// attacks are pods, each with a field that the tables refuse, and where it is.
var attacks = []struct {
	field string
	pod   func(*corev1.PodSpec)
}{
	{"spec.volumes[0].awsElasticBlockStore", inVolume(corev1.VolumeSource{AWSElasticBlockStore: &corev1.AWSElasticBlockStoreVolumeSource{VolumeID: "vol-1"}})},
	{"spec.volumes[0].azureDisk", inVolume(corev1.VolumeSource{AzureDisk: &corev1.AzureDiskVolumeSource{DiskName: "d"}})},
	{"spec.volumes[0].azureFile", inVolume(corev1.VolumeSource{AzureFile: &corev1.AzureFileVolumeSource{ShareName: "s"}})},
	{"spec.volumes[0].cephfs", inVolume(corev1.VolumeSource{CephFS: &corev1.CephFSVolumeSource{Monitors: []string{"10.0.0.1"}}})},
	{"spec.volumes[0].cinder", inVolume(corev1.VolumeSource{Cinder: &corev1.CinderVolumeSource{VolumeID: "v"}})},
	{"spec.volumes[0].fc", inVolume(corev1.VolumeSource{FC: &corev1.FCVolumeSource{WWIDs: []string{"w"}}})},
	{"spec.volumes[0].flexVolume", inVolume(corev1.VolumeSource{FlexVolume: &corev1.FlexVolumeSource{Driver: "d"}})},
	{"spec.volumes[0].flocker", inVolume(corev1.VolumeSource{Flocker: &corev1.FlockerVolumeSource{DatasetName: "d"}})},
	{"spec.volumes[0].gcePersistentDisk", inVolume(corev1.VolumeSource{GCEPersistentDisk: &corev1.GCEPersistentDiskVolumeSource{PDName: "d"}})},
	{"spec.volumes[0].gitRepo", inVolume(corev1.VolumeSource{GitRepo: &corev1.GitRepoVolumeSource{Repository: "r"}})},
	{"spec.volumes[0].glusterfs", inVolume(corev1.VolumeSource{Glusterfs: &corev1.GlusterfsVolumeSource{EndpointsName: "e"}})},
	{"spec.volumes[0].iscsi", inVolume(corev1.VolumeSource{ISCSI: &corev1.ISCSIVolumeSource{TargetPortal: "10.0.0.1"}})},
	{"spec.volumes[0].nfs", inVolume(corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{Server: "10.0.0.1", Path: "/"}})},
	{"spec.volumes[0].photonPersistentDisk", inVolume(corev1.VolumeSource{PhotonPersistentDisk: &corev1.PhotonPersistentDiskVolumeSource{PdID: "d"}})},
	{"spec.volumes[0].portworxVolume", inVolume(corev1.VolumeSource{PortworxVolume: &corev1.PortworxVolumeSource{VolumeID: "v"}})},
	{"spec.volumes[0].quobyte", inVolume(corev1.VolumeSource{Quobyte: &corev1.QuobyteVolumeSource{Volume: "v"}})},
	{"spec.volumes[0].rbd", inVolume(corev1.VolumeSource{RBD: &corev1.RBDVolumeSource{RBDImage: "i"}})},
	{"spec.volumes[0].scaleIO", inVolume(corev1.VolumeSource{ScaleIO: &corev1.ScaleIOVolumeSource{Gateway: "g"}})},
	{"spec.volumes[0].storageos", inVolume(corev1.VolumeSource{StorageOS: &corev1.StorageOSVolumeSource{VolumeName: "v"}})},
	{"spec.volumes[0].vsphereVolume", inVolume(corev1.VolumeSource{VsphereVolume: &corev1.VsphereVirtualDiskVolumeSource{VolumePath: "p"}})},
	{"spec.volumes[0].csi.driver", inVolume(corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: "secrets-store.csi.k8s.io",
		VolumeAttributes: map[string]string{"secretProviderClass": "anothers"}}})},
	{"spec.volumes[0].downwardAPI.items[0].fieldRef.fieldPath", inVolume(corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{
		Items: []corev1.DownwardAPIVolumeFile{{Path: "p", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "spec.imagePullSecrets"}}}}})},
	{"spec.containers[0].env[0].valueFrom.fieldRef.fieldPath", func(spec *corev1.PodSpec) {
		spec.Containers[0].Env = []corev1.EnvVar{{Name: "E", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.ownerReferences"}}}}
	}},
	{"spec.containers[0].resources.claims", func(spec *corev1.PodSpec) {
		spec.Containers[0].Resources.Claims = []corev1.ResourceClaim{{Name: "gpu"}}
	}},
	{"spec.containers[0].securityContext.windowsOptions.gmsaCredentialSpecName", func(spec *corev1.PodSpec) {
		spec.Containers[0].SecurityContext = &corev1.SecurityContext{WindowsOptions: &corev1.WindowsSecurityContextOptions{GMSACredentialSpecName: ptr.To("domain-admin")}}
	}},
	{"spec.securityContext.windowsOptions.gmsaCredentialSpec", func(spec *corev1.PodSpec) {
		spec.SecurityContext = &corev1.PodSecurityContext{WindowsOptions: &corev1.WindowsSecurityContextOptions{GMSACredentialSpec: ptr.To("{}")}}
	}},
	{"spec.securityContext.windowsOptions.runAsUserName", func(spec *corev1.PodSpec) {
		spec.SecurityContext = &corev1.PodSecurityContext{WindowsOptions: &corev1.WindowsSecurityContextOptions{RunAsUserName: ptr.To("ContainerAdministrator")}}
	}},
	{"spec.containers[0].securityContext.windowsOptions.hostProcess", func(spec *corev1.PodSpec) {
		spec.Containers[0].SecurityContext = &corev1.SecurityContext{WindowsOptions: &corev1.WindowsSecurityContextOptions{HostProcess: ptr.To(true)}}
	}},
	{"spec.os.name", func(spec *corev1.PodSpec) { spec.OS = &corev1.PodOS{Name: corev1.Windows} }},
	{"spec.resourceClaims", func(spec *corev1.PodSpec) {
		spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "gpu", ResourceClaimName: ptr.To("anothers")}}
	}},
	{"spec.resources.claims", func(spec *corev1.PodSpec) {
		spec.Resources = &corev1.ResourceRequirements{Claims: []corev1.ResourceClaim{{Name: "gpu"}}}
	}},
	{"spec.initContainers[0].env[0].valueFrom.fieldRef.fieldPath", func(spec *corev1.PodSpec) {
		spec.InitContainers = []corev1.Container{{Env: []corev1.EnvVar{{ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "spec.volumes"}}}}}}
	}},
	{"spec.ephemeralContainers[0].resources.claims", func(spec *corev1.PodSpec) {
		spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Resources: corev1.ResourceRequirements{Claims: []corev1.ResourceClaim{{Name: "gpu"}}}}}}
	}},
}

// refusedFields are all that the tables of pods refuse, by type and name.
func refusedFields() map[string]bool {
	fields := map[string]bool{}
	for _, table := range slices.Concat(podTable(), containerTable(), volumeTable(), schedulingTable()) {
		for _, rule := range table.rules {
			for _, name := range rule.fields {
				if rule.decision == Refused {
					fields[name] = true
				}
			}
		}
	}
	return fields
}

// TestAttacks wants each field that names something of somebody's to be refused by
// its name, with the rule and who can lift it, and nothing of it to travel.
func TestAttacks(t *testing.T) {
	untried := refusedFields()
	for _, attack := range attacks {
		t.Run(attack.field, func(t *testing.T) {
			spec := &corev1.PodSpec{Containers: []corev1.Container{{Name: "app"}}}
			attack.pod(spec)
			carried, violations := PodSpec(spec, Exceptions{InlineVolumeDrivers: []string{"image.csi.k8s.io"}})
			if len(violations) != 1 || violations[0].Field.String() != attack.field {
				t.Fatalf("got %v, want a refusal of %s", violations.Err(), attack.field)
			}
			if words := violations.Err().Error(); !strings.HasPrefix(words, attack.field) || violations[0].Rule == "" || violations[0].Remedy == "" {
				t.Errorf("got %q, want the field, the rule and who can lift it", words)
			}
			if _, again := PodSpec(carried, Exceptions{}); len(again) > 0 {
				t.Errorf("what is refused travels: %v", again.Err())
			}
			delete(untried, attack.field[strings.LastIndex(attack.field, ".")+1:])
		})
	}
	for name := range untried {
		t.Errorf("no attack names %s", name)
	}
}

// TestLinuxIsNamed passes what says where pods run anyhow.
func TestLinuxIsNamed(t *testing.T) {
	carried, violations := PodSpec(&corev1.PodSpec{OS: &corev1.PodOS{Name: corev1.Linux}}, Exceptions{})
	if len(violations) > 0 || carried.OS == nil || carried.OS.Name != corev1.Linux {
		t.Errorf("got %v and %v, want the name passed", violations.Err(), carried.OS)
	}
}

func TestAttacksByOtherKinds(t *testing.T) {
	_, violations := ServiceSpec(&corev1.ServiceSpec{ExternalIPs: []string{"10.0.0.1"}, LoadBalancerIP: "192.0.2.1", ExternalName: "kubernetes.default.svc"}, Exceptions{})
	if got := violations.Err(); len(violations) != 2 || !strings.Contains(got.Error(), "spec.externalIPs is refused") || !strings.Contains(got.Error(), `spec.loadBalancerIP "192.0.2.1" is refused`) {
		t.Errorf("service: got %v, want externalIPs and loadBalancerIP refused", got)
	}
	claim, violations := ClaimSpec(&corev1.PersistentVolumeClaimSpec{Selector: &metav1.LabelSelector{}, DataSource: &corev1.TypedLocalObjectReference{Kind: "VolumeSnapshot"}}, Exceptions{})
	if got := violations.Err(); len(violations) != 1 || !strings.Contains(got.Error(), "spec.selector is refused") || claim.DataSource != nil {
		t.Errorf("claim: got %v and %v, want the selector refused and the data source left out", got, claim)
	}
	attributes := Exceptions{AttributesClass: func(name string) bool { return name == "shown" }}
	for class, exceptions := range map[string]Exceptions{"hidden": attributes, "shown": {}} {
		_, violations = ClaimSpec(&corev1.PersistentVolumeClaimSpec{VolumeAttributesClassName: &class}, exceptions)
		if got := violations.Err(); len(violations) != 1 || !strings.Contains(got.Error(), "spec.volumeAttributesClassName \""+class+"\" is refused") {
			t.Errorf("claim of the class %s: got %v, want it refused", class, got)
		}
	}
	for _, class := range []string{"", "shown"} {
		if claim, violations = ClaimSpec(&corev1.PersistentVolumeClaimSpec{VolumeAttributesClassName: &class}, attributes); len(violations) > 0 || *claim.VolumeAttributesClassName != class {
			t.Errorf("claim of the class %q: got %v, want it passed", class, violations.Err())
		}
	}
	_, violations = IngressSpec(&networkingv1.IngressSpec{DefaultBackend: &networkingv1.IngressBackend{Resource: &corev1.TypedLocalObjectReference{Kind: "Bucket", Name: "anothers"}}})
	if got := violations.Err(); len(violations) != 1 || !strings.Contains(got.Error(), "spec.defaultBackend.resource is refused") {
		t.Errorf("ingress: got %v, want the resource refused", got)
	}
}

// TestDriverOfTheAdministrator wants inline volumes of a driver that is named, and of no other.
func TestDriverOfTheAdministrator(t *testing.T) {
	spec := &corev1.PodSpec{}
	inVolume(corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: "secrets-store.csi.k8s.io", VolumeAttributes: map[string]string{"a": "b"}}})(spec)
	carried, violations := PodSpec(spec, Exceptions{InlineVolumeDrivers: []string{"secrets-store.csi.k8s.io"}})
	if len(violations) > 0 || carried.Volumes[0].CSI.VolumeAttributes["a"] != "b" {
		t.Errorf("got %v and %+v, want the volume as it is", violations.Err(), carried.Volumes[0].CSI)
	}
	_, violations = PodSpec(spec, Exceptions{})
	if got := violations.Err(); got == nil || !strings.Contains(got.Error(), `spec.volumes[0].csi.driver "secrets-store.csi.k8s.io" is refused`) || !strings.Contains(got.Error(), "spec.isolation.inlineVolumeDrivers of HostCluster local") {
		t.Errorf("got %v, want the driver, and who can add it", got)
	}
}

// TestExternalIPs lets a Service have the addresses that the host's administrator opens, and no others.
func TestExternalIPs(t *testing.T) {
	ranges, err := tenancyv1.ParseAddressRanges([]string{"203.0.113.0/28", "2001:db8::/64"})
	if err != nil {
		t.Fatal(err)
	}
	for address, allowed := range map[string]bool{
		"203.0.113.7": true, "2001:db8::7": true, "::ffff:203.0.113.7": true,
		"203.0.113.16": false, "10.0.0.1": false, "2001:db8:1::7": false, "name.example": false, "": false,
	} {
		spec, violations := ServiceSpec(&corev1.ServiceSpec{ExternalIPs: []string{"203.0.113.1", address}}, Exceptions{ExternalIPs: ranges})
		if got := len(violations) == 0; got != allowed || (len(spec.ExternalIPs) == 2) != allowed {
			t.Errorf("%q: got %v, addresses %v, want it allowed: %t", address, violations, spec.ExternalIPs, allowed)
		}
	}
}
