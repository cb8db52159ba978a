// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"

	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/resources"
)

const (
	// stretchedSeconds is the life that the API server writes into the projections
	// it adds to pods. It is stretched to a year when it comes back in a request.
	stretchedSeconds = 3607
	hourSeconds      = 3600

	// maxAge is the longest that a token is left alone, as a kubelet does.
	maxAge = 24 * time.Hour
)

// minted are the tokens of one pod.
type minted struct {
	data  map[string][]byte
	renew time.Time
}

// put has the Secret hold the tokens, and when they are to be renewed.
func (t *minted) put(secret *corev1.Secret) {
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	maps.Copy(secret.Data, t.data)
	metav1.SetMetaDataAnnotation(&secret.ObjectMeta, annotationRenew, t.renew.UTC().Format(time.RFC3339))
}

// seconds is the life to ask for.
func seconds(projection corev1.ServiceAccountTokenProjection) int64 {
	if projection.ExpirationSeconds == nil || *projection.ExpirationSeconds == stretchedSeconds {
		return hourSeconds
	}
	return *projection.ExpirationSeconds
}

// keyOf is the key in the Secret of the token for a projection. Projections that
// ask for the same share one.
func keyOf(projection corev1.ServiceAccountTokenProjection) string {
	sum := sha256.Sum256([]byte(projection.Audience + "\x00" + strconv.FormatInt(seconds(projection), 10)))
	return "token-" + hex.EncodeToString(sum[:6])
}

func keysOf(projections []corev1.ServiceAccountTokenProjection) []string {
	keys := make([]string, len(projections))
	for i, projection := range projections {
		keys[i] = keyOf(projection)
	}
	return keys
}

// mint has the virtual API server make a token for each of the projections.
func (m *Minter) mint(ctx context.Context, pod *corev1.Pod, projections []corev1.ServiceAccountTokenProjection) (*minted, error) {
	result := &minted{data: map[string][]byte{}}
	for _, projection := range projections {
		key := keyOf(projection)
		if _, done := result.data[key]; done {
			continue
		}
		token, err := m.request(ctx, pod, projection)
		if err != nil {
			return nil, err
		}
		result.data[key] = []byte(token.Token)
		now := m.clock.Now()
		renew := now.Add(min(token.ExpirationTimestamp.Sub(now)*4/5, maxAge))
		if result.renew.IsZero() || renew.Before(result.renew) {
			result.renew = renew
		}
	}
	return result, nil
}

func (m *Minter) request(ctx context.Context, pod *corev1.Pod, projection corev1.ServiceAccountTokenProjection) (*authenticationv1.TokenRequestStatus, error) {
	account := pod.Spec.ServiceAccountName
	if account == "" {
		account = "default"
	}
	var audiences []string
	if projection.Audience != "" {
		audiences = []string{projection.Audience}
	}
	life := seconds(projection)
	answer, err := m.virtual.CoreV1().ServiceAccounts(pod.Namespace).CreateToken(ctx, account, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{
			Audiences:         audiences,
			ExpirationSeconds: &life,
			BoundObjectRef: &authenticationv1.BoundObjectReference{
				APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID,
			},
		},
	}, metav1.CreateOptions{})
	if status := apierrors.APIStatus(nil); errors.As(err, &status) && apierrors.IsNotFound(err) &&
		status.Status().Details != nil && status.Status().Details.Kind == "serviceaccounts" {
		return nil, engine.Refuse(resources.ReasonFailedMount, fmt.Sprintf("MountVolume.SetUp failed: failed to fetch token: ServiceAccount %q is not found", account))
	}
	if err != nil {
		return nil, fmt.Errorf("token of ServiceAccount %s/%s for pod %s: %w", pod.Namespace, account, klog.KObj(pod), err)
	}
	return &answer.Status, nil
}
