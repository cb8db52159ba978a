// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"context"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

func syncing(is metav1.ConditionStatus, reason, message string) tenancyv1.VirtualClusterStatus {
	return status(tenancyv1.PhaseReady, tenancyv1.ConditionSyncerReady, is, reason, message)
}

// keeping adds to a status that the host keeps data.
func keeping(s tenancyv1.VirtualClusterStatus) tenancyv1.VirtualClusterStatus {
	s.Conditions = append(s.Conditions, metav1.Condition{Type: tenancyv1.ConditionOrphaned, Status: metav1.ConditionTrue, Reason: "Kept", Message: "shop/db"})
	return s
}

var (
	works    = syncing(metav1.ConditionTrue, "Syncing", "")
	replaced = keeping(syncing(metav1.ConditionFalse, tenancyv1.ReasonDataReplaced, "3 pods have no object inside"))
	older    = syncing(metav1.ConditionFalse, tenancyv1.ReasonDataOlder, "2 pods have no object inside")
)

// lossy is an API with the virtual cluster demo of the status given, and a kubeconfig for it.
func lossy(t *testing.T, now tenancyv1.VirtualClusterStatus, claims ...corev1.PersistentVolumeClaim) (*hostAPI, string) {
	t.Helper()
	api := newHostAPI(t, now)
	file := api.writeKubeconfig()
	if _, _, err := api.run("", file, "create", "vcluster", "demo", "--wait=false", "--connect=false"); err != nil {
		t.Fatal(err)
	}
	api.step()
	api.claims = append(api.claims, claims...)
	return api, file
}

func (h *hostAPI) decision() string { return h.object.Annotations[tenancyv1.AnnotationRecover] }

// TestRecover walks through a loss with somebody at the terminal.
func TestRecover(t *testing.T) {
	for verb, does := range map[string]string{
		"--adopt":   "It makes the claim above again inside, with all data.",
		"--give-up": "It deletes the claim above on the host, with all data. Nobody can bring them back.",
	} {
		t.Run(verb, func(t *testing.T) {
			api, file := lossy(t, replaced, claim("z", clusterID, "db"), claim("other", "c0", "other"))
			printed, told, err := api.run("", file, "recover", "demo")
			if err != nil || strings.Count(printed, "\n") != 2 || !strings.Contains(printed, "demo              PersistentVolumeClaim   shop/db") {
				t.Errorf("printed %q (%v), want the claim of this cluster alone", printed, err)
			}
			tells(t, told, "the syncer has stopped: DataReplaced: 3 pods", "keeps data without an object inside: Kept: shop/db",
				"garret recover demo --namespace team-a "+verb)

			api.terminal = true
			if _, _, err := api.run("y\n", file, "recover", "demo", verb); err == nil || api.decision() != "" {
				t.Errorf("decided %q without a yes (%v)", api.decision(), err)
			}
			api.script = []tenancyv1.VirtualClusterStatus{keeping(works), works}
			printed, told, err = api.run("yes\n", file, "recover", "demo", verb)
			if err != nil || printed != "" {
				t.Errorf("printed %q (%v), want nothing", printed, err)
			}
			tells(t, told, "shop/db", "goes on with the data that are inside now", "holds no data, such as pods", does, "type yes",
				"the syncer works; the host keeps data", "recovered after", "look inside with: garret use demo --namespace team-a\n")
			if !regexp.MustCompile(`^` + verb[2:] + ` [a-z0-9]{10}$`).MatchString(api.decision()) {
				t.Errorf("decided %q, want %s with a token", api.decision(), verb[2:])
			}
		})
	}
}

func tells(t *testing.T, told string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(told, want) {
			t.Errorf("got %q, want %q in it", told, want)
		}
	}
}

