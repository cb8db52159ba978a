// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/generated/clientset/versioned"
	"garret.dev/garret/pkg/cli/host"
	"garret.dev/garret/pkg/cli/subject"
)

// tokenLength of a decision tells it from all that were made before.
const tokenLength = 10

type recoverOptions struct {
	adopt, giveUp, cancel bool
	beforehand, yes       bool
	wait                  bool
	timeout               time.Duration
}

// Recover returns the command "recover".
func (c *Commands) Recover() *cobra.Command {
	options := recoverOptions{wait: true, timeout: defaultTimeout}
	cmd := &cobra.Command{
		Use:   "recover NAME",
		Short: "Show what a virtual cluster has lost, and decide what becomes of it",
		Long: `Shows what the host keeps of a virtual cluster whose data were lost, replaced or restored
from a backup, and what you can do. It changes nothing without --adopt or --give-up.

With --adopt, the syncer continues with the data that are inside now, and creates the claims
that the host keeps inside again, with their data. With --give-up, it deletes those claims on
the host. Either way, it deletes host objects without data that have no object inside.

With --beforehand, the decision applies to the next loss: announce a restore that way, and
the syncer does not stop. --cancel withdraws a decision that is still open.`,
		Example: "  " + c.Program + ` recover demo --space team-a
  ` + c.Program + ` recover demo --space team-a --adopt
  ` + c.Program + ` recover demo -n team-a --adopt --beforehand --yes
  ` + c.Program + ` recover demo -n team-a --cancel`,
		Args:              subject.One,
		ValidArgsFunction: subject.Completion(c.Flags, false),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := options.check(); err != nil {
				return err
			}
			return c.recover(cmd.Context(), args[0], options)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&options.adopt, "adopt", false, "continue with the data inside, and create the claims there that the host keeps")
	flags.BoolVar(&options.giveUp, "give-up", false, "continue with the data inside, and delete the claims that the host keeps")
	flags.BoolVar(&options.beforehand, "beforehand", false, "decide about the next loss, before data are restored")
	flags.BoolVar(&options.cancel, "cancel", false, "withdraw a decision that is not carried out yet")
	flags.BoolVar(&options.yes, "yes", false, "do not ask for confirmation")
	flags.BoolVar(&options.wait, "wait", options.wait, "wait until nothing is left to decide and the syncer works")
	flags.DurationVar(&options.timeout, "timeout", options.timeout, "how long to wait")
	return subject.Optional(cmd)
}

// verb is the decision, empty where there is none.
func (o recoverOptions) verb() string {
	switch {
	case o.adopt:
		return tenancyv1.RecoverAdopt
	case o.giveUp:
		return tenancyv1.RecoverGiveUp
	default:
		return ""
	}
}

func (o recoverOptions) check() error {
	switch {
	case o.adopt && o.giveUp, o.cancel && o.verb() != "":
		return host.Misuse(errors.New("--adopt, --give-up and --cancel exclude one another"), "give one of them")
	case o.beforehand && o.verb() == "":
		return host.Misuse(errors.New("--beforehand is about a decision, and there is none"), "add --adopt or --give-up; --cancel alone takes one back")
	}
	return nil
}

func (c *Commands) recover(ctx context.Context, name string, options recoverOptions) error {
	cluster, client, err := c.connect()
	if err != nil {
		return err
	}
	seen, err := look(ctx, cluster, client, name)
	if err != nil {
		return cluster.Explain(err)
	}
	switch {
	case options.cancel:
		err = c.cancelDecision(ctx, client, seen.object)
	case options.verb() == "":
		err = c.showLoss(seen)
	case options.beforehand:
		err = c.announce(ctx, client, seen, options)
	default:
		err = c.decide(ctx, client, seen, options)
	}
	return cluster.Explain(err)
}

// again is the command line about this virtual cluster, with further flags.
func (c *Commands) again(object *tenancyv1.VirtualCluster, flags ...string) string {
	words := append([]string{c.Program, "recover", object.Name, "--namespace", object.Namespace}, flags...)
	return strings.Join(words, " ")
}

func (c *Commands) showLoss(seen *loss) error {
	if err := seen.write(c.Streams.ErrOut, c.Streams.Out); err != nil {
		return err
	}
	switch {
	case reported(seen.object):
		c.say("to go on with the data inside, and keep the claims: %s", c.again(seen.object, "--adopt"))
		c.say("to go on, and delete the claims with their data:    %s", c.again(seen.object, "--give-up"))
	case seen.unreported():
		c.say("the syncer has not reported them yet: kubectl describe vc %s -n %s says whether it works", seen.object.Name, seen.object.Namespace)
	default:
		c.say("nothing is lost; before you restore data, announce it: %s", c.again(seen.object, "--adopt", "--beforehand"))
	}
	return nil
}

