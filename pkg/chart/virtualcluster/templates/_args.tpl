{{/* The arguments of the control plane container, one YAML list item each. */}}
{{- define "vc.controlPlaneArgs" -}}
{{- $version := .Values.kubernetes.version }}
{{- $service := printf "%s.%s" .Release.Name .Release.Namespace }}
{{- $domain := .Values.host.clusterDomain }}
{{- $args := list "server"
  "--data-dir=/data"
  "--https-listen-port=6443"
  "--write-kubeconfig=/data/kubeconfig.yaml"
  "--write-kubeconfig-mode=0600"
  (printf "--service-cidr=%s" .Values.host.serviceCIDR)
  (printf "--cluster-domain=%s" $domain) }}
{{- range list .Release.Name $service (printf "%s.svc" $service) (printf "%s.svc.%s" $service $domain) .Values.service.clusterIP }}
{{- $args = append $args (printf "--tls-san=%s" .) }}
{{- end }}
{{- $args = concat $args (list
  "--disable-agent"
  "--disable-scheduler"
  "--disable-cloud-controller"
  "--disable-network-policy"
  "--disable-helm-controller"
  "--disable-kube-proxy"
  "--disable=coredns,servicelb,traefik,local-storage,metrics-server"
  "--flannel-backend=none") }}
{{- /* Since its last releases of 1.25, k3s makes RuntimeClasses for what its own nodes may
       have. The host has others. */}}
{{- if semverCompare ">=1.25.0-0" $version }}
{{- $args = append $args "--disable=runtimes" }}
{{- end }}
{{- /* k3s has the flag for its egress tunnel since 1.24.1. */}}
{{- if semverCompare ">=1.24.1-0" $version }}
{{- $args = append $args "--egress-selector-mode=disabled" }}
{{- end }}
{{- /* Nodes and volumes are the host's: controllers that would manage them stay off. */}}
{{- $args = append $args "--kube-controller-manager-arg=controllers=*,-nodeipam,-nodelifecycle,-persistentvolume-binder,-attachdetach,-persistentvolume-expander,-ttl" }}
{{- /* A node has the address of the host's node, where node ports answer. Its kubelet is the syncer. */}}
{{- $args = append $args "--kube-apiserver-arg=kubelet-preferred-address-types=InternalDNS,InternalIP,Hostname" }}
{{- /* The API server connects through the syncer's doors, and to endpoints rather than to
       addresses that a node translates, so that the doors see where it goes. */}}
{{- $args = concat $args (list
  "--kube-apiserver-arg=egress-selector-config-file=/etc/garret/egress/egress.yaml"
  "--kube-apiserver-arg=enable-aggregator-routing=true") }}
{{- /* There are no kubelets inside that ask for certificates. k3s would sign those with
       the authority that stands for the API server, which clients pin. */}}
{{- if eq .Values.kubernetes.distro "k3s" }}
{{- range list "kubelet-serving" "legacy-unknown" }}
{{- $args = append $args (printf "--kube-controller-manager-arg=cluster-signing-%s-cert-file=" .) }}
{{- $args = append $args (printf "--kube-controller-manager-arg=cluster-signing-%s-key-file=" .) }}
{{- end }}
{{- end }}
{{- if or .Values.audit.enabled .Values.activity.enabled }}
{{- $args = append $args "--kube-apiserver-arg=audit-policy-file=/etc/garret/audit/policy.yaml" }}
{{- end }}
{{- if .Values.audit.enabled }}
{{- $args = append $args "--kube-apiserver-arg=audit-log-path=-" }}
{{- end }}
{{- /* A second is how late the syncer learns of a request. What cannot be sent holds up the
       end of the process for as long as it is tried. Whoever sends a request chooses how long
       its event is: so many of such a size are kept, in a mebibyte at once. */}}
{{- if .Values.activity.enabled }}
{{- $args = concat $args (list
  "--kube-apiserver-arg=audit-webhook-config-file=/etc/garret/audit/webhook.yaml"
  "--kube-apiserver-arg=audit-webhook-mode=batch"
  "--kube-apiserver-arg=audit-webhook-batch-max-wait=1s"
  "--kube-apiserver-arg=audit-webhook-batch-buffer-size=1000"
  "--kube-apiserver-arg=audit-webhook-initial-backoff=50ms"
  "--kube-apiserver-arg=audit-webhook-truncate-enabled=true"
  "--kube-apiserver-arg=audit-webhook-truncate-max-event-size=32768"
  "--kube-apiserver-arg=audit-webhook-truncate-max-batch-size=1048576") }}
{{- end }}
{{- concat $args .Values.kubernetes.extraArgs | toYaml }}
{{- end }}

