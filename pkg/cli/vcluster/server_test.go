// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// clusterID is the id of the virtual cluster that is made.
const clusterID = "c1"

const collection = "/apis/tenancy.garret.dev/v1/namespaces/team-a/virtualclusters"

// hostAPI answers for virtual clusters in one namespace as the host's API does:
// create, get, list, table, watch, annotate, delete, kubeconfig. Each step of the script is
// one status that the controller would report while somebody watches.
type hostAPI struct {
	t      *testing.T
	server *httptest.Server

	lock sync.Mutex
	// script are the states that a new object has yet to go through.
	script   []tenancyv1.VirtualClusterStatus
	revision int
	object   *tenancyv1.VirtualCluster
	requests []string
	// changed is closed and replaced when the object changes.
	changed chan struct{}
	// published are the ConfigMaps of Garret's namespace.
	published map[string]map[string]string
	events    []metav1.WatchEvent
	// namespace is the Namespace that was made.
	namespace *corev1.Namespace
	// terminal says that somebody can be asked.
	terminal bool
	// claims are on the host; nil where the user may not list them.
	claims []corev1.PersistentVolumeClaim
	// volumes are on the host; nil where the user may not list them.
	volumes []corev1.PersistentVolume
	// contents says that the host has contents of snapshots.
	contents bool
	// meanwhile changes the object just before it is annotated, once.
	meanwhile func(*tenancyv1.VirtualCluster)
	// hidden is set where the user may not list virtual clusters.
	hidden bool
	// custom says that the host has a widget without an object inside, and a kind that the user may not list.
	custom bool
}

