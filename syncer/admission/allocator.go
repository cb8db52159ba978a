// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilcache "k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/resources"
)

// What leaves the host is waited for this long: less than the API server inside waits for an answer.
const (
	leavingWait  = 5 * time.Second
	leavingPause = 200 * time.Millisecond
	// goneTries is how often the host is asked again when nobody has what it says is taken: the
	// syncer may hear only later that a Service is gone.
	goneTries = 4
	// goneFor is how long the host may take to let go of what a deleted Service had.
	goneFor = 10 * time.Second
)

// errExists says that the Service exists inside, with its twin.
var errExists = errors.New("the service exists")

// unchargedError says why a Service is not charged to the quota of the virtual cluster.
type unchargedError struct{ error }

// Allocator makes the host allocate addresses for Services inside.
type Allocator struct {
	// Marker writes the metadata of the host's Services.
	Marker        resources.Marker
	Virtual, Host kubernetes.Interface
	// Charge, when set, charges a Service to the quota of the virtual cluster before it is
	// made; settle is called with what came of it.
	Charge func(ctx context.Context, host *corev1.Service) (settle func(created *corev1.Service, err error), err error)
	// Inside says that Services stay inside, where the API server allocates what addresses
	// it likes.
	Inside bool
	// Evidence tells whether a service that is missing inside was deleted there.
	Evidence interface {
		Confirm(ctx context.Context) error
		Carried()
	}

	// gone are the addresses and ports of Services that the host deleted lately.
	gone *utilcache.Expiring
}

// Follow has the allocator learn which Services of the host are gone. An API server lets go of an
// address or a port only a moment after it deleted the Service.
func (a *Allocator) Follow(services cache.SharedInformer) error {
	a.gone = utilcache.NewExpiring()
	_, err := services.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) {
			for _, held := range holdings(object.(*corev1.Service)) {
				a.gone.Delete(held) // somebody has it again
			}
		},
		DeleteFunc: func(object any) {
			if last, unseen := object.(cache.DeletedFinalStateUnknown); unseen {
				object = last.Obj
			}
			for _, held := range holdings(object.(*corev1.Service)) {
				a.gone.Set(held, nil, goneFor)
			}
		},
	})
	return err
}

// NeedsAddress says whether the Service has an address of its own.
func NeedsAddress(service *corev1.Service) bool {
	return resources.HasHostService(service) && service.Spec.ClusterIP != corev1.ClusterIPNone
}

// Allocate returns the host's Service for one that is about to be stored inside, and creates it
// if it is missing. It returns nil where Services stay inside, and after a dry run: the host
// then says whether it would refuse, but reserves no address. Errors are API errors of the host,
// with the names known inside.
func (a *Allocator) Allocate(ctx context.Context, virtual *corev1.Service, dryRun bool) (*corev1.Service, error) {
	if a.Inside {
		return nil, nil
	}
	asked := virtual.DeepCopy()
	// It may yet be refused inside: until it is stored, it has no UID that counts.
	asked.UID = ""
	host := resources.HostService(a.Marker, asked)
	created, err := a.createOnceFree(ctx, asked, host, dryRun)
	// The host looks for the address before it looks at the name: a Service that is
	// there, with the address asked for, is reported as an address in use.
	if apierrors.IsAlreadyExists(err) || apierrors.IsInvalid(err) && asked.Spec.ClusterIP != "" {
		refused := err
		if created, err = a.existing(ctx, asked, host, dryRun); apierrors.IsNotFound(err) {
			err = refused
		}
	}
	if err != nil {
		return nil, a.inside(err, host, virtual)
	}
	if dryRun {
		return nil, nil
	}
	return created, nil
}

// createOnceFree creates the host's Service. It waits while what is asked for is about to be free.
func (a *Allocator) createOnceFree(ctx context.Context, asked, host *corev1.Service, dryRun bool) (*corev1.Service, error) {
	// It bounds the pauses, and not the requests: one that is cut off may have succeeded.
	over := time.After(leavingWait)
	for tries := 0; ; {
		created, err := a.create(ctx, asked, host, dryRun)
		if !apierrors.IsInvalid(err) || len(holdings(asked)) == 0 {
			return created, err
		}
		if !a.justGone(asked) && !a.leaving(ctx, asked) {
			if tries++; tries > goneTries {
				return nil, err
			}
		}
		select {
		case <-over:
			return nil, apierrors.NewServerTimeout(corev1.Resource("services"), "create", 1)
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(leavingPause):
		}
	}
}

