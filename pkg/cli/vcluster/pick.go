// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"context"
	"errors"
	"fmt"

	"charm.land/huh/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/generated/clientset/versioned"
	"garret.dev/garret/pkg/cli/exit"
	"garret.dev/garret/pkg/cli/host"
)

// pickHeight is how many lines the picker takes of the terminal.
const pickHeight = 12

// pick lets the user choose among the virtual clusters that they may list: those of all
// namespaces, or of the current one.
func (c *Commands) pick(ctx context.Context, client versioned.Interface, namespace string) (types.NamespacedName, error) {
	var chosen types.NamespacedName
	list, err := client.TenancyV1().VirtualClusters(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if apierrors.IsForbidden(err) {
		list, err = client.TenancyV1().VirtualClusters(namespace).List(ctx, metav1.ListOptions{})
	}
	if err != nil {
		return chosen, err
	}
	if len(list.Items) == 0 {
		return chosen, exit.With(exit.NotFound, host.Advise(errors.New("there is no virtual cluster to choose"),
			"create one with: %s create NAME --namespace %s", c.Program, namespace))
	}
	options := make([]huh.Option[types.NamespacedName], 0, len(list.Items))
	for i := range list.Items {
		item := &list.Items[i]
		options = append(options, huh.NewOption(label(item), types.NamespacedName{Namespace: item.Namespace, Name: item.Name}))
	}
	choice := huh.NewSelect[types.NamespacedName]().Title("Virtual cluster to enter (type / to search)").
		Options(options...).Height(pickHeight).Value(&chosen)
	form := huh.NewForm(huh.NewGroup(choice)).WithInput(c.Streams.In).WithOutput(c.Streams.ErrOut)
	err = form.RunWithContext(ctx)
	if errors.Is(err, huh.ErrUserAborted) {
		return chosen, exit.With(exit.Interrupted, host.Advise(errors.New("nothing was chosen"), "name one with: %s use NAME", c.Program))
	}
	return chosen, err
}

// label is one line of the picker.
func label(cluster *tenancyv1.VirtualCluster) string {
	return fmt.Sprintf("%s/%s  %s", cluster.Namespace, cluster.Name, cluster.Status.Phase)
}
