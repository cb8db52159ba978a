// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package rights

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedauthorizationv1 "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

const (
	// firstAgain is the pause before what is missing is believed: the controller may
	// just be making the Role.
	firstAgain = time.Second
	// missingAgain is how often the host is asked while something is missing.
	missingAgain = 5 * time.Second
	// wholeAgain is how often it is asked while nothing is.
	wholeAgain = 10 * time.Minute
	// doubtAgain is the shortest pause between two requests because something was refused:
	// quotas and policies of the host refuse by the same code.
	doubtAgain = 15 * time.Second
	// asked is how many rights are asked for one by one in a pass.
	asked = 20
)

// Doubts notes that the host refused something.
type Doubts struct{ refused chan struct{} }

// NewDoubts returns one without a note.
func NewDoubts() *Doubts { return &Doubts{make(chan struct{}, 1)} }

// Watched is a copy of the configuration whose clients note what is refused.
func (d *Doubts) Watched(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.Wrap(func(through http.RoundTripper) http.RoundTripper { return noting{through, d} })
	return config
}

type noting struct {
	http.RoundTripper
	doubts *Doubts
}

// RoundTrip implements http.RoundTripper.
func (n noting) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := n.RoundTripper.RoundTrip(request)
	if err == nil && response.StatusCode == http.StatusForbidden {
		select {
		case n.doubts.refused <- struct{}{}:
		default:
		}
	}
	return response, err
}

// Options are what a Watch is made of.
type Options struct {
	// Host asks as the syncer.
	Host typedauthorizationv1.AuthorizationV1Interface
	// Namespace is the host namespace.
	Namespace string
	Needs     []Need
	Doubts    *Doubts
	Clock     clock.Clock
	// Report is called after every look with what is missing, in an order that stays.
	Report func(missing []Need)
}

// Watch asks the host what the syncer may do.
type Watch struct{ Options }

// New returns a watch; Run begins it.
func New(options Options) *Watch { return &Watch{options} }

// Run reports until the context ends.
func (w *Watch) Run(ctx context.Context) error {
	doubted := false
	for ctx.Err() == nil {
		missing, err := w.missing(ctx)
		pause, refused := wholeAgain, w.Doubts.refused
		switch {
		case apierrors.IsForbidden(err):
			// Who may not ask is not held up by it: what is refused shows in each object.
			klog.FromContext(ctx).Info("The host does not answer which rights the syncer has", "err", err)
			w.Report(nil)
		case err != nil:
			klog.FromContext(ctx).V(1).Info("Cannot ask the host for the syncer's rights", "err", err)
			pause = missingAgain
		case len(missing) > 0 && !doubted:
			doubted, pause, refused = true, firstAgain, nil
		case len(missing) > 0:
			w.Report(missing)
			pause, refused = missingAgain, nil
		default:
			doubted = false
			w.Report(nil)
		}
		if !w.wait(ctx, pause, refused) {
			return nil
		}
	}
	return nil
}

// wait returns after the pause, or earlier when something was refused; it is false at
// the end of the context.
func (w *Watch) wait(ctx context.Context, pause time.Duration, refused <-chan struct{}) bool {
	select {
	case <-ctx.Done():
		return false
	case <-w.Clock.After(pause):
		return true
	case <-refused:
	}
	select {
	case <-ctx.Done():
		return false
	case <-w.Clock.After(doubtAgain):
		return true
	}
}

// missing are the rights that the host does not give.
func (w *Watch) missing(ctx context.Context) ([]Need, error) {
	review, err := w.Host.SelfSubjectRulesReviews().Create(ctx, &authorizationv1.SelfSubjectRulesReview{
		Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: w.Namespace}}, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("rules of the syncer: %w", err)
	}
	var missing []Need
	for _, need := range w.Needs {
		if need.shownBy(review.Status.ResourceRules) || slices.Contains(missing, need) {
			continue
		}
		// Not every authorizer can list its rules.
		if len(missing) >= asked {
			break
		}
		if allowed, err := w.allowed(ctx, need); err != nil {
			return nil, err
		} else if !allowed {
			missing = append(missing, need)
		}
	}
	slices.SortFunc(missing, compare)
	return missing, nil
}

func (w *Watch) allowed(ctx context.Context, need Need) (bool, error) {
	namespace := cmp.Or(need.Namespace, w.Namespace)
	if need.Everywhere {
		namespace = ""
	}
	review, err := w.Host.SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: namespace, Verb: need.Verb, Group: need.Group, Resource: need.Resource, Subresource: need.Subresource, Name: need.Name,
		}}}, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("whether the syncer may %s %s: %w", need.Verb, need.resource(), err)
	}
	return review.Status.Allowed, nil
}