// leaving says whether a Service of the host, of which none inside is left, has what is asked for. The
// engine is about to delete it: inside, an address or a port is free as soon as its Service is gone.
func (a *Allocator) leaving(ctx context.Context, asked *corev1.Service) bool {
	cluster := a.Marker.Translator.Cluster()
	list, err := a.Host.CoreV1().Services(cluster.HostNamespace).List(ctx, metav1.ListOptions{LabelSelector: tenancyv1.LabelCluster + "=" + cluster.ID})
	if err != nil {
		return false
	}
	for i := range list.Items {
		holder := &list.Items[i]
		identity, ours := a.Marker.Translator.IdentityOf(holder)
		if !ours || identity.NamespacedName == engine.KeyOf(asked) || !holds(holder, asked) {
			continue
		}
		// One without UID was made for a Service that is about to be stored inside, or that was
		// deleted there before the engine saw it. Which of the two it is shows soon.
		live, err := a.Virtual.CoreV1().Services(identity.Namespace).Get(ctx, identity.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) || err == nil && live.UID != identity.UID {
			return true
		}
	}
	return false
}

// justGone says whether the host deleted a Service lately that had what is asked for.
func (a *Allocator) justGone(asked *corev1.Service) bool {
	return a.gone != nil && slices.ContainsFunc(holdings(asked), func(held string) bool {
		_, found := a.gone.Get(held)
		return found
	})
}

// holds says whether a Service has an address or a port that another asks for by its value.
func holds(holder, asked *corev1.Service) bool {
	held := holdings(holder)
	return slices.ContainsFunc(holdings(asked), func(one string) bool { return slices.Contains(held, one) })
}

// holdings are the addresses and ports of a Service that no other Service may have.
func holdings(service *corev1.Service) (held []string) {
	for _, address := range append([]string{service.Spec.ClusterIP}, service.Spec.ClusterIPs...) {
		if address != "" && address != corev1.ClusterIPNone {
			held = append(held, "address "+address)
		}
	}
	ports := []int32{service.Spec.HealthCheckNodePort}
	for _, port := range service.Spec.Ports {
		ports = append(ports, port.NodePort)
	}
	for _, port := range ports {
		if port != 0 {
			held = append(held, fmt.Sprintf("port %d", port))
		}
	}
	return held
}

