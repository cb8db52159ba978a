// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/duration"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/cli/subject"
)

// maxPods is how many pods of the workloads are shown; the rest is a number.
const maxPods = 20

// Describe returns the command "describe".
func (c *Commands) Describe() *cobra.Command {
	return subject.Optional(&cobra.Command{
		Use:   "describe NAME",
		Short: "Show everything about one virtual cluster: conditions, pods, quota, access, events",
		Long: `Shows one virtual cluster as the host sees it: its state, template, quota and access, who may
enter by the host's RBAC, its pods on the host, and the latest events.

It uses your own rights. It leaves out what they do not open, and says so.`,
		Example:           "  " + c.Program + " describe demo --space team-a",
		Args:              subject.One,
		ValidArgsFunction: subject.Completion(c.Flags, false),
		RunE:              func(cmd *cobra.Command, args []string) error { return c.describe(cmd.Context(), args[0]) },
	})
}

func (c *Commands) describe(ctx context.Context, name string) error {
	view, err := c.open(ctx, name)
	if err != nil {
		return err
	}
	out := tabwriter.NewWriter(c.Streams.Out, 0, 8, 2, ' ', 0)
	describeObject(out, view.object)
	describeConditions(out, view.object)
	describeQuota(out, view.object)
	describeAccess(out, view.object)
	view.describeEntrance(ctx, out)
	view.describePods(ctx, out)
	view.describeEvents(ctx, out)
	if err := out.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(c.Streams.ErrOut, "read what its parts log with: %s logs %s --namespace %s\n", c.Program, name, view.object.Namespace)
	return nil
}

func describeObject(out io.Writer, vc *tenancyv1.VirtualCluster) {
	phase := string(vc.Status.Phase)
	if vc.DeletionTimestamp != nil {
		phase = string(tenancyv1.PhaseTerminating)
	}
	storage := "none: its data end with its pod"
	if vc.Spec.ControlPlane.Storage.Persistent == nil || *vc.Spec.ControlPlane.Storage.Persistent {
		storage = "a volume"
		if size := vc.Spec.ControlPlane.Storage.Size; size != nil {
			storage += " of " + size.String()
		}
		if vc.Spec.ControlPlane.Storage.WhenDeleted == tenancyv1.RetentionRetain {
			storage += ", kept after deletion"
		}
	}
	if datastore := vc.Spec.ControlPlane.Datastore; datastore != nil {
		storage += ", and the datastore of the Secret " + datastore.EndpointSecretRef.Name
	}
	for _, row := range [][2]string{
		{"Name", vc.Name},
		{"Namespace", vc.Namespace},
		{"Phase", phase},
		{"Age", age(vc.CreationTimestamp)},
		{"Cluster-ID", vc.Status.ClusterID},
		{"Host cluster", vc.Spec.HostClusterRef.Name},
		{"Kubernetes", strings.TrimSpace(string(vc.Spec.Kubernetes.Distro) + " " + cmp.Or(vc.Status.KubernetesVersion, vc.Spec.Kubernetes.Version))},
		{"Endpoint", vc.Status.Endpoint},
		{"Storage", storage},
		{"Template", template(vc)},
		{"Release", release(vc)},
		{"Sleep", sleep(vc)},
		{"Deletion", deletion(vc)},
		{"Pod security", string(vc.Spec.Isolation.PodSecurity)},
		{"Labels", pairs(vc.Labels)},
	} {
		fmt.Fprintf(out, "%s:\t%s\n", row[0], cmp.Or(row[1], "<none>"))
	}
}

func template(vc *tenancyv1.VirtualCluster) string {
	from := vc.Status.Template
	if from == nil {
		return ""
	}
	text := from.Name + " " + from.Version
	if vc.Spec.TemplateRef != nil && vc.Spec.TemplateRef.Sync {
		text += ", later changes follow"
	}
	for _, parameter := range from.Parameters {
		text += fmt.Sprintf("; %s=%s", parameter.Name, parameter.Value)
	}
	return text
}