// TestRecoverRefusals are about commands after which nothing is decided.
func TestRecoverRefusals(t *testing.T) {
	db := claim("z", clusterID, "db")
	tests := map[string]struct {
		now    tenancyv1.VirtualClusterStatus
		claims []corev1.PersistentVolumeClaim
		change func(*hostAPI)
		args   string
		wants  []string
	}{
		"both":                  {now: replaced, args: "--adopt --give-up --yes", wants: []string{"exclude one another", "give one of them"}},
		"decided and cancelled": {now: replaced, args: "--adopt --cancel --yes", wants: []string{"exclude one another"}},
		"announced nothing":     {now: works, args: "--beforehand --yes", wants: []string{"add --adopt or --give-up"}},
		"no terminal":           {now: replaced, args: "--adopt", wants: []string{"there is no terminal", "--yes"}},
		"nothing lost":          {now: works, args: "--adopt --yes", wants: []string{"has lost nothing: the syncer works", "add --beforehand"}},
		"syncer is down": {now: syncing(metav1.ConditionFalse, "Starting", "no host"), args: "--adopt --yes",
			wants: []string{"has lost nothing: the syncer is not ready: Starting: no host", "kubectl describe vc demo -n team-a"}},
		"not reported yet": {now: works, claims: []corev1.PersistentVolumeClaim{db}, args: "--adopt --yes",
			wants: []string{"has not reported what the host keeps", "kubectl describe vc demo -n team-a"}},
		"too late for an announcement": {now: older, args: "--adopt --beforehand --yes", wants: []string{"has lost already: the syncer has stopped: DataOlder", "without --beforehand"}},
		"nor beside what is kept":      {now: works, claims: []corev1.PersistentVolumeClaim{db}, args: "--adopt --beforehand --yes", wants: []string{"has lost already"}},
		"given up unseen": {now: replaced, change: func(h *hostAPI) { h.claims = nil }, args: "--give-up --yes",
			wants: []string{"persistentvolumeclaims", "the ClusterRole view"}},
		"lost more meanwhile": {now: replaced, change: func(h *hostAPI) {
			h.meanwhile = func(vc *tenancyv1.VirtualCluster) { vc.Status = keeping(older) }
		}, args: "--adopt --yes", wants: []string{"was changed meanwhile: the syncer has stopped: DataOlder", "look again: garret recover demo --namespace team-a"}},
		"another of the name": {now: replaced, change: func(h *hostAPI) {
			h.meanwhile = func(vc *tenancyv1.VirtualCluster) { vc.UID = "uid-2" }
		}, args: "--adopt --yes", wants: []string{"was changed meanwhile"}},
		"being deleted": {now: replaced, change: func(h *hostAPI) {
			now := metav1.Now()
			h.object.DeletionTimestamp = &now
		}, args: "--adopt --yes", wants: []string{"is being deleted", "whenDeleted"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			api, file := lossy(t, test.now, test.claims...)
			if test.change != nil {
				test.change(api)
			}
			_, _, err := api.run("", file, append([]string{"recover", "demo", "--timeout", "1s"}, strings.Fields(test.args)...)...)
			if err == nil {
				t.Fatal("no error")
			}
			tells(t, err.Error(), test.wants...)
			if api.decision() != "" {
				t.Errorf("decided %q all the same", api.decision())
			}
		})
	}
	api, file := lossy(t, works)
	if _, _, err := api.run("", file, "recover", "nobody"); err == nil || !strings.Contains(err.Error(), "garret list") {
		t.Errorf("one that is not there: %v, want a remedy", err)
	}
}

// TestRecoverWithoutWaiting decides while the status changes in what the decision is not about.
func TestRecoverWithoutWaiting(t *testing.T) {
	api, file := lossy(t, older)
	api.meanwhile = func(vc *tenancyv1.VirtualCluster) { vc.Status.Phase = tenancyv1.PhaseDeploying }
	_, told, err := api.run("", file, "recover", "demo", "--give-up", "--yes", "--wait=false")
	if err != nil || !strings.HasPrefix(api.decision(), "give-up ") {
		t.Errorf("decided %q (%v)", api.decision(), err)
	}
	tells(t, told, "The host keeps no claims", "see how far it is with: garret recover demo --namespace team-a")

	// That the syncer works is not enough.
	api.script = []tenancyv1.VirtualClusterStatus{keeping(works)}
	first := api.decision()
	_, _, err = api.run("", file, "recover", "demo", "--adopt", "--yes", "--timeout", "500ms")
	if err == nil || api.decision() == first {
		t.Fatalf("decided %q, %v; want a new decision, and the end of the time", api.decision(), err)
	}
	tells(t, err.Error(), "is not recovered after", "garret recover demo --namespace team-a shows how far")
}

// TestRecoverAnnounced announces a restore and takes that back.
func TestRecoverAnnounced(t *testing.T) {
	api, file := lossy(t, works)
	_, told, err := api.run("", file, "recover", "demo")
	if err != nil {
		t.Fatal(err)
	}
	tells(t, told, "nothing is lost", "garret recover demo --namespace team-a --adopt --beforehand")
	if _, told, err = api.run("", file, "recover", "demo", "--give-up", "--beforehand", "--yes"); err != nil || !strings.HasPrefix(api.decision(), "give-up ") || !strings.HasSuffix(api.decision(), " beforehand") {
		t.Fatalf("announced %q (%v)", api.decision(), err)
	}
	tells(t, told, "asks nobody", "deletes claims and other data without an object inside on the host", "--cancel")
	if _, told, err = api.run("", file, "recover", "demo"); err != nil {
		t.Fatal(err)
	}
	tells(t, told, `the decision "`+api.decision()+`" is set`)
	if _, told, err = api.run("", file, "recover", "demo", "--cancel"); err != nil || api.decision() != "" {
		t.Fatalf("it is still announced: %q (%v)", api.decision(), err)
	}
	tells(t, told, "taken back: give-up ")
	if _, told, err = api.run("", file, "recover", "demo", "--cancel"); err != nil {
		t.Fatal(err)
	}
	tells(t, told, "no decision to take back")
}

// TestNobodyAnswers interrupts a command that waits for an answer.
func TestNobodyAnswers(t *testing.T) {
	silent, writer := io.Pipe()
	defer writer.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	commands := &Commands{Terminal: true, Streams: genericiooptions.IOStreams{In: silent, ErrOut: io.Discard}}
	if err := commands.confirm(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the end of the context", err)
	}
}
