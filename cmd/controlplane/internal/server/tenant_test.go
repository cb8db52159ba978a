//go:build !before_1_37

// Garret's own types are generated for the newest minor, and compile with that one alone.

package server

import (
	"regexp"
	"slices"
	"testing"

	"github.com/spf13/pflag"
	kcm "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	kcmoptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"

	"garret.dev/garret/apis/tenancy"
	"garret.dev/garret/apis/tenancy/validation"
)

// notTheirs is in the names of flags that read or write files, tell a component
// where something is, who somebody is or what they may do.
var notTheirs = regexp.MustCompile(`file|path|dir$|url|-uri|socket|config$|cert|key|issuer|endpoint$|servers|address|webhook|auth|proxy|oidc|token$|requestheader|peer|etcd|cidr|ip-range`)

// TestTenantsOnlyTune holds what the owner of a virtual cluster may give to a
// component to the flags that the component really has: a new version of
// Kubernetes that brings one which opens something fails here.
func TestTenantsOnlyTune(t *testing.T) {
	api := options.NewServerRunOptions().Flags()
	controllerManager, err := kcmoptions.NewKubeControllerManagerOptions()
	if err != nil {
		t.Fatal(err)
	}
	controllers := controllerManager.Flags(kcm.KnownControllers(), kcm.ControllersDisabledByDefault(), kcm.ControllerAliases())
	// These say config and are lists of groups and versions.
	tuning := []string{"runtime-config"}
	for component, sets := range map[string]map[string]*pflag.FlagSet{
		"kube-apiserver-arg": api.FlagSets, "kube-controller-manager-arg": controllers.FlagSets,
	} {
		given := 0
		for _, set := range sets {
			set.VisitAll(func(flag *pflag.Flag) {
				if !accepted("--" + component + "=" + flag.Name + "=1") {
					return
				}
				given++
				if notTheirs.MatchString(flag.Name) && !slices.Contains(tuning, flag.Name) {
					t.Errorf("--%s=%s may be given: %s", component, flag.Name, flag.Usage)
				}
			})
		}
		if given < 20 {
			t.Errorf("--%s: only %d flags may be given, want those that tune it", component, given)
		}
	}
}

func accepted(arg string) bool {
	vc := &tenancy.VirtualCluster{}
	vc.Spec.Kubernetes.ExtraArgs = []string{arg}
	at := field.NewPath("spec", "kubernetes", "extraArgs").Index(0).String()
	return !slices.ContainsFunc((&validation.Validator{}).Create(vc), func(err *field.Error) bool { return err.Field == at })
}
