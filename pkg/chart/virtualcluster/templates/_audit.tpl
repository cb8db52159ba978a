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
  - level: None
    resources: [{group: coordination.k8s.io, resources: [leases]}, {group: "", resources: [events]}, {group: events.k8s.io}]
  - level: None
    nonResourceURLs: ["/healthz*", "/livez*", "/readyz*", "/version", "/openapi/*", "/api", "/apis", "/metrics"]
  - level: Metadata
{{- end }}