{{/* The arguments of the syncer. Addresses known only to the pod come from its environment. */}}
{{- define "vc.syncerArgs" -}}
{{- $args := list
  (printf "--cluster-id=%s" .Values.cluster.id)
  (printf "--virtual-cluster=%s" .Values.cluster.name)
  (printf "--uid=%s" .Values.cluster.uid)
  (printf "--namespace=%s" .Release.Namespace)
  "--data-dir=/data"
  (printf "--cluster-domain=%s" .Values.host.clusterDomain)
  (printf "--service-ip=%s" .Values.service.clusterIP)
  "--pod-ip=$(POD_IP)"
  "--issuer-client-ca-file=/etc/garret/client-ca/ca.crt"
  "--egress-dir=/run/garret"
  (printf "--closed-ranges=%s" .Values.host.serviceCIDR) }}
{{- /* Pods of tenants are not lent the secrets that an image is pulled with. */}}
{{- if not .Values.imagePullSecrets }}
{{- $args = concat $args (list (printf "--image=%s" .Values.syncer.image) (printf "--image-pull-policy=%s" .Values.imagePullPolicy)) }}
{{- end }}
{{- if not (or .Values.controlPlane.storage.persistent .Values.controlPlane.datastore.secretName) }}
{{- $args = append $args "--ephemeral-data" }}
{{- end }}
{{- with .Values.isolation }}
{{- range $flag, $values := dict "inline-volume-drivers" .inlineVolumeDrivers "device-config-drivers" .deviceConfigDrivers "endpoint-ranges" .endpointRanges "external-ip-ranges" .externalIPRanges "allowed-annotations" .allowedAnnotations "denied-annotations" .deniedAnnotations "allowed-labels" .allowedLabels "egress-ranges" .networkPolicy.allowedRanges }}
{{- with $values }}
{{- $args = append $args (printf "--%s=%s" $flag (join "," .)) }}
{{- end }}
{{- end }}
{{- with .podRules }}
{{- $args = append $args (printf "--pod-rules=%s" .) }}
{{- end }}
{{- with .allowedStorage }}
{{- $args = append $args (printf "--allowed-storage=%s" .) }}
{{- end }}
{{- $args = append $args (printf "--public-egress=%t" .networkPolicy.publicEgress) }}
{{- end }}
{{- with .Values.isolation.networkPolicy }}
{{- if and .enabled .tenants }}
{{- $args = append $args (printf "--workloads-egress=%s" (include "vc.workloadsEgress" $ | fromYamlArray | toJson)) }}
{{- end }}
{{- end }}
{{- if .Values.dns.embedded }}
{{- $args = append $args "--embedded-dns" }}
{{- end }}
{{- concat $args .Values.syncer.extraArgs | toYaml }}
{{- end }}

{{/* The environment that points the control plane at an external datastore. Its
     address holds a password, so it comes from the Secret and stands in no argument. */}}
{{- define "vc.datastoreEnv" -}}
{{- with .Values.controlPlane.datastore }}
{{- $secret := .secretName }}
- name: K3S_DATASTORE_ENDPOINT
  valueFrom: {secretKeyRef: {name: {{ $secret }}, key: endpoint}}
{{- if has "token" .secretKeys }}
- name: K3S_TOKEN
  valueFrom: {secretKeyRef: {name: {{ $secret }}, key: token}}
{{- end }}
{{- if has "ca.crt" .secretKeys }}
- {name: K3S_DATASTORE_CAFILE, value: /etc/garret/datastore/ca.crt}
{{- end }}
{{- if has "tls.crt" .secretKeys }}
- {name: K3S_DATASTORE_CERTFILE, value: /etc/garret/datastore/tls.crt}
{{- end }}
{{- if has "tls.key" .secretKeys }}
- {name: K3S_DATASTORE_KEYFILE, value: /etc/garret/datastore/tls.key}
{{- end }}
{{- end }}
{{- end }}

{{/* The files of the datastore's Secret. */}}
{{- define "vc.datastoreFiles" -}}
{{- $files := list }}
{{- range .Values.controlPlane.datastore.secretKeys }}
{{- if has . (list "ca.crt" "tls.crt" "tls.key") }}{{ $files = append $files . }}{{ end }}
{{- end }}
{{- $files | toJson }}
{{- end }}