func release(vc *tenancyv1.VirtualCluster) string {
	if vc.Status.Release == nil {
		return ""
	}
	return fmt.Sprintf("%s, revision %d, chart %s", vc.Status.Release.Name, vc.Status.Release.Revision, vc.Status.Release.ChartVersion)
}

// sleep says when the virtual cluster falls asleep and wakes, and when it last did.
func sleep(vc *tenancyv1.VirtualCluster) string {
	var parts []string
	say := func(set bool, format string, args ...any) {
		if set {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	spec, status := &vc.Spec.Sleep, vc.Status.Sleep
	say(vc.Spec.Paused, "paused")
	if spec.AfterInactivity != nil {
		say(true, "after %s without use", spec.AfterInactivity.Duration)
	}
	say(spec.Schedule != "", "at %q", spec.Schedule)
	say(spec.WakeSchedule != "", "wakes at %q", spec.WakeSchedule)
	say(spec.TimeZone != "", "in the zone %s", spec.TimeZone)
	if vc.Status.LastActivityTime != nil {
		say(true, "last used %s ago", age(*vc.Status.LastActivityTime))
	}
	switch {
	case vc.Status.Asleep():
		say(true, "asleep for %s, %s", age(*status.Since), status.Reason)
	case status != nil && status.Woken != nil && status.Woken.Time != nil:
		say(true, "woken %s ago, %s", age(*status.Woken.Time), strings.TrimSpace(status.Woken.Cause+" "+status.Woken.User))
	}
	return strings.Join(parts, "; ")
}

// deletion says what keeps the virtual cluster from being deleted, or does it by itself.
func deletion(vc *tenancyv1.VirtualCluster) string {
	switch after := vc.Spec.Sleep.DeleteAfterInactivity; {
	case vc.Spec.DeletionProtection:
		return "refused while spec.deletionProtection is true"
	case after != nil:
		return fmt.Sprintf("after %s without use", after.Duration)
	}
	return ""
}

func describeConditions(out io.Writer, vc *tenancyv1.VirtualCluster) {
	fmt.Fprintln(out, "Conditions:")
	if len(vc.Status.Conditions) == 0 {
		fmt.Fprintln(out, "  <none>")
		return
	}
	fmt.Fprintln(out, "  TYPE\tSTATUS\tSINCE\tREASON\tMESSAGE")
	for _, condition := range vc.Status.Conditions {
		fmt.Fprintf(out, "  %s\t%s\t%s\t%s\t%s\n", condition.Type, condition.Status, age(condition.LastTransitionTime), condition.Reason, oneLine(condition.Message))
	}
}

func describeQuota(out io.Writer, vc *tenancyv1.VirtualCluster) {
	hard, used := vc.Spec.Isolation.Quota.Hard, corev1.ResourceList{}
	if vc.Status.Quota != nil {
		hard, used = vc.Status.Quota.Hard, vc.Status.Quota.Used
	}
	fmt.Fprintln(out, "Quota:")
	if len(hard) == 0 {
		fmt.Fprintln(out, "  <none>")
		return
	}
	fmt.Fprintln(out, "  RESOURCE\tUSED\tHARD")
	for _, name := range sorted(hard) {
		limit, taken := hard[name], used[name]
		fmt.Fprintf(out, "  %s\t%s\t%s\n", name, taken.String(), limit.String())
	}
}

func describeAccess(out io.Writer, vc *tenancyv1.VirtualCluster) {
	fmt.Fprintln(out, "Access inside, by spec.access:")
	if len(vc.Spec.Access) == 0 {
		fmt.Fprintln(out, "  <none>")
		return
	}
	fmt.Fprintln(out, "  CLUSTERROLE\tUSERS\tGROUPS")
	for _, rule := range vc.Spec.Access {
		fmt.Fprintf(out, "  %s\t%s\t%s\n", rule.ClusterRole, cmp.Or(strings.Join(rule.Users, ", "), "-"), cmp.Or(strings.Join(rule.Groups, ", "), "-"))
	}
}

func (v *view) describePods(ctx context.Context, out io.Writer) {
	fmt.Fprintln(out, "Pods on the host:")
	own, err := v.controlPlane(ctx)
	if err != nil {
		fmt.Fprintf(out, "  %s\n", hidden(err))
		return
	}
	workloads, err := v.workloads(ctx)
	if err != nil {
		fmt.Fprintf(out, "  %s\n", hidden(err))
		return
	}
	if len(own)+len(workloads) == 0 {
		fmt.Fprintln(out, "  <none>")
		return
	}
	fmt.Fprintln(out, "  NAME\tREADY\tSTATUS\tRESTARTS\tAGE\tNODE\tSTANDS FOR")
	for _, pod := range own {
		podLine(out, &pod, "the control plane and the syncer")
	}
	for i := range workloads[:min(len(workloads), maxPods)] {
		pod := &workloads[i]
		podLine(out, pod, pod.Annotations[tenancyv1.AnnotationVirtualNamespace]+"/"+pod.Annotations[tenancyv1.AnnotationVirtualName])
	}
	if more := len(workloads) - maxPods; more > 0 {
		fmt.Fprintf(out, "  and %d more\n", more)
	}
}

func podLine(out io.Writer, pod *corev1.Pod, standsFor string) {
	var ready, total int
	var restarts int32
	status := string(pod.Status.Phase)
	for _, container := range pod.Status.ContainerStatuses {
		total++
		restarts += container.RestartCount
		if container.Ready {
			ready++
		}
		if waiting := container.State.Waiting; waiting != nil && waiting.Reason != "" {
			status = waiting.Reason
		}
	}
	if pod.DeletionTimestamp != nil {
		status = "Terminating"
	}
	fmt.Fprintf(out, "  %s\t%d/%d\t%s\t%d\t%s\t%s\t%s\n", pod.Name, ready, max(total, len(pod.Spec.Containers)), status, restarts, age(pod.CreationTimestamp), cmp.Or(pod.Spec.NodeName, "-"), standsFor)
}

func (v *view) describeEvents(ctx context.Context, out io.Writer) {
	fmt.Fprintln(out, "Events:")
	events, err := v.events(ctx)
	switch {
	case err != nil:
		fmt.Fprintf(out, "  %s\n", hidden(err))
		return
	case len(events) == 0:
		fmt.Fprintln(out, "  <none>")
		return
	}
	fmt.Fprintln(out, "  TYPE\tREASON\tAGE\tFROM\tMESSAGE")
	for _, event := range events {
		fmt.Fprintf(out, "  %s\t%s\t%s\t%s\t%s\n", event.Type, event.Reason, age(when(&event)), cmp.Or(event.ReportingController, event.Source.Component), oneLine(event.Message))
	}
}

// events are those about the virtual cluster itself, the oldest first.
func (v *view) events(ctx context.Context) ([]corev1.Event, error) {
	about := fields.OneTermEqualSelector("involvedObject.uid", string(v.object.UID)).String()
	list, err := v.client.CoreV1().Events(v.object.Namespace).List(ctx, metav1.ListOptions{FieldSelector: about})
	if err != nil {
		return nil, err
	}
	list.Items = slices.DeleteFunc(list.Items, func(event corev1.Event) bool { return event.InvolvedObject.UID != v.object.UID })
	slices.SortStableFunc(list.Items, func(a, b corev1.Event) int { return when(&a).Compare(when(&b).Time) })
	return list.Items, nil
}

// when an event happened last, in whichever of its fields that stands.
func when(event *corev1.Event) metav1.Time {
	switch {
	case event.Series != nil:
		return metav1.NewTime(event.Series.LastObservedTime.Time)
	case !event.LastTimestamp.IsZero():
		return event.LastTimestamp
	case !event.EventTime.IsZero():
		return metav1.NewTime(event.EventTime.Time)
	}
	return event.CreationTimestamp
}

func age(of metav1.Time) string {
	if of.IsZero() {
		return "-"
	}
	return duration.HumanDuration(time.Since(of.Time))
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

func pairs(labels map[string]string) string {
	all := make([]string, 0, len(labels))
	for key, value := range labels {
		all = append(all, key+"="+value)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func sorted(list corev1.ResourceList) []corev1.ResourceName {
	names := make([]corev1.ResourceName, 0, len(list))
	for name := range list {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
