// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/cli/exit"
)

// Advice is an error with what the user can do about it.
type Advice struct {
	Err    error
	Remedy string
}

// Error gives both, the remedy on a line of its own.
func (a *Advice) Error() string { return a.Err.Error() + "\n  → " + a.Remedy }

// Unwrap returns the error without the remedy.
func (a *Advice) Unwrap() error { return a.Err }

func advise(err error, remedy string) error { return &Advice{Err: err, Remedy: remedy} }

// Advise adds a remedy to an error.
func Advise(err error, remedy string, args ...any) error {
	return advise(err, fmt.Sprintf(remedy, args...))
}

// Misuse is an error of the command line, with a remedy.
func Misuse(err error, remedy string, args ...any) error {
	return exit.With(exit.Usage, Advise(err, remedy, args...))
}

// NotReady is an error about what is not ready in time, with a remedy.
func NotReady(err error, remedy string, args ...any) error {
	return exit.With(exit.NotReady, Advise(err, remedy, args...))
}

// Explain adds a remedy to an error of the host's API where one is known. An
// error that has one already keeps it.
func (c *Cluster) Explain(err error) error {
	var advice *Advice
	if err == nil || errors.As(err, &advice) {
		return err
	}
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		if remedy := c.remedy(err, status); remedy != "" {
			return advise(err, remedy)
		}
		return err
	}
	var network net.Error
	var request *url.Error
	if errors.As(err, &request) || errors.As(err, &network) {
		return advise(fmt.Errorf("the host cluster %s%s cannot be reached: %w", c.Config.Host, c.inContext(), err),
			"see that it is up, or choose another with --context or --kubeconfig")
	}
	return err
}

func (c *Cluster) remedy(err error, status apierrors.APIStatus) string {
	details := status.Status().Details
	ours := details != nil && (details.Group == tenancyv1.GroupName || details.Kind == "virtualclusters")
	switch {
	case apierrors.IsNotFound(err) && (details == nil || details.Name == ""):
		return "Garret does not seem to be installed on this host cluster" + c.inContext() + ": a cluster administrator can do so with: garret install"
	case apierrors.IsNotFound(err) && ours:
		return "garret list --all-namespaces shows which there are; name the namespace with --namespace"
	case apierrors.IsNotFound(err) && details.Kind == "namespaces":
		return "make the namespace with: kubectl create namespace " + details.Name
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "RBAC"), apierrors.IsForbidden(err) && strings.Contains(err.Error(), " cannot "):
		return "ask an administrator of the host cluster for a RoleBinding in this namespace to one of the ClusterRoles edit, garret-enter or garret-enter-readonly"
	case apierrors.IsUnauthorized(err):
		return "the host cluster did not accept your credential" + c.inContext() + ": log in again"
	case apierrors.IsServiceUnavailable(err) && ours:
		return "it is not ready: garret list --all-namespaces -o wide says why, kubectl wait --for=condition=Ready vc/" + details.Name + " waits for it"
	case apierrors.IsServiceUnavailable(err):
		return "garret-apiserver is not available: kubectl describe apiservice v1.tenancy.garret.dev and kubectl get pods -n " + tenancyv1.SystemNamespace + " say why"
	case apierrors.IsInvalid(err) && ours:
		return "correct the fields that the message names; kubectl explain virtualcluster.spec --recursive describes all"
	case apierrors.IsAlreadyExists(err) && ours:
		return "enter it with: garret use " + details.Name + " --namespace " + c.Namespace
	}
	return ""
}

func (c *Cluster) inContext() string {
	if c.Context == "" {
		return ""
	}
	return fmt.Sprintf(" (context %q)", c.Context)
}
