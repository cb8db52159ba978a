// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build bench

package soak

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// stamp is the annotation with the time of a write, in nanoseconds since 1970.
const stamp = "bench.garret.dev/written"

// prefix begins the names of our objects: a namespace may have others.
const prefix = "soak-"

// kind is what is written and watched.
type kind struct {
	// path of the group and version, resource in it, and body of an object of this name.
	path, resource string
	body           func(name string) string
}

// padding makes objects about as large as a virtual cluster with its status.
var padding = strings.Repeat("x", 1200)

func configMap(name string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q},"data":{"padding":%q}}`, name, padding)
}

func virtualCluster(name string) string {
	return fmt.Sprintf(`{"apiVersion":"tenancy.garret.dev/v1","kind":"VirtualCluster","metadata":{"name":%q,"annotations":{"padding":%q}}}`, name, padding)
}

// figures are what a soak measured.
type figures struct {
	mu                    sync.Mutex
	writes, lists, events []time.Duration
	rate                  float64
}

func (f *figures) add(to *[]time.Duration, d time.Duration) {
	f.mu.Lock()
	*to = append(*to, d)
	f.mu.Unlock()
}

// soak fills, watches, lists and writes one kind.
func soak(ctx context.Context, b *testing.B, k kind) *figures {
	b.Helper()
	f := &figures{}
	fill(ctx, b, k)
	watching, stop := context.WithCancel(ctx)
	defer stop()
	watchers, watching := errgroup.WithContext(watching)
	var written atomic.Int64
	ready := make(chan struct{}, clients)
	seen := make([]atomic.Int64, clients)
	for i := range clients {
		client := newClient(b)
		watchers.Go(func() error {
			version, err := client.list(watching, k, f)
			if err != nil {
				return err
			}
			return client.watch(watching, k, version, f, &seen[i], ready)
		})
		watchers.Go(func() error { return client.relist(watching, k, f, i) })
	}
	for range clients {
		select {
		case <-ready:
		case <-watching.Done():
			b.Fatal(watchers.Wait())
		}
	}
	begin := time.Now()
	var writers errgroup.Group
	limiter := rate.NewLimiter(writesPerSecond, 1)
	for range 16 {
		client := newClient(b)
		writers.Go(func() error {
			for time.Since(begin) < duration {
				if err := limiter.Wait(ctx); err != nil {
					return err
				}
				if err := client.write(ctx, k, int(written.Add(1)), f); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := writers.Wait(); err != nil {
		b.Fatal(err)
	}
	f.rate = float64(written.Load()) / time.Since(begin).Seconds()
	await(ctx, b, seen, written.Load())
	stop()
	if err := watchers.Wait(); err != nil {
		b.Fatal(err)
	}
	return f
}

// await fails when some watcher does not get every change.
func await(ctx context.Context, b *testing.B, seen []atomic.Int64, written int64) {
	b.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for i := range seen {
		for seen[i].Load() < written {
			select {
			case <-ctx.Done():
				b.Fatalf("watcher %d has seen %d of %d changes", i, seen[i].Load(), written)
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
}

func fill(ctx context.Context, b *testing.B, k kind) {
	b.Helper()
	client := newClient(b)
	for i := range namespaces {
		body := fmt.Sprintf(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":%q}}`, namespace(k, i))
		if _, err := client.do(ctx, http.MethodPost, "/api/v1/namespaces", "application/json", body); err != nil {
			b.Fatal(err)
		}
	}
	var group errgroup.Group
	group.SetLimit(8)
	for i := range objects {
		group.Go(func() error {
			_, err := client.do(ctx, http.MethodPost, k.path+"/namespaces/"+namespace(k, i)+"/"+k.resource, "application/json", k.body(name(i)))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
}

func namespace(k kind, i int) string { return fmt.Sprintf("%s-%d", k.resource, i%namespaces) }
func name(i int) string              { return fmt.Sprintf("%s%d", prefix, i) }

// client has connections of its own, as one of many processes would.
type client struct {
	http *http.Client
	host string
}

func newClient(b *testing.B) *client {
	b.Helper()
	config, err := rest.TLSConfigFor(shared.host.Config)
	if err != nil {
		b.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true, DisableCompression: true}
	b.Cleanup(transport.CloseIdleConnections)
	return &client{http: &http.Client{Transport: transport}, host: shared.host.Config.Host}
}

func (c *client) open(ctx context.Context, method, path, contentType, body string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.host+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Content-Type", contentType)
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= 300 {
		defer response.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1000))
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, response.Status, text)
	}
	return response.Body, nil
}

func (c *client) do(ctx context.Context, method, path, contentType, body string) ([]byte, error) {
	stream, err := c.open(ctx, method, path, contentType, body)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	return io.ReadAll(stream)
}

// write changes one object.
func (c *client) write(ctx context.Context, k kind, i int, f *figures) error {
	begin := time.Now()
	body := fmt.Sprintf(`{"metadata":{"annotations":{%q:"%d"}}}`, stamp, begin.UnixNano())
	path := k.path + "/namespaces/" + namespace(k, i%objects) + "/" + k.resource + "/" + name(i%objects)
	if _, err := c.do(ctx, http.MethodPatch, path, string(types.MergePatchType), body); err != nil {
		return err
	}
	f.add(&f.writes, time.Since(begin))
	return nil
}

// list reads all objects and gives their version.
func (c *client) list(ctx context.Context, k kind, f *figures) (string, error) {
	begin := time.Now()
	body, err := c.do(ctx, http.MethodGet, k.path+"/"+k.resource, "", "")
	if err != nil {
		return "", err
	}
	took := time.Since(begin)
	var list struct {
		Metadata struct{ ResourceVersion string }
		Items    []struct {
			Metadata struct{ Name string }
		}
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return "", err
	}
	found := 0
	for _, item := range list.Items {
		if strings.HasPrefix(item.Metadata.Name, prefix) {
			found++
		}
	}
	if found != objects {
		return "", fmt.Errorf("list of %s: got %d, want %d", k.resource, found, objects)
	}
	f.add(&f.lists, took)
	return list.Metadata.ResourceVersion, nil
}

// relist has every client list at another moment.
func (c *client) relist(ctx context.Context, k kind, f *figures, i int) error {
	timer := time.NewTimer(relist * time.Duration(i) / clients)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		if _, err := c.list(ctx, k, f); err != nil && ctx.Err() == nil {
			return err
		}
		timer.Reset(relist)
	}
}

// watch counts the changes and notes how long each was on its way.
func (c *client) watch(ctx context.Context, k kind, version string, f *figures, seen *atomic.Int64, ready chan<- struct{}) error {
	stream, err := c.open(ctx, http.MethodGet, k.path+"/"+k.resource+"?watch=true&resourceVersion="+version, "", "")
	if err != nil {
		return err
	}
	defer stream.Close()
	ready <- struct{}{}
	lines := bufio.NewReaderSize(stream, 64<<10)
	mark := []byte(`"` + stamp + `":"`)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("watch of %s: %w", k.resource, err)
		}
		_, after, found := bytes.Cut(line, mark)
		if !found {
			continue
		}
		digits, _, _ := bytes.Cut(after, []byte(`"`))
		written, err := strconv.ParseInt(string(digits), 10, 64)
		if err != nil {
			return err
		}
		f.add(&f.events, time.Since(time.Unix(0, written)))
		seen.Add(1)
	}
}
