// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Command snapshotter has a test host take snapshots of volumes: it runs the two controllers of
// external-snapshotter, and plays the part of a CSI driver for them.
//
// The driver's volumes and snapshots are folders of the machine, and a snapshot is a copy. It
// provisions volumes, copies snapshots and claims into new ones, and mounts volumes for the kubelet
// of one node. It is a module of its own, since external-snapshotter asks for other versions of
// what the tests stand on.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	snapshots "github.com/kubernetes-csi/external-snapshotter/client/v8/clientset/versioned"
	snapshotscheme "github.com/kubernetes-csi/external-snapshotter/client/v8/clientset/versioned/scheme"
	"github.com/kubernetes-csi/external-snapshotter/client/v8/informers/externalversions"
	common "github.com/kubernetes-csi/external-snapshotter/v8/pkg/common-controller"
	"github.com/kubernetes-csi/external-snapshotter/v8/pkg/metrics"
	sidecar "github.com/kubernetes-csi/external-snapshotter/v8/pkg/sidecar-controller"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

const (
	resync  = 15 * time.Minute
	workers = 5
	// uuidLength is how much of a UID the name of a snapshot has; -1 for all of it.
	uuidLength = -1
	// operation is how long the driver may take for one thing.
	operation = time.Minute
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	kubeconfig := flag.String("kubeconfig", "", "Kubeconfig of an administrator of the host.")
	dir := flag.String("dir", "", "Folder for volumes and snapshots.")
	name := flag.String("driver", "folders.garret.dev", "Name of the driver, as classes have it.")
	node := flag.String("node", "", "Node on which the volumes are.")
	kubelet := flag.String("kubelet-dir", "", "Folder of that node's kubelet.")
	flag.Parse()
	for flag, path := range map[string]string{"dir": *dir, "kubelet-dir": *kubelet} {
		if !filepath.IsAbs(path) {
			return fmt.Errorf("--%s=%s: must be an absolute path", flag, path)
		}
	}
	if *node == "" {
		return errors.New("--node: must name a node")
	}
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 50, 100
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	snapshotClient, err := snapshots.NewForConfig(config)
	if err != nil {
		return err
	}
	// The controllers look here for the kinds that their references and Events are about.
	if err := snapshotscheme.AddToScheme(scheme.Scheme); err != nil {
		return err
	}
	d, err := newDriver(*name, *dir, *node, snapshotClient, client)
	if err != nil {
		return err
	}
	served, err := d.serve(ctx, *kubelet)
	if err != nil {
		return err
	}
	go controller.NewProvisionController(klog.NewContext(ctx, klog.Background()), client, *name, d, controller.LeaderElection(false)).Run(ctx)
	take(ctx, *name, d, client, snapshotClient)
	return <-served
}

// take runs the controllers of external-snapshotter until the context ends.
func take(ctx context.Context, name string, d *driver, client kubernetes.Interface, snapshotClient snapshots.Interface) {
	core := informers.NewSharedInformerFactory(client, resync)
	// Each has caches of its own, as two processes have: the first controller changes cached objects, and
	// the other one must see these changes come.
	factory, other := externalversions.NewSharedInformerFactory(snapshotClient, resync), externalversions.NewSharedInformerFactory(snapshotClient, resync)
	kinds, groups := factory.Snapshot().V1(), factory.Groupsnapshot().V1()
	otherKinds, otherGroups := other.Snapshot().V1(), other.Groupsnapshot().V1()
	limiter := func() workqueue.TypedRateLimiter[string] {
		return workqueue.NewTypedItemExponentialFailureRateLimiter[string](100*time.Millisecond, 10*time.Second)
	}
	of := common.NewCSISnapshotCommonController(snapshotClient, client, kinds.VolumeSnapshots(), kinds.VolumeSnapshotContents(), kinds.VolumeSnapshotClasses(),
		groups.VolumeGroupSnapshots(), groups.VolumeGroupSnapshotContents(), groups.VolumeGroupSnapshotClasses(),
		core.Core().V1().PersistentVolumeClaims(), core.Core().V1().PersistentVolumes(), nil, metrics.NewMetricsManager(), resync,
		limiter(), limiter(), limiter(), limiter(), false, false, false)
	by := sidecar.NewCSISnapshotSideCarController(snapshotClient, client, name, otherKinds.VolumeSnapshotContents(), otherKinds.VolumeSnapshotClasses(), d, nil,
		operation, resync, "snapshot", uuidLength, "groupsnapshot", uuidLength, false, limiter(), false,
		otherGroups.VolumeGroupSnapshotContents(), otherGroups.VolumeGroupSnapshotClasses(), limiter())
	core.Start(ctx.Done())
	factory.Start(ctx.Done())
	other.Start(ctx.Done())
	var running sync.WaitGroup
	running.Add(2)
	go of.Run(workers, ctx.Done(), &running)
	go by.Run(workers, ctx.Done(), &running)
}
