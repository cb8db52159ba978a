// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	genericapiserver "k8s.io/apiserver/pkg/server"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/access"
)

// getter reads one virtual cluster; the storage is one.
type getter interface {
	Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error)
}

// measured reads what a syncer measures; access.Issuer is the real one.
type measured interface {
	Metrics(ctx context.Context, cluster *tenancy.VirtualCluster) ([]byte, error)
}

// openMetrics serves what syncers measure, to those who may get the path. So a collector of the
// host sends its token to this server alone, and never to a pod in a tenant's namespace.
func (c *Config) openMetrics(generic *genericapiserver.GenericAPIServer, clusters getter, syncers measured) {
	generic.Handler.NonGoRestfulMux.UnlistedHandlePrefix(v1.MetricsPrefix, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := syncerMetrics(r, clusters, syncers)
		if err != nil {
			responsewriters.ErrorNegotiated(err, c.codecs, v1.SchemeGroupVersion, w, r)
			return
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = w.Write(text)
	}))
}

func syncerMetrics(r *http.Request, clusters getter, syncers measured) ([]byte, error) {
	if r.Method != http.MethodGet {
		return nil, apierrors.NewMethodNotSupported(v1.Resource("virtualclusters"), r.Method)
	}
	namespace, name, found := strings.Cut(strings.TrimPrefix(r.URL.Path, v1.MetricsPrefix), "/")
	if !found || namespace == "" || name == "" || strings.Contains(name, "/") {
		return nil, apierrors.NewBadRequest("the path is not " + v1.MetricsPrefix + "NAMESPACE/NAME")
	}
	object, err := clusters.Get(genericapirequest.WithNamespace(r.Context(), namespace), name, &metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	cluster := object.(*tenancy.VirtualCluster)
	if err := access.Enterable(cluster); err != nil {
		return nil, err
	}
	text, err := syncers.Metrics(r.Context(), cluster)
	if err != nil {
		return nil, apierrors.NewServiceUnavailable(err.Error())
	}
	return text, nil
}
