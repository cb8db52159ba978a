// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	pathvalidation "k8s.io/apimachinery/pkg/api/validation/path"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/warning"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/klog/v2"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

const (
	// MinKubeconfigLife is the shortest life of a kubeconfig.
	MinKubeconfigLife = 10 * time.Minute
	// maxRoleName is the longest name of a ClusterRole, which stands in no URL
	// but in a certificate request and in audit logs.
	maxRoleName = 253
	// MaxKubeconfigLife is the longest life of a kubeconfig, which is also the
	// longest that an issuer signs for.
	MaxKubeconfigLife = 24 * time.Hour

	// AuditCredential is the audit annotation with the id of an issued credential,
	// which is what it is revoked by inside.
	AuditCredential = "tenancy.garret.dev/credential-id"
	// AuditClusterRole is the audit annotation with the ClusterRole inside that an
	// issued credential is held to.
	AuditClusterRole = "tenancy.garret.dev/cluster-role"
	// AuditSerial is the audit annotation with the serial number of an issued certificate.
	AuditSerial = "tenancy.garret.dev/certificate-serial"
	// AuditExpiration is the audit annotation with the end of an issued certificate.
	AuditExpiration = "tenancy.garret.dev/certificate-expiration"
)

// Kubeconfigs issues stand-alone credentials for virtual clusters.
type Kubeconfigs struct {
	issuer *Issuer
	max    time.Duration
	// awake is nil where nobody wakes virtual clusters.
	awake Awake
}

// Awake returns a virtual cluster that sleeps when it is ready again, as it is then, and
// any other as it is. Errors are API errors, or that of ctx.
type Awake func(ctx context.Context, cluster *tenancy.VirtualCluster, host user.Info) (*tenancy.VirtualCluster, error)

// NewKubeconfigs issues with issuer, for at most max, which is itself at most
// MaxKubeconfigLife.
func NewKubeconfigs(issuer *Issuer, max time.Duration) *Kubeconfigs {
	return &Kubeconfigs{issuer: issuer, max: min(max, MaxKubeconfigLife)}
}

// Waking has virtual clusters woken for which somebody asks for a kubeconfig.
func (k *Kubeconfigs) Waking(awake Awake) *Kubeconfigs {
	k.awake = awake
	return k
}

// Create answers a request for a kubeconfig. That the host user may ask was
// decided before. The request is not changed; what is returned is a copy of it
// with its status filled in, or without when dryRun is set: then everything is
// checked and nothing is issued.
//
// Errors are API errors.
func (k *Kubeconfigs) Create(ctx context.Context, host user.Info, cluster *tenancy.VirtualCluster, request *tenancy.KubeconfigRequest, dryRun bool) (*tenancy.KubeconfigRequest, error) {
	if err := validate(cluster, request); err != nil {
		return nil, err
	}
	if err := checkName(host.GetName()); err != nil {
		err = fmt.Errorf("user %q cannot enter: %w", host.GetName(), err)
		return nil, apierrors.NewForbidden(tenancy.Resource(resource), cluster.Name, err)
	}
	if cluster.DeletionTimestamp != nil {
		return nil, apierrors.NewConflict(tenancy.Resource(resource), cluster.Name, fmt.Errorf("it is being deleted"))
	}
	if k.awake != nil && !dryRun {
		woken, err := k.awake(ctx, cluster, host)
		if err != nil {
			return nil, err
		}
		cluster = woken
	}
	if err := Ready(cluster); err != nil {
		return nil, err
	}
	answer := request.DeepCopy()
	answer.Status = tenancy.KubeconfigRequestStatus{}
	life := k.bound(ctx, answer)

	// The groups of the host stay behind: what they may can change while the
	// certificate lives.
	credential, err := k.issuer.Kubeconfig(ctx, cluster, host.GetName(), request.Spec.ClusterRole, life, dryRun)
	if err != nil {
		return nil, refusal(ctx, cluster, request, err)
	}
	if dryRun {
		return answer, nil
	}
	kubeconfig, err := encode(cluster, credential, server(cluster, request))
	if err != nil {
		return nil, apierrors.NewInternalError(fmt.Errorf("kubeconfig of virtual cluster %s/%s: %w", cluster.Namespace, cluster.Name, err))
	}
	expiration := metav1.NewTime(credential.NotAfter())
	answer.Status.Kubeconfig = kubeconfig
	answer.Status.CredentialID = credential.ID
	answer.Status.ExpirationTimestamp = &expiration
	audit.AddAuditAnnotations(ctx, AuditCredential, credential.ID, AuditSerial, credential.Serial(),
		AuditExpiration, expiration.UTC().Format(time.RFC3339))
	if role := request.Spec.ClusterRole; role != "" {
		audit.AddAuditAnnotation(ctx, AuditClusterRole, role)
	}
	return answer, nil
}

// refusal is the answer to a caller when nothing was issued. Only what the issuer
// says about the ClusterRole is theirs to mend.
func refusal(ctx context.Context, cluster *tenancy.VirtualCluster, request *tenancy.KubeconfigRequest, err error) error {
	if apierrors.IsInvalid(err) && request.Spec.ClusterRole != "" {
		problem := field.Invalid(field.NewPath("spec", "clusterRole"), request.Spec.ClusterRole, "the ClusterRole does not exist in the virtual cluster: create it first, or name another")
		return apierrors.NewInvalid(tenancy.SchemeGroupVersion.WithKind("KubeconfigRequest").GroupKind(), cluster.Name, field.ErrorList{problem})
	}
	klog.FromContext(ctx).Error(err, "No kubeconfig", "virtualCluster", klog.KObj(cluster))
	return Unavailable(cluster, retryNotReady, "IssuerUnavailable", err.Error())
}

