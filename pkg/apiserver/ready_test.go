// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"
)

func TestReasonsAreLogged(t *testing.T) {
	for _, grouped := range []bool{false, true} {
		logger := ktesting.NewLogger(t, ktesting.NewConfig(ktesting.BufferLogs(true)))
		var state error
		ask := func(*http.Request) error { return state }
		check := healthz.NamedCheck("datastore", ask)
		if grouped {
			check = healthz.NamedGroupedCheck("datastore", "stores", ask)
		}
		check = reasoned(check)
		if group, ok := check.(healthz.GroupedHealthChecker); ok != grouped || ok && group.GroupName() != "stores" {
			t.Errorf("grouped %t: the group was lost, or made up", grouped)
		}
		request := httptest.NewRequest(http.MethodGet, "/readyz", nil)
		request = request.WithContext(klog.NewContext(request.Context(), logger))
		for _, next := range []error{nil, errors.New("it is full"), errors.New("it is full"), errors.New("it is gone"), nil, nil} {
			state = next
			if got := check.Check(request); got != next || check.Name() != "datastore" {
				t.Errorf("%s: got %v, want %v", check.Name(), got, next)
			}
		}
		log := logger.GetSink().(ktesting.Underlier).GetBuffer().String()
		for text, want := range map[string]int{`err="it is full"`: 1, `err="it is gone"`: 1, "Ready again": 1, `check="datastore"`: 3} {
			if got := strings.Count(log, text); got != want {
				t.Errorf("%d times %s, want %d:\n%s", got, text, want, log)
			}
		}
	}
}

// informed is a set of informers, and whether each has synced.
type informed map[reflect.Type]bool

func (i informed) WaitForCacheSync(stop <-chan struct{}) map[reflect.Type]bool {
	<-stop
	return i
}

func TestKindsThatTheHostDoesNotListAreNamed(t *testing.T) {
	schema, level := reflect.TypeFor[*flowcontrolv1.FlowSchema](), reflect.TypeFor[*flowcontrolv1.PriorityLevelConfiguration]()
	informers := informed{schema: false, level: false, reflect.TypeFor[*corev1.Namespace](): true}
	now := time.Now()
	check := hostObjects(informers, func() time.Time { return now })
	if err := check(nil); err != nil {
		t.Errorf("at the beginning: got %v, want it to wait", err)
	}
	now = now.Add(time.Minute)
	if err := check(nil); err == nil || !strings.HasSuffix(err.Error(), "not listed v1.FlowSchema, v1.PriorityLevelConfiguration") {
		t.Errorf("got %v, want an error that names both kinds", err)
	}
	informers[schema], informers[level] = true, true
	if err := check(nil); err != nil {
		t.Errorf("got %v, want it to be ready", err)
	}
}
