{{/* Labels of every object; the argument is a dict of root and component. */}}
{{- define "garret.labels" -}}
{{ include "garret.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{/* Labels that choose the pods of a component: they must never change. */}}
{{- define "garret.selector" -}}
app.kubernetes.io/name: garret-{{ .component }}
app.kubernetes.io/part-of: garret
{{- end }}

{{- define "garret.image" -}}
{{ .root.Values.image.repository }}/{{ .component }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{/* Where users find the gateway; nothing where no name of it is known. */}}
{{- define "garret.gatewayURL" -}}
{{- $values := .Values.apiserver.gateway }}
{{- if $values.url }}
{{- $values.url }}
{{- else if $values.ingress.enabled }}
{{- printf "https://%s" $values.ingress.host }}
{{- else if $values.hostnames }}
{{- $host := first $values.hostnames }}
{{- $port := $values.service.port }}
{{- if eq $values.service.type "NodePort" }}{{ $port = $values.service.nodePort }}{{ end }}
{{- if and $port (not (hasPrefix "*" $host)) }}
{{- printf "https://%s" (ternary (printf "[%s]" $host) $host (contains ":" $host)) }}
{{- if ne (int $port) 443 }}:{{ $port }}{{ end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The names of the gateway that stand in garret-apiserver's own serving certificate, as JSON. */}}
{{- define "garret.gatewayNames" -}}
{{- $values := .Values.apiserver.gateway }}
{{- $names := list }}
{{- if $values.enabled }}
{{- $names = append $names (printf "garret-gateway.%s.svc" .Release.Namespace) }}
{{- if not $values.tlsSecretName }}{{ $names = concat $names $values.hostnames }}{{ end }}
{{- end }}
{{- toJson $names }}
{{- end }}

{{/* What the profile "restricted" of Pod Security asks of a pod, and of a container. */}}
{{- define "garret.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "garret.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Where the pods of a component may run; the argument is a dict of root, component and values. */}}
{{- define "garret.placement" -}}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if gt (int .values.replicas) 1 }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "garret.selector" . | nindent 8 }}
{{- end }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* The Secret with the serving certificate; empty where garret-apiserver makes its own. */}}
{{- define "garret.servingSecret" -}}
{{- $certificate := .Values.apiserver.certificate -}}
{{- if $certificate.secretName }}{{ $certificate.secretName }}
{{- else if $certificate.certManager.issuerRef.name }}garret-apiserver-tls
{{- end }}
{{- end }}

{{/* The same for garret-controller, whose own making is known to nobody else. */}}
{{- define "garret.controllerSecret" -}}
{{- $certificate := .Values.controller.certificate -}}
{{- if $certificate.secretName }}{{ $certificate.secretName }}
{{- else if $certificate.certManager.issuerRef.name }}garret-controller-tls
{{- end }}
{{- end }}

{{/* Flags about logs and traces, of every component. */}}
{{- define "garret.observabilityArgs" -}}
- --logging-format={{ .Values.logging.format }}
- --v={{ int .Values.logging.verbosity }}
{{- if .Values.tracing.endpoint }}
- --tracing-config-file=/etc/garret/tracing/tracing.yaml
{{- end }}
{{- end }}

{{/* Has the Go runtime collect before the kubelet kills: at 95 % of the container's limit,
     whoever set that. A mebibyte is 1048576 bytes, and here counts as a million. */}}
{{- define "garret.memoryEnv" -}}
- name: MEMORY_LIMIT_MIB
  valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}
- {name: GOMEMLIMIT, value: "$(MEMORY_LIMIT_MIB)000000"}
{{- end }}

{{/* The rules for the kinds of cluster scope that syncers show inside. */}}
{{- define "garret.hostClasses" -}}
- apiGroups: [storage.k8s.io]
  resources: [csidrivers, storageclasses, volumeattributesclasses]
  verbs: [get, list, watch]
- apiGroups: [networking.k8s.io]
  resources: [ingressclasses]
  verbs: [get, list, watch]
- apiGroups: [node.k8s.io]
  resources: [runtimeclasses]
  verbs: [get, list, watch]
- apiGroups: [scheduling.k8s.io]
  resources: [priorityclasses]
  verbs: [get, list, watch]
- apiGroups: [gateway.networking.k8s.io]
  resources: [gatewayclasses]
  verbs: [get, list, watch]
- apiGroups: [snapshot.storage.k8s.io]
  resources: [volumesnapshotclasses]
  verbs: [get, list, watch]
- apiGroups: [resource.k8s.io]
  resources: [deviceclasses]
  verbs: [get, list, watch]
{{- end }}

{{/* The rule for the contents of the tenants' volume snapshots: by name, since a list has everybody's. */}}
{{- define "garret.hostContents" -}}
- apiGroups: [snapshot.storage.k8s.io]
  resources: [volumesnapshotcontents]
  verbs: [get]
{{- end }}

{{/*
The rules for the tenants' own volumes and classes on the host. Who has them is held by an admission
policy: it knows them by the last rule, behind which there is no API.
*/}}
{{- define "garret.hostVolumes" -}}
- apiGroups: [""]
  resources: [persistentvolumes]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [tenancy.garret.dev]
  resources: [hostobjects]
  verbs: [lent]
{{- end }}

{{- define "garret.hostStorageClasses" -}}
- apiGroups: [storage.k8s.io]
  resources: [storageclasses]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [tenancy.garret.dev]
  resources: [hostobjects]
  verbs: [lent]
{{- end }}

{{- define "garret.hostOwnContents" -}}
- apiGroups: [snapshot.storage.k8s.io]
  resources: [volumesnapshotcontents]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [tenancy.garret.dev]
  resources: [hostobjects]
  verbs: [lent]
{{- end }}

{{/* The rule for the definitions of kinds that virtual clusters have on the host by rules. */}}
{{- define "garret.hostDefinitions" -}}
- apiGroups: [apiextensions.k8s.io]
  resources: [customresourcedefinitions]
  verbs: [get]
{{- end }}
