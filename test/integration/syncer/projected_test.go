// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"bytes"
	"context"
	"crypto/tls"
	"slices"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/pki/pkitest"
	"garret.dev/garret/test/framework"
)

// bundle makes a trust bundle inside.
func (s *side) bundle(name, signer string, authority *pkitest.Authority) {
	s.t.Helper()
	bundles := s.virtual.CertificatesV1().ClusterTrustBundles()
	_, err := bundles.Create(s.t.Context(), &certificatesv1.ClusterTrustBundle{ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: certificatesv1.ClusterTrustBundleSpec{SignerName: signer, TrustBundle: string(authority.PEM())}}, metav1.CreateOptions{})
	s.must(err)
	s.t.Cleanup(func() { _ = bundles.Delete(context.Background(), name, metav1.DeleteOptions{}) })
}

// answer gives the pod's only request without an answer one, as its signer.
func (s *side) answer(pod *corev1.Pod, status func(*certificatesv1.PodCertificateRequest) certificatesv1.PodCertificateRequestStatus) *certificatesv1.PodCertificateRequest {
	s.t.Helper()
	var request *certificatesv1.PodCertificateRequest
	requests := s.virtual.CertificatesV1().PodCertificateRequests(s.namespace)
	framework.Eventually(s.t, "a certificate for "+pod.Name+" is requested", func(ctx context.Context) (bool, error) {
		list, err := requests.List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		at := slices.IndexFunc(list.Items, func(r certificatesv1.PodCertificateRequest) bool {
			return r.Spec.PodUID == pod.UID && len(r.Status.Conditions) == 0
		})
		if at >= 0 {
			request = &list.Items[at]
		}
		return at >= 0, nil
	})
	request.Status = status(request)
	answered, err := requests.UpdateStatus(s.t.Context(), request, metav1.UpdateOptions{})
	s.must(err)
	return answered
}

// files are what the kubelet of the host would write into the pod's volume.
func (s *side) files(host *corev1.Pod, volume string) map[string]string {
	s.t.Helper()
	files := map[string]string{}
	for _, each := range host.Spec.Volumes {
		if each.Name != volume {
			continue
		}
		for _, source := range each.Projected.Sources {
			secret, err := s.host.CoreV1().Secrets(s.hostNamespace).Get(s.t.Context(), source.Secret.Name, metav1.GetOptions{})
			s.must(err)
			for _, item := range source.Secret.Items {
				if content, there := secret.Data[item.Key]; there {
					files[item.Path] = string(content)
				}
			}
		}
	}
	return files
}

// projecting is a pod with one projected volume.
func projecting(sources ...corev1.VolumeProjection) corev1.PodSpec {
	return corev1.PodSpec{
		AutomountServiceAccountToken: ptr.To(false),
		Containers:                   []corev1.Container{{Name: "app", Image: "busybox:1", VolumeMounts: []corev1.VolumeMount{{Name: "v", MountPath: "/v"}}}},
		Volumes:                      []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: sources}}}},
	}
}

