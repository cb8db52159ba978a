// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/isolation"
	"garret.dev/garret/syncer/translate"
)

func testTranslator() *translate.Translator {
	return translate.New(translate.Cluster{ID: "c1", Name: "demo", HostNamespace: "team", Domain: "cluster.local", ServiceIP: "10.96.0.9", PodIP: "10.0.0.1"})
}

// translated is the host spec of a pod web in namespace shop.
func translated(t *testing.T, change func(*corev1.Pod), in podInputs) (*corev1.Pod, *corev1.PodSpec) {
	t.Helper()
	tr := testTranslator()
	virtual := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "u", Labels: map[string]string{"app": "web", "rev": "1"}, Annotations: map[string]string{"example.org/note": "n"}},
		Spec:       corev1.PodSpec{DNSPolicy: corev1.DNSClusterFirst, Containers: []corev1.Container{{Name: "app"}}},
	}
	if change != nil {
		change(virtual)
	}
	before := virtual.DeepCopy()
	p := podTranslator{tr, scheduling{tr, func(*metav1.LabelSelector) ([]string, error) { return []string{"a", "b"}, nil }}, HostsFile{Image: "syncer:1"}, isolation.Exceptions{InlineVolumeDrivers: []string{"d"}}, podRules{}}
	host, err := p.spec(virtual, in)
	if err != nil {
		t.Fatal(err)
	}
	if !equality.Semantic.DeepEqual(before, virtual) {
		t.Error("the virtual pod was changed")
	}
	return virtual, host
}

func TestSpecLeavesPowerBehind(t *testing.T) {
	_, host := translated(t, func(pod *corev1.Pod) {
		pod.Spec.ServiceAccountName, pod.Spec.DeprecatedServiceAccount = "admin", "admin"
		pod.Spec.PriorityClassName, pod.Spec.Priority = "system-node-critical", ptr.To[int32](2000001000)
		pod.Spec.PreemptionPolicy = ptr.To(corev1.PreemptLowerPriority)
		pod.Spec.NodeName = "control-plane"
		pod.Spec.SchedulerName = corev1.DefaultSchedulerName
	}, podInputs{})
	if host.ServiceAccountName != "vc-demo.workloads" || host.DeprecatedServiceAccount != "" || ptr.Deref(host.AutomountServiceAccountToken, true) {
		t.Errorf("service account: got %q, automount %v, want the release's own without token", host.ServiceAccountName, host.AutomountServiceAccountToken)
	}
	if host.PriorityClassName != "" || host.Priority != nil || host.PreemptionPolicy != nil {
		t.Errorf("priority: got %q, want none", host.PriorityClassName)
	}
	if host.NodeName != "" || host.SchedulerName != "" {
		t.Errorf("node %q and scheduler %q: want the host's scheduler to choose", host.NodeName, host.SchedulerName)
	}
	fields := host.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0].MatchFields
	if len(fields) != 1 || fields[0].Values[0] != "control-plane" {
		t.Errorf("node affinity: got %v, want the node asked for", fields)
	}
	if ptr.Deref(host.EnableServiceLinks, true) {
		t.Error("the host's services are announced")
	}
}

func TestSpecKeepsWhatTheHostJudges(t *testing.T) {
	_, host := translated(t, func(pod *corev1.Pod) {
		pod.Spec.HostNetwork, pod.Spec.HostPID, pod.Spec.HostIPC = true, true, true
		pod.Spec.Volumes = []corev1.Volume{{Name: "root", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}}}
		pod.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: ptr.To(true)}
		pod.Spec.RuntimeClassName = ptr.To("sandbox")
	}, podInputs{})
	if !host.HostNetwork || !host.HostPID || !host.HostIPC || host.Volumes[0].HostPath == nil ||
		!*host.Containers[0].SecurityContext.Privileged || *host.RuntimeClassName != "sandbox" {
		t.Error("what the host's admission is to judge was hidden from it")
	}
}

