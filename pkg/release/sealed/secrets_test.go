// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package sealed

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	helm "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/metadata"
)

const (
	team   = "team"
	system = "garret-system"
	demo   = "vc-demo"
)

// view shows the metadata of a fake host's Secrets.
type view struct {
	metadata.Interface
	metadata.ResourceInterface
	host    *fake.Clientset
	secrets typedcorev1.SecretInterface
}

func (v view) Resource(schema.GroupVersionResource) metadata.Getter { return v }

func (v view) Namespace(namespace string) metadata.ResourceInterface {
	v.secrets = v.host.CoreV1().Secrets(namespace)
	return v
}

func (v view) Get(ctx context.Context, name string, options metav1.GetOptions, _ ...string) (*metav1.PartialObjectMetadata, error) {
	found, err := v.secrets.Get(ctx, name, options)
	if err != nil {
		return nil, err
	}
	return &metav1.PartialObjectMetadata{ObjectMeta: found.ObjectMeta}, nil
}

// List heeds the type, which the fake does not, and leaves pages to the tests of real servers.
func (v view) List(ctx context.Context, options metav1.ListOptions) (*metav1.PartialObjectMetadataList, error) {
	found, err := v.secrets.List(ctx, metav1.ListOptions{LabelSelector: options.LabelSelector})
	if err != nil {
		return nil, err
	}
	list := &metav1.PartialObjectMetadataList{}
	for _, secret := range found.Items {
		if options.FieldSelector == "type="+string(secret.Type) {
			list.Items = append(list.Items, metav1.PartialObjectMetadata{ObjectMeta: secret.ObjectMeta})
		}
	}
	return list, nil
}

// setup is a host, and the records in one of its namespaces.
type setup struct {
	host *fake.Clientset
	key  *Key
}

func newSetup() setup {
	host := fake.NewClientset()
	return setup{host, NewKey(host.CoreV1().Secrets(system))}
}

func (s setup) in(namespace string) *Secrets {
	return New(s.host.CoreV1().Secrets(namespace), view{host: s.host}, namespace, s.key)
}

func helmOn(secrets typedcorev1.SecretInterface) *storage.Storage {
	return storage.Init(driver.NewSecrets(secrets))
}

func record(revision int, manifest string) *helm.Release {
	return &helm.Release{Name: demo, Namespace: team, Version: revision, Manifest: manifest, Info: &helm.Info{Status: helm.StatusDeployed}}
}

func recordName(revision int) string { return fmt.Sprintf("sh.helm.release.v1.%s.v%d", demo, revision) }

