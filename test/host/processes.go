// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"garret.dev/garret/test/host/internal/cgroup"
	"garret.dev/garret/test/host/internal/component"
	"garret.dev/garret/test/host/internal/instance"
	"garret.dev/garret/test/host/internal/network"
	"garret.dev/garret/test/host/internal/process"
)

// stopGrace is how long a component may take to stop by itself before it is
// killed. With watches open, etcd and kube-apiserver would take much longer.
const stopGrace = 3 * time.Second

// processes runs a cluster as processes of this machine.
type processes struct {
	state  *state
	report *progress
	host   component.Host
	procs  process.Folder
	groups cgroup.Groups

	mu sync.Mutex
	// started are the components which ran or were started in this call, and
	// so are missed when they end.
	started map[string]bool
}

var _ provider = (*processes)(nil)

func newProcesses(s *state, report *progress) *processes {
	p := &processes{state: s, report: report, started: map[string]bool{}}
	p.procs = process.Folder{Records: filepath.Join(s.Dir, "processes"), Logs: logsDir(s.Dir)}
	p.host = component.Host{Name: s.Name, Dir: s.Dir, BinDir: s.BinDir, Reserved: s.Reserved}
	if s.Index != noIndex {
		p.settle(instance.Lease{Index: s.Index, Dir: filepath.Join(instance.Root, fmt.Sprint(s.Index))})
	}
	return p
}

// settle fills in what follows from the instance's index.
func (p *processes) settle(lease instance.Lease) {
	p.state.Index = lease.Index
	p.host.Run = lease.Dir
	p.host.Net = network.Network{Plan: network.Plan{Index: lease.Index}, Dir: filepath.Join(lease.Dir, "net")}
}

func registry() instance.Registry {
	return instance.Registry{
		Root:     instance.Root,
		Max:      network.MaxInstances,
		Range:    func(index int) netip.Prefix { return network.Plan{Index: index}.Whole() },
		Networks: instance.MachineNetworks,
		Alive: func(dir string) bool {
			_, err := os.Stat(stateFile(dir))
			return err == nil
		},
	}
}

func (p *processes) kubeconfig() string { return p.host.AdminKubeconfig() }

func (p *processes) user(name string, groups []string) (string, error) {
	return p.host.WriteUser(name, groups...)
}

// specs are all components, in the order in which they are started.
func (p *processes) specs() []process.Spec {
	h := p.host
	specs := []process.Spec{h.EtcdSpec(), h.APIServerSpec()}
	for n := 1; n <= p.state.Nodes; n++ {
		specs = append(specs, h.ContainerdSpec(n))
	}
	specs = append(specs, h.ControllerManagerSpec(), h.SchedulerSpec(), h.ProvisionerSpec(), h.MetricsServerSpec())
	for n := 1; n <= p.state.Nodes; n++ {
		specs = append(specs, h.KubeletSpec(n), h.KubeProxySpec(n))
		if p.state.NetworkPolicies {
			specs = append(specs, h.NetworkPoliciesSpec(n))
		}
	}
	return specs
}

// spec finds a component by the name that users give it.
func (p *processes) spec(name string) (process.Spec, error) {
	var names []string
	for _, spec := range p.specs() {
		if spec.Name == name || spec.Name == p.host.Of(name, 1) {
			return spec, nil
		}
		names = append(names, spec.Name)
	}
	return process.Spec{}, fmt.Errorf("no component is called %q: there are %s", name, strings.Join(names, " "))
}

func (p *processes) restart(ctx context.Context, name string) error {
	spec, err := p.spec(name)
	if err != nil {
		return err
	}
	if err := p.procs.Stop(ctx, spec.Name, stopGrace); err != nil {
		return err
	}
	if err := p.start(ctx, spec); err != nil {
		return err
	}
	return p.waitReady(ctx)
}

func (p *processes) logs(name string) (string, error) {
	spec, err := p.spec(name)
	if err != nil {
		return "", err
	}
	return p.procs.Log(spec.Name), nil
}

func (p *processes) status(context.Context) ([]ComponentStatus, error) {
	var all []ComponentStatus
	for _, spec := range p.specs() {
		s := ComponentStatus{Name: spec.Name}
		if s.PID, s.Running = p.procs.PID(spec.Name); !s.Running {
			s.PID, s.Detail = 0, p.procs.LastError(spec.Name)
		}
		all = append(all, s)
	}
	return all, nil
}

// start starts those that do not run.
func (p *processes) start(ctx context.Context, specs ...process.Spec) error {
	for _, spec := range specs {
		started, err := p.procs.Start(ctx, spec)
		if err != nil {
			return err
		}
		p.mu.Lock()
		p.started[spec.Name] = true
		p.mu.Unlock()
		if started {
			p.report.say("started %s", spec.Name)
		}
	}
	return nil
}

// died names the first component that was started and runs no more.
func (p *processes) died() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, spec := range p.specs() {
		if _, alive := p.procs.PID(spec.Name); !alive && p.started[spec.Name] {
			return fmt.Errorf("%s ended: %s (see %s)", spec.Name, p.procs.LastError(spec.Name), p.procs.Log(spec.Name))
		}
	}
	return nil
}
