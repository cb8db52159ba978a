// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package storagereview

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	v1 "garret.dev/garret/apis/tenancy/v1"
)

func reviewer() *Reviewer {
	return &Reviewer{Allowed: func(context.Context) (v1.AllowedStorage, error) {
		return v1.AllowedStorage{
			CSI:            []v1.AllowedCSI{{Driver: "disks.example.org", VolumeHandles: []string{"team-a-*"}, SnapshotHandles: []string{"snap-a-*"}, Namespaces: []string{"team-a"}}},
			StorageClasses: []v1.AllowedStorageClass{{Provisioner: "disks.example.org", Parameters: []v1.AllowedValues{{Name: "tier", Values: []string{"fast"}}}}},
		}, nil
	}}
}

func volume(handle string, change func(*corev1.PersistentVolume)) *corev1.PersistentVolume {
	v := &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
		PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "disks.example.org", VolumeHandle: handle}}}}
	if change != nil {
		change(v)
	}
	return v
}

func class(tier string) *storagev1.StorageClass {
	return &storagev1.StorageClass{Provisioner: "disks.example.org", Parameters: map[string]string{"tier": tier}}
}

func content(handle string, change func(*snapshotContent)) *snapshotContent {
	c := &snapshotContent{Spec: v1.SnapshotContentSpec{Driver: "disks.example.org", DeletionPolicy: v1.ContentRetained, Source: v1.SnapshotContentSource{SnapshotHandle: handle}}}
	if change != nil {
		change(c)
	}
	return c
}

// asked is what the host asks about a write by an account.
func asked(t *testing.T, account, resource string, now, before any) *admissionv1.AdmissionRequest {
	t.Helper()
	raw := func(object any) runtime.RawExtension {
		if object == nil {
			return runtime.RawExtension{}
		}
		text, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		return runtime.RawExtension{Raw: text}
	}
	return &admissionv1.AdmissionRequest{UID: "u-1", Resource: metav1.GroupVersionResource{Resource: resource}, UserInfo: authenticationv1.UserInfo{Username: account}, Object: raw(now), OldObject: raw(before)}
}

