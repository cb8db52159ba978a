// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package conventions holds our kinds to the conventions of the Kubernetes API,
// one row for each that a reviewer of the API would check, and each row for each
// kind: through a real kube-apiserver with real aggregation and controllers,
// with kubectl, client-go or plain HTTP, whichever shows the convention best. A new kind is
// one entry in kinds_test.go.
package conventions

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/apiserver"
	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/framework/aggregation"
)

// environment is what all tests share.
type environment struct {
	host     *framework.ControlPlane
	garret   *aggregation.Garret
	auditLog string
	objects  *dynamic.DynamicClient
	metadata metadata.Interface
	// http carries the administrator's credentials.
	http *http.Client
}

var shared environment

func TestMain(m *testing.M) {
	// Checks wait for controllers and watches, so that the number of processors is
	// no measure of how many to run together. With more, those that take turns
	// get none of the processors, and are not done when all others are.
	framework.SideBySide(16)
	os.Exit(framework.Run(m, "conv", setUp))
}

const auditPolicy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n"

// followers are the controllers that follow every kind there is. They look for
// new ones every half minute.
var followers = []string{"garbage-collector-controller", "resourcequota-controller"}

// startFollowers starts them once our kinds are there, so that they know of these from the start.
func startFollowers(stage *framework.Stage) error {
	_, err := stage.Start("followers", "kube", "kube-controller-manager", "--kubeconfig="+shared.host.Kubeconfig,
		"--controllers="+strings.Join(followers, ","), "--leader-elect=false", "--secure-port=0", "--kube-api-qps=1000", "--kube-api-burst=2000")
	return err
}

func setUp(stage *framework.Stage) (err error) {
	if shared.host, err = stage.StartControlPlane("host", aggregation.HostFlag, "--kube-controller-manager-arg=controllers=*,-"+strings.Join(followers, ",-")); err != nil {
		return err
	}
	policy := filepath.Join(stage.Dir, "audit.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return err
	}
	shared.auditLog = filepath.Join(stage.Dir, "audit.log")
	shared.garret, err = aggregation.Serve(stage, shared.host, func(options *apiserver.Options) {
		options.Recommended.Audit.PolicyFile = policy
		options.Recommended.Audit.LogOptions.Path = shared.auditLog
	})
	if err != nil {
		return err
	}
	if err := startFollowers(stage); err != nil {
		return err
	}
	config := rest.CopyConfig(shared.host.Config)
	config.WarningHandler = rest.NoWarnings{} // the checks of warnings look at the header
	if shared.objects, err = dynamic.NewForConfig(config); err != nil {
		return err
	}
	if shared.metadata, err = metadata.NewForConfig(config); err != nil {
		return err
	}
	if shared.http, err = rest.HTTPClientFor(config); err != nil {
		return err
	}
	ctx := context.Background()
	_, err = shared.garret.Clients.TenancyV1().VirtualClusterTemplates().Create(ctx, &v1.VirtualClusterTemplate{
		ObjectMeta: metav1.ObjectMeta{Name: parameterised},
		Spec: v1.VirtualClusterTemplateSpec{Versions: []v1.TemplateVersion{{Version: "1.0.0", Parameters: []v1.TemplateParameter{
			{Name: "one", Default: ptr.To("")}, {Name: "two", Default: ptr.To("")}}}}},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	return framework.Poll(ctx, kubectlKnows)
}

// kubectlKnows fills the cache that all calls of kubectl share, once the host
// has our kinds in its discovery. Else the first checks would all fill it at once.
func kubectlKnows(context.Context) (bool, error) {
	known, err := shared.host.Kubectl().Try("api-resources", "--api-group="+v1.GroupName, "--output=name")
	return err == nil && strings.Contains(known, "virtualclusters"), nil
}
