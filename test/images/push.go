// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Push builds the image and sends it to a registry, given as host[:port][/path],
// under the path and tag of each of its names; the host in those gives way to
// the registry. It returns the new names. Credentials are those which the
// user's container tools have stored; a registry on this machine is spoken to
// without TLS, as those tools do.
func Push(ctx context.Context, image Image, bin, registry string) ([]string, error) {
	built, err := Build(image, bin)
	if err != nil {
		return nil, err
	}
	var pushed []string
	for _, tag := range image.Tags {
		_, path, _ := strings.Cut(tag, "/")
		ref, err := name.NewTag(registry + "/" + path)
		if err != nil {
			return pushed, fmt.Errorf("registry %q: %w", registry, err)
		}
		err = remote.Write(ref, built, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain))
		if err != nil {
			return pushed, fmt.Errorf("push %s: %w", ref, err)
		}
		pushed = append(pushed, ref.String())
	}
	return pushed, nil
}
