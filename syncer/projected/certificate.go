// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package projected

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"garret.dev/garret/syncer/engine"
)

const (
	// annotationCertificates on the Secret tells the times of its certificates, by key.
	annotationCertificates = "garret.dev/certificates"

	// lostAfter is how long a request may be missing from the cache before it counts as deleted.
	lostAfter = 10 * time.Minute
	// retryAfter is when something is asked for again that no change tells of.
	retryAfter = 30 * time.Second
	// overdueAfter is how long a certificate may be due for renewal before an Event says so.
	overdueAfter = 10 * time.Minute
)

// certificate is one of a pod that is under way.
type certificate struct {
	// request is the name of the request that waits, with its private key; empty for none.
	request string
	key     []byte
	// lost is when a request that is not seen counts as deleted.
	lost time.Time
	// final is why there will be no other; empty while there may be.
	final string
	// overdue and expired say that an Event on the pod said so.
	overdue, expired bool
}

// times are when a certificate is to be renewed, and when it ends.
type times struct {
	Renew metav1.Time `json:"renew"`
	Ends  metav1.Time `json:"ends"`
}

// timesOf reads them from a Secret; the annotation is on the host, where it may say
// anything, and then certificates are renewed.
func timesOf(secret *corev1.Secret) map[string]times {
	all := map[string]times{}
	_ = json.Unmarshal([]byte(secret.Annotations[annotationCertificates]), &all)
	return all
}

// certify gives the Secret the certificate of the place, and renews it in time.
func (s *Source) certify(ctx context.Context, pod *corev1.Pod, place place, state *state, secret *corev1.Secret) (time.Duration, error) {
	key := place.key()
	under := state.certificates[key]
	if under == nil {
		under = &certificate{}
		state.certificates[key] = under
	}
	now := s.clock.Now()
	has := timesOf(secret)[key]
	for file := range filesOf(place.source.PodCertificate) {
		if len(secret.Data[key+file]) == 0 {
			has = times{}
		}
	}
	if under.request != "" {
		request, found := s.requests.Get(pod.Namespace, under.request)
		switch {
		case found:
			return s.settle(pod, place, under, request, has, secret)
		case now.Before(under.lost):
			return under.lost.Sub(now), nil
		}
		under.request, under.key = "", nil
	}
	switch {
	case under.final != "":
		if has.Ends.IsZero() {
			return 0, missingError(under.final)
		}
		return 0, nil
	case now.Before(has.Renew.Time):
		return has.Renew.Sub(now), nil
	}
	if err := s.request(ctx, pod, place.source.PodCertificate, under); err != nil {
		return retryAfter, err
	}
	if has.Ends.IsZero() {
		return lostAfter, nil
	}
	return s.late(pod, under, has), nil
}

// settle sees to what became of a request.
func (s *Source) settle(pod *corev1.Pod, place place, under *certificate, request *certificatesv1.PodCertificateRequest, has times, secret *corev1.Secret) (time.Duration, error) {
	for _, condition := range request.Status.Conditions {
		switch condition.Type {
		case certificatesv1.PodCertificateRequestConditionTypeDenied, certificatesv1.PodCertificateRequestConditionTypeFailed:
			under.request, under.key = "", nil
			under.final = fmt.Sprintf("PodCertificateRequest %s of signer %s: %s: %s: %s", klog.KObj(request), request.Spec.SignerName, condition.Type, condition.Reason, condition.Message)
			s.recorder.Event(pod, corev1.EventTypeWarning, condition.Type, under.final)
			if has.Ends.IsZero() {
				return 0, missingError(under.final)
			}
			return 0, nil
		case certificatesv1.PodCertificateRequestConditionTypeIssued:
			return s.take(place, under, request, secret)
		}
	}
	if has.Ends.IsZero() {
		return 0, nil
	}
	return s.late(pod, under, has), nil
}

