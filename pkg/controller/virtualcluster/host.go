// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/utils/clock"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

const (
	// defaultServiceCIDR is the ServiceCIDR that kube-apiserver makes of its flag.
	defaultServiceCIDR = "kubernetes"
	factsLast          = 10 * time.Minute
)

// namedRange is how the host's API server names its range when it refuses an
// address outside it.
var namedRange = regexp.MustCompile(`range of valid IPs is ([0-9a-fA-F.:]+/[0-9]+)`)

// errNoAuthority says that garret-apiserver has not published its authority yet.
var errNoAuthority = errors.New("garret-apiserver has not published its certificate authority yet")

// hostFacts are what every virtual cluster must know of its host.
type hostFacts struct {
	host       kubernetes.Interface
	configMaps corelisters.ConfigMapLister
	namespace  string
	clock      clock.Clock

	mu   sync.Mutex
	cidr string
	read time.Time
	// served is when the host was last seen to serve a kind.
	served map[schema.GroupVersionResource]time.Time
}

// serves tells whether the host serves the kind. That it does is remembered for a while, that it does
// not is asked each time: somebody may have upgraded it.
func (f *hostFacts) serves(at schema.GroupVersionResource) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if seen, known := f.served[at]; known && f.clock.Since(seen) < factsLast {
		return true, nil
	}
	is, err := serves(f.host.Discovery(), at)
	if is {
		if f.served == nil {
			f.served = map[schema.GroupVersionResource]time.Time{}
		}
		f.served[at] = f.clock.Now()
	}
	return is, err
}

// serviceCIDR is the host's range of service addresses; two, with a comma, on a
// host of two address families.
func (f *hostFacts) serviceCIDR(ctx context.Context) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cidr != "" && f.clock.Since(f.read) < factsLast {
		return f.cidr, nil
	}
	cidr, err := f.readServiceCIDR(ctx)
	if err != nil {
		if f.cidr != "" {
			return f.cidr, nil
		}
		return "", fmt.Errorf("host's service range: %w", err)
	}
	f.cidr, f.read = cidr, f.clock.Now()
	return cidr, nil
}

func (f *hostFacts) readServiceCIDR(ctx context.Context) (string, error) {
	object, err := f.host.NetworkingV1().ServiceCIDRs().Get(ctx, defaultServiceCIDR, metav1.GetOptions{})
	if err == nil && len(object.Spec.CIDRs) > 0 {
		return strings.Join(object.Spec.CIDRs, ","), nil
	}
	// A host before 1.33 does not serve the kind. It names its range when asked
	// for an address that no range can hold.
	probe := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "garret-service-range-", Namespace: f.namespace},
		Spec:       corev1.ServiceSpec{ClusterIP: "1.1.1.1", Ports: []corev1.ServicePort{{Port: 443}}},
	}
	_, refused := f.host.CoreV1().Services(f.namespace).Create(ctx, probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if refused == nil {
		return "", fmt.Errorf("not named when asked for an impossible address; ServiceCIDR %s: %w", defaultServiceCIDR, err)
	}
	cidr, named := cidrIn(refused.Error())
	if !named {
		return "", fmt.Errorf("ServiceCIDR %s: %w; dry run of a Service: %w", defaultServiceCIDR, err, refused)
	}
	return cidr, nil
}

// cidrIn finds the range in the API server's refusal.
func cidrIn(message string) (string, bool) {
	match := namedRange.FindStringSubmatch(message)
	if match == nil {
		return "", false
	}
	prefix, err := netip.ParsePrefix(match[1])
	return prefix.String(), err == nil
}

// clientCA is the PEM of the authority that signs garret-apiserver's client certificate.
func (f *hostFacts) clientCA() (string, error) {
	published, err := f.configMaps.ConfigMaps(f.namespace).Get(tenancyv1.CAConfigMap)
	if err != nil {
		return "", errNoAuthority
	}
	pem := strings.TrimSpace(published.Data[tenancyv1.CAConfigMapKey])
	if pem == "" {
		return "", errNoAuthority
	}
	return pem, nil
}
