// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package projected

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// The Secret holds up to three files of a certificate.
const (
	fileKey    = "-key"
	fileChain  = "-chain"
	fileBundle = "-bundle"
)

// place is a source in a projected volume of a pod.
type place struct {
	volume string
	index  int
	source *corev1.VolumeProjection
}

// placesOf are the sources of the pod that are the business of this package.
func placesOf(pod *corev1.Pod) []place {
	var places []place
	for i := range pod.Spec.Volumes {
		volume := &pod.Spec.Volumes[i]
		if volume.Projected == nil {
			continue
		}
		for at := range volume.Projected.Sources {
			source := &volume.Projected.Sources[at]
			if source.ClusterTrustBundle != nil || source.PodCertificate != nil {
				places = append(places, place{volume.Name, at, source})
			}
		}
	}
	return places
}

// Needs tells whether the pod projects a trust bundle or a certificate.
func Needs(pod *corev1.Pod) bool { return len(placesOf(pod)) > 0 }

// Items are the files that a source puts into the volume, with their keys in the Secret
// of the pod; is tells whether the source is the business of this package. Mode is that of
// its files, nil for that of the volume.
func Items(volume string, index int, source *corev1.VolumeProjection, mode *int32) (items []corev1.KeyToPath, is bool) {
	at := place{volume, index, source}
	switch {
	case source.ClusterTrustBundle != nil:
		bundle := source.ClusterTrustBundle
		return []corev1.KeyToPath{{Key: at.key(), Path: bundle.Path, Mode: mode, User: bundle.User}}, true
	case source.PodCertificate != nil:
		for file, path := range filesOf(source.PodCertificate) {
			items = append(items, corev1.KeyToPath{Key: at.key() + file, Path: path, Mode: mode, User: source.PodCertificate.User})
		}
		return items, true
	}
	return nil, false
}

// Mode is that of the files which a kubelet makes for the pod alone: tokens, trust bundles and
// certificates. They are the owner's alone where the pod has a group for its volumes, to which the
// kubelet then opens them, and where all its containers run as root. It is nil for that of the volume.
// A kubelet closes them, too, where all containers run as one other user, whom it makes the owner. The
// files of a Secret belong to root, so that user could not read them.
func Mode(spec *corev1.PodSpec) *int32 {
	if security := spec.SecurityContext; security != nil && security.FSGroup != nil || runsAsRoot(spec) {
		return ptr.To[int32](0o600)
	}
	return nil
}

// runsAsRoot tells whether the pod says so for each of its containers.
func runsAsRoot(spec *corev1.PodSpec) bool {
	isRoot := func(own *corev1.SecurityContext) bool {
		if own != nil && own.RunAsUser != nil {
			return *own.RunAsUser == 0
		}
		of := spec.SecurityContext
		return of != nil && of.RunAsUser != nil && *of.RunAsUser == 0
	}
	for _, container := range slices.Concat(spec.InitContainers, spec.Containers) {
		if !isRoot(container.SecurityContext) {
			return false
		}
	}
	return true
}

// filesOf visits the files that the projection asks for, and their paths.
func filesOf(projection *corev1.PodCertificateProjection) func(yield func(file, path string) bool) {
	return func(yield func(file, path string) bool) {
		for _, each := range [][2]string{
			{fileBundle, projection.CredentialBundlePath}, {fileKey, projection.KeyPath}, {fileChain, projection.CertificateChainPath},
		} {
			if each[1] != "" && !yield(each[0], each[1]) {
				return
			}
		}
	}
}

// key is that of the source in the Secret. Sources that ask for the same bundle share
// one, while each certificate has its own.
func (p place) key() string {
	if p.source.PodCertificate != nil {
		return "certificate-" + digest(p.volume, strconv.Itoa(p.index))
	}
	bundle := p.source.ClusterTrustBundle.DeepCopy()
	bundle.Path, bundle.User = "", nil
	// A projection was JSON before.
	text, _ := json.Marshal(bundle)
	return "bundle-" + digest(string(text))
}

func digest(parts ...string) string {
	hash := sha256.New()
	for _, part := range parts {
		hash.Write([]byte(part))
		hash.Write([]byte{0})
	}
	return hex.EncodeToString(hash.Sum(nil)[:8])
}
