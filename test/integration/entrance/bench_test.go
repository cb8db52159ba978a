// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package entrance

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/rest"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/framework/kubelet"
)

// measured is who sends the requests of the benchmarks, a ServiceAccount.
const measured = "system:serviceaccount:" + namespace + ":measured"

// measuredDoor is the relay at garret-apiserver's own address, so that what is
// measured is the relay and not the host's API server before it. The user has a
// token, which garret-apiserver remembers, and may do everything inside.
func measuredDoor(b *testing.B) (*door, framework.User) {
	b.Helper()
	d := relayDoor()
	d.address, d.authority = shared.garret.Address, shared.authority
	return d, may(b, shared.host.Account(b, namespace, "measured"), namespace, d.works()...)
}

// BenchmarkRelay sends each request twice, straight to the virtual cluster's
// API server and through the relay, in turn, so that whatever else the machine
// does falls on both. Reported are the medians, what the relay adds, and the
// relay's throughput as a share of the straight one.
//
// The straight request is made as the same user, which is the relay's own cost,
// and with the administrator's certificate: its group is authorised without
// looking at any rule, and has no impersonation to be checked.
func BenchmarkRelay(b *testing.B) {
	benchmark(b, func(_ workload, client *http.Client, url string) time.Duration {
		return timed(b, client, url)
	})
}

// BenchmarkRelayParallel is the same with several callers at a time, in batches
// that take turns: what is compared is throughput, and no longer the time that
// one caller waits.
func BenchmarkRelayParallel(b *testing.B) {
	benchmark(b, func(request workload, client *http.Client, url string) time.Duration {
		var group sync.WaitGroup
		begin := time.Now()
		for range request.callers {
			group.Go(func() {
				for range request.repetition {
					timed(b, client, url)
				}
			})
		}
		group.Wait()
		return time.Since(begin)
	})
}

// workload is a request, and how it is made in parallel.
type workload struct {
	name, path          string
	callers, repetition int
}

// benchmark has send make each request, straight and relayed in turn.
func benchmark(b *testing.B, send func(request workload, client *http.Client, url string) time.Duration) {
	b.Helper()
	d, u := measuredDoor(b)
	fill(b)
	same := rest.ImpersonationConfig{UserName: v1.HostUserPrefix + measured, Groups: []string{v1.GroupAdmins}}
	for _, group := range []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace, user.AllAuthenticated} {
		same.Groups = append(same.Groups, v1.HostUserPrefix+group)
	}
	for _, request := range []workload{
		{"get", "/api/v1/namespaces/default", 16, 20},
		{"list-2MB", "/api/v1/namespaces/default/configmaps?labelSelector=bench", 4, 2},
	} {
		for as, identity := range map[string]rest.ImpersonationConfig{"as-the-user": same, "as-administrator": {}} {
			b.Run(request.name+"/"+as, func(b *testing.B) {
				administrator := rest.CopyConfig(shared.virtual.Config)
				administrator.Impersonate = identity
				straight, relayed := caller(b, administrator), caller(b, d.config(u))
				var direct, through []time.Duration
				for range b.N {
					direct = append(direct, send(request, straight, shared.virtual.Config.Host+request.path))
					through = append(through, send(request, relayed, d.config(u).Host+request.path))
				}
				report(b, direct, through)
			})
		}
	}
}

// BenchmarkExec pushes 64 MiB through kubectl exec each way.
func BenchmarkExec(b *testing.B) {
	d, u := measuredDoor(b)
	kubelet.NewPod(b, shared.virtual.ControlPlane, "bench")
	for transport, env := range transports {
		b.Run(transport, func(b *testing.B) {
			run := func(c framework.Client) time.Duration {
				command := kubectl(b, c.With(env...), "exec", "-i", "bench", "--", "sh", "-c", "cat >/dev/null; echo ok")
				command.Stdin = io.LimitReader(zeros{}, 64<<20)
				return elapsed(b, command)
			}
			straight, relayed := shared.virtual.Kubectl(), d.kubectl(b, u)
			var direct, through []time.Duration
			for range b.N {
				direct = append(direct, run(straight))
				through = append(through, run(relayed))
			}
			report(b, direct, through)
		})
	}
}

func elapsed(b *testing.B, command *exec.Cmd) time.Duration {
	b.Helper()
	begin := time.Now()
	if out, err := command.CombinedOutput(); err != nil || !strings.Contains(string(out), "ok") {
		b.Fatalf("exec: %v\n%s", err, out)
	}
	return time.Since(begin)
}

func report(b *testing.B, direct, through []time.Duration) {
	median := func(d []time.Duration) float64 {
		slices.Sort(d)
		return float64(d[len(d)/2]) / float64(time.Millisecond)
	}
	sum := func(d []time.Duration) (total time.Duration) {
		for _, v := range d {
			total += v
		}
		return total
	}
	b.ReportMetric(median(direct), "straight-ms")
	b.ReportMetric(median(through), "relayed-ms")
	b.ReportMetric(median(through)-median(direct), "added-ms")
	b.ReportMetric(float64(sum(direct))/float64(sum(through)), "share")
	b.ReportMetric(0, "ns/op")
}

// fill makes something to list.
func fill(b *testing.B) {
	b.Helper()
	configMaps := shared.virtual.Client.CoreV1().ConfigMaps(metav1.NamespaceDefault)
	for i := range 200 {
		object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("bench-%d", i), Labels: map[string]string{"bench": ""}}}
		object.Data = map[string]string{"a": strings.Repeat("0123456789", 1000)}
		if _, err := configMaps.Create(b.Context(), object, metav1.CreateOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	b.Cleanup(func() {
		err := configMaps.DeleteCollection(context.Background(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "bench"})
		if err != nil {
			b.Error(err)
		}
	})
}

// caller sends requests over HTTP/2, and takes answers as they are.
func caller(b *testing.B, config *rest.Config) *http.Client {
	b.Helper()
	config.DisableCompression = true
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		b.Fatal(err)
	}
	return client
}

func timed(b *testing.B, client *http.Client, url string) time.Duration {
	b.Helper()
	begin := time.Now()
	response, err := client.Get(url)
	if err != nil {
		b.Error(err)
		return 0
	}
	defer response.Body.Close()
	n, err := io.Copy(io.Discard, response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		b.Errorf("%s answered %d with %d bytes, %v", url, response.StatusCode, n, err)
	}
	return time.Since(begin)
}