func TestReferencesAreRenamed(t *testing.T) {
	name := func(object string) string { return testTranslator().HostName("shop", object) }
	local := func(name string) corev1.LocalObjectReference { return corev1.LocalObjectReference{Name: name} }
	_, host := translated(t, func(pod *corev1.Pod) {
		pod.Spec.ImagePullSecrets = []corev1.LocalObjectReference{local("pull"), local("")}
		pod.Spec.InitContainers = []corev1.Container{{Name: "init", EnvFrom: []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: local("init-env")}}}}}
		pod.Spec.Containers[0].Env = []corev1.EnvVar{
			{Name: "A", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: local("key-cm"), Key: "k"}}},
			{Name: "B", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: local("key-secret"), Key: "k"}}},
		}
		pod.Spec.SecurityContext = &corev1.PodSecurityContext{FSGroup: ptr.To[int64](1000)}
		pod.Spec.Volumes = []corev1.Volume{
			{Name: "0", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: local("cm")}}},
			{Name: "1", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "secret"}}},
			{Name: "2", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "claim"}}},
			{Name: "scratch", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}},
			{Name: "3", VolumeSource: corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: "d", NodePublishSecretRef: &corev1.LocalObjectReference{Name: "csi"}}}},
			{Name: "5", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
				{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: local("p-cm")}},
				{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"}},
				{Secret: &corev1.SecretProjection{LocalObjectReference: local("p-secret")}},
				{ClusterTrustBundle: &corev1.ClusterTrustBundleProjection{Name: ptr.To("ca"), Path: "ca.pem"}},
				{PodCertificate: &corev1.PodCertificateProjection{SignerName: "example.org/ca", KeyType: "ED25519", KeyPath: "key.pem", CertificateChainPath: "chain.pem"}},
				{PodCertificate: &corev1.PodCertificateProjection{SignerName: "example.org/ca", KeyType: "ED25519"}},
			}}}},
		}
	}, podInputs{secret: "tokens-of-web", tokenKeys: []string{"t0"}})

	got := map[string]string{
		"pull": host.ImagePullSecrets[0].Name, "": host.ImagePullSecrets[1].Name,
		"init-env": host.InitContainers[0].EnvFrom[0].SecretRef.Name,
		"cm":       host.Volumes[0].ConfigMap.Name, "secret": host.Volumes[1].Secret.SecretName,
		"claim": host.Volumes[2].PersistentVolumeClaim.ClaimName, "web-scratch": host.Volumes[3].PersistentVolumeClaim.ClaimName,
		"csi":  host.Volumes[4].CSI.NodePublishSecretRef.Name,
		"p-cm": host.Volumes[5].Projected.Sources[0].ConfigMap.Name, "p-secret": host.Volumes[5].Projected.Sources[2].Secret.Name,
	}
	for _, variable := range host.Containers[0].Env {
		if from := variable.ValueFrom; from != nil && from.ConfigMapKeyRef != nil {
			got["key-cm"] = from.ConfigMapKeyRef.Name
		} else if from != nil && from.SecretKeyRef != nil {
			got["key-secret"] = from.SecretKeyRef.Name
		}
	}
	// A kubelet opens these files to the group of the pod's volumes, and to nobody else.
	for _, at := range []int{1, 3, 4} {
		for _, item := range host.Volumes[5].Projected.Sources[at].Secret.Items {
			if ptr.Deref(item.Mode, 0) != 0o600 {
				t.Errorf("%s has mode %o, want 600", item.Path, ptr.Deref(item.Mode, 0))
			}
		}
	}
	if len(got) != 12 {
		t.Errorf("got %d references, want 12", len(got))
	}
	for virtual, host := range got {
		want := ""
		if virtual != "" {
			want = name(virtual)
		}
		if host != want {
			t.Errorf("%q: got %q, want %q", virtual, host, want)
		}
	}
	token := host.Volumes[5].Projected.Sources[1]
	if token.ServiceAccountToken != nil || token.Secret == nil || token.Secret.Name != "tokens-of-web" || token.Secret.Items[0].Key != "t0" || token.Secret.Items[0].Path != "token" {
		t.Errorf("token: got %+v, want key t0 of the Secret at path token", token)
	}
	var paths []string
	if source := host.Volumes[5].Projected.Sources[5]; source.PodCertificate != nil || source.Secret != nil {
		t.Errorf("certificate without a file: got %+v, want nothing", source)
	}
	for _, source := range host.Volumes[5].Projected.Sources[3:5] {
		if source.ClusterTrustBundle != nil || source.PodCertificate != nil || source.Secret == nil || source.Secret.Name != "tokens-of-web" {
			t.Fatalf("trust bundle and certificate: got %+v, want files of the Secret", source)
		}
		for _, item := range source.Secret.Items {
			paths = append(paths, item.Path)
		}
	}
	if !slices.Equal(paths, []string{"ca.pem", "key.pem", "chain.pem"}) {
		t.Errorf("trust bundle and certificate: got %v, want the files that are asked for", paths)
	}
}

