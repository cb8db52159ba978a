{{/* The labels of every object of the release. */}}
{{- define "vc.labels" -}}
app.kubernetes.io/name: garret-virtual-cluster
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
tenancy.garret.dev/virtual-cluster: {{ .Values.cluster.name }}
{{- end }}

{{/* What selects the pod: part of a StatefulSet that can never change. */}}
{{- define "vc.selector" -}}
app.kubernetes.io/name: garret-virtual-cluster
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* What stands in the metadata of every object of the release. */}}
{{- define "vc.metadata" -}}
name: {{ .Release.Name }}
namespace: {{ .Release.Namespace }}
labels: {{- include "vc.labels" . | nindent 2 }}
{{- end }}

{{/* The Restricted profile of the Pod Security Standards, and a read-only root. */}}
{{- define "vc.containerSecurity" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* Has the Go runtime collect before the kubelet kills: at 95 % of the container's limit,
     whoever set that. A mebibyte is 1048576 bytes, and here counts as a million. */}}
{{- define "vc.memoryEnv" -}}
- name: MEMORY_LIMIT_MIB
  valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}
- {name: GOMEMLIMIT, value: "$(MEMORY_LIMIT_MIB)000000"}
{{- /* Stacks begin small and grow, and no allocation is sampled: a profile of the heap is empty. */}}
- {name: GODEBUG, value: "adaptivestackstart=0,memprofilerate=0"}
{{- end }}
