{{/* What the API server inside records: who asked for what. Never a body: whoever may
     read the pod's log on the host need not be somebody who may read secrets inside. */}}
{{- define "vc.auditPolicy" -}}
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  # Who gives rights to whom is recorded, also where Garret does it.
  - level: Metadata
    verbs: [create, update, patch, delete, deletecollection]
    resources: [{group: rbac.authorization.k8s.io}]
  # As whom the API server of k3s calls kubelets, it could be had to call itself: what such
  # a caller changes or takes is recorded, though most of it is the API server's own housekeeping.
  - level: None
    users: ["system:apiserver"]
    resources: [{group: coordination.k8s.io, resources: [leases]}, {group: "", resources: [events, endpoints]}, {group: discovery.k8s.io},
      {group: flowcontrol.apiserver.k8s.io}]
  - level: Metadata
    users: ["system:apiserver"]
    verbs: [create, update, patch, delete, deletecollection, impersonate]
  - level: Metadata
    users: ["system:apiserver"]
    verbs: [get]
    resources: [{group: "", resources: [secrets, nodes/proxy, pods/exec, pods/attach, pods/portforward, pods/log, pods/proxy, services/proxy]}]
  # The cluster's own machinery, which never rests.
  - level: None
    users:
      - system:admin
      - system:apiserver
      - system:kube-apiserver
      - system:kube-controller-manager
      - system:kube-scheduler
  # What its controllers and DNS change is recorded, since others could take an account of theirs.
  - level: None
    userGroups: ["system:serviceaccounts:kube-system"]
    verbs: [get, list, watch]
  {{- $boring := list
    "resources: [{group: coordination.k8s.io, resources: [leases]}, {group: \"\", resources: [events]}, {group: events.k8s.io}]"
    "nonResourceURLs: [\"/healthz*\", \"/livez*\", \"/readyz*\", \"/version\", \"/openapi/*\", \"/api\", \"/apis\", \"/metrics\"]" }}
  {{- /* The webhook gets what the log gets. People who ask straight for events or what there is
         use the virtual cluster, too. */}}
  {{- range $what := $boring }}
  {{- if $.Values.activity.enabled }}
  {{- range include "vc.machinery" $ | fromYamlArray }}
  - level: None
    {{ toYaml . | nindent 4 | trim }}
    {{ $what }}
  {{- end }}
  {{- else }}
  - level: None
    {{ $what }}
  {{- end }}
  {{- end }}
  - level: Metadata
{{- end }}
{{/* Who uses no virtual cluster straight: what is its own, and the relay, whose requests are
     counted where they come from. */}}
{{- define "vc.machinery" -}}
- users: [garret:relay, system:admin, system:anonymous, system:apiserver, system:kube-apiserver, system:kube-controller-manager,
    system:kube-scheduler, system:kube-proxy, system:k3s-controller, system:k3s-supervisor]
- userGroups: ["system:serviceaccounts", "system:nodes", "system:unauthenticated"]
{{- end }}
{{/* What the API server inside tells the syncer, where there is no log: who else did something,
     or began to. While nobody does, it says nothing. */}}
{{- define "vc.activityPolicy" -}}
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  {{- range include "vc.machinery" . | fromYamlArray }}
  - level: None
    {{ toYaml . | nindent 4 | trim }}
  {{- end }}
  - level: Metadata
{{- end }}
{{/* Where the API server inside sends it, and as whom: by the certificate with which it calls
     kubelets, which no webhook and no APIService of a tenant is called with. */}}
{{- define "vc.auditWebhook" -}}
apiVersion: v1
kind: Config
clusters:
  - name: syncer
    cluster: {server: "https://127.0.0.1:9443/activity", certificate-authority: /data/server/tls/server-ca.crt}
users:
  - name: apiserver
    user: {client-certificate: /data/server/tls/client-kube-apiserver.crt, client-key: /data/server/tls/client-kube-apiserver.key}
contexts:
  - name: syncer
    context: {cluster: syncer, user: apiserver}
current-context: syncer
{{- end }}