func TestHostFieldPath(t *testing.T) {
	tests := []struct{ path, want string }{
		{"metadata.name", "metadata.annotations['garret.dev/virtual-name']"},
		{"metadata.namespace", "metadata.annotations['garret.dev/virtual-namespace']"},
		{"metadata.uid", "metadata.annotations['garret.dev/virtual-uid']"},
		{"metadata.labels['app']", "metadata.labels['tenant.garret.dev/app']"},
		{"metadata.annotations['example.org/note']", "metadata.annotations['example.org.tenant.garret.dev/note']"},
		{"metadata.labels", "metadata.annotations['garret.dev/labels']"},
		{"metadata.annotations", "metadata.annotations['garret.dev/annotations']"},
		{"spec.serviceAccountName", "metadata.annotations['garret.dev/service-account']"},
		{"spec.nodeName", "spec.nodeName"},
		{"status.podIP", "status.podIP"},
		{"status.hostIPs", "status.hostIPs"},
	}
	for _, test := range tests {
		if got := hostFieldPath(test.path); got != test.want {
			t.Errorf("%s: got %s, want %s", test.path, got, test.want)
		}
	}
}

func TestDownwardAnnotations(t *testing.T) {
	field := func(path string) *corev1.ObjectFieldSelector { return &corev1.ObjectFieldSelector{FieldPath: path} }
	virtual, _ := translated(t, func(pod *corev1.Pod) {
		pod.Annotations["secret"] = "not asked for"
		pod.Annotations["k8s.v1.cni.cncf.io/networks"] = "host-network"
		pod.Spec.ServiceAccountName = "robot"
		pod.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "N", ValueFrom: &corev1.EnvVarSource{FieldRef: field("metadata.annotations['example.org/note']")}},
			{Name: "M", ValueFrom: &corev1.EnvVarSource{FieldRef: field("metadata.annotations['absent']")}},
			{Name: "S", ValueFrom: &corev1.EnvVarSource{FieldRef: field("spec.serviceAccountName")}}}
		pod.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{
			Items: []corev1.DownwardAPIVolumeFile{{Path: "labels", FieldRef: field("metadata.labels")}}}}}}
	}, podInputs{})
	want := map[string]string{
		"example.org.tenant.garret.dev/note": "n",
		"garret.dev/service-account":         "robot",
		"garret.dev/labels":                  "app=\"web\"\nrev=\"1\"",
	}
	if got := downwardAnnotations(virtual); !equality.Semantic.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestDNSAndHostname(t *testing.T) {
	tests := []struct {
		name     string
		change   func(*corev1.PodSpec)
		dns      string
		policy   corev1.DNSPolicy
		config   string
		hostname string
	}{
		{"cluster first", nil, "10.96.0.10", corev1.DNSNone,
			"10.96.0.10 | shop.svc.cluster.local svc.cluster.local cluster.local | ndots=5", "web"},
		{"the tenant's own is merged", func(s *corev1.PodSpec) {
			s.DNSConfig = &corev1.PodDNSConfig{Nameservers: []string{"192.0.2.1"}, Searches: []string{"example.org", "cluster.local"},
				Options: []corev1.PodDNSConfigOption{{Name: "ndots", Value: ptr.To("2")}, {Name: "edns0"}}}
		}, "10.96.0.10", corev1.DNSNone, "10.96.0.10 192.0.2.1 | shop.svc.cluster.local svc.cluster.local cluster.local example.org | ndots=2 edns0=", "web"},
		{"default", func(s *corev1.PodSpec) { s.DNSPolicy = corev1.DNSDefault }, "10.96.0.10", corev1.DNSDefault, "", "web"},
		{"node's network", func(s *corev1.PodSpec) { s.HostNetwork = true }, "10.96.0.10", corev1.DNSDefault, "", ""},
		{"node's network with cluster DNS", func(s *corev1.PodSpec) {
			s.HostNetwork, s.DNSPolicy = true, corev1.DNSClusterFirstWithHostNet
		}, "10.96.0.10", corev1.DNSNone, "10.96.0.10 | shop.svc.cluster.local svc.cluster.local cluster.local | ndots=5", ""},
		{"no DNS inside", nil, "", corev1.DNSDefault, "", "web"},
		{"hostname and subdomain", func(s *corev1.PodSpec) { s.Hostname, s.Subdomain = "db-0", "db" }, "", corev1.DNSDefault, "", "db-0"},
		{"full name", func(s *corev1.PodSpec) {
			s.Hostname, s.Subdomain, s.SetHostnameAsFQDN = "db-0", "db", ptr.To(true)
		}, "", corev1.DNSDefault, "", "db-0.db.shop.svc.cluster.local"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, host := translated(t, func(pod *corev1.Pod) {
				if test.change != nil {
					test.change(&pod.Spec)
				}
			}, podInputs{dns: test.dns})
			config := ""
			if host.DNSConfig != nil {
				var options []string
				for _, option := range host.DNSConfig.Options {
					options = append(options, option.Name+"="+ptr.Deref(option.Value, ""))
				}
				config = strings.Join(host.DNSConfig.Nameservers, " ") + " | " + strings.Join(host.DNSConfig.Searches, " ") + " | " + strings.Join(options, " ")
			}
			if host.DNSPolicy != test.policy || config != test.config {
				t.Errorf("DNS: got %s %q, want %s %q", host.DNSPolicy, config, test.policy, test.config)
			}
			if got := host.Hostname + ptr.Deref(host.HostnameOverride, ""); got != test.hostname || host.Subdomain != "" {
				t.Errorf("hostname: got %q below %q, want %q", got, host.Subdomain, test.hostname)
			}
		})
	}
}

