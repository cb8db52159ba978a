// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

func TestServeHoldsTheImages(t *testing.T) {
	image, bin := sample(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, listener, []Image{image}, bin) }()
	tag, err := name.NewTag(listener.Addr().String() + "/other:v2")
	if err != nil {
		t.Fatal(err)
	}
	built, err := Build(image, bin)
	if err != nil {
		t.Fatal(err)
	}
	want, err := built.Digest()
	if err != nil {
		t.Fatal(err)
	}
	for {
		got, err := remote.Head(tag, remote.WithContext(ctx))
		if err == nil && got.Digest == want {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("the image is not served: got %v, %v; want %s", got, err, want)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("at its end: got %v, want none", err)
	}
}
