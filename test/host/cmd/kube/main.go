// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kube holds every server of a Kubernetes host in one binary: linked
// apart they would share nearly all of their code and take seven times the
// link time and disk. kubectl is a binary of its own: tests start it thousands
// of times, and most of its start would be what the servers initialize.
//
// The program is chosen by the name the binary was called by (a link named
// kubelet behaves as kubelet) or else by the first argument.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	_ "time/tzdata" // CronJob time zones, on hosts without a zone database

	_ "k8s.io/component-base/logs/json/register"          // --logging-format=json
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // client metrics of every component
	_ "k8s.io/component-base/metrics/prometheus/version"
)

// program runs one component with os.Args as it would see them were it a
// binary of its own, and returns the exit code.
type program func() int

// programs maps a component's name to the function that runs it. Each builds
// its command only when it is called: the components register flags and
// feature gates in process-wide registries, and two of them in one process
// would see each other's.
func programs() map[string]program {
	return map[string]program{
		"etcd":                    etcd,
		"kube-apiserver":          kubeAPIServer,
		"kube-controller-manager": kubeControllerManager,
		"kube-scheduler":          kubeScheduler,
		"kubelet":                 kubelet,
		"kube-proxy":              kubeProxy,
		"provisioner":             runProvisioner,
	}
}

func main() {
	run, args, err := choose(os.Args, programs())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	os.Args = args
	os.Exit(run())
}

// choose picks the program for the given command line and returns it with the
// command line that the program itself should see.
func choose(args []string, known map[string]program) (program, []string, error) {
	if len(args) > 0 {
		if run, ok := known[filepath.Base(args[0])]; ok {
			return run, args, nil
		}
	}
	if len(args) > 1 {
		if run, ok := known[args[1]]; ok {
			return run, args[1:], nil
		}
	}
	names := make([]string, 0, len(known))
	for name := range known {
		names = append(names, name)
	}
	sort.Strings(names)
	return nil, nil, fmt.Errorf("name a program, as the first argument or by a link: %s", strings.Join(names, " "))
}
