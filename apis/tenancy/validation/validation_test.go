// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"encoding/csv"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

type change func(*tenancy.VirtualCluster)

// valid is what an owner gets who asks for nothing in particular.
func valid(changes ...change) *tenancy.VirtualCluster {
	size := resource.MustParse("5Gi")
	vc := &tenancy.VirtualCluster{
		ObjectMeta: metav1.ObjectMeta{Name: "demo", Namespace: "team", UID: "u", ResourceVersion: "1"},
		Spec: tenancy.VirtualClusterSpec{
			HostClusterRef: tenancy.HostClusterReference{Name: v1.LocalHostCluster},
			Kubernetes:     tenancy.KubernetesSpec{Distro: tenancy.DistroK3s, Version: v1.DefaultKubernetesVersion},
			ControlPlane:   tenancy.ControlPlaneSpec{Storage: tenancy.StorageSpec{Persistent: ptr.To(true), Size: &size, WhenDeleted: tenancy.RetentionDelete}},
		},
		Status: tenancy.VirtualClusterStatus{Phase: tenancy.PhasePending},
	}
	for _, change := range changes {
		change(vc)
	}
	return vc
}

func resolving(rules ...tenancy.ResolveRule) change {
	return func(vc *tenancy.VirtualCluster) { vc.Spec.DNS.Resolve = rules }
}

func serverArg(args ...string) change {
	return func(vc *tenancy.VirtualCluster) { vc.Spec.Kubernetes.ExtraArgs = args }
}

func syncerArg(args ...string) change {
	return func(vc *tenancy.VirtualCluster) { vc.Spec.Syncer.ExtraArgs = args }
}

func limits(name corev1.ResourceName, quantity string) change {
	return func(vc *tenancy.VirtualCluster) {
		vc.Spec.ControlPlane.Resources.Limits = corev1.ResourceList{name: resource.MustParse(quantity)}
	}
}

func values(json string) change {
	return func(vc *tenancy.VirtualCluster) { vc.Spec.Helm.Values = &runtime.RawExtension{Raw: []byte(json)} }
}

func sleeping(sleep tenancy.SleepSpec) change {
	return func(vc *tenancy.VirtualCluster) { vc.Spec.Sleep = sleep }
}

func hours(n int) *metav1.Duration { return &metav1.Duration{Duration: time.Duration(n) * time.Hour} }

// shownInside has Secrets of the host be inside, each under its own name.
func shownInside(names ...string) change {
	return func(vc *tenancy.VirtualCluster) {
		for _, name := range names {
			vc.Spec.Syncer.FromHost.Secrets.Mappings = append(vc.Spec.Syncer.FromHost.Secrets.Mappings,
				tenancy.ObjectMapping{From: tenancy.HostObjectName{Name: name}, To: tenancy.InsideObjectName{Namespace: "shop", Name: name}})
		}
	}
}

func recoverBy(value string) change {
	return func(vc *tenancy.VirtualCluster) { vc.Annotations = map[string]string{v1.AnnotationRecover: value} }
}

// recoverField is where errors about the annotation are.
const recoverField = "metadata.annotations[" + v1.AnnotationRecover + "]"

// expect compares the errors with lines of the form "field: part of the message".
func expect(t *testing.T, got field.ErrorList, want ...string) {
	t.Helper()
	for i, err := range got {
		if i >= len(want) {
			t.Errorf("unexpected error: %v", err)
			continue
		}
		at, message, _ := strings.Cut(want[i], ": ")
		if err.Field != at || !strings.Contains(err.Error(), message) {
			t.Errorf("error %d: got %q, want field %s with %q", i, err, at, message)
		}
	}
	for _, missing := range want[min(len(got), len(want)):] {
		t.Errorf("no error, want %q", missing)
	}
}