func newHostAPI(t *testing.T, script ...tenancyv1.VirtualClusterStatus) *hostAPI {
	api := &hostAPI{t: t, script: script, changed: make(chan struct{}), claims: []corev1.PersistentVolumeClaim{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+collection, api.create)
	mux.HandleFunc("GET "+collection, api.list)
	mux.HandleFunc("GET /apis/tenancy.garret.dev/v1/virtualclusters", api.list)
	mux.HandleFunc("GET "+collection+"/{name}", api.get)
	mux.HandleFunc("PATCH "+collection+"/{name}", api.patch)
	mux.HandleFunc("DELETE "+collection+"/{name}", api.delete)
	mux.HandleFunc("POST "+collection+"/{name}/kubeconfig", api.kubeconfig)
	mux.HandleFunc("POST /api/v1/namespaces", func(w http.ResponseWriter, r *http.Request) {
		object, _, err := scheme.Codecs.UniversalDeserializer().Decode(body(r), nil, nil)
		if err != nil {
			t.Errorf("a Namespace that cannot be read: %v", err)
		}
		api.namespace, _ = object.(*corev1.Namespace)
		api.answer(w, 201, json.RawMessage(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"team-a"}}`))
	})
	mux.HandleFunc("GET /api/v1/namespaces/garret-system/configmaps/{name}", api.configMap)
	mux.HandleFunc("GET /api/v1/namespaces/team-a/persistentvolumeclaims", api.listClaims)
	mux.HandleFunc("GET /api/v1/persistentvolumeclaims", api.listClaims)
	mux.HandleFunc("GET /api/v1/persistentvolumes", api.listVolumes)
	mux.HandleFunc("GET /apis/snapshot.storage.k8s.io/v1/volumesnapshotcontents", api.listContents)
	mux.HandleFunc("GET /apis/{group}", api.customGroup)
	mux.HandleFunc("GET /apis/{group}/v1/namespaces/team-a/{resource}", api.listCustom)
	recorded := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		api.lock.Lock()
		api.requests = append(api.requests, r.Method+" "+r.URL.Path)
		api.lock.Unlock()
		mux.ServeHTTP(w, r)
	})
	api.server = httptest.NewServer(recorded)
	t.Cleanup(api.server.Close)
	return api
}

func body(r *http.Request) []byte {
	data, _ := io.ReadAll(r.Body)
	return data
}

func (h *hostAPI) answer(w http.ResponseWriter, code int, object any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if err := json.NewEncoder(w).Encode(object); err != nil {
		h.t.Error(err)
	}
}

func (h *hostAPI) refuse(w http.ResponseWriter, err *apierrors.StatusError) {
	status := err.Status()
	status.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	h.answer(w, int(status.Code), status)
}

// record notes a change; the lock is held.
func (h *hostAPI) record(kind string) {
	h.revision++
	h.object.ResourceVersion = strconv.Itoa(h.revision)
	raw, err := json.Marshal(h.object)
	if err != nil {
		h.t.Error(err)
	}
	h.events = append(h.events, metav1.WatchEvent{Type: kind, Object: runtime.RawExtension{Raw: raw}})
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *hostAPI) create(w http.ResponseWriter, r *http.Request) {
	h.lock.Lock()
	defer h.lock.Unlock()
	object := &tenancyv1.VirtualCluster{}
	if err := json.Unmarshal(body(r), object); err != nil {
		h.t.Error(err)
	}
	if h.object != nil {
		h.refuse(w, apierrors.NewAlreadyExists(tenancyv1.Resource("virtualclusters"), object.Name))
		return
	}
	object.TypeMeta = metav1.TypeMeta{Kind: "VirtualCluster", APIVersion: tenancyv1.SchemeGroupVersion.String()}
	object.UID, object.Generation = types.UID("uid-1"), 1
	object.Status.Phase, object.Status.ClusterID = tenancyv1.PhasePending, clusterID
	h.object = object
	h.record("ADDED")
	h.answer(w, 201, object)
}

// step goes on in the script, once somebody watches.
func (h *hostAPI) step() {
	h.lock.Lock()
	defer h.lock.Unlock()
	if len(h.script) == 0 || h.object == nil {
		return
	}
	h.object = h.object.DeepCopy()
	h.object.Status, h.script = h.script[0], h.script[1:]
	h.object.Status.ClusterID = clusterID
	h.record("MODIFIED")
}

func (h *hostAPI) get(w http.ResponseWriter, r *http.Request) {
	h.lock.Lock()
	defer h.lock.Unlock()
	if h.object == nil || h.object.Name != r.PathValue("name") {
		h.refuse(w, apierrors.NewNotFound(tenancyv1.Resource("virtualclusters"), r.PathValue("name")))
		return
	}
	h.answer(w, 200, h.object)
}

func (h *hostAPI) configMap(w http.ResponseWriter, r *http.Request) {
	data, ok := h.published[r.PathValue("name")]
	if !ok {
		h.refuse(w, apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, r.PathValue("name"), nil))
		return
	}
	h.answer(w, 200, map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "data": data})
}

// patch sets and removes annotations of the object that was seen.
func (h *hostAPI) patch(w http.ResponseWriter, r *http.Request) {
	h.lock.Lock()
	defer h.lock.Unlock()
	if change := h.meanwhile; change != nil {
		h.meanwhile = nil
		h.object = h.object.DeepCopy()
		change(h.object)
		h.record("MODIFIED")
	}
	var patch struct {
		Metadata struct {
			UID             types.UID
			ResourceVersion string
			Annotations     map[string]*string
		}
		Spec struct{ Kubernetes tenancyv1.KubernetesSpec }
	}
	if err := json.Unmarshal(body(r), &patch); err != nil {
		h.t.Error(err)
	}
	if version := patch.Spec.Kubernetes.Version; version != "" && patch.Metadata.UID == h.object.UID {
		h.object = h.object.DeepCopy()
		h.object.Spec.Kubernetes.Version = version
		h.object.Generation++
		h.record("MODIFIED")
		h.answer(w, 200, h.object)
		return
	}
	if patch.Metadata.UID == "" || patch.Metadata.ResourceVersion == "" {
		h.t.Errorf("the change is not bound to the object that was seen: %+v", patch)
	}
	if patch.Metadata.UID != h.object.UID || patch.Metadata.ResourceVersion != h.object.ResourceVersion {
		h.refuse(w, apierrors.NewConflict(tenancyv1.Resource("virtualclusters"), h.object.Name, errors.New("the object has been modified")))
		return
	}
	h.object = h.object.DeepCopy()
	for key, value := range patch.Metadata.Annotations {
		if value == nil {
			delete(h.object.Annotations, key)
		} else {
			metav1.SetMetaDataAnnotation(&h.object.ObjectMeta, key, *value)
		}
	}
	h.record("MODIFIED")
	h.answer(w, 200, h.object)
}

func (h *hostAPI) delete(w http.ResponseWriter, r *http.Request) {
	h.lock.Lock()
	defer h.lock.Unlock()
	options := &metav1.DeleteOptions{}
	if err := json.Unmarshal(body(r), options); err != nil {
		h.t.Error(err)
	}
	if options.Preconditions == nil || *options.Preconditions.UID != h.object.UID {
		h.t.Errorf("deletion is not bound to the object that was seen: %v", options.Preconditions)
	}
	now := metav1.Now()
	h.object = h.object.DeepCopy()
	h.object.DeletionTimestamp = &now
	h.record("MODIFIED")
	h.answer(w, 200, h.object)
	h.record("DELETED")
	h.object = nil
}

func (h *hostAPI) list(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("watch") == "true" {
		h.watch(w, r)
		return
	}
	h.lock.Lock()
	defer h.lock.Unlock()
	if h.hidden {
		h.refuse(w, apierrors.NewForbidden(tenancyv1.Resource("virtualclusters"), "", errors.New(`User "alice" cannot list resource`)))
		return
	}
	list := &tenancyv1.VirtualClusterList{}
	list.TypeMeta = metav1.TypeMeta{Kind: "VirtualClusterList", APIVersion: tenancyv1.SchemeGroupVersion.String()}
	list.ResourceVersion = strconv.Itoa(h.revision)
	if only := r.URL.Query().Get("fieldSelector"); h.object != nil && (only == "" || only == "metadata.name="+h.object.Name) {
		list.Items = append(list.Items, *h.object)
	}
	if !strings.Contains(r.Header.Get("Accept"), "as=Table") {
		h.answer(w, 200, list)
		return
	}
	table := &metav1.Table{
		TypeMeta:          metav1.TypeMeta{Kind: "Table", APIVersion: "meta.k8s.io/v1"},
		ColumnDefinitions: []metav1.TableColumnDefinition{{Name: "Name", Type: "string", Format: "name"}, {Name: "Phase", Type: "string"}, {Name: "Endpoint", Type: "string", Priority: 1}},
	}
	for _, item := range list.Items {
		raw, err := json.Marshal(metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{Kind: "PartialObjectMetadata", APIVersion: "meta.k8s.io/v1"}, ObjectMeta: item.ObjectMeta})
		if err != nil {
			h.t.Error(err)
		}
		table.Rows = append(table.Rows, metav1.TableRow{Cells: []any{item.Name, item.Status.Phase, item.Status.Endpoint}, Object: runtime.RawExtension{Raw: raw}})
	}
	h.answer(w, 200, table)
}

func (h *hostAPI) listClaims(w http.ResponseWriter, r *http.Request) {
	if h.claims == nil {
		h.refuse(w, apierrors.NewForbidden(schema.GroupResource{Resource: "persistentvolumeclaims"}, "", errors.New(`User "alice" cannot list resource`)))
		return
	}
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		h.t.Error(err)
	}
	list := &corev1.PersistentVolumeClaimList{TypeMeta: metav1.TypeMeta{Kind: "PersistentVolumeClaimList", APIVersion: "v1"}, Items: []corev1.PersistentVolumeClaim{}}
	for _, claim := range h.claims {
		if selector.Matches(labels.Set(claim.Labels)) {
			list.Items = append(list.Items, claim)
		}
	}
	h.answer(w, 200, list)
}

func (h *hostAPI) listVolumes(w http.ResponseWriter, _ *http.Request) {
	if h.volumes == nil {
		h.refuse(w, apierrors.NewForbidden(schema.GroupResource{Resource: "persistentvolumes"}, "", errors.New(`User "alice" cannot list resource`)))
		return
	}
	h.answer(w, 200, &corev1.PersistentVolumeList{TypeMeta: metav1.TypeMeta{Kind: "PersistentVolumeList", APIVersion: "v1"}, Items: h.volumes})
}

// listContents has one of each of two namespaces, on a host with snapshots.
func (h *hostAPI) listContents(w http.ResponseWriter, r *http.Request) {
	if !h.contents {
		http.NotFound(w, r)
		return
	}
	var items []any
	for name, namespace := range map[string]string{"content1": "team-a", "content2": "team-b"} {
		made := claim(name, "c1", "backup").ObjectMeta
		made.Namespace = ""
		delete(made.Annotations, tenancyv1.AnnotationVirtualNamespace)
		items = append(items, map[string]any{"apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshotContent", "metadata": made,
			"spec": map[string]any{"volumeSnapshotRef": map[string]any{"namespace": namespace, "name": "one"}}})
	}
	h.answer(w, 200, map[string]any{"apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshotContentList", "items": items})
}

func (h *hostAPI) customGroup(w http.ResponseWriter, r *http.Request) {
	if !h.custom {
		http.NotFound(w, r)
		return
	}
	h.answer(w, 200, metav1.APIGroup{TypeMeta: metav1.TypeMeta{Kind: "APIGroup", APIVersion: "v1"}, Name: r.PathValue("group"),
		PreferredVersion: metav1.GroupVersionForDiscovery{GroupVersion: r.PathValue("group") + "/v1", Version: "v1"}})
}

func (h *hostAPI) listCustom(w http.ResponseWriter, r *http.Request) {
	if r.PathValue("resource") != "widgets" {
		h.refuse(w, apierrors.NewForbidden(schema.GroupResource{Group: r.PathValue("group"), Resource: r.PathValue("resource")}, "", errors.New("not yours")))
		return
	}
	made := claim("widget1", "c1", "tool").ObjectMeta
	h.answer(w, 200, map[string]any{"apiVersion": "example.org/v1", "kind": "WidgetList", "items": []any{
		map[string]any{"apiVersion": "example.org/v1", "kind": "Widget", "metadata": made, "status": "any"}}})
}

func (h *hostAPI) watch(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("sendInitialEvents") == "true" {
		// An older host: the client falls back to a list.
		h.refuse(w, apierrors.NewInvalid(tenancyv1.SchemeGroupVersion.WithKind("ListOptions").GroupKind(), "", nil))
		return
	}
	after, err := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	if err != nil {
		h.t.Errorf("watch without a revision: %s", r.URL)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	for {
		h.lock.Lock()
		pending, changed := h.events[min(after, len(h.events)):], h.changed
		h.lock.Unlock()
		for _, event := range pending {
			if json.NewEncoder(w).Encode(event) != nil {
				return
			}
			after++
		}
		w.(http.Flusher).Flush()
		h.step()
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

func (h *hostAPI) kubeconfig(w http.ResponseWriter, r *http.Request) {
	request := &tenancyv1.KubeconfigRequest{}
	if err := json.Unmarshal(body(r), request); err != nil {
		h.t.Error(err)
	}
	end := metav1.Now()
	request.TypeMeta = metav1.TypeMeta{Kind: "KubeconfigRequest", APIVersion: tenancyv1.SchemeGroupVersion.String()}
	request.Status.Kubeconfig = []byte("life: " + strconv.FormatInt(*request.Spec.ExpirationSeconds, 10) + "\nserver: " + request.Spec.Server + "\nrole: " + request.Spec.ClusterRole + "\n")
	request.Status.CredentialID = "0123456789abcdef"
	request.Status.ExpirationTimestamp = &end
	h.answer(w, 201, request)
}
