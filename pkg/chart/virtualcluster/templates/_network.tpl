{{/* Addresses outside: the whole of a family but for what is private, the metadata of
     clouds, and what the host says is its own. One peer for each family. */}}
{{- define "vc.publicPeers" -}}
{{- $four := list "0.0.0.0/8" "10.0.0.0/8" "100.64.0.0/10" "127.0.0.0/8" "168.63.129.16/32" "169.254.0.0/16" "172.16.0.0/12"
  "192.0.0.0/24" "192.168.0.0/16" "198.18.0.0/15" "224.0.0.0/4" "240.0.0.0/4" }}
{{- $six := list "::/96" "64:ff9b::/96" "64:ff9b:1::/48" "2002::/16" "fc00::/7" "fe80::/10" "ff00::/8" }}
{{- range splitList "," .Values.host.serviceCIDR }}
{{- if contains ":" . }}{{ $six = append $six . }}{{ else }}{{ $four = append $four . }}{{ end }}
{{- end }}
- ipBlock:
    cidr: 0.0.0.0/0
    except: {{- uniq $four | toYaml | nindent 6 }}
- ipBlock:
    cidr: ::/0
    except: {{- uniq $six | toYaml | nindent 6 }}
{{- end }}

{{/* Where the syncer answers names. */}}
{{- define "vc.dnsPorts" -}}
{{- range list "UDP" "TCP" }}
- {protocol: {{ . }}, port: 1053}
{{- end }}
{{- end }}

{{/* What both the control plane and the workloads may reach. */}}
{{- define "vc.egress" -}}
{{- $policy := .Values.isolation.networkPolicy }}
# Their own pods.
- to:
    - podSelector: {matchLabels: {garret.dev/cluster: {{ .Values.cluster.id | quote }}}}
# The host's DNS, of which the DNS inside asks for names outside: in the namespaces
# where it runs, or at an address of the node's own.
- to:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: openshift-dns}}
    - ipBlock: {cidr: 169.254.0.0/16}
  ports:
    {{- range $port := list 53 5353 }}
    {{- range list "UDP" "TCP" }}
    - {protocol: {{ . }}, port: {{ $port }}}
    {{- end }}
    {{- end }}
{{- if $policy.publicEgress }}
- to: {{- include "vc.publicPeers" . | nindent 4 }}
{{- end }}
{{- with $policy.allowedRanges }}
- to:
    {{- range . }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
{{- end }}
{{- end }}

{{/* What the workloads may reach: the syncer holds the policies of a tenant to the same rules. */}}
{{- define "vc.workloadsEgress" -}}
{{- include "vc.egress" . }}
# Their own API.
- to:
    - podSelector:
        matchLabels: {{- include "vc.selector" . | nindent 10 }}
  ports:
    - {protocol: TCP, port: 6443}
{{- if .Values.dns.embedded }}
# Names, of the syncer beside it.
- to:
    - podSelector:
        matchLabels: {{- include "vc.selector" . | nindent 10 }}
  ports: {{- include "vc.dnsPorts" . | nindent 4 }}
{{- end }}
{{- /* What is behind Services of other namespaces that the spec names. */}}
{{- range .Values.isolation.networkPolicy.services }}
- to:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ .namespace | quote }}}}
      podSelector: {{ .podSelector | toJson }}
  {{- with .ports }}
  ports: {{ . | toJson }}
  {{- end }}
{{- end }}
{{- end }}