// TestEnvironment wants the variables of services to come before all others, since
// the last source counts, and a container's own variables count before any source.
func TestEnvironment(t *testing.T) {
	source := func(name string) corev1.EnvFromSource {
		return corev1.EnvFromSource{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}}}
	}
	host := "KUBERNETES_SERVICE_HOST"
	names := environmentNames{services: "all", apiServer: "api"}
	for name, test := range map[string]struct {
		links   *bool
		env     []corev1.EnvVar
		envFrom []corev1.EnvFromSource
		sources []string
		// host is the variable in the container itself.
		host string
	}{
		"links":                         {sources: []string{"all"}},
		"links and envFrom":             {envFrom: []corev1.EnvFromSource{source("own")}, sources: []string{"all", "own"}},
		"links and own variable":        {env: []corev1.EnvVar{{Name: host, Value: "own"}}, sources: []string{"all"}, host: "own"},
		"no links":                      {links: ptr.To(false), host: "10.96.0.9"},
		"no links and own variable":     {links: ptr.To(false), env: []corev1.EnvVar{{Name: host, Value: "own"}}, host: "own"},
		"no links and envFrom":          {links: ptr.To(false), envFrom: []corev1.EnvFromSource{source("own")}, sources: []string{"api", "own"}},
		"no links, envFrom and own too": {links: ptr.To(false), env: []corev1.EnvVar{{Name: host, Value: "own"}}, envFrom: []corev1.EnvFromSource{source("own")}, sources: []string{"api", "own"}, host: "own"},
	} {
		t.Run(name, func(t *testing.T) {
			_, spec := translated(t, func(pod *corev1.Pod) {
				pod.Spec.EnableServiceLinks = test.links
				pod.Spec.Containers[0].Env, pod.Spec.Containers[0].EnvFrom = test.env, test.envFrom
			}, podInputs{environment: names})
			var sources []string
			for _, from := range spec.Containers[0].EnvFrom {
				name := from.ConfigMapRef.Name
				if name == testTranslator().HostName("shop", "own") {
					name = "own"
				}
				sources = append(sources, name)
			}
			values := map[string]string{}
			for _, variable := range spec.Containers[0].Env {
				values[variable.Name] += variable.Value
			}
			if !slices.Equal(sources, test.sources) || values[host] != test.host {
				t.Errorf("got %v from %v, want %q from %v", values, sources, test.host, test.sources)
			}
			if len(sources) == 0 && (values["KUBERNETES_SERVICE_PORT"] != "443" || values["KUBERNETES_PORT"] != "tcp://10.96.0.9:443") {
				t.Errorf("got %v, want the rest of the API server inside", values)
			}
		})
	}
}

