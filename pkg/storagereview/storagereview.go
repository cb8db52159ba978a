// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package storagereview

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/hostreview"
)

// Path is where the host's API server asks, by POST. RBAC knows it as the resource
// storagereviews of our group, which is not in discovery.
const Path = "/apis/" + v1.GroupName + "/v1/storagereviews"

// accountPrefix begins the user names of ServiceAccounts.
const accountPrefix = "system:serviceaccount:"

// Reviewer judges volumes, classes and contents of snapshots by what the HostCluster allows.
type Reviewer struct {
	Allowed func(ctx context.Context) (v1.AllowedStorage, error)
}

// Serve answers questions and passes on everything else. It belongs behind authentication and
// authorization.
func (r *Reviewer) Serve(next http.Handler) http.Handler {
	return hostreview.Serve(Path, r.Judge, next)
}

// Judge says why a volume, class or content must not be written, or nothing where it may be.
func (r *Reviewer) Judge(ctx context.Context, request *admissionv1.AdmissionRequest) (string, error) {
	account, is := strings.CutPrefix(request.UserInfo.Username, accountPrefix)
	namespace, _, named := strings.Cut(account, ":")
	if !is || !named {
		return "only the account of a syncer is asked about here", nil
	}
	all, err := r.Allowed(ctx)
	if err != nil {
		return "", err
	}
	allowed := all.In(namespace)
	var refusals []v1.StorageRefusal
	switch request.Resource.Resource {
	case v1.ResourceVolumes:
		now, before, err := both[corev1.PersistentVolume](request)
		if err != nil {
			return "", err
		}
		if before == nil || !sameVolume(&now.Spec, &before.Spec) {
			refusals = allowed.JudgeVolume(&now.Spec)
		}
	case v1.ResourceStorageClasses:
		now, before, err := both[storagev1.StorageClass](request)
		if err != nil {
			return "", err
		}
		if before == nil || !sameClass(now, before) {
			refusals = allowed.JudgeClass(now)
		}
	case v1.ResourceSnapshotContents:
		now, before, err := both[snapshotContent](request)
		if err != nil {
			return "", err
		}
		if before == nil || !sameContent(now.Spec, before.Spec) {
			refusals = allowed.JudgeSnapshotContent(&now.Spec)
		}
	default:
		return fmt.Sprintf("the account of a syncer may not write %s", request.Resource.Resource), nil
	}
	words := make([]string, len(refusals))
	for i, refusal := range refusals {
		words[i] = refusal.String()
	}
	return strings.Join(words, ". "), nil
}

// both are the object as it is to be, and as it was; nil for one that is created.
func both[T any](request *admissionv1.AdmissionRequest) (now, before *T, err error) {
	now = new(T)
	if err := json.Unmarshal(request.Object.Raw, now); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", request.Resource.Resource, err)
	}
	if len(request.OldObject.Raw) == 0 {
		return now, nil, nil
	}
	before = new(T)
	if err := json.Unmarshal(request.OldObject.Raw, before); err != nil {
		return nil, nil, fmt.Errorf("old %s: %w", request.Resource.Resource, err)
	}
	return now, before, nil
}

// sameVolume says whether nothing changes but how large a volume is, and which claim it is for.
func sameVolume(now, before *corev1.PersistentVolumeSpec) bool {
	compared := now.DeepCopy()
	compared.ClaimRef, compared.Capacity = before.ClaimRef, before.Capacity
	return equality.Semantic.DeepEqual(compared, before)
}

// snapshotContent is what is judged of a VolumeSnapshotContent.
type snapshotContent struct {
	Spec v1.SnapshotContentSpec `json:"spec"`
}

// sameContent says whether a content has the same snapshot, and keeps it.
func sameContent(now, before v1.SnapshotContentSpec) bool {
	return now.Driver == before.Driver && now.Source == before.Source && now.DeletionPolicy == before.DeletionPolicy
}

// sameClass says whether a class asks for the same.
func sameClass(now, before *storagev1.StorageClass) bool {
	compared := now.DeepCopy()
	compared.ObjectMeta, compared.TypeMeta = before.ObjectMeta, before.TypeMeta
	return equality.Semantic.DeepEqual(compared, before)
}
