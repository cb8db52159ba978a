// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/cli/host"
)

const (
	restorePod = "garret-restore"
	interval   = 300 * time.Millisecond
	// magic is what every SQLite database begins with.
	magic = "SQLite format 3\x00"
	// cleanUpTimeout bounds putting things right again after a failure.
	cleanUpTimeout = time.Minute
)

// restore replaces the database with the file, while garret-apiserver is stopped.
func (i *installation) restore(ctx context.Context, name string, force bool) (err error) {
	file, sum, err := openBackup(name)
	if err != nil {
		return err
	}
	defer file.Close()
	if len(i.set.Spec.VolumeClaimTemplates) == 0 {
		return host.Advise(errors.New("Garret is installed without a volume, so there is no place to restore to"),
			"install it with apiserver.persistence.enabled=true")
	}
	if i.set.Status.ReadyReplicas > 0 && !force {
		return host.Advise(errors.New("Garret runs, and its database would be replaced"),
			"with --force it is, and all that changed since the backup is gone; the old database is kept on the volume")
	}
	replicas := max(ptr.Deref(i.set.Spec.Replicas, 1), 1)
	i.say("stopping garret-apiserver")
	// Whatever happens from here on, it is started again.
	defer func() {
		again, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTimeout)
		defer cancel()
		if started := i.scale(again, replicas); started != nil {
			err = errors.Join(err, host.Advise(fmt.Errorf("start garret-apiserver again: %w", started),
				"kubectl -n %s scale statefulset %s --replicas=%d", tenancyv1.SystemNamespace, setName, replicas))
		}
		if err == nil {
			err = i.awaitReady(ctx)
		}
	}()
	if err := i.scale(ctx, 0); err != nil {
		return err
	}
	if err := i.awaitGone(ctx, podName); err != nil {
		return err
	}
	return i.runRestore(ctx, file, sum, force)
}

// openBackup looks whether a file can be a backup before anything is stopped for it.
func openBackup(name string) (*os.File, string, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, "", err
	}
	hash := sha256.New()
	begin := make([]byte, len(magic))
	_, err = io.ReadFull(file, begin)
	if err != nil || string(begin) != magic {
		file.Close()
		return nil, "", host.Advise(fmt.Errorf("%s is no backup of Garret", name), "a backup is what \"garret backup\" wrote")
	}
	if _, err = file.Seek(0, io.SeekStart); err == nil {
		if _, err = io.Copy(hash, file); err == nil {
			_, err = file.Seek(0, io.SeekStart)
		}
	}
	if err != nil {
		file.Close()
		return nil, "", err
	}
	return file, hex.EncodeToString(hash.Sum(nil)), nil
}

// runRestore makes a pod on the volume, gives it the file, and takes it away again.
func (i *installation) runRestore(ctx context.Context, file io.Reader, sum string, force bool) error {
	pods := i.client.CoreV1().Pods(tenancyv1.SystemNamespace)
	if _, err := pods.Create(ctx, i.restorePod(sum, force), metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("pod %s: %w", restorePod, err)
	}
	defer func() {
		again, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTimeout)
		defer cancel()
		_ = pods.Delete(again, restorePod, metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)})
		// Its volume must be free before garret-apiserver starts.
		_ = i.awaitGone(again, restorePod)
	}()
	i.say("restoring in the pod %s", restorePod)
	pod, err := i.awaitPhase(ctx, corev1.PodRunning, corev1.PodFailed)
	if err != nil {
		return fmt.Errorf("pod %s does not start: %w", restorePod, err)
	}
	var attached error
	if pod.Status.Phase == corev1.PodRunning {
		attached = i.stream(ctx, restorePod, "attach", &corev1.PodAttachOptions{Container: containerName, Stdin: true, Stdout: true, Stderr: true},
			remotecommand.StreamOptions{Stdin: file, Stdout: io.Discard, Stderr: io.Discard})
	}
	if pod, err = i.awaitPhase(ctx, corev1.PodSucceeded, corev1.PodFailed); err != nil {
		return errors.Join(err, attached)
	}
	// A broken stream shows there, too: the checksum is not right then. Its last words are in its log, whenever we were attached.
	text, err := pods.GetLogs(restorePod, &corev1.PodLogOptions{Container: containerName, TailLines: ptr.To[int64](5)}).DoRaw(ctx)
	if err != nil {
		return fmt.Errorf("log of the pod %s: %w", restorePod, err)
	}
	if pod.Status.Phase == corev1.PodFailed {
		return fmt.Errorf("nothing was restored: %s", reason(text))
	}
	var s summary
	if err := json.Unmarshal(lastLine(text), &s); err != nil {
		return fmt.Errorf("the pod %s said %q: %w", restorePod, text, err)
	}
	i.say("restored %d objects; versions go on after %d", s.Objects, s.Revision)
	return nil
}