func (s setup) secret(t *testing.T, namespace string, revision int) *corev1.Secret {
	t.Helper()
	found, err := s.host.CoreV1().Secrets(namespace).Get(t.Context(), recordName(revision), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// forge writes to the host as somebody does who may write Secrets.
func (s setup) forge(t *testing.T, secret *corev1.Secret) {
	t.Helper()
	if err := s.host.Tracker().Delete(corev1.SchemeGroupVersion.WithResource("secrets"), secret.Namespace, secret.Name); err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	if err := s.host.Tracker().Add(secret); err != nil {
		t.Fatal(err)
	}
}

// TestOnlyOwnRecordsAreRead writes what somebody may who has seen valid records, and
// wants Helm to see the valid ones alone.
func TestOnlyOwnRecordsAreRead(t *testing.T) {
	for what, test := range map[string]struct {
		forge func(t *testing.T, s setup, honest *corev1.Secret) *corev1.Secret
		want  []int
	}{
		"nothing": {func(*testing.T, setup, *corev1.Secret) *corev1.Secret { return nil }, []int{1, 2}},
		"a record without a seal": {func(_ *testing.T, _ setup, honest *corev1.Secret) *corev1.Secret {
			honest.Annotations, honest.Name, honest.Labels["version"] = nil, recordName(3), "3"
			return honest
		}, []int{1, 2}},
		"the seal taken off": {func(_ *testing.T, _ setup, honest *corev1.Secret) *corev1.Secret {
			honest.Annotations = nil
			return honest
		}, []int{1}},
		"a valid record under a later revision": {func(_ *testing.T, _ setup, honest *corev1.Secret) *corev1.Secret {
			honest.Name, honest.Labels["version"] = recordName(3), "3"
			return honest
		}, []int{1, 2}},
		"a valid record of another namespace": {func(t *testing.T, s setup, _ *corev1.Secret) *corev1.Secret {
			if err := helmOn(s.in("other")).Create(record(3, "x")); err != nil {
				t.Fatal(err)
			}
			stolen := s.secret(t, "other", 3)
			stolen.Namespace = team
			return stolen
		}, []int{1, 2}},
		"a valid record of another release": {func(t *testing.T, s setup, _ *corev1.Secret) *corev1.Secret {
			other := record(3, "x")
			other.Name = "vc-other"
			if err := helmOn(s.in(team)).Create(other); err != nil {
				t.Fatal(err)
			}
			stolen, err := s.host.CoreV1().Secrets(team).Get(t.Context(), "sh.helm.release.v1.vc-other.v3", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			stolen.Name, stolen.Labels["name"] = recordName(3), demo
			return stolen
		}, []int{1, 2}},
		"other data below the seal": {func(_ *testing.T, _ setup, honest *corev1.Secret) *corev1.Secret {
			honest.Data["release"] = []byte("x")
			return honest
		}, []int{1}},
		"another state below the seal": {func(_ *testing.T, _ setup, honest *corev1.Secret) *corev1.Secret {
			honest.Labels["status"] = "uninstalling"
			return honest
		}, []int{1}},
		"the seal of another key": {func(t *testing.T, s setup, honest *corev1.Secret) *corev1.Secret {
			other := newSetup()
			key, err := other.key.get(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			seal(key, team, honest)
			return honest
		}, []int{1}},
		"labels of somebody's": {func(_ *testing.T, _ setup, honest *corev1.Secret) *corev1.Secret {
			honest.Labels["example.com/cost"] = "7"
			return honest
		}, []int{1, 2}},
	} {
		t.Run(what, func(t *testing.T) {
			s := newSetup()
			for revision := range 2 {
				if err := helmOn(s.in(team)).Create(record(revision+1, "manifest")); err != nil {
					t.Fatal(err)
				}
			}
			if forged := test.forge(t, s, s.secret(t, team, 2)); forged != nil {
				s.forge(t, forged)
			}
			history, err := helmOn(s.in(team)).History(demo)
			if err != nil {
				t.Fatal(err)
			}
			var got []int
			for _, one := range history {
				got = append(got, one.Version)
			}
			if slices.Sort(got); !slices.Equal(got, test.want) {
				t.Errorf("Helm sees revisions %v, want %v", got, test.want)
			}
			if _, err := helmOn(s.in(team)).Get(demo, 3); !errors.Is(err, driver.ErrReleaseNotFound) {
				t.Errorf("revision 3: got %v, want none", err)
			}
		})
	}
}

// TestOwnRecordsTakeTheirNames lets Helm write where somebody else's Secret stands.
func TestOwnRecordsTakeTheirNames(t *testing.T) {
	for what, foreign := range map[string]*corev1.Secret{
		"a record":     {Type: RecordType, ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"owner": "helm", "name": demo}}},
		"another type": {Type: corev1.SecretTypeOpaque},
	} {
		t.Run(what, func(t *testing.T) {
			s := newSetup()
			foreign.Namespace, foreign.Name = team, recordName(1)
			s.forge(t, foreign)
			if err := helmOn(s.in(team)).Create(record(1, "manifest")); err != nil {
				t.Fatal(err)
			}
			if last, err := helmOn(s.in(team)).Last(demo); err != nil || last.Manifest != "manifest" {
				t.Errorf("got %v, %v; want the record that was written", last, err)
			}
			if err := helmOn(s.in(team)).Create(record(1, "again")); !errors.Is(err, driver.ErrReleaseExists) {
				t.Errorf("over a record of its own: got %v, want that it exists", err)
			}
		})
	}
}

// TestRemove deletes what others wrote, or everything, and nothing of another type or release.
func TestRemove(t *testing.T) {
	s := newSetup()
	if err := helmOn(s.in(team)).Create(record(1, "manifest")); err != nil {
		t.Fatal(err)
	}
	labels := map[string]string{"owner": "helm", "name": demo}
	for name, secret := range map[string]*corev1.Secret{
		"forged": {Type: RecordType, ObjectMeta: metav1.ObjectMeta{Labels: labels}},
		"older":  {Type: RecordType, ObjectMeta: metav1.ObjectMeta{Labels: labels}},
		"typed":  {Type: corev1.SecretTypeOpaque, ObjectMeta: metav1.ObjectMeta{Labels: labels}},
		"other":  {Type: RecordType, ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"owner": "helm", "name": "vc-other"}}},
	} {
		secret.Namespace, secret.Name = team, name
		s.forge(t, secret)
	}
	left := func() string {
		list, err := s.host.CoreV1().Secrets(team).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, secret := range list.Items {
			names = append(names, secret.Name)
		}
		slices.Sort(names)
		return strings.Join(names, " ")
	}
	selector := "owner=helm,name=" + demo
	if n, err := s.in(team).RemoveForeign(t.Context(), selector, 1); n != 1 || err != nil {
		t.Errorf("at most one: got %d, %v", n, err)
	}
	if n, err := s.in(team).RemoveForeign(t.Context(), selector, 100); n != 1 || err != nil {
		t.Errorf("the rest: got %d, %v; want 1", n, err)
	}
	if got, want := left(), "other "+recordName(1)+" typed"; got != want {
		t.Errorf("left are %s, want %s", got, want)
	}
	if err := s.in(team).RemoveAll(t.Context(), selector); err != nil {
		t.Error(err)
	}
	if got := left(); got != "other typed" {
		t.Errorf("left are %s, want other typed", got)
	}
}

