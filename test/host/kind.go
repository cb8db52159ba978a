// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	"sigs.k8s.io/kind/pkg/cluster"
	"sigs.k8s.io/kind/pkg/cluster/nodes"
	"sigs.k8s.io/kind/pkg/cluster/nodeutils"
	"sigs.k8s.io/kind/pkg/log"

	"garret.dev/garret/test/host/internal/component"
	"garret.dev/garret/test/host/internal/imagestore"
)

// Networks of clusters made by kind, whose own defaults they are. They are
// named here because routes lead to them.
const (
	kindPodNet     = "10.244.0.0/16"
	kindServiceNet = "10.96.0.0/16"
)

// kindCluster runs a cluster in the containers of a container engine.
type kindCluster struct {
	state  *state
	report *progress
	// engine finds the container engine of this machine.
	engine func() (*cluster.Provider, error)
}

var _ provider = (*kindCluster)(nil)

func newKind(s *state, report *progress) *kindCluster {
	k := &kindCluster{state: s, report: report}
	k.engine = func() (*cluster.Provider, error) { return findEngine(kindLog{report}) }
	return k
}

// findEngine returns the container engine that is there and answers.
func findEngine(logger log.Logger) (*cluster.Provider, error) {
	option, err := cluster.DetectNodeProvider()
	if err != nil {
		return nil, fmt.Errorf("provider kind needs a container engine (docker, podman or nerdctl), and this machine has none: %w", err)
	}
	engine := cluster.NewProvider(option, cluster.ProviderWithLogger(logger))
	if _, err := engine.List(); err != nil {
		return nil, fmt.Errorf("provider kind needs a container engine, and the one of this machine does not answer: %w", err)
	}
	return engine, nil
}

// kindConfig describes the cluster: one node for the control plane, and
// workers for the rest.
func kindConfig(s state) *v1alpha4.Cluster {
	config := &v1alpha4.Cluster{
		TypeMeta:   v1alpha4.TypeMeta{Kind: "Cluster", APIVersion: "kind.x-k8s.io/v1alpha4"},
		Name:       s.Name,
		Networking: v1alpha4.Networking{PodSubnet: kindPodNet, ServiceSubnet: kindServiceNet},
	}
	for n := range s.Nodes {
		role := v1alpha4.WorkerRole
		if n == 0 {
			role = v1alpha4.ControlPlaneRole
		}
		config.Nodes = append(config.Nodes, v1alpha4.Node{Role: role})
	}
	return config
}

func (k *kindCluster) up(ctx context.Context, images []string) error {
	engine, err := k.engine()
	if err != nil {
		return err
	}
	if err := k.state.save(); err != nil {
		return err
	}
	have, err := k.nodes(engine)
	if err != nil {
		return err
	}
	switch {
	case len(have) == 0:
		err := engine.Create(k.state.Name,
			cluster.CreateWithV1Alpha4Config(kindConfig(*k.state)),
			cluster.CreateWithKubeconfigPath(k.kubeconfig()),
			cluster.CreateWithWaitForReady(readyLimit),
			cluster.CreateWithDisplayUsage(false),
			cluster.CreateWithDisplaySalutation(false),
			cluster.CreateWithRetain(true)) // for its logs; down removes it
		if err != nil {
			return err
		}
	case len(have) < k.state.Nodes:
		return fmt.Errorf("it has %d of %d nodes, and kind cannot add any: take it down first", len(have), k.state.Nodes)
	default:
		if err := engine.ExportKubeConfig(k.state.Name, k.kubeconfig(), false); err != nil {
			return err
		}
	}
	k.report.say("kind cluster %s is created", k.state.Name)
	if err := k.load(ctx, images); err != nil {
		return err
	}
	if err := k.route(ctx); err != nil {
		return err
	}
	return k.waitReady(ctx)
}