func TestCreate(t *testing.T) {
	refuse := func(_ map[string]any, path *field.Path) field.ErrorList {
		return field.ErrorList{field.Forbidden(path.Child("image"), "not yours to set")}
	}
	for name, test := range map[string]struct {
		change change
		values ValuesValidator
		want   []string
	}{
		"as it comes":      {change: func(*tenancy.VirtualCluster) {}},
		"longest name":     {change: func(vc *tenancy.VirtualCluster) { vc.Name = strings.Repeat("a", v1.MaxNameLength) }},
		"name too long":    {change: func(vc *tenancy.VirtualCluster) { vc.Name = strings.Repeat("a", v1.MaxNameLength+1) }, want: []string{"metadata.name: no more than 45 characters"}},
		"name with dot":    {change: func(vc *tenancy.VirtualCluster) { vc.Name = "a.b" }, want: []string{"metadata.name: dots"}},
		"name upper case":  {change: func(vc *tenancy.VirtualCluster) { vc.Name = "Demo" }, want: []string{"metadata.name: lower case"}},
		"no namespace":     {change: func(vc *tenancy.VirtualCluster) { vc.Namespace = "" }, want: []string{"metadata.namespace: Required"}},
		"k8s":              {change: func(vc *tenancy.VirtualCluster) { vc.Spec.Kubernetes.Distro = tenancy.DistroK8s }},
		"other patch":      {change: func(vc *tenancy.VirtualCluster) { vc.Spec.Kubernetes.Version = "v1.36.11" }},
		"unknown version":  {change: func(vc *tenancy.VirtualCluster) { vc.Spec.Kubernetes.Version = "v1.99.0" }, want: []string{"spec.kubernetes.version: use a release of v1.37, v1.36 or v1.35, such as v1.37.2, v1.36.3 or v1.35.4"}},
		"no exact version": {change: func(vc *tenancy.VirtualCluster) { vc.Spec.Kubernetes.Version = "1.37" }, want: []string{"spec.kubernetes.version: exact release such as v1.37.2"}},
		"image as version": {change: func(vc *tenancy.VirtualCluster) { vc.Spec.Kubernetes.Version = "v1.37.2@evil/image" }, want: []string{"spec.kubernetes.version: exact release"}},

		"memory":          {change: limits(corev1.ResourceMemory, "1Gi")},
		"negative memory": {change: limits(corev1.ResourceMemory, "-1Gi"), want: []string{"spec.controlPlane.resources.limits[memory]: more than zero"}},
		"zero cpu":        {change: limits(corev1.ResourceCPU, "0"), want: []string{"spec.controlPlane.resources.limits[cpu]: more than zero"}},
		"graphics":        {change: limits("nvidia.com/gpu", "1"), want: []string{"spec.controlPlane.resources.limits[nvidia.com/gpu]: Unsupported value"}},
		"request too high": {change: func(vc *tenancy.VirtualCluster) {
			limits(corev1.ResourceCPU, "1")(vc)
			vc.Spec.ControlPlane.Resources.Requests = corev1.ResourceList{"cpu": resource.MustParse("2")}
		}, want: []string{"spec.controlPlane.resources.requests[cpu]: no more than the limit of 1"}},
		"device claim": {change: func(vc *tenancy.VirtualCluster) {
			vc.Spec.ControlPlane.Resources.Claims = []corev1.ResourceClaim{{Name: "d"}}
		}, want: []string{"spec.controlPlane.resources.claims: leave this out"}},
		"no size":   {change: func(vc *tenancy.VirtualCluster) { vc.Spec.ControlPlane.Storage.Size = ptr.To(resource.MustParse("0")) }, want: []string{"spec.controlPlane.storage.size: more than zero"}},
		"bad class": {change: func(vc *tenancy.VirtualCluster) { vc.Spec.ControlPlane.Storage.StorageClassName = ptr.To("A b") }, want: []string{"spec.controlPlane.storage.storageClassName: lowercase"}},
		"datastore": {change: func(vc *tenancy.VirtualCluster) { vc.Spec.ControlPlane.Datastore = &tenancy.DatastoreSpec{} }, want: []string{"spec.controlPlane.datastore.endpointSecretRef.name: Required"}},
		"datastore's name": {change: func(vc *tenancy.VirtualCluster) {
			vc.Spec.ControlPlane.Datastore = &tenancy.DatastoreSpec{EndpointSecretRef: corev1.LocalObjectReference{Name: "a/b"}}
		}, want: []string{"spec.controlPlane.datastore.endpointSecretRef.name: subdomain"}},

		"objects of the host": {change: shownInside("a", "b")},
		"one place for two":   {change: shownInside("a", "a"), want: []string{"spec.syncer.fromHost.secrets.mappings[1].to: Duplicate"}},
		"a flag of a field":   {change: syncerArg("--map-from-host=secrets:a=b/c"), want: []string{"spec.syncer.extraArgs[0]: is set by Garret"}},

		"values":            {change: values(`{"pod":{}}`)},
		"values are a list": {change: values(`[1]`), want: []string{"spec.helm.values: must be an object"}},
		"values are null":   {change: values(`null`), want: []string{"spec.helm.values: must be an object"}},
		"too many values":   {change: values(`{"a":"` + strings.Repeat("x", maxValuesBytes) + `"}`), want: []string{"spec.helm.values: Too long"}},
		"chart refuses":     {change: values(`{"image":"x"}`), values: refuse, want: []string{"spec.helm.values.image: not yours to set"}},

		"adoption":               {change: recoverBy("adopt 1")},
		"giving up":              {change: recoverBy("give-up " + strings.Repeat("a", 63))},
		"decision without token": {change: recoverBy("adopt"), want: []string{recoverField + `: must be "adopt TOKEN" or "give-up TOKEN"`}},
		"decision is empty":      {change: recoverBy(""), want: []string{recoverField + ": remove the annotation"}},
		"no verb of ours":        {change: recoverBy("delete 1"), want: []string{recoverField + ": must be"}},
		"token too long":         {change: recoverBy("adopt " + strings.Repeat("a", 64)), want: []string{recoverField + ": at most 63"}},
		"token in capitals":      {change: recoverBy("adopt A"), want: []string{recoverField + ": must be"}},
		"two spaces":             {change: recoverBy("adopt  1"), want: []string{recoverField + ": must be"}},
		"line feed at the end":   {change: recoverBy("adopt 1\n"), want: []string{recoverField + ": must be"}},
	} {
		t.Run(name, func(t *testing.T) {
			expect(t, (&Validator{Values: test.values}).Create(valid(test.change)), test.want...)
		})
	}
}

