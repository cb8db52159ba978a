// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package projected

import (
	"context"
	"encoding/pem"
	"fmt"
	"slices"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"
)

// pemCertificate is the type of all blocks that a kubelet writes into bundles and chains.
const pemCertificate = "CERTIFICATE"

// missingError tells the tenant what keeps a volume from being made.
type missingError string

func (e missingError) Error() string { return string(e) }

// anchors are the trust anchors that the projection asks for. The error is a
// missingError where there are none, and there have to be.
func (s *Source) anchors(ctx context.Context, projection *corev1.ClusterTrustBundleProjection) ([]byte, error) {
	names, err := s.chosen(projection)
	if err != nil {
		return nil, err
	}
	var bundles []string
	for _, name := range names {
		// The cache does not hold what bundles hold.
		bundle, err := s.virtual.CertificatesV1().ClusterTrustBundles().Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("trust bundle %s: %w", name, err)
		}
		bundles = append(bundles, bundle.Spec.TrustBundle)
	}
	if len(bundles) == 0 && !ptr.Deref(projection.Optional, false) {
		if projection.Name != nil {
			return nil, missingError(fmt.Sprintf("ClusterTrustBundle %q is not found", *projection.Name))
		}
		return nil, missingError(fmt.Sprintf("no ClusterTrustBundle of signer %q matches the labelSelector", ptr.Deref(projection.SignerName, "")))
	}
	return normalize(bundles), nil
}

// chosen names the bundles that the projection asks for, of which some may be missing.
func (s *Source) chosen(projection *corev1.ClusterTrustBundleProjection) ([]string, error) {
	if projection.Name != nil {
		return []string{*projection.Name}, nil
	}
	// Without a selector, nothing is selected; an empty one selects all.
	selector, err := metav1.LabelSelectorAsSelector(projection.LabelSelector)
	if err != nil {
		return nil, missingError("the labelSelector of the ClusterTrustBundle is not valid: " + err.Error())
	}
	var names []string
	for _, bundle := range s.bundles.List() {
		if isOf(bundle, projection, selector) {
			names = append(names, bundle.Name)
		}
	}
	return names, nil
}

func isOf(bundle *certificatesv1.ClusterTrustBundle, projection *corev1.ClusterTrustBundleProjection, selector labels.Selector) bool {
	return bundle.Spec.SignerName == ptr.Deref(projection.SignerName, "") && selector.Matches(labels.Set(bundle.Labels))
}

// concerns tells whether the bundle is, or was, one that the projection may ask for.
func concerns(bundle *certificatesv1.ClusterTrustBundle, projection *corev1.ClusterTrustBundleProjection) bool {
	if projection.Name != nil {
		return *projection.Name == bundle.Name
	}
	return bundle.Spec.SignerName == ptr.Deref(projection.SignerName, "")
}

// normalize has each anchor once, without headers and what stands between, in an
// order that does not change.
func normalize(bundles []string) []byte {
	var anchors []string
	for _, bundle := range bundles {
		for block, rest := pem.Decode([]byte(bundle)); block != nil; block, rest = pem.Decode(rest) {
			anchors = append(anchors, string(block.Bytes))
		}
	}
	slices.Sort(anchors)
	normal := []byte{}
	for _, anchor := range slices.Compact(anchors) {
		normal = append(normal, pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: []byte(anchor)})...)
	}
	return normal
}

// cleanChain is the chain without headers and what stands between its certificates.
func cleanChain(chain string) []byte {
	var clean []byte
	for block, rest := pem.Decode([]byte(chain)); block != nil; block, rest = pem.Decode(rest) {
		clean = append(clean, pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: block.Bytes})...)
	}
	return clean
}