func TestServiceEnvironment(t *testing.T) {
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "redis-primary"}, Spec: corev1.ServiceSpec{ClusterIP: "10.0.0.11", Ports: []corev1.ServicePort{
		{Name: "db-port", Port: 6379}, {Port: 53, Protocol: corev1.ProtocolUDP}}}}
	var got []string
	for _, variable := range serviceEnvironment(service) {
		got = append(got, variable.Name+"="+variable.Value)
	}
	want := []string{
		"REDIS_PRIMARY_SERVICE_HOST=10.0.0.11", "REDIS_PRIMARY_SERVICE_PORT=6379", "REDIS_PRIMARY_PORT=tcp://10.0.0.11:6379",
		"REDIS_PRIMARY_SERVICE_PORT_DB_PORT=6379",
		"REDIS_PRIMARY_PORT_6379_TCP=tcp://10.0.0.11:6379", "REDIS_PRIMARY_PORT_6379_TCP_PROTO=tcp", "REDIS_PRIMARY_PORT_6379_TCP_PORT=6379", "REDIS_PRIMARY_PORT_6379_TCP_ADDR=10.0.0.11",
		"REDIS_PRIMARY_PORT_53_UDP=udp://10.0.0.11:53", "REDIS_PRIMARY_PORT_53_UDP_PROTO=udp", "REDIS_PRIMARY_PORT_53_UDP_PORT=53", "REDIS_PRIMARY_PORT_53_UDP_ADDR=10.0.0.11",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	service.Spec.ClusterIP = corev1.ClusterIPNone
	if got := serviceEnvironment(service); len(got) != 0 {
		t.Errorf("headless: got %v, want nothing", got)
	}
}

// TestForbiddenIsRefused wants what isolation keeps from the host to be refused as
// a whole. Its own tests have every field.
func TestForbiddenIsRefused(t *testing.T) {
	pod := &corev1.Pod{Spec: corev1.PodSpec{Volumes: []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{Server: "nas"}}}}}}
	spec, err := podTranslator{translator: testTranslator()}.spec(pod, podInputs{})
	if spec != nil || err == nil || !strings.Contains(err.Error(), "spec.volumes[0].nfs is refused") {
		t.Errorf("got %v and %v, want a refusal that names the field", spec, err)
	}
}

// TestWhatTheSyncerAddsIsRestricted translates a pod that meets the strictest
// level, and wants the result to meet it, too.
func TestWhatTheSyncerAddsIsRestricted(t *testing.T) {
	_, host := translated(t, func(pod *corev1.Pod) {
		pod.Spec.Hostname, pod.Spec.Subdomain = "db-0", "db"
		pod.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsNonRoot: ptr.To(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}}
		pod.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{AllowPrivilegeEscalation: ptr.To(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}}
		pod.Spec.Volumes = []corev1.Volume{
			{Name: "scratch", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}},
			{Name: "token", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
				{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"}}}}}},
		}
	}, podInputs{secret: "tokens-of-web", tokenKeys: []string{"t0"}, environment: environmentNames{"env", "api"}, nodes: nodeRules{avoid: []string{"a"}}})
	if len(host.InitContainers) != 1 {
		t.Fatalf("got %d init containers, want the one that writes the hosts file", len(host.InitContainers))
	}
	security, err := isolation.NewPodSecurity("v1.37.2")
	if err != nil {
		t.Fatal(err)
	}
	security.Observe(&tenancyv1.VirtualCluster{Spec: tenancyv1.VirtualClusterSpec{Isolation: tenancyv1.IsolationSpec{PodSecurity: tenancyv1.PodSecurityRestricted}}})
	if err := security.Check(&metav1.ObjectMeta{}, host); err != nil {
		t.Error(err)
	}
}

// TestHostnameOfALongOrDottedName wants the hostname that a kubelet makes of it.
func TestHostnameOfALongOrDottedName(t *testing.T) {
	long := strings.Repeat("a", 40) + ".b-" + strings.Repeat("c", 19)
	for name, want := range map[string]string{"my.web": "my.web", long + "-tail.part": long, strings.Repeat("a", 70): strings.Repeat("a", 63), "web": "web"} {
		host := &corev1.PodSpec{}
		applyHostname(host, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}, "cluster.local")
		if got := ptr.Deref(host.HostnameOverride, host.Hostname); got != want || host.Hostname != strings.ReplaceAll(want, ".", "-") {
			t.Errorf("%s: got %s, and %s where the host knows no other field; want %s", name, got, host.Hostname, want)
		}
	}
}