// TestTrustBundlesAndCertificates has a pod project both. The test is the signer inside.
func TestTrustBundlesAndCertificates(t *testing.T) {
	s := setUp(t)
	ctx := t.Context()
	one, two, signer := pkitest.NewAuthority(t, "one"), pkitest.NewAuthority(t, "two"), s.namespace+".example.org/ca"
	name := s.namespace + ".example.org:ca:1"
	s.bundle(name, signer, one)
	by := func(bundle corev1.ClusterTrustBundleProjection) corev1.VolumeProjection {
		return corev1.VolumeProjection{ClusterTrustBundle: &bundle}
	}
	certificate := corev1.VolumeProjection{PodCertificate: &corev1.PodCertificateProjection{SignerName: signer, KeyType: "ECDSAP256",
		KeyPath: "key.pem", CertificateChainPath: "chain.pem", UserAnnotations: map[string]string{"example.org/role": "web"}}}
	pod := s.createPod("web", projecting(
		by(corev1.ClusterTrustBundleProjection{Name: &name, Path: "named.pem"}),
		by(corev1.ClusterTrustBundleProjection{SignerName: &signer, LabelSelector: &metav1.LabelSelector{}, Path: "signer.pem"}),
		by(corev1.ClusterTrustBundleProjection{Name: ptr.To("none"), Path: "none.pem", Optional: ptr.To(true)}), certificate))
	host := s.hostPod("web")
	if files := s.files(host, "v"); len(files) > 0 {
		t.Errorf("before the pod has a node: got %v, want nothing", files)
	}
	node := "node-" + s.namespace
	s.schedule(host, node)

	request := s.answer(pod, func(request *certificatesv1.PodCertificateRequest) certificatesv1.PodCertificateRequestStatus {
		return one.Issue(t, request, time.Now())
	})
	inside, err := s.virtual.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
	s.must(err)
	if spec := request.Spec; spec.PodName != "web" || string(spec.NodeName) != node || spec.NodeUID != inside.UID || spec.ServiceAccountName != "default" ||
		spec.UnverifiedUserAnnotations["example.org/role"] != "web" {
		t.Errorf("request: got %+v, want one about the pod, its node and its account inside", spec)
	}
	var files map[string]string
	framework.Eventually(t, "the pod has all files", func(context.Context) (bool, error) {
		files = s.files(host, "v")
		return len(files) == 5, nil
	})
	if files["named.pem"] != string(one.PEM()) || files["signer.pem"] != string(one.PEM()) || files["none.pem"] != "" {
		t.Errorf("trust bundles: got %v, want that inside twice, and an empty one", files)
	}
	pair, err := tls.X509KeyPair([]byte(files["chain.pem"]), []byte(files["key.pem"]))
	s.must(err)
	if err := pair.Leaf.CheckSignatureFrom(one.Certificate); err != nil {
		t.Errorf("certificate: %v, want the signer's", err)
	}

	s.bundle(s.namespace+".example.org:ca:2", signer, two)
	framework.Eventually(t, "a further bundle of the signer is carried", func(context.Context) (bool, error) {
		signed := []byte(s.files(host, "v")["signer.pem"])
		return bytes.Count(signed, []byte("BEGIN")) == 2 && bytes.Contains(signed, two.PEM()), nil
	})

	t.Run("missing", func(t *testing.T) {
		s := s.within(t)
		late := s.namespace + "-late"
		pod := s.createPod("waits", projecting(by(corev1.ClusterTrustBundleProjection{Name: &late, Path: "late.pem"})))
		host := s.hostPod("waits")
		s.schedule(host, node)
		if got, want := s.awaitEvent(pod.UID, "FailedMount"), `MountVolume.SetUp failed for volume "v": ClusterTrustBundle "`+late+`" is not found`; got != want {
			t.Errorf("event: got %q, want %q", got, want)
		}
		s.bundle(late, "", two)
		framework.Eventually(t, "the bundle is carried", func(context.Context) (bool, error) { return s.files(host, "v")["late.pem"] == string(two.PEM()), nil })
	})

	t.Run("denied", func(t *testing.T) {
		s := s.within(t)
		pod := s.createPod("denied", projecting(certificate))
		s.schedule(s.hostPod("denied"), node)
		s.answer(pod, func(*certificatesv1.PodCertificateRequest) certificatesv1.PodCertificateRequestStatus {
			return certificatesv1.PodCertificateRequestStatus{Conditions: []metav1.Condition{pkitest.Answer(certificatesv1.PodCertificateRequestConditionTypeDenied)}}
		})
		s.awaitEvent(pod.UID, "Denied")
	})

	s.must(s.virtual.CoreV1().Pods(s.namespace).Delete(ctx, "web", metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}))
	framework.Eventually(t, "the Secret goes with the pod", func(ctx context.Context) (bool, error) {
		secrets, err := s.host.CoreV1().Secrets(s.hostNamespace).List(ctx, s.ofTest())
		if err != nil {
			return false, err
		}
		return !slices.ContainsFunc(secrets.Items, func(secret corev1.Secret) bool {
			return secret.Annotations[tenancyv1.AnnotationVirtualName] == "web"
		}), nil
	})
}
