// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
)

const (
	// The control plane starts beside the syncer; nothing is gained by asking seldom.
	pollInterval = 50 * time.Millisecond
	pollReport   = 10 * time.Second
	// The syncer is one client of each side, and is slowed down by their own
	// fairness rather than by itself.
	clientQPS   = 200
	clientBurst = 400
)

// hostConfig returns the configuration of a client of the host cluster.
func hostConfig(kubeconfig string) (*rest.Config, error) {
	load := rest.InClusterConfig
	if kubeconfig != "" {
		load = func() (*rest.Config, error) { return clientcmd.BuildConfigFromFlags("", kubeconfig) }
	}
	config, err := load()
	if err != nil {
		return nil, fmt.Errorf("host cluster: %w", err)
	}
	return config, nil
}

// virtualConfig waits until the control plane has written its kubeconfig, and
// until the API server that it names is ready.
func virtualConfig(ctx context.Context, kubeconfig string) (*rest.Config, error) {
	logger := klog.FromContext(ctx)
	start := time.Now()
	reported := start
	var config *rest.Config
	err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		var err error
		config, err = readyConfig(ctx, kubeconfig)
		if err == nil {
			return true, nil
		}
		if time.Since(reported) >= pollReport {
			reported = time.Now()
			logger.Info("Waiting for the control plane", "waited", time.Since(start).Round(time.Second), "err", err)
		}
		return false, nil
	})
	if err != nil {
		return nil, fmt.Errorf("control plane: %w", err)
	}
	logger.Info("The control plane is ready", "waited", time.Since(start).Round(time.Millisecond), "server", config.Host)
	return config, nil
}

// readyConfig returns the configuration if the API server behind it is ready.
func readyConfig(ctx context.Context, kubeconfig string) (*rest.Config, error) {
	if _, err := os.Stat(kubeconfig); err != nil {
		return nil, errors.New("its kubeconfig is not written yet")
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	// The API server runs beside the syncer, and compressing costs both more than it saves.
	config.DisableCompression = true
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	return config, ready(ctx, client)
}

// ready asks the API server whether it is ready.
func ready(ctx context.Context, client kubernetes.Interface) error {
	var status int
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err := client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).StatusCode(&status).Error()
	if err == nil && status != http.StatusOK {
		return fmt.Errorf("/readyz answers %d", status)
	}
	return err
}

// newClient returns a client for built-in kinds.
func newClient(config *rest.Config) (*kubernetes.Clientset, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = clientQPS, clientBurst
	config.UserAgent = rest.DefaultKubernetesUserAgent()
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("client of %s: %w", config.Host, err)
	}
	return client, nil
}