// bomb is a record of a few hundred kilobytes that unfolds to many megabytes.
func bomb(t *testing.T) *corev1.Secret {
	t.Helper()
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	filler := bytes.Repeat([]byte("x"), 1<<20)
	_, err := writer.Write([]byte(`{"name":"` + demo + `","version":9,"info":{"status":"deployed"},"manifest":"`))
	for range 64 {
		if err == nil {
			_, err = writer.Write(filler)
		}
	}
	if err == nil {
		_, err = writer.Write([]byte(`"}`))
	}
	if err = errors.Join(err, writer.Close()); err != nil {
		t.Fatal(err)
	}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: team, Name: recordName(9), Labels: map[string]string{"owner": "helm", "name": demo, "version": "9", "status": "deployed"}},
		Type:       RecordType, Data: map[string][]byte{"release": []byte(base64.StdEncoding.EncodeToString(packed.Bytes()))},
	}
}

// TestBomb compares what reading costs with a bomb beside an ordinary record, without
// it, and without seals.
func TestBomb(t *testing.T) {
	s := newSetup()
	if err := helmOn(s.in(team)).Create(record(1, strings.Repeat("manifest ", 10_000))); err != nil {
		t.Fatal(err)
	}
	cost := func(secrets typedcorev1.SecretInterface, want int) uint64 {
		t.Helper()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		last, err := helmOn(secrets).Last(demo)
		runtime.ReadMemStats(&after)
		if err != nil || last.Version != want {
			t.Fatalf("got revision %v, %v; want %d", last, err, want)
		}
		return after.TotalAlloc - before.TotalAlloc
	}
	ordinary := cost(s.in(team), 1)
	packed := bomb(t)
	s.forge(t, packed)
	beside, exploded := cost(s.in(team), 1), cost(s.host.CoreV1().Secrets(team), 9)
	t.Logf("ordinary %d KiB, beside a bomb of %d KiB %d KiB, exploded %d KiB", ordinary>>10, len(packed.Data["release"])>>10, beside>>10, exploded>>10)
	// The fake host copies what it lists: that is all that the bomb may cost.
	if most := 2*ordinary + 8*uint64(len(packed.Data["release"])); beside > most {
		t.Errorf("reading beside a bomb allocates %d bytes, want at most %d", beside, most)
	}
	if exploded < 10*beside {
		t.Errorf("the bomb costs only %d bytes where it is read: this test shows nothing", exploded)
	}
}

// TestKey wants one key for all replicas, and no silence about one that is none.
func TestKey(t *testing.T) {
	s := newSetup()
	first, err := s.key.get(t.Context())
	if err != nil || len(first) != keyBytes {
		t.Fatalf("got %d bytes, %v", len(first), err)
	}
	if second, err := NewKey(s.host.CoreV1().Secrets(system)).get(t.Context()); err != nil || !bytes.Equal(first, second) {
		t.Errorf("another replica has another key (%v)", err)
	}
	broken := fake.NewClientset(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: KeySecret}})
	if _, err := NewKey(broken.CoreV1().Secrets(system)).get(t.Context()); err == nil || !strings.Contains(err.Error(), system+"/"+KeySecret) {
		t.Errorf("an empty key: got %v, want an error that names the Secret", err)
	}
}