func TestArguments(t *testing.T) {
	const owned = "is set by Garret"
	for name, test := range map[string]struct {
		change change
		want   []string
	}{
		"logging":              {serverArg("--v=2", "--debug=true"), nil},
		"a component's flag":   {serverArg("--kube-apiserver-arg=feature-gates=A=true,B=false"), nil},
		"no dashes":            {serverArg("v=2"), []string{"spec.kubernetes.extraArgs[0]: must have the form"}},
		"one dash":             {serverArg("-data-dir=/"), []string{"spec.kubernetes.extraArgs[0]: must have the form"}},
		"no value":             {serverArg("--debug"), []string{"spec.kubernetes.extraArgs[0]: must have the form"}},
		"blank in the name":    {serverArg("--v x=2"), []string{"spec.kubernetes.extraArgs[0]: must have the form"}},
		"underscore":           {serverArg("--data_dir=/x"), []string{"spec.kubernetes.extraArgs[0]: must have the form"}},
		"capitals":             {serverArg("--Data-Dir=/x"), []string{"spec.kubernetes.extraArgs[0]: must have the form"}},
		"unknown":              {serverArg("--frobnicate=1"), []string{"spec.kubernetes.extraArgs[0]: cannot be given here"}},
		"the second one":       {serverArg("--v=2", "--data-dir=/x"), []string{"spec.kubernetes.extraArgs[1]: " + owned}},
		"token":                {serverArg("--token=x"), []string{"spec.kubernetes.extraArgs[0]: " + owned}},
		"datastore":            {serverArg("--datastore-endpoint=x"), []string{"spec.kubernetes.extraArgs[0]: " + owned}},
		"disable":              {serverArg("--disable=coredns"), []string{"spec.kubernetes.extraArgs[0]: " + owned}},
		"disable-agent":        {serverArg("--disable-agent=false"), []string{"spec.kubernetes.extraArgs[0]: " + owned}},
		"port":                 {serverArg("--https-listen-port=1"), []string{"spec.kubernetes.extraArgs[0]: " + owned}},
		"bind":                 {serverArg("--bind-address=::"), []string{"spec.kubernetes.extraArgs[0]: " + owned}},
		"names":                {serverArg("--tls-san=x"), []string{"spec.kubernetes.extraArgs[0]: " + owned}},
		"range":                {serverArg("--service-cidr=1.2.3.0/24"), []string{"spec.kubernetes.extraArgs[0]: " + owned}},
		"kubeconfig":           {serverArg("--write-kubeconfig-mode=644"), []string{"spec.kubernetes.extraArgs[0]: " + owned}},
		"configuration file":   {serverArg("--config=/x"), []string{"spec.kubernetes.extraArgs[0]: " + owned}},
		"client ca":            {serverArg("--kube-apiserver-arg=client-ca-file=/x"), []string{"spec.kubernetes.extraArgs[0]: client-ca-file"}},
		"front proxy":          {serverArg("--kube-apiserver-arg=requestheader-allowed-names="), []string{"spec.kubernetes.extraArgs[0]: requestheader-allowed-names"}},
		"authorization":        {serverArg("--kube-apiserver-arg=authorization-mode=AlwaysAllow"), []string{"spec.kubernetes.extraArgs[0]: authorization-mode"}},
		"anonymous":            {serverArg("--kube-apiserver-arg=anonymous-auth=true"), []string{"spec.kubernetes.extraArgs[0]: anonymous-auth"}},
		"dashes inside":        {serverArg("--kube-apiserver-arg=--anonymous-auth=true"), []string{"spec.kubernetes.extraArgs[0]: must have the form --kube-apiserver-arg=name=value"}},
		"after a comma":        {serverArg("--kube-apiserver-arg=v=2,anonymous_auth=true"), []string{"spec.kubernetes.extraArgs[0]: anonymous-auth"}},
		"dashes after comma":   {serverArg("--kube-apiserver-arg=v=2, --Anonymous-Auth=true"), []string{"spec.kubernetes.extraArgs[0]: anonymous-auth"}},
		"kubelet":              {serverArg("--kube-apiserver-arg=kubelet-https=false"), []string{"spec.kubernetes.extraArgs[0]: kubelet-https"}},
		"service accounts":     {serverArg("--kube-apiserver-arg=service-account-issuer=x"), []string{"spec.kubernetes.extraArgs[0]: service-account-issuer"}},
		"controllers":          {serverArg("--kube-controller-manager-arg=controllers=*"), []string{"spec.kubernetes.extraArgs[0]: controllers"}},
		"after quotes":         {serverArg(`--kube-apiserver-arg=v=2,"anonymous-auth=true"`), []string{"spec.kubernetes.extraArgs[0]: anonymous-auth"}},
		"no number":            {serverArg("--v=,ANONYMOUS_AUTH=0"), []string{"spec.kubernetes.extraArgs[0]: must have the form --v=N"}},
		"an empty number":      {serverArg("--v="), []string{"spec.kubernetes.extraArgs[0]: must have the form --v=N"}},
		"no boolean":           {serverArg("--debug=perhaps"), []string{"spec.kubernetes.extraArgs[0]: must have the form --debug=true or --debug=false"}},
		"node ports":           {serverArg("--service-node-port-range=30000-30100"), nil},
		"no range":             {serverArg("--service-node-port-range=1-x"), []string{"spec.kubernetes.extraArgs[0]: must have the form --service-node-port-range=30000-32767"}},
		"an empty range":       {serverArg("--service-node-port-range="), []string{"spec.kubernetes.extraArgs[0]: must have the form --service-node-port-range=30000-32767"}},
		"a range and a blank":  {serverArg("--service-node-port-range=1-2 "), []string{"spec.kubernetes.extraArgs[0]: must have the form --service-node-port-range=30000-32767"}},
		"port zero":            {serverArg("--service-node-port-range=0-2"), []string{"spec.kubernetes.extraArgs[0]: must have the form --service-node-port-range=30000-32767"}},
		"a cipher":             {serverArg("--secrets-encryption=true", "--secrets-encryption-provider=secretbox"), nil},
		"no cipher":            {serverArg("--secrets-encryption-provider=rot13"), []string{"spec.kubernetes.extraArgs[0]: must have the form --secrets-encryption-provider=aescbc or --secrets-encryption-provider=secretbox"}},
		"dash behind":          {serverArg("--kube-apiserver-arg=anonymous-auth-=true"), []string{"spec.kubernetes.extraArgs[0]: must have the form --kube-apiserver-arg=name=value"}},
		"plus behind":          {serverArg("--kube-apiserver-arg=token-auth-file+=/x"), []string{"spec.kubernetes.extraArgs[0]: must have the form --kube-apiserver-arg=name=value"}},
		"dashes behind":        {serverArg("--kube-controller-manager-arg=controllers--=ttl"), []string{"spec.kubernetes.extraArgs[0]: must have the form --kube-controller-manager-arg=name=value"}},
		"plus after a comma":   {serverArg("--kube-apiserver-arg=v=2,anonymous-auth+=true"), []string{"spec.kubernetes.extraArgs[0]: anonymous-auth"}},
		"another issuer":       {serverArg("--kube-apiserver-arg=oidc-issuer-url=https://x"), []string{"spec.kubernetes.extraArgs[0]: oidc-issuer-url"}},
		"bootstrap tokens":     {serverArg("--kube-apiserver-arg=enable-bootstrap-token-auth=true"), []string{"spec.kubernetes.extraArgs[0]: enable-bootstrap-token-auth"}},
		"plug-ins' files":      {serverArg("--kube-apiserver-arg=admission-control-config-file=/x"), []string{"spec.kubernetes.extraArgs[0]: admission-control-config-file"}},
		"plug-ins of old":      {serverArg("--kube-apiserver-arg=admission-control=AlwaysAdmit"), []string{"spec.kubernetes.extraArgs[0]: admission-control"}},
		"an audit log":         {serverArg("--kube-apiserver-arg=audit-log-path=/data/server/tls/client-ca.crt"), []string{"spec.kubernetes.extraArgs[0]: audit-log-path"}},
		"an audit webhook":     {serverArg("--kube-apiserver-arg=audit-webhook-config-file=/x"), []string{"spec.kubernetes.extraArgs[0]: audit-webhook-config-file"}},
		"traces":               {serverArg("--kube-apiserver-arg=tracing-config-file=/x"), []string{"spec.kubernetes.extraArgs[0]: tracing-config-file"}},
		"a socket":             {serverArg("--kube-apiserver-arg=debug-socket-path=/data/x"), []string{"spec.kubernetes.extraArgs[0]: debug-socket-path"}},
		"peers":                {serverArg("--kube-apiserver-arg=peer-ca-file=/x"), []string{"spec.kubernetes.extraArgs[0]: peer-ca-file"}},
		"a cloud":              {serverArg("--kube-controller-manager-arg=cloud-config=/x"), []string{"spec.kubernetes.extraArgs[0]: cloud-config"}},
		"a flag of tomorrow":   {serverArg("--kube-apiserver-arg=let-everybody-in=true"), []string{"spec.kubernetes.extraArgs[0]: let-everybody-in cannot be given in --kube-apiserver-arg; what can: allow-metric-labels"}},
		"tuning":               {serverArg("--kube-apiserver-arg=max-requests-inflight=800", "--kube-apiserver-arg=runtime-config=api/all=true", "--kube-controller-manager-arg=concurrent-job-syncs=9"), nil},
		"a component's logs":   {serverArg("--kube-apiserver-arg=v=7", "--kube-controller-manager-arg=vmodule=job*=4,gc=7"), nil},
		"bodies in logs":       {serverArg("--v=8"), []string{"spec.kubernetes.extraArgs[0]: must have the form --v=N, with a number from 0 to 7"}},
		"bodies of components": {serverArg("--kube-apiserver-arg=v=10"), []string{"spec.kubernetes.extraArgs[0]: must have the form --kube-apiserver-arg=v=N"}},
		"bodies of modules":    {serverArg("--kube-controller-manager-arg=vmodule=round_trippers=9"), []string{"spec.kubernetes.extraArgs[0]: must have the form --kube-controller-manager-arg=vmodule=PATTERN=N"}},
		"bodies of a syncer":   {syncerArg("--v=2", "--vmodule=request=8"), []string{"spec.syncer.extraArgs[1]: must have the form --vmodule=PATTERN=N"}},
		"the environment":      {serverArg("--kube-apiserver-arg=oidc-client-id=$(K3S_DATASTORE_ENDPOINT)"), []string{"spec.kubernetes.extraArgs[0]: must not contain $("}},
		"syncer's kinds":       {syncerArg("--disable-sync-resources=events,ingresses", "--sync-resources=events", "--vmodule=pod*=4,engine=6", "--sync-nodes-from-host=false"), nil},
		"no kind":              {syncerArg("--disable-sync-resources=pods,fruits"), []string{"spec.syncer.extraArgs[0]: must have the form --disable-sync-resources=A,B,… with names of these: backendtlspolicies, configmaps"}},
		"on by a field alone":  {syncerArg("--sync-resources=volumesnapshots"), []string{"spec.syncer.extraArgs[0]: must have the form --sync-resources=A,B,…"}},
		"devices alone":        {syncerArg("--sync-resources=resourceclaims"), []string{"spec.syncer.fromHost.deviceClasses: Required value: spec.syncer.toHost.resourceClaims needs it"}},
		"nodes of drivers alone": {syncerArg("--sync-resources=csinodes,csistoragecapacities"), []string{
			"spec.syncer.fromHost.nodes.enabled: Required value: spec.syncer.fromHost.csiNodes tells of nodes",
			"spec.syncer.fromHost.csiDrivers: Required value: spec.syncer.fromHost.csiNodes needs it", "spec.syncer.fromHost.nodes.enabled: Required value: spec.syncer.fromHost.csiStorageCapacities tells of nodes"}},
		"nodes with their drivers": {func(vc *tenancy.VirtualCluster) {
			vc.Spec.Syncer.FromHost.CSINodes.Enabled, vc.Spec.Syncer.FromHost.CSIDrivers.Enabled, vc.Spec.Syncer.FromHost.Nodes.Enabled = ptr.To(true), ptr.To(true), ptr.To(true)
		}, nil},
		"devices of classes": {func(vc *tenancy.VirtualCluster) {
			vc.Spec.Syncer.ToHost.ResourceClaims.Enabled, vc.Spec.Syncer.FromHost.DeviceClasses.Enabled = ptr.To(true), ptr.To(true)
		}, nil},
		"off by default": {syncerArg("--sync-resources=poddisruptionbudgets", "--disable-sync-resources=poddisruptionbudgets,volumesnapshots"), nil},
		"fields and arguments": {func(vc *tenancy.VirtualCluster) {
			syncerArg("--disable-sync-resources=events,ingresses", "--sync-resources=poddisruptionbudgets")(vc)
			vc.Spec.Syncer.ToHost.Ingresses.Enabled, vc.Spec.Syncer.FromHost.Events.Enabled = ptr.To(true), ptr.To(false)
			vc.Spec.Syncer.ToHost.PodDisruptionBudgets.Enabled = ptr.To(false)
		}, []string{"spec.syncer.extraArgs[0]: says the opposite of spec.syncer.toHost.ingresses.enabled, which is true", "spec.syncer.extraArgs[1]: spec.syncer.toHost.podDisruptionBudgets.enabled"}},
		"a kind with a rule of its own, and a flag against it": {func(vc *tenancy.VirtualCluster) {
			syncerArg("--disable-sync-resources=volumesnapshots")(vc)
			vc.Spec.Syncer.ToHost.VolumeSnapshots.Enabled = ptr.To(true)
		}, []string{"spec.syncer.extraArgs[0]: says the opposite of spec.syncer.toHost.volumeSnapshots.enabled, which is true"}},
		"contents without snapshots": {func(vc *tenancy.VirtualCluster) { vc.Spec.Syncer.ToHost.VolumeSnapshotContents.Enabled = ptr.To(true) },
			[]string{"spec.syncer.toHost.volumeSnapshotContents.enabled: set spec.syncer.toHost.volumeSnapshots.enabled to true"}},
		"contents with snapshots": {func(vc *tenancy.VirtualCluster) {
			vc.Spec.Syncer.ToHost.VolumeSnapshotContents.Enabled, vc.Spec.Syncer.ToHost.VolumeSnapshots.Enabled = ptr.To(true), ptr.To(true)
		}, nil},
		"such a kind off by both": {func(vc *tenancy.VirtualCluster) {
			syncerArg("--disable-sync-resources=volumesnapshots,gateways")(vc)
			vc.Spec.Syncer.ToHost.VolumeSnapshots.Enabled = ptr.To(false)
		}, nil},
		"nodes": {func(vc *tenancy.VirtualCluster) {
			vc.Spec.Syncer.FromHost.Nodes = tenancy.NodesFromHost{Enabled: ptr.To(true), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"pool": "gold"}},
				Labels: tenancy.NodeLabels{Shown: []string{"zone", "example.org/*", "*"}, Added: map[string]string{"tier": "x"}}, Taints: tenancy.NodeTaintsHidden}
		}, nil},
		"nodes that are not shown": {func(vc *tenancy.VirtualCluster) {
			vc.Spec.Syncer.FromHost.Nodes = tenancy.NodesFromHost{Selector: &metav1.LabelSelector{}, Labels: tenancy.NodeLabels{Shown: []string{"zone"}}, Taints: tenancy.NodeTaintsHidden}
		}, []string{"spec.syncer.fromHost.nodes.selector: Forbidden: is about nodes that are shown as they are: set spec.syncer.fromHost.nodes.enabled to true", "spec.syncer.fromHost.nodes.labels: Forbidden", "spec.syncer.fromHost.nodes.taints: Forbidden"}},
		"no labels of nodes": {func(vc *tenancy.VirtualCluster) {
			vc.Spec.Syncer.FromHost.Nodes = tenancy.NodesFromHost{Enabled: ptr.To(true), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"not a key": "x"}},
				Labels: tenancy.NodeLabels{Shown: []string{"a*b"}, Added: map[string]string{"garret.dev/cluster": "x", "kubernetes.io/hostname": "x"}}}
		}, []string{"spec.syncer.fromHost.nodes.selector.matchLabels: name part must consist of", "spec.syncer.fromHost.nodes.labels.shown[0]: name part must consist of",
			"spec.syncer.fromHost.nodes.labels.added[garret.dev/cluster]: must not be in the domain garret.dev", "spec.syncer.fromHost.nodes.labels.added[kubernetes.io/hostname]: is that of the host's node"}},
		"no selector": {func(vc *tenancy.VirtualCluster) {
			vc.Spec.Syncer.FromHost.StorageClasses.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"not a key": "x"}}
		}, []string{"spec.syncer.fromHost.storageClasses.selector.matchLabels: name part must consist of"}},
		"mapped twice": {func(vc *tenancy.VirtualCluster) {
			source := tenancy.ServiceSource{Namespace: "prod", Name: "db"}
			inside := source
			inside.VirtualCluster = &tenancy.VirtualClusterName{Name: "other"}
			to := func(name string) tenancy.ServiceName { return tenancy.ServiceName{Namespace: "default", Name: name} }
			vc.Spec.Syncer.FromHost.Services.Mappings = []tenancy.ServiceMapping{{From: source, To: to("db")}, {From: inside, To: to("other")}, {From: source, To: to("again")},
				{From: tenancy.ServiceSource{Namespace: "prod", Name: "web"}, To: to("db")}, {From: tenancy.ServiceSource{Namespace: "prod", Name: "api"}, To: to("kubernetes")}}
		}, []string{"spec.syncer.fromHost.services.mappings[2].from: Duplicate value", "spec.syncer.fromHost.services.mappings[3].to: Duplicate value", "spec.syncer.fromHost.services.mappings[4].to: choose another one"}},
		"names on the host": {func(vc *tenancy.VirtualCluster) {
			from := tenancy.ServiceName{Namespace: "default", Name: "web"}
			vc.Spec.Syncer.ToHost.Services.Mappings = []tenancy.HostServiceMapping{{From: from, To: "web"}, {From: from, To: "web"}, {From: from, To: "vc-other"}}
		}, []string{"spec.syncer.toHost.services.mappings[1].to: Duplicate", "spec.syncer.toHost.services.mappings[2].to: choose another one"}},
		"names inside": {resolving(
			tenancy.ResolveRule{Name: "db.example.org", Addresses: []string{"192.0.2.1", "2001:db8::1"}},
			tenancy.ResolveRule{Name: "*.example.org", Alias: "db.example.org"},
			tenancy.ResolveRule{Name: "db", Service: &tenancy.ServiceSource{Namespace: "prod", Name: "db"}}), nil},
		"no names": {resolving(
			tenancy.ResolveRule{Name: "a.*.example.org", Alias: "example.org"}, tenancy.ResolveRule{Name: "*", Addresses: []string{"192.0.2.1"}}, tenancy.ResolveRule{Name: "b {", Alias: "b \"\n}"},
		), []string{"spec.dns.resolve[0].name: RFC 1123", "spec.dns.resolve[1].name: RFC 1123", "spec.dns.resolve[2].name: RFC 1123", "spec.dns.resolve[2].alias: RFC 1123"}},
		"names that lead nowhere": {resolving(
			tenancy.ResolveRule{Name: "a"}, tenancy.ResolveRule{Name: "b", Alias: "c", Addresses: []string{"192.0.2.1"}}, tenancy.ResolveRule{Name: "b", Addresses: []string{"localhost", "192.0.2.1", "192.0.2.1"}},
		), []string{"spec.dns.resolve[0]: one of addresses, alias and service", "spec.dns.resolve[1]: one of addresses, alias and service", "spec.dns.resolve[2].name: Duplicate",
			"spec.dns.resolve[2].addresses[0]: such as 192.0.2.7", "spec.dns.resolve[2].addresses[2]: Duplicate"}},
		"names in a circle": {resolving(
			tenancy.ResolveRule{Name: "a.example.org", Alias: "b.example.org"}, tenancy.ResolveRule{Name: "b.example.org", Alias: "example.net"}, tenancy.ResolveRule{Name: "*.example.com", Alias: "x.example.com"},
		), []string{"spec.dns.resolve[0].alias: name what it leads to", "spec.dns.resolve[2].alias: name what it leads to"}},
		"sleep": {sleeping(tenancy.SleepSpec{AfterInactivity: hours(1), DeleteAfterInactivity: hours(1), Schedule: "0 20 * * 1-5", WakeSchedule: "0 7 * * 1-5", TimeZone: "Europe/Berlin"}), nil},
		"no sleep": {sleeping(tenancy.SleepSpec{AfterInactivity: &metav1.Duration{Duration: time.Second}, DeleteAfterInactivity: &metav1.Duration{Duration: time.Minute}, Schedule: "@daily", WakeSchedule: "TZ=UTC 0 7 * * *", TimeZone: "Berlin"}),
			[]string{"spec.sleep.afterInactivity: must be at least 1m0s, such as 30m", "spec.sleep.deleteAfterInactivity: must be at least 1h0m0s, such as 720h", `spec.sleep.timeZone: such as "Europe/Berlin"`,
				`spec.sleep.schedule: right is for example "0 20 * * 1-5"`, "spec.sleep.wakeSchedule: use timeZone"}},
		"what cannot sleep": {func(vc *tenancy.VirtualCluster) {
			sleeping(tenancy.SleepSpec{AfterInactivity: hours(1), Schedule: "0 20 * * 1-5", DeleteAfterInactivity: hours(2)})(vc)
			vc.Spec.Paused, vc.Spec.ControlPlane.Storage = true, tenancy.StorageSpec{Persistent: ptr.To(false)}
		}, []string{"spec.paused: only a virtual cluster with a volume", "spec.sleep.afterInactivity: only a virtual cluster with a volume", "spec.sleep.schedule: only a virtual cluster with a volume"}},
		"a wake":              {func(vc *tenancy.VirtualCluster) { vc.Annotations = map[string]string{v1.AnnotationWake: "12"} }, nil},
		"no wake":             {func(vc *tenancy.VirtualCluster) { vc.Annotations = map[string]string{v1.AnnotationWake: "now"} }, []string{"metadata.annotations[" + v1.AnnotationWake + "]: status.sleep.number, such as 3"}},
		"no module":           {syncerArg("--vmodule=pod"), []string{"spec.syncer.extraArgs[0]: must have the form --vmodule=PATTERN=N"}},
		"not a syncer's flag": {syncerArg("--sync-fruits=1"), []string{"spec.syncer.extraArgs[0]: cannot be given here"}},
		"half of a flag":      {serverArg("--kube-apiserver-arg=v"), []string{"spec.kubernetes.extraArgs[0]: must have the form --kube-apiserver-arg=name=value"}},
		"kinds not synced":    {syncerArg("--disable-sync-resources=ingresses", "--v=4"), nil},
		"syncer's identity":   {syncerArg("--cluster-id=x"), []string{"spec.syncer.extraArgs[0]: " + owned}},
		"syncer's host":       {syncerArg("--host-kubeconfig=/x"), []string{"spec.syncer.extraArgs[0]: " + owned}},
		"syncer's issuer":     {syncerArg("--issuer-client-ca-file=/x"), []string{"spec.syncer.extraArgs[0]: " + owned}},
		"encryption with k3s": {serverArg("--secrets-encryption=true"), nil},
		"encryption with k8s": {func(vc *tenancy.VirtualCluster) {
			serverArg("--secrets-encryption=true")(vc)
			vc.Spec.Kubernetes.Distro = tenancy.DistroK8s
		}, []string{"spec.kubernetes.extraArgs[0]: cannot be given here"}},
		"syncer's port":       {syncerArg("--webhook-port=1"), []string{"spec.syncer.extraArgs[0]: " + owned}},
		"unknown to a syncer": {syncerArg("--frobnicate=x"), []string{"spec.syncer.extraArgs[0]: cannot be given here"}},
	} {
		t.Run(name, func(t *testing.T) {
			expect(t, (&Validator{}).Create(valid(test.change)), test.want...)
		})
	}
}

