package server

import (
	"context"
	"fmt"
	"slices"
	"time"

	apiextensionsscheme "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset/scheme"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/wait"
	validatingpolicy "k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/cel/openapi/resolver"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	k8sscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/cache"
	controllermanager "k8s.io/controller-manager/app"
	"k8s.io/kubernetes/cmd/kube-controller-manager/app"
	"k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	"k8s.io/kubernetes/cmd/kube-controller-manager/names"
	"k8s.io/kubernetes/pkg/controller/validatingadmissionpolicystatus"
	"k8s.io/kubernetes/pkg/generated/openapi"
)

// typeChecks is the controller that checks the types in ValidatingAdmissionPolicies. From its
// start it holds the definitions of all types, seven MiB, though hardly any cluster has a policy.
const typeChecks = names.ValidatingAdmissionPolicyStatusController

// mapperInterval is how often types are looked up again, as in kube-controller-manager.
const mapperInterval = 30 * time.Second

// takeTypeChecks takes the controller from kube-controller-manager, and tells whether that would
// have run it. An operator who names the controller decides alone.
func takeTypeChecks(o *options.KubeControllerManagerOptions) bool {
	if slices.Contains(o.Generic.Controllers, typeChecks) ||
		!controllermanager.IsControllerEnabled(typeChecks, sets.NewString(app.ControllersDisabledByDefault()...), o.Generic.Controllers) {
		return false
	}
	o.Generic.Controllers = append(o.Generic.Controllers, "-"+typeChecks)
	return true
}

// checkTypes runs the controller from when there is a policy until the context ends.
func checkTypes(ctx context.Context, loopback *rest.Config, workers int) error {
	client, err := kubernetes.NewForConfig(asController(loopback))
	if err != nil {
		return fmt.Errorf("%s: %w", typeChecks, err)
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	policies := factory.Admissionregistration().V1().ValidatingAdmissionPolicies()
	found := make(chan struct{}, 1)
	if _, err := policies.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: func(any) {
		select {
		case found <- struct{}{}:
		default:
		}
	}}); err != nil {
		return fmt.Errorf("%s: %w", typeChecks, err)
	}
	factory.Start(ctx.Done())
	defer factory.Shutdown()
	select {
	case <-ctx.Done():
		return nil
	case <-found:
	}

	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client.Discovery()))
	go wait.UntilWithContext(ctx, func(context.Context) { mapper.Reset() }, mapperInterval)
	controller, err := validatingadmissionpolicystatus.NewController(policies, client.AdmissionregistrationV1().ValidatingAdmissionPolicies(),
		&validatingpolicy.TypeChecker{
			SchemaResolver: resolver.NewDefinitionsSchemaResolver(openapi.GetOpenAPIDefinitions, k8sscheme.Scheme, apiextensionsscheme.Scheme).
				Combine(&resolver.ClientDiscoveryResolver{Discovery: client.Discovery()}),
			RestMapper: mapper,
		})
	if err != nil {
		return fmt.Errorf("%s: %w", typeChecks, err)
	}
	controller.Run(ctx, workers)
	return nil
}

// asController has the rights of the controller's service account, and no others.
func asController(loopback *rest.Config) *rest.Config {
	config := rest.AddUserAgent(rest.CopyConfig(loopback), typeChecks)
	config.Impersonate = rest.ImpersonationConfig{
		UserName: serviceaccount.MakeUsername(metav1.NamespaceSystem, typeChecks),
		Groups:   serviceaccount.MakeGroupNames(metav1.NamespaceSystem),
	}
	return config
}
