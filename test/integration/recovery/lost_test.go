// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"context"
	"maps"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

const (
	syncing = "Syncing"
	missing = "MissingInside"
)

// kinds are those that create makes.
var kinds = []string{"pods", "services", "configmaps", "persistentvolumeclaims"}

// everything is what lies on the host, by kind.
func (c cluster) everything(t *testing.T) map[string]map[string]types.UID {
	t.Helper()
	all := map[string]map[string]types.UID{}
	for _, kind := range kinds {
		all[kind] = c.onHost(t, kind)
	}
	return all
}

// unharmed fails the test unless the host has all that it had.
func (c cluster) unharmed(t *testing.T, before map[string]map[string]types.UID) {
	t.Helper()
	now := c.everything(t)
	for _, kind := range kinds {
		for name, uid := range before[kind] {
			if now[kind][name] != uid {
				t.Errorf("%s %s on the host: got UID %q, want %q, which nobody deleted", kind, name, now[kind][name], uid)
			}
		}
	}
}

// stops wants the sync to have stopped without harm: what was made after the backup
// is all there, and what is made inside now does not get to the host.
func (c cluster) stops(t *testing.T, reason string, before map[string]map[string]types.UID) {
	t.Helper()
	message := c.awaitCondition(t, v1.ConditionSyncerReady, metav1.ConditionFalse, reason)
	for _, word := range []string{"1 persistentvolumeclaims (kept)", "1 pods", "garret recover demo -n " + c.Namespace} {
		if !strings.Contains(message, word) {
			t.Errorf("message: got %q, want %q in it", message, word)
		}
	}
	_, err := c.Client.CoreV1().Pods(metav1.NamespaceDefault).Create(t.Context(),
		&corev1.Pod{ObjectMeta: metav1.ObjectMeta{GenerateName: "late-"}, Spec: corev1.PodSpec{
			AutomountServiceAccountToken: ptr.To(false), Containers: []corev1.Container{{Name: "app", Image: "busybox:1"}}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c.awaitOrphan(t)
	c.unharmed(t, before)
	if now := c.onHost(t, "pods"); len(now) != len(before["pods"]) {
		t.Errorf("pods on the host while nothing is synced: got %v, want %v", now, before["pods"])
	}
}

// awaitOrphan waits until the claim young is reported as an orphan.
func (c cluster) awaitOrphan(t *testing.T) {
	t.Helper()
	if message := c.awaitCondition(t, v1.ConditionOrphaned, metav1.ConditionTrue, missing); !strings.Contains(message, space+"/young") {
		t.Errorf("orphans: got %q, want the claim named as it is inside", message)
	}
}

// goesOn wants everything synced again, with the claim young as it is decided.
func (c cluster) goesOn(t *testing.T, before map[string]map[string]types.UID, young bool) {
	t.Helper()
	c.awaitCondition(t, v1.ConditionSyncerReady, metav1.ConditionTrue, syncing)
	c.awaitNoOrphans(t)
	framework.Eventually(t, "what can be made again, and is not inside, is gone from the host", func(context.Context) (bool, error) {
		_, pod := c.onHost(t, "pods")[space+"/young"]
		_, service := c.onHost(t, "services")[space+"/young"]
		return !pod && !service, nil
	})
	claims := maps.Clone(before["persistentvolumeclaims"])
	if !young {
		delete(claims, space+"/young")
	}
	framework.Eventually(t, "the claims on the host are as it was decided", func(context.Context) (bool, error) {
		return maps.Equal(c.onHost(t, "persistentvolumeclaims"), claims), nil
	})
}

// volumeOf is the volume that a claim on the host has.
func (c cluster) volumeOf(t *testing.T, name string) string {
	t.Helper()
	for _, claim := range c.claims(t) {
		if claim.Annotations[v1.AnnotationVirtualName] == name {
			return claim.Spec.VolumeName
		}
	}
	return ""
}

// isAdopted wants the claim young inside, with the data that it had.
func (c cluster) isAdopted(t *testing.T, volume string) {
	t.Helper()
	framework.Succeeds(t, "the claim young has its volume inside again", func(ctx context.Context) error { return c.isBound(ctx, "young", volume) })
	claim, err := c.Client.CoreV1().PersistentVolumeClaims(space).Get(t.Context(), "young", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if claim.Labels["app"] != "young" {
		t.Errorf("labels of the adopted claim: got %v, want those that it had", claim.Labels)
	}
}

// restored is a cluster whose data were put back to before the claim young.
func restored(t *testing.T, object *v1.VirtualCluster, put func(c cluster, backup string)) (cluster, map[string]map[string]types.UID) {
	t.Helper()
	c := run(t, object)
	c.create(t, "old")
	c.ControlPlane.Stop()
	backup := c.Backup(t)
	c.StartControlPlane(t)
	c.awaitCondition(t, v1.ConditionSyncerReady, metav1.ConditionTrue, syncing)
	last := c.checkpoint(t)
	c.create(t, "young")
	c.awaitCheckpoint(t, last)
	before := c.everything(t)
	put(c, backup)
	return c, before
}

// powerOff puts the data back while nothing of the pod runs.
func powerOff(t *testing.T) func(c cluster, backup string) {
	return func(c cluster, backup string) {
		c.ControlPlane.Kill()
		c.Syncer.Kill()
		c.Restore(t, backup)
		c.StartControlPlane(t)
	}
}

// underneath puts the data back while the syncer runs on.
func underneath(t *testing.T) func(c cluster, backup string) {
	return func(c cluster, backup string) {
		c.ControlPlane.Kill()
		c.Restore(t, backup)
		c.StartControlPlane(t)
	}
}

// wiped takes all data away.
func wiped(t *testing.T) func(c cluster, backup string) {
	return func(c cluster, _ string) {
		c.ControlPlane.Kill()
		c.Syncer.Kill()
		c.Restore(t, "")
		c.StartControlPlane(t)
	}
}

// TestOlderDataAdopted puts a backup back, and has what is younger adopted.
func TestOlderDataAdopted(t *testing.T) {
	t.Parallel()
	c, before := restored(t, newVirtualCluster(t), powerOff(t))
	c.stops(t, v1.ReasonDataOlder, before)
	volume := c.volumeOf(t, "young")
	c.decide(t, "adopt 1")
	c.goesOn(t, before, true)
	c.isAdopted(t, volume)
}

// TestOldDecision loses data again after a decision whose record is lost, too. What
// was decided once decides nothing more.
func TestOldDecision(t *testing.T) {
	t.Parallel()
	c, before := restored(t, newVirtualCluster(t), func(c cluster, backup string) {
		// While nothing is lost it is done with at once.
		c.decide(t, "give-up long-ago")
		framework.Eventually(t, "the syncer is done with the decision", func(ctx context.Context) (bool, error) {
			found, err := host.Client.CoreV1().ConfigMaps(c.Namespace).Get(ctx, "vc-demo-lineage", metav1.GetOptions{})
			return err == nil && found.Data["decision"] == "give-up long-ago", err
		})
		c.Kill()
		if err := host.Client.CoreV1().ConfigMaps(c.Namespace).Delete(t.Context(), "vc-demo-lineage", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		c.Restore(t, "")
		c.StartControlPlane(t)
	})
	c.awaitCondition(t, v1.ConditionSyncerReady, metav1.ConditionFalse, v1.ReasonDataReplaced)
	c.awaitOrphan(t)
	c.unharmed(t, before)
	c.decide(t, "give-up today")
	c.goesOn(t, map[string]map[string]types.UID{}, false)
}

// TestDataOfBeforeAreBack puts the right data back while the syncer waits for a
// decision, and wants it to go on by itself.
func TestDataOfBeforeAreBack(t *testing.T) {
	t.Parallel()
	var young string
	c, before := restored(t, newVirtualCluster(t), func(c cluster, backup string) {
		c.Syncer.Kill()
		c.ControlPlane.Stop()
		young = c.Backup(t)
		c.Restore(t, backup)
		c.StartControlPlane(t)
	})
	c.awaitCondition(t, v1.ConditionSyncerReady, metav1.ConditionFalse, v1.ReasonDataOlder)
	c.ControlPlane.Kill()
	c.Restore(t, young)
	c.StartControlPlane(t)
	c.awaitCondition(t, v1.ConditionSyncerReady, metav1.ConditionTrue, syncing)
	c.awaitNoOrphans(t)
	c.unharmed(t, before)
}

// TestAdoptedByOneThatIsDeleted has a claim of the name be created and deleted inside
// before its data are adopted. It does not take them along.
func TestAdoptedByOneThatIsDeleted(t *testing.T) {
	t.Parallel()
	c, before := restored(t, newVirtualCluster(t), powerOff(t))
	c.stops(t, v1.ReasonDataOlder, before)
	claims := c.Client.CoreV1().PersistentVolumeClaims(space)
	_, err := claims.Create(t.Context(), &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "young", Finalizers: []string{"example.org/hold"}}, Spec: claimSpec()}, metav1.CreateOptions{})
	if err == nil {
		err = claims.Delete(t.Context(), "young", metav1.DeleteOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	volume := c.volumeOf(t, "young")
	c.decide(t, "adopt 1")
	c.awaitCondition(t, v1.ConditionSyncerReady, metav1.ConditionTrue, syncing)
	if _, err := claims.Patch(t.Context(), "young", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	c.decide(t, "adopt 2")
	c.isAdopted(t, volume)
	if now := c.onHost(t, "persistentvolumeclaims")[space+"/young"]; now != before["persistentvolumeclaims"][space+"/young"] {
		t.Errorf("the host claim of young: got UID %q, want the one with the data", now)
	}
}

// TestOlderDataUnderneath puts a backup back while the syncer runs, and has what is
// younger given up.
func TestOlderDataUnderneath(t *testing.T) {
	t.Parallel()
	c, before := restored(t, newVirtualCluster(t), underneath(t))
	c.stops(t, v1.ReasonDataOlder, before)
	c.decide(t, "give-up now")
	c.goesOn(t, before, false)
}

// TestReplacedData takes the control plane's data away. The host claims are all
// that is left.
func TestReplacedData(t *testing.T) {
	t.Parallel()
	c, before := restored(t, newVirtualCluster(t), wiped(t))
	message := c.awaitCondition(t, v1.ConditionSyncerReady, metav1.ConditionFalse, v1.ReasonDataReplaced)
	if !strings.Contains(message, "2 persistentvolumeclaims (kept)") {
		t.Errorf("message: got %q, want what is kept counted", message)
	}
	c.awaitOrphan(t)
	c.unharmed(t, before)
	volume := c.volumeOf(t, "young")
	host.Kubectl().Garret(t, "recover", c.Name, "--namespace", c.Namespace, "--adopt", "--yes")
	c.goesOn(t, before, true)
	c.isAdopted(t, volume)
}

// TestEphemeralData has new data where the pod keeps none: what can be made again
// goes by itself, and what holds data stays, and can be adopted later.
func TestEphemeralData(t *testing.T) {
	t.Parallel()
	object := newVirtualCluster(t)
	object.Spec.ControlPlane.Storage.Persistent = ptr.To(false)
	c, before := restored(t, object, wiped(t))
	c.awaitOrphan(t)
	framework.Eventually(t, "pods that are not inside are gone from the host", func(context.Context) (bool, error) {
		_, there := c.onHost(t, "pods")[space+"/old"]
		return !there, nil
	})
	c.awaitCondition(t, v1.ConditionSyncerReady, metav1.ConditionTrue, syncing)
	volume := c.volumeOf(t, "young")
	c.decide(t, "adopt 1")
	c.goesOn(t, before, true)
	c.isAdopted(t, volume)
}

// TestAnnouncedRestore has somebody decide before the data are put back.
func TestAnnouncedRestore(t *testing.T) {
	t.Parallel()
	var volume string
	c, before := restored(t, newVirtualCluster(t), func(c cluster, backup string) {
		volume = c.volumeOf(t, "young")
		c.decide(t, "adopt restore-of-today beforehand")
		powerOff(t)(c, backup)
	})
	c.goesOn(t, before, true)
	c.isAdopted(t, volume)
}

// TestRecordDeleted deletes the host's record together with the data inside: the
// claims say what they stand for.
func TestRecordDeleted(t *testing.T) {
	t.Parallel()
	c, before := restored(t, newVirtualCluster(t), func(c cluster, backup string) {
		c.ControlPlane.Kill()
		c.Syncer.Kill()
		if err := host.Client.CoreV1().ConfigMaps(c.Namespace).DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
			t.Fatal(err)
		}
		c.Restore(t, "")
		c.StartControlPlane(t)
	})
	delete(before, "configmaps")
	c.awaitCondition(t, v1.ConditionSyncerReady, metav1.ConditionFalse, v1.ReasonDataReplaced)
	c.awaitOrphan(t)
	c.unharmed(t, before)
}
