{{/* Where the API server inside connects to anything: the syncer's sockets, by what the
     connection is for. The datastore is not among it, whose address no tenant steers. */}}
{{- define "vc.egressSelector" -}}
apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
  {{- range list "cluster" "controlplane" }}
  - name: {{ . }}
    connection:
      proxyProtocol: HTTPConnect
      transport: {uds: {udsName: /run/garret/{{ . }}.sock}}
  {{- end }}
{{- end }}