// TestJudge says what a syncer may write; an empty refusal lets it pass.
func TestJudge(t *testing.T) {
	const own, other = "system:serviceaccount:team-a:vc-demo", "system:serviceaccount:team-b:vc-demo"
	foreign := volume("team-b-1", nil)
	for name, test := range map[string]struct {
		request *admissionv1.AdmissionRequest
		want    string
	}{
		"own volume":        {asked(t, own, "persistentvolumes", volume("team-a-1", nil), nil), ""},
		"another's handle":  {asked(t, own, "persistentvolumes", foreign, nil), `spec.csi.volumeHandle "team-b-1" is refused`},
		"another namespace": {asked(t, other, "persistentvolumes", volume("team-a-1", nil), nil), "spec.csi.driver"},
		"a directory of a node": {asked(t, own, "persistentvolumes", volume("team-a-1", func(v *corev1.PersistentVolume) {
			v.Spec.CSI, v.Spec.HostPath = nil, &corev1.HostPathVolumeSource{Path: "/"}
		}), nil), "spec is refused"},
		"for another claim": {asked(t, own, "persistentvolumes", volume("team-b-1", func(v *corev1.PersistentVolume) { v.Spec.ClaimRef = &corev1.ObjectReference{Name: "a"} }), foreign), ""},
		"marked":            {asked(t, own, "persistentvolumes", volume("team-b-1", func(v *corev1.PersistentVolume) { v.Labels = map[string]string{"a": "b"} }), foreign), ""},
		"larger": {asked(t, own, "persistentvolumes", volume("team-b-1", func(v *corev1.PersistentVolume) {
			v.Spec.Capacity = corev1.ResourceList{"storage": resource.MustParse("9Gi")}
		}), foreign), ""},
		"with an option":            {asked(t, own, "persistentvolumes", volume("team-a-1", func(v *corev1.PersistentVolume) { v.Spec.MountOptions = []string{"suid"} }), volume("team-a-1", nil)), "spec.mountOptions[0]"},
		"class":                     {asked(t, other, "storageclasses", class("fast"), nil), ""},
		"class of a refused tier":   {asked(t, own, "storageclasses", class("slow"), nil), "parameters[tier]"},
		"marked class":              {asked(t, own, "storageclasses", func() *storagev1.StorageClass { c := class("slow"); c.Labels = map[string]string{"a": "b"}; return c }(), class("slow")), ""},
		"class with an option":      {asked(t, own, "storageclasses", func() *storagev1.StorageClass { c := class("fast"); c.MountOptions = []string{"suid"}; return c }(), class("fast")), "mountOptions[0]"},
		"own content":               {asked(t, own, "volumesnapshotcontents", content("snap-a-1", nil), nil), ""},
		"another's content":         {asked(t, own, "volumesnapshotcontents", content("snap-b-1", nil), nil), `spec.source.snapshotHandle "snap-b-1" is refused`},
		"a content of elsewhere":    {asked(t, other, "volumesnapshotcontents", content("snap-a-1", nil), nil), "spec.driver"},
		"a volume to be cut":        {asked(t, own, "volumesnapshotcontents", content("", func(c *snapshotContent) { c.Spec.Source.VolumeHandle = "team-a-1" }), nil), "spec.source.volumeHandle"},
		"a content to be deleted":   {asked(t, own, "volumesnapshotcontents", content("snap-a-1", func(c *snapshotContent) { c.Spec.DeletionPolicy = "Delete" }), content("snap-a-1", nil)), "spec.deletionPolicy"},
		"for another snapshot":      {asked(t, own, "volumesnapshotcontents", content("snap-b-1", func(c *snapshotContent) { c.Spec.VolumeSnapshotRef.UID = "u" }), content("snap-b-1", nil)), ""},
		"something else":            {asked(t, own, "nodes", volume("team-a-1", nil), nil), "may not write nodes"},
		"somebody who is no syncer": {asked(t, "alice", "persistentvolumes", volume("team-a-1", nil), nil), "only the account of a syncer"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := reviewer().Judge(t.Context(), test.request)
			if err != nil || (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("got %q and %v, want %q", got, err, test.want)
			}
		})
	}
}

// TestServe wants the host to be answered, and nothing to be let through without what is allowed.
func TestServe(t *testing.T) {
	r := reviewer()
	ask := func(path string, request *admissionv1.AdmissionRequest) *httptest.ResponseRecorder {
		body, err := json.Marshal(&admissionv1.AdmissionReview{Request: request})
		if err != nil {
			t.Fatal(err)
		}
		answer := httptest.NewRecorder()
		r.Serve(http.NotFoundHandler()).ServeHTTP(answer, httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body)))
		return answer
	}
	request := asked(t, "system:serviceaccount:team-a:vc-demo", "persistentvolumes", volume("team-b-1", nil), nil)
	var review admissionv1.AdmissionReview
	answer := ask(Path, request)
	if err := json.Unmarshal(answer.Body.Bytes(), &review); err != nil || review.Response == nil || review.Response.Allowed || review.Response.UID != "u-1" || review.Response.Result.Code != http.StatusForbidden {
		t.Errorf("got %d %s and %v, want a refusal", answer.Code, answer.Body, err)
	}
	if got := ask(Path+"/x", request).Code; got != http.StatusNotFound {
		t.Errorf("another path: got %d, want it passed on", got)
	}
	r.Allowed = func(context.Context) (v1.AllowedStorage, error) {
		return v1.AllowedStorage{}, errors.New("the datastore is away")
	}
	if got := ask(Path, request).Code; got != http.StatusInternalServerError {
		t.Errorf("without the HostCluster: got %d", got)
	}
}