// take puts an issued certificate into the Secret. The private key stays in memory until
// the Secret is seen to have it.
func (s *Source) take(place place, under *certificate, request *certificatesv1.PodCertificateRequest, secret *corev1.Secret) (time.Duration, error) {
	key, chain := place.key(), cleanChain(request.Status.CertificateChain)
	contents := map[string][]byte{fileKey: under.key, fileChain: chain, fileBundle: slices.Concat(under.key, chain)}
	files := map[string][]byte{}
	held := true
	for file := range filesOf(place.source.PodCertificate) {
		files[key+file] = contents[file]
		held = held && bytes.Equal(secret.Data[key+file], contents[file])
	}
	if err := put(secret, files); err != nil {
		return 0, err
	}
	all := timesOf(secret)
	// The API server has an issued request name both.
	if request.Status.BeginRefreshAt != nil && request.Status.NotAfter != nil {
		all[key] = times{*request.Status.BeginRefreshAt, *request.Status.NotAfter}
	}
	text, err := json.Marshal(all)
	if err != nil {
		return 0, fmt.Errorf("times of certificates: %w", err)
	}
	metav1.SetMetaDataAnnotation(&secret.ObjectMeta, annotationCertificates, string(text))
	if held {
		*under = certificate{}
	}
	return max(all[key].Renew.Sub(s.clock.Now()), time.Second), nil
}

// late tells of a certificate that is not renewed in time, and returns when there is
// more to tell.
func (s *Source) late(pod *corev1.Pod, under *certificate, has times) time.Duration {
	now := s.clock.Now()
	overdue := has.Renew.Add(overdueAfter)
	if !under.overdue && !now.Before(overdue) {
		under.overdue = true
		s.recorder.Event(pod, corev1.EventTypeWarning, "CertificateOverdueForRefresh", "PodCertificate refresh overdue")
	}
	if !under.expired && !now.Before(has.Ends.Time) {
		under.expired = true
		s.recorder.Event(pod, corev1.EventTypeWarning, "CertificateExpired", "PodCertificate expired")
	}
	var next time.Duration
	for _, at := range []time.Time{overdue, has.Ends.Time, under.lost} {
		if at.After(now) {
			next = Sooner(next, at.Sub(now))
		}
	}
	return next
}

// request asks for a certificate inside, with the names and UIDs that the pod, its account
// and its node have there, as the kubelet of the node does.
func (s *Source) request(ctx context.Context, pod *corev1.Pod, projection *corev1.PodCertificateProjection, under *certificate) error {
	account, err := s.account(ctx, pod)
	if err != nil {
		return err
	}
	node, found := s.nodes.Get("", pod.Spec.NodeName)
	if !found {
		return engine.Again("the node of the pod is not in the cache yet")
	}
	key, proof, err := newKey(projection.KeyType)
	if err != nil {
		return err
	}
	made, err := s.virtual.CertificatesV1().PodCertificateRequests(pod.Namespace).Create(ctx, &certificatesv1.PodCertificateRequest{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: pod.Namespace, GenerateName: "req-",
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID}},
		},
		Spec: certificatesv1.PodCertificateRequestSpec{
			SignerName: projection.SignerName,
			PodName:    pod.Name, PodUID: pod.UID,
			ServiceAccountName: account.Name, ServiceAccountUID: account.UID,
			NodeName: types.NodeName(node.Name), NodeUID: node.UID,
			MaxExpirationSeconds: projection.MaxExpirationSeconds, StubPKCS10Request: proof,
			UnverifiedUserAnnotations: projection.UserAnnotations,
		},
	}, metav1.CreateOptions{})
	if apierrors.IsInvalid(err) || apierrors.IsForbidden(err) {
		return missingError("the API server refuses a PodCertificateRequest: " + err.Error())
	}
	if err != nil {
		return fmt.Errorf("request a certificate for pod %s: %w", klog.KObj(pod), err)
	}
	under.request, under.key, under.lost = made.Name, key, s.clock.Now().Add(lostAfter)
	klog.FromContext(ctx).V(2).Info("Requested a certificate", "pod", klog.KObj(pod), "request", klog.KObj(made), "signer", projection.SignerName)
	return nil
}
