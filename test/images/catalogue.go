// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package images

import (
	"path"
	"strings"
)

// Versions are what the tags of the images say.
type Versions struct {
	// Garret is that of our own images, Kubernetes that of the control plane.
	Garret, Kubernetes, CoreDNS string
	// Traefik, CertManager and Pebble are those of add-ons.
	Traefik, CertManager, Pebble string
}

// user is who runs our own images: nobody that the node knows.
const user = "65532:65532"

// Catalogue lists every image that Garret and its tests need, under the names
// that they have in the world. Paths of binaries are relative to the folder of
// the built binaries, unless they are absolute.
func Catalogue(v Versions) []Image {
	return append(controlPlanes(v.Kubernetes, "", ""), []Image{
		own("apiserver", v.Garret),
		own("controller", v.Garret),
		own("syncer", v.Garret),
		{
			Name: "pause", Tags: []string{"registry.k8s.io/pause:3.10"},
			Files: []File{{From: "pause", To: "/pause"}}, Entrypoint: []string{"/pause"}, User: "65535:65535",
		},
		{
			Name: "busybox", Tags: []string{"docker.io/library/busybox:1.36"},
			Busybox: busybox, Command: []string{"sh"},
		},
		{
			Name: "agnhost", Tags: []string{"registry.k8s.io/e2e-test-images/agnhost:2.53"},
			Files: []File{{From: "agnhost", To: "/agnhost"}}, Busybox: busybox,
			Entrypoint: []string{"/agnhost"}, Command: []string{"pause"},
		},
		{
			Name: "coredns", Tags: []string{"registry.k8s.io/coredns/coredns:" + v.CoreDNS},
			Files: []File{{From: "coredns", To: "/coredns"}}, Entrypoint: []string{"/coredns"}, User: user,
		},
		{
			Name: "traefik", Tags: []string{"docker.io/library/traefik:" + v.Traefik}, AddOn: true,
			Files: []File{{From: "traefik", To: "/usr/local/bin/traefik"}}, Entrypoint: []string{"/usr/local/bin/traefik"}, User: user,
		},
		certManager("controller", v.CertManager),
		certManager("acmesolver", v.CertManager),
		{
			Name: "pebble", Tags: []string{"ghcr.io/letsencrypt/pebble:" + v.Pebble}, AddOn: true,
			Files: []File{{From: "pebble", To: "/app"}}, Entrypoint: []string{"/app"}, User: user,
		},
		{
			// What the Gateway API's conformance suite has behind its routes, under the name in its manifests.
			Name: "echo-basic", Tags: []string{"gcr.io/k8s-staging-gateway-api/echo-basic:v20240412-v1.0.0-394-g40c666fd"}, ByName: true,
			Files: []File{{From: "echo-basic", To: "/echo-basic"}}, Entrypoint: []string{"/echo-basic"}, User: user,
		},
		{
			// And for datagrams; some version of it answers them.
			Name: "echo-dns", Tags: []string{"registry.k8s.io/coredns/coredns:v1.12.2"}, ByName: true,
			Files: []File{{From: "coredns", To: "/coredns"}}, Entrypoint: []string{"/coredns"}, User: user,
		},
	}...)
}

// Older lists the images of a release of an older minor, whose binaries lie in a
// folder of the minor's name.
func Older(release string) []Image {
	minor := strings.TrimSuffix(release, path.Ext(release))
	return controlPlanes(release, minor, "-"+minor)
}

func controlPlanes(release, folder, suffix string) []Image {
	files := []File{{From: path.Join(folder, "controlplane"), To: "/bin/k3s"}, {Link: "/bin/k3s", To: "/bin/controlplane"},
		{From: path.Join(folder, "controlplane.db"), To: "/usr/share/controlplane/state.db", Mode: 0o444}}
	return []Image{
		{
			Name: "controlplane" + suffix, Tags: []string{"garret.dev/garret/controlplane:" + release},
			Files: files, Entrypoint: []string{"/bin/k3s"}, User: user,
		},
		{
			// Upstream Kubernetes under the name and contract of the k3s image,
			// which cannot be built here.
			Name: "k3s" + suffix, Tags: []string{"docker.io/rancher/k3s:" + release + "-k3s1"},
			Files: files, Entrypoint: []string{"/bin/k3s"}, Command: []string{"agent"},
		},
	}
}

// certManager is the image of one of the programs that its commands are.
func certManager(program, version string) Image {
	return Image{
		Name: "cert-manager-" + program, Tags: []string{"quay.io/jetstack/cert-manager-" + program + ":" + version}, AddOn: true,
		Files:      []File{{From: "certmanager", To: "/app/certmanager"}},
		Entrypoint: []string{"/app/certmanager", program}, User: user,
	}
}

func own(part, version string) Image {
	program := "garret-" + part
	return Image{
		Name: program, Tags: []string{"garret.dev/garret/" + part + ":" + version},
		Files:      []File{{From: program, To: "/usr/local/bin/" + program}},
		Entrypoint: []string{"/usr/local/bin/" + program}, User: user,
	}
}