func TestUpdate(t *testing.T) {
	old := func(vc *tenancy.VirtualCluster) { vc.Spec.Kubernetes.Version = "v1.36.3" }
	older := func(vc *tenancy.VirtualCluster) { vc.Spec.Kubernetes.Version = "v1.35.4" }
	ancient := func(vc *tenancy.VirtualCluster) {
		vc.Spec.Kubernetes.Version = "v1.12.0"
		vc.Spec.Kubernetes.ExtraArgs = []string{"--token=x"}
	}
	none := func(*tenancy.VirtualCluster) {}
	for name, test := range map[string]struct {
		before, after change
		want          []string
	}{
		"nothing":       {none, none, nil},
		"raised":        {old, none, nil},
		"lowered":       {none, old, []string{"spec.kubernetes.version: cannot be lowered from v1.37.2, since an older control plane cannot read the data of a newer one: create a new virtual cluster"}},
		"raised by two": {older, none, []string{"spec.kubernetes.version: cannot be raised from v1.35.4 by more than one minor at a time: set v1.36.3 first"}},
		"raised before the last one is over": {func(vc *tenancy.VirtualCluster) { old(vc); vc.Status.KubernetesVersion = "v1.35.4+k3s1" }, none,
			[]string{"spec.kubernetes.version: cannot be raised from v1.35.4 by more than one minor at a time: set v1.36.3 first, and wait until status.kubernetesVersion shows it"}},
		"patch raised before the last one is over": {func(vc *tenancy.VirtualCluster) { old(vc); vc.Status.KubernetesVersion = "v1.35.4+k3s1" },
			func(vc *tenancy.VirtualCluster) { vc.Spec.Kubernetes.Version = "v1.36.11" }, nil},
		"raised from far below": {ancient, none, []string{"spec.kubernetes.version: set a release of v1.13 first"}},
		"patch lowered":         {none, func(vc *tenancy.VirtualCluster) { vc.Spec.Kubernetes.Version = "v1.37.1" }, []string{"spec.kubernetes.version: cannot be lowered"}},
		"distro":                {none, func(vc *tenancy.VirtualCluster) { vc.Spec.Kubernetes.Distro = tenancy.DistroK8s }, []string{"spec.kubernetes.distro: cannot be changed"}},
		"persistence":           {none, func(vc *tenancy.VirtualCluster) { vc.Spec.ControlPlane.Storage.Persistent = ptr.To(false) }, []string{"spec.controlPlane.storage.persistent: cannot be changed"}},
		"class":                 {none, func(vc *tenancy.VirtualCluster) { vc.Spec.ControlPlane.Storage.StorageClassName = ptr.To("fast") }, []string{"spec.controlPlane.storage.storageClassName: cannot be changed"}},
		"size": {none, func(vc *tenancy.VirtualCluster) {
			vc.Spec.ControlPlane.Storage.Size = ptr.To(resource.MustParse("6Gi"))
		}, []string{"spec.controlPlane.storage.size: enlarge the PersistentVolumeClaim"}},
		"size written anew": {none, func(vc *tenancy.VirtualCluster) {
			vc.Spec.ControlPlane.Storage.Size = ptr.To(resource.MustParse("5120Mi"))
		}, nil},
		"datastore": {none, func(vc *tenancy.VirtualCluster) {
			vc.Spec.ControlPlane.Datastore = &tenancy.DatastoreSpec{EndpointSecretRef: corev1.LocalObjectReference{Name: "db"}}
		}, []string{"spec.controlPlane.datastore: cannot be changed"}},
		"retention":               {none, func(vc *tenancy.VirtualCluster) { vc.Spec.ControlPlane.Storage.WhenDeleted = tenancy.RetentionRetain }, nil},
		"decision":                {none, recoverBy("adopt 1"), nil},
		"decision taken back":     {recoverBy("adopt 1"), none, nil},
		"no decision":             {none, recoverBy("yes"), []string{recoverField + `: such as "adopt 1"`}},
		"another that is none":    {recoverBy("yes"), recoverBy("no"), []string{recoverField + ": must be"}},
		"old decision stays":      {recoverBy("yes"), func(vc *tenancy.VirtualCluster) { recoverBy("yes")(vc); vc.Labels = map[string]string{"a": "b"} }, nil},
		"old decision made valid": {recoverBy("yes"), recoverBy("give-up 1"), nil},
		"old errors stay":         {ancient, func(vc *tenancy.VirtualCluster) { ancient(vc); vc.Labels = map[string]string{"a": "b"} }, nil},
		"old errors elsewhere":    {ancient, func(vc *tenancy.VirtualCluster) { ancient(vc); vc.Spec.Syncer.ExtraArgs = []string{"--v=2"} }, nil},
		"new errors":              {ancient, func(vc *tenancy.VirtualCluster) { ancient(vc); vc.Spec.Syncer.ExtraArgs = []string{"--uid=2"} }, []string{"spec.syncer.extraArgs[0]: is set by Garret"}},
	} {
		t.Run(name, func(t *testing.T) {
			expect(t, (&Validator{}).Update(valid(test.after), valid(test.before)), test.want...)
		})
	}
}

