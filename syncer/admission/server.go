// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/storage/names"
	"k8s.io/klog/v2"

	"garret.dev/garret/syncer/activity"
	"garret.dev/garret/syncer/pki"
	"garret.dev/garret/syncer/resources"
)

// maxBody is what the API server takes of an object, twice, for an update.
const maxBody = 8 << 20

// Server is the webhook. Its fields are not changed once it runs.
type Server struct {
	// Listener is where it serves: on loopback, for the API server beside it.
	Listener net.Listener
	// Serving is the certificate that it shows.
	Serving *pki.Serving
	// Allocator makes the host allocate addresses.
	Allocator *Allocator
	// Nodes judges Nodes. Without it, all pass.
	Nodes *Nodes
	// Check says what will keep a pod from the host; nil for nothing.
	Check func(spec *corev1.PodSpec) error
	// Activity takes the API server's events, if anything does. It sees what certificate the
	// caller has shown, which nobody has verified.
	Activity http.Handler

	once    sync.Once
	reached chan struct{}
}

// NewServer returns a webhook.
func NewServer(listener net.Listener, serving *pki.Serving, allocator *Allocator) *Server {
	return &Server{Listener: listener, Serving: serving, Allocator: allocator, reached: make(chan struct{})}
}

// Reached is closed when the API server has called for the first time, which
// shows that its configuration is in force.
func (s *Server) Reached() <-chan struct{} { return s.reached }

// Run serves until the context ends.
func (s *Server) Run(ctx context.Context) error {
	config := pki.ServerConfig(s.Serving, nil)
	// The API server calls webhooks without one.
	config.ClientAuth = tls.RequestClientCert
	return pki.Serve(ctx, "admission", s.Listener, config, s.Handler())
}

// Handler answers AdmissionReviews.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+servicesPath, answer(func(ctx context.Context, request *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		s.once.Do(func() { close(s.reached) })
		return reviewed(ctx, request, s.admit)
	}))
	mux.HandleFunc("POST "+nodesPath, answer(func(ctx context.Context, request *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		return reviewed(ctx, request, s.admitNode)
	}))
	mux.HandleFunc("POST "+warningsPath, answer(s.warn))
	if s.Activity != nil {
		mux.Handle(activity.Path, s.Activity)
	}
	return mux
}

// answer reads an AdmissionReview and writes the response to it.
func answer(review func(context.Context, *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var asked admissionv1.AdmissionReview
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&asked); err != nil || asked.Request == nil {
			http.Error(w, "the body is not an AdmissionReview", http.StatusBadRequest)
			return
		}
		response := review(r.Context(), asked.Request)
		response.UID = asked.Request.UID
		w.Header().Set("Content-Type", "application/json")
		// Nobody can tell a caller that has gone away.
		_ = json.NewEncoder(w).Encode(admissionv1.AdmissionReview{
			TypeMeta: metav1.TypeMeta{Kind: "AdmissionReview", APIVersion: admissionv1.SchemeGroupVersion.String()},
			Response: response,
		})
	}
}

// decide returns the changes to the object that is about to be stored, or why it is not.
type decide func(ctx context.Context, request *admissionv1.AdmissionRequest) ([]byte, error)

func reviewed(ctx context.Context, request *admissionv1.AdmissionRequest, decide decide) *admissionv1.AdmissionResponse {
	logger := klog.FromContext(ctx).WithValues("resource", request.Resource.Resource, "object", klog.KRef(request.Namespace, request.Name))
	changes, err := decide(klog.NewContext(ctx, logger), request)
	if err != nil {
		logger.Info("Refused an object", "reason", err)
		var known apierrors.APIStatus
		if !errors.As(err, &known) {
			known = apierrors.NewInternalError(err)
		}
		status := known.Status()
		return &admissionv1.AdmissionResponse{Result: &status}
	}
	response := &admissionv1.AdmissionResponse{Allowed: true}
	if changes != nil {
		kind := admissionv1.PatchTypeJSONPatch
		response.Patch, response.PatchType = changes, &kind
	}
	return response
}

