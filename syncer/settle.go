// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/bootstrap"
	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/lineage"
	"garret.dev/garret/syncer/translate"
)

const (
	// announcementPatience is how long a syncer whose data end with its pod waits to
	// learn whether somebody decided beforehand.
	announcementPatience = 5 * time.Second
	// lookAgain is how often the data are compared while somebody is to decide.
	lookAgain = 5 * time.Second
)

// errBack has the syncer start over: its caches hold what was inside meanwhile.
var errBack = errors.New("the control plane has its earlier data again: restarting")

// settling holds syncing back while the data inside are not those that the host's
// objects stand for, and does what somebody decides about what was lost.
type settling struct {
	cluster  translate.Cluster
	lineage  *lineage.Lineage
	works    *engine.Engine
	reporter *bootstrap.Reporter
	// ephemeral says that new data are ordinary: the pod had none before.
	ephemeral bool
	// waiting is called when syncing waits for somebody.
	waiting func()

	mu       sync.Mutex
	decision string
	observed bool
	// changed has room for one note that the VirtualCluster was seen.
	changed chan struct{}
}

// observe takes over what somebody decided.
func (s *settling) observe(vc *tenancyv1.VirtualCluster) {
	s.mu.Lock()
	s.decision, s.observed = vc.Annotations[tenancyv1.AnnotationRecover], true
	s.mu.Unlock()
	s.wake()
}

func (s *settling) wake() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// open returns a decision that was not acted on yet, its verb, and whether it was
// made before anything was lost.
func (s *settling) open() (decision, verb string, beforehand bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	open, sure := s.lineage.IsOpen(s.decision)
	if !sure && s.observed {
		s.lineage.Presume(s.decision)
	}
	words := strings.Fields(s.decision)
	if !open || len(words) < 2 || words[0] != tenancyv1.RecoverAdopt && words[0] != tenancyv1.RecoverGiveUp {
		return "", "", false
	}
	return s.decision, words[0], len(words) == 3 && words[2] == tenancyv1.RecoverBeforehand
}

// settle returns when the data inside are those to go on with.
func (s *settling) settle(ctx context.Context) error {
	if err := s.compare(ctx); err != nil {
		return err
	}
	s.reporter.Done(partData)
	return nil
}

func (s *settling) compare(ctx context.Context) error {
	var loss *lineage.Loss
	if err := s.insist(ctx, func(ctx context.Context) (err error) {
		loss, err = s.lineage.Open(ctx)
		return err
	}); err != nil || loss == nil {
		return err
	}
	found, err := s.works.Survey(ctx)
	if err != nil {
		// The condition names what is missing all the same.
		klog.FromContext(ctx).Error(err, "Cannot mark every host object that holds data")
	}
	klog.FromContext(ctx).Info("The data inside do not belong to the host's objects", "reason", loss.Reason, "message", loss.Message, "missing", describe(found))
	decision, verb, err := s.decide(ctx, loss, found)
	if err != nil {
		return err
	}
	if verb != "" {
		s.recover(ctx, verb)
	}
	return s.insist(ctx, func(ctx context.Context) error { return s.lineage.Accept(ctx, decision) })
}

// decide waits for a decision, unless new data are ordinary.
func (s *settling) decide(ctx context.Context, loss *lineage.Loss, found []engine.Survey) (decision, verb string, err error) {
	var patience <-chan time.Time
	if s.ephemeral && loss.Reason == tenancyv1.ReasonDataReplaced {
		patience = time.After(announcementPatience)
	} else {
		s.reporter.Pending(partData, loss.Reason, fmt.Sprintf("%s The syncer has stopped, and deletes nothing. These objects on the host have no counterpart inside: %s. Decide with: garret recover %s -n %s",
			loss.Message, describe(found), s.cluster.Name, s.cluster.HostNamespace))
		s.waiting()
	}
	for {
		if decision, verb, _ = s.open(); verb != "" {
			return decision, verb, nil
		}
		select {
		case <-s.changed:
			if patience != nil {
				decision, verb, _ = s.open()
				return decision, verb, nil
			}
		case <-time.After(lookAgain):
			if now, err := s.lineage.Open(ctx); err == nil && now == nil {
				return "", "", errBack
			}
		case <-patience:
			return "", "", nil
		case <-ctx.Done():
			return "", "", ctx.Err()
		}
	}
}

// describe counts what has no counterpart inside.
func describe(found []engine.Survey) string {
	if len(found) == 0 {
		return "nothing"
	}
	words := make([]string, 0, len(found))
	for _, one := range found {
		word := fmt.Sprintf("%d %s", one.Count, one.Resource)
		if one.Keeps {
			word += " (kept)"
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

// run acts on decisions about orphans while everything is synced.
func (s *settling) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.changed:
		}
		decision, verb, beforehand := s.open()
		if verb == "" {
			continue
		}
		found, err := s.works.Survey(ctx)
		if err == nil {
			err = s.lineage.Confirm(ctx)
		}
		if err != nil {
			klog.FromContext(ctx).Error(err, "Cannot act on a decision yet", "decision", decision)
			time.AfterFunc(lookAgain, s.wake)
			continue
		}
		kept := slices.ContainsFunc(found, func(one engine.Survey) bool { return one.Keeps })
		if beforehand && !kept {
			continue // it decides the next loss
		}
		if kept {
			s.recover(ctx, verb)
		}
		if err := s.insist(ctx, func(ctx context.Context) error { return s.lineage.Decided(ctx, decision) }); err != nil {
			return err
		}
		// It may have failed before, which was reported.
		s.reporter.Done(partData)
	}
}

// recover does what was decided. What cannot be done stays an orphan, with the
// reason beside it, and can be decided about again.
func (s *settling) recover(ctx context.Context, verb string) {
	backoff := wait.Backoff{Duration: 200 * time.Millisecond, Factor: 2, Steps: 5}
	err := wait.ExponentialBackoffWithContext(ctx, backoff, func(ctx context.Context) (bool, error) {
		err := s.works.Recover(ctx, verb)
		if err != nil {
			s.reporter.Undone(err.Error())
			klog.FromContext(ctx).Error(err, "Cannot apply the decision to all orphans", "decision", verb)
			return false, nil
		}
		s.reporter.Undone("")
		return true, nil
	})
	if err == nil {
		klog.FromContext(ctx).Info("Applied the decision to all orphans", "decision", verb)
	}
}

// insist tries again until it succeeds or the context ends.
func (s *settling) insist(ctx context.Context, do func(context.Context) error) error {
	var last error
	err := wait.PollUntilContextCancel(ctx, time.Second, true, func(ctx context.Context) (bool, error) {
		if last = do(ctx); last != nil && ctx.Err() == nil {
			klog.FromContext(ctx).Error(last, "Cannot compare the data inside with the host's record")
			s.reporter.Pending(partData, "RecordUnknown", last.Error())
		}
		return last == nil, nil
	})
	if err != nil {
		return errors.Join(err, last)
	}
	return nil
}