func TestStatusUpdate(t *testing.T) {
	for name, test := range map[string]struct {
		change change
		want   []string
	}{
		"ready": {func(vc *tenancy.VirtualCluster) {
			vc.Status.Phase = tenancy.PhaseReady
			vc.Status.Endpoint = "https://10.96.0.9:443"
		}, nil},
		"plain endpoint":  {func(vc *tenancy.VirtualCluster) { vc.Status.Endpoint = "http://10.96.0.9" }, []string{"status.endpoint: https://"}},
		"endpoint's user": {func(vc *tenancy.VirtualCluster) { vc.Status.Endpoint = "https://u:p@10.96.0.9" }, []string{"status.endpoint: neither user"}},
		"no certificate":  {func(vc *tenancy.VirtualCluster) { vc.Status.CertificateAuthorityData = []byte("x") }, []string{"status.certificateAuthorityData: PEM"}},
		"a key": {func(vc *tenancy.VirtualCluster) {
			vc.Status.CertificateAuthorityData = []byte("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n")
		}, []string{"status.certificateAuthorityData: certificates only"}},
		"broken condition": {func(vc *tenancy.VirtualCluster) {
			vc.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: "Yes", Reason: "R", LastTransitionTime: metav1.Now()}}
		}, []string{"status.conditions[0].status: Unsupported"}},
	} {
		t.Run(name, func(t *testing.T) {
			expect(t, StatusUpdate(valid(test.change), valid()), test.want...)
		})
	}
}

