// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"garret.dev/garret/test/host/internal/cgroup"
	"garret.dev/garret/test/host/internal/component"
	"garret.dev/garret/test/host/internal/imagestore"
)

// up brings up whatever is missing. The order is that of need: the API server
// takes longest to answer, and everything that does not need it happens in
// its shadow.
func (p *processes) up(ctx context.Context, images []string) error {
	if err := checkMachine(p.state.BinDir, p.state.NetworkPolicies); err != nil {
		return err
	}
	if err := p.prepare(ctx); err != nil {
		return err
	}
	p.report.say("network %s, certificates and configuration", p.host.Net.Whole())
	if err := p.start(ctx, p.host.EtcdSpec(), p.host.APIServerSpec()); err != nil {
		return err
	}
	images = neededFirst(images)
	group, groupCtx := errgroup.WithContext(ctx)
	for n := 1; n <= p.state.Nodes; n++ {
		if err := p.start(ctx, p.host.ContainerdSpec(n)); err != nil {
			return err
		}
		group.Go(func() error { return p.fill(groupCtx, n, images) })
	}
	group.Go(func() error { return p.startOnAPI(groupCtx) })
	if err := group.Wait(); err != nil {
		return err
	}
	return p.waitReady(ctx)
}

// prepare makes what the components stand on.
func (p *processes) prepare(ctx context.Context) error {
	if err := p.acquire(); err != nil {
		return err
	}
	var err error
	if p.host.CNIDir, err = findCNI(cniDirs); err != nil {
		return err
	}
	if err := raiseLimits(); err != nil {
		return err
	}
	if err := p.host.Net.Up(ctx, p.state.Nodes); err != nil {
		return err
	}
	if err := p.host.WriteCredentials(p.state.Nodes); err != nil {
		return err
	}
	if p.groups, err = cgroup.Find(); err != nil {
		return err
	}
	for n := 1; n <= p.state.Nodes; n++ {
		if err := p.groups.Create(p.host.CgroupRoot(n)); err != nil {
			return err
		}
		for _, dir := range []string{p.host.NodeDir(n), p.host.NodeRun(n)} {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
		}
		for file, content := range p.host.NodeFiles(n) {
			if err := writeChanged(file, content); err != nil {
				return err
			}
		}
	}
	return nil
}

// limits are settings of the machine that the programs of a few hosts exceed:
// by default, all of one user's processes may watch files 128 times. They are
// left as they are afterwards, since others may have come to need them.
var limits = map[string]int{
	"/proc/sys/fs/inotify/max_user_instances": 8192,
	"/proc/sys/fs/inotify/max_user_watches":   524288,
}

func raiseLimits() error {
	for file, least := range limits {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if have, err := strconv.Atoi(strings.TrimSpace(string(data))); err == nil && have >= least {
			continue
		}
		if err := os.WriteFile(file, []byte(strconv.Itoa(least)), 0o644); err != nil {
			return fmt.Errorf("raise a limit of this machine: %w", err)
		}
	}
	return nil
}

// writeChanged leaves a file alone that has the content already: kube-proxy
// ends itself when its configuration is written.
func writeChanged(file, content string) error {
	if have, err := os.ReadFile(file); err == nil && string(have) == content {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(content), 0o644)
}

// acquire gets hold of the cluster's network. The state is written before
// anything else is made, so that whatever happens next can be undone.
func (p *processes) acquire() error {
	if err := p.state.save(); err != nil {
		return err
	}
	lease, err := registry().Acquire(p.state.Dir, p.state.Index)
	if err != nil {
		return err
	}
	p.settle(lease)
	return p.state.save()
}

// fill gives a node its images, as soon as its runtime answers.
func (p *processes) fill(ctx context.Context, n int, images []string) error {
	store := p.store(n)
	if err := p.wait(ctx, p.host.Of(component.Containerd, n), store.Answers); err != nil {
		return err
	}
	loaded, err := store.Load(ctx, images...)
	if err != nil {
		return p.explain(err)
	}
	p.report.say("%s has its images: %d of %d loaded", p.host.Node(n), len(loaded), len(images))
	return nil
}

func (p *processes) load(ctx context.Context, images []string) error {
	group, ctx := errgroup.WithContext(ctx)
	for n := 1; n <= p.state.Nodes; n++ {
		group.Go(func() error {
			_, err := p.store(n).Load(ctx, images...)
			return err
		})
	}
	return group.Wait()
}

func (p *processes) store(n int) imagestore.Store {
	return imagestore.Store{Socket: p.host.Socket(n), CTR: filepath.Join(p.host.BinDir, "ctr")}
}

// startOnAPI starts what is of no use before the API server answers.
func (p *processes) startOnAPI(ctx context.Context) error {
	if err := p.waitAPI(ctx); err != nil {
		return err
	}
	p.report.say("API server answers at %s", p.host.Net.APIServer())
	if err := p.start(ctx, p.host.ControllerManagerSpec(), p.host.SchedulerSpec(), p.host.ProvisionerSpec()); err != nil {
		return err
	}
	for n := 1; n <= p.state.Nodes; n++ {
		// A kubelet ends if nobody answers its first question.
		if err := p.wait(ctx, p.host.Of(component.Containerd, n), p.store(n).Answers); err != nil {
			return err
		}
		if err := p.startKubelet(ctx, n); err != nil {
			return err
		}
		if err := p.start(ctx, p.host.KubeProxySpec(n)); err != nil {
			return err
		}
	}
	if err := p.applyAddons(ctx); err != nil {
		return p.explain(err)
	}
	// These end where they have no rights yet, and the addons give them those.
	if err := p.start(ctx, p.host.MetricsServerSpec()); err != nil {
		return err
	}
	for n := 1; p.state.NetworkPolicies && n <= p.state.Nodes; n++ {
		if err := p.start(ctx, p.host.NetworkPoliciesSpec(n)); err != nil {
			return err
		}
	}
	p.report.say("cluster DNS, storage class, metrics and roles applied")
	return nil
}

// deviceSocket is where device plugins register with a kubelet, in whatever folder it has the rest.
const deviceSocket = "/var/lib/kubelet/device-plugins/kubelet.sock"

// startKubelet starts the kubelet of a node, and returns once it has made its socket for device plugins. Each
// kubelet of the machine removes that of the one before, and ends where two do so at once.
func (p *processes) startKubelet(ctx context.Context, n int) error {
	spec := p.host.KubeletSpec(n)
	if _, running := p.procs.PID(spec.Name); running {
		return p.start(ctx, spec)
	}
	before, _ := os.Stat(deviceSocket)
	if err := p.start(ctx, spec); err != nil || n == p.state.Nodes {
		return err
	}
	return p.wait(ctx, spec.Name, func(context.Context) error {
		now, err := os.Stat(deviceSocket)
		if err == nil && before != nil && os.SameFile(before, now) && before.ModTime().Equal(now.ModTime()) {
			err = fmt.Errorf("%s is not its own yet", deviceSocket)
		}
		return err
	})
}

// explain puts the end of a component before an error that it brought about.
func (p *processes) explain(err error) error {
	if died := p.died(); died != nil {
		return fmt.Errorf("%w; thereby %w", died, err)
	}
	return err
}

// neededFirst puts the images that the cluster itself waits for to the front.
func neededFirst(files []string) []string {
	var first, rest []string
	for _, file := range files {
		ids, err := imagestore.IDs(file)
		if err == nil && (ids[component.PauseImage] != "" || ids[dnsImage] != "") {
			first = append(first, file)
		} else {
			rest = append(rest, file)
		}
	}
	return append(first, rest...)
}