// decide is about what is lost now.
func (c *Commands) decide(ctx context.Context, client versioned.Interface, seen *loss, options recoverOptions) error {
	object := seen.object
	switch {
	case object.DeletionTimestamp != nil:
		return beingDeleted(object)
	case !reported(object) && seen.unreported():
		return host.Advise(fmt.Errorf("the syncer of virtual cluster %s has not reported what the host keeps: %s", object.Name, describeSyncer(object)),
			"see that it works: kubectl describe vc %s -n %s; then run it again", object.Name, object.Namespace)
	case !reported(object):
		return host.Advise(fmt.Errorf("virtual cluster %s has lost nothing: %s", object.Name, describeSyncer(object)),
			"to announce a restore, add --beforehand; kubectl describe vc %s -n %s says more", object.Name, object.Namespace)
	case options.giveUp && seen.hidden != nil:
		// What is deleted for ever is shown before.
		return seen.hidden
	}
	if err := seen.write(c.Streams.ErrOut, c.Streams.ErrOut); err != nil {
		return err
	}
	if err := c.agree(ctx, seen.consequences(options.verb()), options); err != nil {
		return err
	}
	start := time.Now()
	value := decision(options.verb())
	object, err := c.write(ctx, client, object, value)
	if err != nil {
		return err
	}
	c.say("decided: %s", value)
	if !options.wait {
		c.say("see how far it is with: %s", c.again(object))
		return nil
	}
	waiting, cancel := context.WithTimeout(ctx, options.timeout)
	defer cancel()
	last, err := watchUntil(waiting, client, object, recovered, progress(c.Streams.ErrOut, start, describeLoss))
	if err != nil {
		if waiting.Err() == nil {
			return err
		}
		if last == nil {
			last = object
		}
		return host.NotReady(fmt.Errorf("virtual cluster %s is not recovered after %s: %s", object.Name, seconds(time.Since(start)), describeLoss(last)),
			"it goes on by itself; %s shows how far it is", c.again(object))
	}
	c.say("recovered after %s; look inside with: %s use %s --namespace %s", seconds(time.Since(start)), c.Program, object.Name, object.Namespace)
	return nil
}

// announce is about the next loss.
func (c *Commands) announce(ctx context.Context, client versioned.Interface, seen *loss, options recoverOptions) error {
	object := seen.object
	switch {
	case object.DeletionTimestamp != nil:
		return beingDeleted(object)
	case reported(object) || seen.unreported():
		return host.Advise(fmt.Errorf("a decision would be about what virtual cluster %s has lost already: %s", object.Name, describeLoss(object)),
			"decide about that first, without --beforehand; %s shows it", c.again(object))
	}
	if err := seen.write(c.Streams.ErrOut, c.Streams.ErrOut); err != nil {
		return err
	}
	if err := c.agree(ctx, consequencesBeforehand(options.verb()), options); err != nil {
		return err
	}
	value := decision(options.verb()) + " " + tenancyv1.RecoverBeforehand
	if _, err := c.write(ctx, client, object, value); err != nil {
		return err
	}
	c.say("announced: %s", value)
	c.say("restore the data now, or take it back with: %s", c.again(object, "--cancel"))
	return nil
}

// cancelDecision takes the annotation away.
func (c *Commands) cancelDecision(ctx context.Context, client versioned.Interface, object *tenancyv1.VirtualCluster) error {
	value, ok := object.Annotations[tenancyv1.AnnotationRecover]
	if !ok {
		c.say("there is no decision to take back")
		return nil
	}
	if _, err := c.write(ctx, client, object, ""); err != nil {
		return err
	}
	c.say("taken back: %s; what the syncer has done by it already stays done", value)
	return nil
}

// agree tells what will be done, and asks unless the user said yes beforehand.
func (c *Commands) agree(ctx context.Context, consequences []string, options recoverOptions) error {
	for _, sentence := range consequences {
		c.say("  %s", sentence)
	}
	if options.yes {
		return nil
	}
	return c.confirm(ctx)
}

// decision is a value that was not used before: each is acted on once.
func decision(verb string) string { return verb + " " + rand.String(tokenLength) }

func beingDeleted(object *tenancyv1.VirtualCluster) error {
	return host.Advise(fmt.Errorf("virtual cluster %s is being deleted", object.Name),
		"spec.controlPlane.storage.whenDeleted says what becomes of its data")
}

// write sets the annotation, or takes it away where the value is empty, on what was seen:
// it fails where the virtual cluster, or what it has lost, is another by now.
func (c *Commands) write(ctx context.Context, client versioned.Interface, seen *tenancyv1.VirtualCluster, value string) (*tenancyv1.VirtualCluster, error) {
	var annotation any
	if value != "" {
		annotation = value
	}
	for object := seen; ; {
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
			"uid": object.UID, "resourceVersion": object.ResourceVersion,
			"annotations": map[string]any{tenancyv1.AnnotationRecover: annotation},
		}})
		if err != nil {
			return nil, err
		}
		written, err := client.TenancyV1().VirtualClusters(object.Namespace).Patch(ctx, object.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "garret"})
		if !apierrors.IsConflict(err) {
			return written, err
		}
		// Most changes of the status are about something else.
		if object, err = find(ctx, client, seen.Namespace, seen.Name); err != nil {
			return nil, err
		}
		if !sameLoss(seen, object) {
			return nil, host.Advise(fmt.Errorf("virtual cluster %s was changed meanwhile: %s", object.Name, describeLoss(object)), "look again: %s", c.again(object))
		}
	}
}
