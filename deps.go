package garret

import (
	_ "github.com/k3s-io/kine/pkg/endpoint"
	_ "github.com/spf13/cobra"
	_ "helm.sh/helm/v3/pkg/action"
	_ "k8s.io/api/core/v1"
	_ "k8s.io/apiserver/pkg/server/options"
	_ "k8s.io/cli-runtime/pkg/genericclioptions"
	_ "k8s.io/client-go/kubernetes"
	_ "k8s.io/component-base/cli"
	_ "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"
	_ "k8s.io/kube-openapi/pkg/common"
	_ "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
)