// validate checks the request alone, and that it is meant for this cluster.
func validate(cluster *tenancy.VirtualCluster, request *tenancy.KubeconfigRequest) error {
	if request.Name != "" && request.Name != cluster.Name {
		return apierrors.NewBadRequest(fmt.Sprintf("the name of the request (%s) is not that of the virtual cluster (%s)", request.Name, cluster.Name))
	}
	if request.Namespace != "" && request.Namespace != cluster.Namespace {
		return apierrors.NewBadRequest(fmt.Sprintf("the namespace of the request (%s) is not that of the virtual cluster (%s)", request.Namespace, cluster.Namespace))
	}
	if request.UID != "" && request.UID != cluster.UID {
		return apierrors.NewConflict(tenancy.Resource(resource), cluster.Name, fmt.Errorf("the UID in the request (%s) is not that of the virtual cluster (%s)", request.UID, cluster.UID))
	}
	if errs := validateSpec(&request.Spec, field.NewPath("spec")); len(errs) > 0 {
		return apierrors.NewInvalid(tenancy.SchemeGroupVersion.WithKind("KubeconfigRequest").GroupKind(), cluster.Name, errs)
	}
	return nil
}

func validateSpec(spec *tenancy.KubeconfigRequestSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if s := spec.ExpirationSeconds; s != nil && *s < int64(MinKubeconfigLife/time.Second) {
		errs = append(errs, field.Invalid(path.Child("expirationSeconds"), *s, fmt.Sprintf("must be at least %d, ten minutes", int64(MinKubeconfigLife/time.Second))))
	}
	if role := spec.ClusterRole; role != "" {
		for _, problem := range pathvalidation.ValidatePathSegmentName(role, false) {
			errs = append(errs, field.Invalid(path.Child("clusterRole"), role, problem))
		}
		if len(role) > maxRoleName {
			errs = append(errs, field.TooLong(path.Child("clusterRole"), "", maxRoleName))
		}
	}
	if spec.Server != "" {
		if err := checkServer(spec.Server); err != nil {
			errs = append(errs, field.Invalid(path.Child("server"), spec.Server, err.Error()))
		}
	}
	return errs
}

func checkServer(server string) error {
	u, err := url.Parse(server)
	switch {
	case err != nil:
		return fmt.Errorf("must be an address of the form https://host:port")
	case u.Scheme != "https":
		return fmt.Errorf("must begin with https://, since a client certificate is only sent over TLS")
	case u.Hostname() == "" || u.Opaque != "":
		return fmt.Errorf("must name a host, in the form https://host:port")
	case u.User != nil:
		return fmt.Errorf("must not contain a user name")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return fmt.Errorf("must not contain a query or a fragment")
	}
	return nil
}

// bound fills in and shortens the life asked for, with a warning to the client.
func (k *Kubeconfigs) bound(ctx context.Context, request *tenancy.KubeconfigRequest) time.Duration {
	seconds := int64(v1.DefaultKubeconfigExpirationSeconds)
	if request.Spec.ExpirationSeconds != nil {
		seconds = *request.Spec.ExpirationSeconds
	}
	if longest := int64(k.max / time.Second); seconds > longest {
		warning.AddWarning(ctx, "", fmt.Sprintf("requested expiration of %d seconds shortened to %d seconds", seconds, longest))
		seconds = longest
	}
	request.Spec.ExpirationSeconds = &seconds
	return time.Duration(seconds) * time.Second
}

// server is the address that the kubeconfig names.
func server(cluster *tenancy.VirtualCluster, request *tenancy.KubeconfigRequest) string {
	switch {
	case request.Spec.Server != "":
		return request.Spec.Server
	case cluster.Status.Endpoint != "":
		return cluster.Status.Endpoint
	}
	return "https://" + v1.ServerName(cluster.Name, cluster.Namespace)
}

// encode writes a kubeconfig with one context, named after the virtual cluster.
func encode(cluster *tenancy.VirtualCluster, credential *Credential, server string) ([]byte, error) {
	key, err := credential.keyPEM()
	if err != nil {
		return nil, err
	}
	entry := clientcmdapi.NewCluster()
	entry.Server = server
	entry.CertificateAuthorityData = cluster.Status.CertificateAuthorityData
	if !named(cluster, server) {
		entry.TLSServerName = v1.ServerName(cluster.Name, cluster.Namespace)
	}
	holder := clientcmdapi.NewAuthInfo()
	holder.ClientCertificateData = credential.certificatePEM()
	holder.ClientKeyData = key
	current := clientcmdapi.NewContext()
	current.Cluster, current.AuthInfo = cluster.Name, cluster.Name

	config := clientcmdapi.NewConfig()
	config.Clusters[cluster.Name] = entry
	config.AuthInfos[cluster.Name] = holder
	config.Contexts[cluster.Name] = current
	config.CurrentContext = cluster.Name
	return clientcmd.Write(*config)
}

// named tells whether the serving certificate inside is known to carry the
// host of this address. Any other host, such as a load balancer's, is verified
// under the cluster's own name.
func named(cluster *tenancy.VirtualCluster, server string) bool {
	host := hostOf(server)
	name, full := v1.ReleaseName(cluster.Name), v1.ServerName(cluster.Name, cluster.Namespace)
	known := []string{name, name + "." + cluster.Namespace, full, full + ".cluster.local", "localhost", "127.0.0.1"}
	return slices.Contains(known, host) || (cluster.Status.Endpoint != "" && host == hostOf(cluster.Status.Endpoint))
}

func hostOf(server string) string {
	u, err := url.Parse(server)
	if err != nil {
		return ""
	}
	return u.Hostname()
}