// admit returns the changes to the Service that is about to be stored.
func (s *Server) admit(ctx context.Context, request *admissionv1.AdmissionRequest) ([]byte, error) {
	// A tenant may have another webhook call here, about kinds of their own.
	if request.Resource != serviceResource() || request.SubResource != "" {
		return nil, nil
	}
	service, err := decode(request.Object.Raw)
	if err != nil {
		return nil, err
	}
	service.Namespace = request.Namespace
	if err := s.check(request, service); err != nil {
		return nil, err
	}
	if !NeedsAddress(service) {
		return nil, nil
	}
	generated := ""
	switch request.Operation {
	case admissionv1.Create:
		if service.Name == "" && service.GenerateName != "" {
			// The name on the host is made from it, so it has to be known now.
			generated = names.SimpleNameGenerator.GenerateName(service.GenerateName)
			service.Name = generated
		}
	case admissionv1.Update:
		old, err := decode(request.OldObject.Raw)
		if err != nil {
			return nil, err
		}
		// Only an ExternalName has no address yet and may get one; others may get a second.
		if old.Spec.Type != corev1.ServiceTypeExternalName {
			return s.widen(ctx, request, old, service)
		}
	default:
		return nil, nil
	}
	dryRun := request.DryRun != nil && *request.DryRun
	host, err := s.Allocator.Allocate(ctx, service, dryRun)
	if err != nil {
		return nil, err
	}
	if host != nil {
		klog.FromContext(ctx).V(1).Info("The host allocated an address", "host", klog.KObj(host), "address", host.Spec.ClusterIP)
	}
	return patch(service, host, generated)
}

// widen returns the addresses of a Service that is to have those of both families.
func (s *Server) widen(ctx context.Context, request *admissionv1.AdmissionRequest, old, service *corev1.Service) ([]byte, error) {
	if !resources.IsWidened(old, service) {
		return nil, nil
	}
	host, err := s.Allocator.Widen(ctx, service, request.DryRun != nil && *request.DryRun)
	if err != nil || host == nil {
		return nil, err
	}
	return json.Marshal([]operation{{"add", "/spec/clusterIPs", host.Spec.ClusterIPs}, {"add", "/spec/ipFamilies", host.Spec.IPFamilies}})
}

// admitNode changes nothing, and returns why the Node may not be stored.
func (s *Server) admitNode(ctx context.Context, request *admissionv1.AdmissionRequest) ([]byte, error) {
	if request.Resource != nodeResource() || s.Nodes == nil {
		return nil, nil
	}
	node := &corev1.Node{}
	if err := json.Unmarshal(request.Object.Raw, node); err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("node: %v", err))
	}
	var old *corev1.Node
	if request.Operation == admissionv1.Update {
		old = &corev1.Node{}
		if err := json.Unmarshal(request.OldObject.Raw, old); err != nil {
			return nil, apierrors.NewBadRequest(fmt.Sprintf("old node: %v", err))
		}
	}
	return nil, s.Nodes.admit(ctx, node, old)
}

func nodeResource() metav1.GroupVersionResource {
	return metav1.GroupVersionResource{Version: "v1", Resource: "nodes"}
}

// check refuses a Service that is kept from the host. One that was stored before it was
// refused may change: its finalizers have to go, say.
func (s *Server) check(request *admissionv1.AdmissionRequest, service *corev1.Service) error {
	refused := s.Allocator.Marker.CheckService(service)
	if refused == nil || s.Allocator.Inside || !resources.HasHostService(service) {
		return nil
	}
	if request.Operation == admissionv1.Update {
		if old, err := decode(request.OldObject.Raw); err != nil || s.Allocator.Marker.CheckService(old) != nil {
			return err
		}
	}
	return apierrors.NewForbidden(corev1.Resource("services"), request.Name, refused)
}

func serviceResource() metav1.GroupVersionResource {
	return metav1.GroupVersionResource{Version: "v1", Resource: "services"}
}

func decode(raw []byte) (*corev1.Service, error) {
	service := &corev1.Service{}
	if err := json.Unmarshal(raw, service); err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("service: %v", err))
	}
	return service, nil
}
