// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package strategy

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/operation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"

	"garret.dev/garret/apis/tenancy"
	"garret.dev/garret/apis/tenancy/install"
	"garret.dev/garret/apis/tenancy/validation"
)

// TestHandWrittenRulesStand has an object break rules of the library and of the
// types: all of them are told, and nothing is logged that is no fault of ours.
func TestHandWrittenRulesStand(t *testing.T) {
	scheme := runtime.NewScheme()
	install.Install(scheme)
	logger := ktesting.NewLogger(t, ktesting.NewConfig(ktesting.BufferLogs(true)))
	ctx := genericapirequest.WithRequestInfo(klog.NewContext(t.Context(), logger), &genericapirequest.RequestInfo{
		IsResourceRequest: true, APIGroup: tenancy.GroupName, APIVersion: "v1", Resource: "hostclusters"})
	limit := int32(-1)
	host := &tenancy.HostCluster{
		ObjectMeta: metav1.ObjectMeta{Name: "local", OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "a"}}},
		Spec:       tenancy.HostClusterSpec{MaxVirtualClusters: &limit},
	}
	errs := New(scheme).ValidateDeclaratively(ctx, host, nil, validation.HostClusterCreate(host), operation.Create, rest.DeclarativeValidationConfig{})
	found := map[string]bool{}
	for _, err := range errs {
		found[err.Field] = true
	}
	if len(errs) != 2 || !found["metadata.ownerReferences[0].uid"] || !found["spec.maxVirtualClusters"] {
		t.Errorf("got %v, want the missing uid and the limit", errs)
	}
	if sink, ok := logger.GetSink().(ktesting.Underlier); !ok || len(sink.GetBuffer().Data()) > 0 {
		t.Errorf("logged: %s", sink.GetBuffer().String())
	}
}