// waitReady fails where containers of the cluster were stopped: kind has no
// way of starting them again.
func (k *kindCluster) waitReady(ctx context.Context) error {
	client, err := k.client()
	if err != nil {
		return err
	}
	var last error
	err = wait.PollUntilContextTimeout(ctx, poll, readyLimit, true, func(ctx context.Context) (bool, error) {
		last = nodesReady(ctx, client, k.state.Nodes)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("%w: %w", err, last)
	}
	k.report.say("%d of %d nodes are ready", k.state.Nodes, k.state.Nodes)
	return nil
}

func (k *kindCluster) kubeconfig() string { return filepath.Join(k.state.Dir, "kubeconfig") }

// nodes are the cluster's, the control plane first and the others by name, so
// that node 2 is always the same.
func (k *kindCluster) nodes(engine *cluster.Provider) ([]nodes.Node, error) {
	found, err := engine.ListInternalNodes(k.state.Name)
	if err != nil {
		return nil, fmt.Errorf("nodes: %w", err)
	}
	slices.SortFunc(found, func(a, b nodes.Node) int { return compareNodes(a.String(), b.String()) })
	return found, nil
}

// compareNodes orders the names that kind gives to nodes: NAME-control-plane,
// NAME-worker, NAME-worker2 … NAME-worker10.
func compareNodes(a, b string) int {
	rank := func(name string) int {
		if strings.HasSuffix(name, "-control-plane") {
			return 0
		}
		return len(name)
	}
	if ra, rb := rank(a), rank(b); ra != rb {
		return ra - rb
	}
	return strings.Compare(a, b)
}

func (k *kindCluster) load(_ context.Context, images []string) error {
	engine, err := k.engine()
	if err != nil {
		return err
	}
	all, err := k.nodes(engine)
	if err != nil {
		return err
	}
	for _, node := range all {
		for _, file := range images {
			if err := loadInto(node, file); err != nil {
				return fmt.Errorf("load %s into %s: %w", file, node, err)
			}
		}
	}
	k.report.say("%d nodes have %d image archives", len(all), len(images))
	return nil
}

// loadInto imports an archive unless the node has the very images in it.
func loadInto(node nodes.Node, file string) error {
	ids, err := imagestore.IDs(file)
	if err != nil {
		return err
	}
	missing := false
	for tag, id := range ids {
		have, err := nodeutils.ImageID(node, tag)
		missing = missing || err != nil || have != id
	}
	if !missing {
		return nil
	}
	archive, err := os.Open(file)
	if err != nil {
		return err
	}
	defer archive.Close()
	return nodeutils.LoadImageArchive(node, archive)
}

// find returns the node that a component's name means, and the component.
func (k *kindCluster) find(name string) (nodes.Node, string, error) {
	engine, err := k.engine()
	if err != nil {
		return nil, "", err
	}
	all, err := k.nodes(engine)
	if err != nil {
		return nil, "", err
	}
	n, what := kindComponent(name)
	if what == "" || n < 1 || n > len(all) {
		return nil, "", fmt.Errorf("no component is called %q in a cluster of %d nodes", name, len(all))
	}
	return all[n-1], what, nil
}

// kindComponent splits a name like kubelet-node2; a name without a node means
// the first one. It returns no component for what there is not.
func kindComponent(name string) (node int, what string) {
	what, node = name, 1
	if i := strings.LastIndex(name, "-node"); i >= 0 {
		if n, err := fmt.Sscanf(name[i:], "-node%d", &node); n != 1 || err != nil {
			return 0, ""
		}
		what = name[:i]
	}
	known := []string{component.Etcd, component.APIServer, component.ControllerManager, component.Scheduler,
		component.Kubelet, component.KubeProxy, component.Containerd}
	if !slices.Contains(known, what) {
		return 0, ""
	}
	return node, what
}

// restart leaves the starting to systemd, or to the kubelet.
func (k *kindCluster) restart(ctx context.Context, name string) error {
	node, what, err := k.find(name)
	if err != nil {
		return err
	}
	if what == component.Kubelet || what == component.Containerd {
		return node.CommandContext(ctx, "systemctl", "restart", what).Run()
	}
	script := `id=$(crictl ps --quiet --name "^$0$") && test -n "$id" && crictl stop $id`
	return node.CommandContext(ctx, "sh", "-c", script, what).Run()
}

// logs collects the logs of all nodes and returns the folder of the node that
// the component runs on.
func (k *kindCluster) logs(name string) (string, error) {
	node, _, err := k.find(name)
	if err != nil {
		return "", err
	}
	engine, err := k.engine()
	if err != nil {
		return "", err
	}
	dir := logsDir(k.state.Dir)
	return filepath.Join(dir, node.String()), engine.CollectLogs(k.state.Name, dir)
}

// status tells of nodes: what runs on them is looked after by their kubelets.
func (k *kindCluster) status(ctx context.Context) ([]ComponentStatus, error) {
	client, err := k.client()
	if err != nil {
		return nil, err
	}
	list, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	var all []ComponentStatus
	for _, node := range list.Items {
		s := ComponentStatus{Name: node.Name}
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady {
				s.Running, s.Detail = condition.Status == corev1.ConditionTrue, condition.Message
			}
		}
		all = append(all, s)
	}
	return all, nil
}

func (k *kindCluster) down(ctx context.Context) error {
	engine, err := k.engine()
	if err != nil {
		return err
	}
	unroute := k.unroute(ctx) // needs the cluster, but must not keep it
	if err := errors.Join(unroute, engine.Delete(k.state.Name, k.kubeconfig())); err != nil {
		return err
	}
	return k.state.forget()
}

func (k *kindCluster) client() (kubernetes.Interface, error) {
	config, err := clientcmd.BuildConfigFromFlags("", k.kubeconfig())
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(config)
}

// kindLog passes on what kind says, except for its chatter.
type kindLog struct{ report *progress }

func (l kindLog) Warn(message string)               { l.report.say("%s", message) }
func (l kindLog) Warnf(format string, args ...any)  { l.report.say(format, args...) }
func (l kindLog) Error(message string)              { l.report.say("%s", message) }
func (l kindLog) Errorf(format string, args ...any) { l.report.say(format, args...) }
func (l kindLog) V(level log.Level) log.InfoLogger  { return kindInfo{l.report, level == 0} }

type kindInfo struct {
	report  *progress
	enabled bool
}

func (l kindInfo) Enabled() bool       { return l.enabled }
func (l kindInfo) Info(message string) { l.Infof("%s", message) }
func (l kindInfo) Infof(format string, args ...any) {
	if l.enabled {
		l.report.say(format, args...)
	}
}
