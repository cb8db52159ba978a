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