// reason is why garret-apiserver's command failed, out of the line that it logged.
func reason(log []byte) string {
	line := string(lastLine(log))
	if _, quoted, found := strings.Cut(line, " err="); found {
		if text, err := strconv.Unquote(quoted); err == nil {
			return text
		}
	}
	return line
}

// restorePod is made like garret-apiserver's: same image, place, security and volume.
func (i *installation) restorePod(sum string, force bool) *corev1.Pod {
	spec := i.set.Spec.Template.Spec.DeepCopy()
	container := spec.Containers[0]
	container.Args = []string{"restore", "--sha256=" + sum}
	if force {
		container.Args = append(container.Args, "--force")
	}
	container.Stdin, container.StdinOnce = true, true
	container.Ports, container.StartupProbe, container.ReadinessProbe, container.LivenessProbe = nil, nil, nil, nil
	spec.Containers = []corev1.Container{container}
	// What is restored stays as it is, encrypted or not: no plugin is needed for it.
	spec.InitContainers = nil
	spec.Volumes = append(spec.Volumes, corev1.Volume{Name: claimTemplate, VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claimTemplate + "-" + podName}}})
	spec.RestartPolicy = corev1.RestartPolicyNever
	spec.AutomountServiceAccountToken = ptr.To(false)
	return &corev1.Pod{
		// No label of garret-apiserver's: its Service must not lead here.
		ObjectMeta: metav1.ObjectMeta{Name: restorePod, Labels: map[string]string{"app.kubernetes.io/part-of": "garret"}},
		Spec:       *spec,
	}
}

func (i *installation) scale(ctx context.Context, replicas int32) error {
	_, err := i.client.AppsV1().StatefulSets(tenancyv1.SystemNamespace).Patch(ctx, setName, types.MergePatchType,
		fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas), metav1.PatchOptions{}, "scale")
	return err
}

func (i *installation) awaitGone(ctx context.Context, name string) error {
	return wait.PollUntilContextCancel(ctx, interval, true, func(ctx context.Context) (bool, error) {
		_, err := i.client.CoreV1().Pods(tenancyv1.SystemNamespace).Get(ctx, name, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
}

func (i *installation) awaitPhase(ctx context.Context, phases ...corev1.PodPhase) (found *corev1.Pod, err error) {
	err = wait.PollUntilContextCancel(ctx, interval, true, func(ctx context.Context) (bool, error) {
		pod, err := i.client.CoreV1().Pods(tenancyv1.SystemNamespace).Get(ctx, restorePod, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		found = pod
		for _, phase := range phases {
			if pod.Status.Phase == phase {
				return true, nil
			}
		}
		// One that was quicker than we looked.
		return pod.Status.Phase == corev1.PodSucceeded, nil
	})
	return found, err
}

func (i *installation) awaitReady(ctx context.Context) error {
	i.say("starting garret-apiserver")
	err := wait.PollUntilContextCancel(ctx, interval, true, func(ctx context.Context) (bool, error) {
		set, err := i.client.AppsV1().StatefulSets(tenancyv1.SystemNamespace).Get(ctx, setName, metav1.GetOptions{})
		return err == nil && set.Status.ObservedGeneration >= set.Generation && set.Status.ReadyReplicas > 0, nil
	})
	if err != nil {
		return host.Advise(fmt.Errorf("the database is restored, but garret-apiserver does not become ready: %w", err),
			"kubectl -n %s logs %s", tenancyv1.SystemNamespace, podName)
	}
	i.say("Garret runs again")
	return nil
}