// FuzzArgument looks for a spelling that gets a flag past the rules: whichever
// way a command line parser takes an accepted argument apart, none of the flags
// in it may be a refused one, and nothing but a component's flags has a list.
func FuzzArgument(f *testing.F) {
	for _, seed := range []string{
		"--kube-apiserver-arg=anonymous-auth=true", "--kube-apiserver-arg=v=1,anonymous-auth=true", "--data-dir=/x",
		"--kube-apiserver-arg=v=1,--ANONYMOUS_AUTH=true", "--v=2", "--v=,ANONYMOUS_AUTH=0",
		"--kube-apiserver-arg=v=1,\"anonymous-auth=true\"", "--kube-apiserver-arg=\"v=1\",'anonymous-auth=true'",
		"--kube-apiserver-arg=event-ttl=arg=anonymous-auth=1", "--service-node-port-range=30000-32767",
		"--kube-apiserver-arg=anonymous-auth-=true", "--kube-apiserver-arg=v=1,token-auth-file+=/x", "--kube-apiserver-arg=v=1,oidc-issuer-url--=x",
	} {
		f.Add(seed)
	}
	refused := []string{"anonymous-auth", "client-ca-file", "authorization-mode", "token-auth-file", "oidc-issuer-url"}
	f.Fuzz(func(t *testing.T, arg string) {
		if len(serverArgs(tenancy.DistroK3s, []string{arg}, field.NewPath("x"))) > 0 {
			return
		}
		flag, list, found := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		if !found {
			t.Fatalf("%q was accepted without a value", arg)
		}
		if !strings.HasPrefix(flag, "kube-") {
			if strings.ContainsAny(list, ",= ") {
				t.Errorf("%q was accepted", arg)
			}
			return
		}
		pieces := append(strings.Split(list, ","), list)
		if fields, err := csv.NewReader(strings.NewReader(list)).Read(); err == nil {
			pieces = append(pieces, fields...)
		}
		for _, piece := range pieces {
			name, _, _ := strings.Cut(strings.Trim(piece, "-'\" \t"), "=")
			name = strings.ToLower(strings.ReplaceAll(strings.TrimSpace(name), "_", "-"))
			name = strings.TrimRight(name, "-+") // as k3s does
			if slices.Contains(refused, name) {
				t.Errorf("%q was accepted, which may set %s", arg, name)
			}
		}
	})
}