// Widen has the host allocate an address of a second family for a Service inside that now asks
// for one, and returns the host's Service. Like Allocate, it returns nil where the host has no
// Service, and after a dry run.
func (a *Allocator) Widen(ctx context.Context, virtual *corev1.Service, dryRun bool) (*corev1.Service, error) {
	if a.Inside {
		return nil, nil
	}
	cluster := a.Marker.Translator.Cluster()
	services := a.Host.CoreV1().Services(cluster.HostNamespace)
	found, err := services.Get(ctx, a.Marker.Translator.HostName(virtual.Namespace, virtual.Name), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	identity, ours := a.Marker.Translator.IdentityOf(found)
	if !ours || identity.UID != virtual.UID || found.Spec.ClusterIP != virtual.Spec.ClusterIP {
		return nil, nil // the engine tells what is wrong with it
	}
	options := metav1.UpdateOptions{}
	if dryRun {
		options.DryRun = []string{metav1.DryRunAll}
	}
	resources.WidenService(virtual, found)
	widened, err := services.Update(ctx, found, options)
	if err != nil {
		return nil, a.inside(err, found, virtual)
	}
	if dryRun {
		return nil, nil
	}
	return widened, nil
}

func (a *Allocator) create(ctx context.Context, virtual, host *corev1.Service, dryRun bool) (*corev1.Service, error) {
	options := metav1.CreateOptions{}
	if dryRun {
		options.DryRun = []string{metav1.DryRunAll}
	}
	settle := func(*corev1.Service, error) {}
	if a.Charge != nil {
		var err error
		if settle, err = a.Charge(ctx, host); err != nil {
			return nil, unchargedError{err}
		}
	}
	services := a.Host.CoreV1().Services(host.Namespace)
	created, err := services.Create(ctx, host, options)
	if err != nil || dryRun {
		settle(nil, err)
		return created, err
	}
	settle(created, nil)
	a.Evidence.Carried()
	// The engine asks for the same later, and is to know what the host answered.
	err = resources.KeepServiceAnswer(ctx, services, a.Marker, virtual, host, created)
	if err != nil {
		klog.FromContext(ctx).Error(err, "The syncer may revert what the host's admission changed in a service", "host", klog.KObj(host))
	}
	return created, nil
}

// existing decides what to do with a host Service that has the name already.
func (a *Allocator) existing(ctx context.Context, virtual, host *corev1.Service, dryRun bool) (*corev1.Service, error) {
	found, err := a.Host.CoreV1().Services(host.Namespace).Get(ctx, host.Name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	identity, ours := a.Marker.Translator.IdentityOf(found)
	if !ours || identity.Namespace != virtual.Namespace || identity.Name != virtual.Name {
		return nil, apierrors.NewConflict(corev1.Resource("services"), host.Name, fmt.Errorf("the name on the host belongs to an object that the syncer did not create"))
	}
	if found.DeletionTimestamp != nil {
		return nil, apierrors.NewServerTimeout(corev1.Resource("services"), "create", 1)
	}
	if identity.UID != "" {
		live, err := a.Virtual.CoreV1().Services(virtual.Namespace).Get(ctx, virtual.Name, metav1.GetOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return nil, err
		}
		if err == nil && live.Spec.Type != corev1.ServiceTypeExternalName {
			// To let it pass would have the API server inside say that the address is taken.
			return nil, errExists
		}
		// It stands for an earlier life of the name, or from before it became an
		// ExternalName, which is over unless the data inside are others.
		if err := a.Evidence.Confirm(ctx); err != nil {
			return nil, apierrors.NewServiceUnavailable("the host still has an earlier service of this name: " + err.Error())
		}
		return a.replace(ctx, found, virtual, host, dryRun)
	}
	// An earlier try, or one at the same time, made it. To make it again would take
	// the address away from the other one.
	if found.Spec.ClusterIP != corev1.ClusterIPNone && (virtual.Spec.ClusterIP == "" || virtual.Spec.ClusterIP == found.Spec.ClusterIP) {
		return found, nil
	}
	return a.replace(ctx, found, virtual, host, dryRun)
}

func (a *Allocator) replace(ctx context.Context, found, virtual, host *corev1.Service, dryRun bool) (*corev1.Service, error) {
	if dryRun {
		return found, nil
	}
	err := a.Host.CoreV1().Services(found.Namespace).Delete(ctx, found.Name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &found.UID},
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, err
	}
	klog.FromContext(ctx).V(1).Info("Replacing a host service that was left over", "host", klog.KObj(found))
	return a.create(ctx, virtual, host, false)
}

// inside returns an error of the host as one about the Service inside.
func (a *Allocator) inside(err error, host, virtual *corev1.Service) error {
	if errors.Is(err, errExists) {
		return apierrors.NewAlreadyExists(corev1.Resource("services"), virtual.Name)
	}
	var uncharged unchargedError
	if errors.As(err, &uncharged) {
		if engine.IsRefusal(uncharged.error) {
			return apierrors.NewForbidden(corev1.Resource("services"), virtual.Name, uncharged.error)
		}
		return apierrors.NewServiceUnavailable(uncharged.Error())
	}
	status, known := err.(apierrors.APIStatus)
	if !known {
		return fmt.Errorf("host service of %s: %w", klog.KObj(virtual), err)
	}
	translated := status.Status()
	if translated.Code == 0 {
		translated.Code = http.StatusInternalServerError
	}
	if translated.Code == http.StatusConflict && translated.Reason == metav1.StatusReasonAlreadyExists {
		// Inside there is no such Service: this is a matter of time.
		translated.Reason = metav1.StatusReasonConflict
	}
	translated.Message = "the host refuses the service: " + strings.ReplaceAll(translated.Message, host.Name, virtual.Name)
	translated.Details = nil // they name the host's object
	if seconds, again := apierrors.SuggestsClientDelay(err); again {
		translated.Details = &metav1.StatusDetails{RetryAfterSeconds: int32(seconds)}
	}
	return &apierrors.StatusError{ErrStatus: translated}
}
