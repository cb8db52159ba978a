// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package images

import (
	"path/filepath"

	suite "k8s.io/kubernetes/test/utils/image"
)

// builtBusybox is what hack/busybox.sh builds.
const builtBusybox = "busybox"

// Conformance lists the images that Kubernetes' conformance suite asks for,
// with the programs that the suite runs in them. The source is the folder of
// the module k8s.io/kubernetes, which also gives the names.
func Conformance(source string) []Image {
	agnhost := Image{
		Name: "agnhost", Tags: tags(suite.Agnhost, suite.AgnhostPrev, suite.GlibcDnsTesting),
		Busybox: builtBusybox,
		Programs: []string{"/usr/bin/curl", "/usr/bin/dig", "/usr/bin/nslookup", "/usr/bin/getent", "/usr/bin/nc.openbsd",
			"/bin/bash", "/bin/hostname", "/bin/ss"},
		Files: []File{
			{From: "agnhost", To: "/agnhost"}, {Link: "agnhost", To: "/agnhost-2"}, {Link: "/usr/bin/nc.openbsd", To: "/usr/bin/nc"},
			// A spec about resolv.conf has a DNS of its own.
			{From: "coredns", To: "/coredns"},
			// A test looks for the distribution that the original is made from.
			{Content: "NAME=\"In place of Alpine Linux\"\n", To: "/etc/os-release"},
			{From: filepath.Join(source, "test", "images", "agnhost", "porter", "localhost.crt"), To: "/localhost.crt", Mode: 0o644},
			{From: filepath.Join(source, "test", "images", "agnhost", "porter", "localhost.key"), To: "/localhost.key", Mode: 0o644},
		},
		Directories: []string{"/uploads"},
		// A test asks for the groups that the image gives to this user.
		Users:      []string{"user-defined-in-image:x:1000:1000::/home/user-defined-in-image:/bin/sh"},
		Groups:     []string{"user-defined-in-image:x:1000:", "group-defined-in-image:x:50000:user-defined-in-image"},
		Entrypoint: []string{"/agnhost"}, Command: []string{"pause"},
	}
	busybox := Image{
		Name: "busybox", Tags: tags(suite.BusyBox),
		Busybox: builtBusybox, Command: []string{"sh"},
	}
	page := func(name string, id suite.ImageID) Image {
		html := filepath.Join(source, "test", "images", name, "html")
		return Image{
			Name: name, Tags: tags(id), Base: &agnhost,
			Files: []File{{From: filepath.Join(html, name+".jpg"), To: "/" + name + ".jpg", Mode: 0o644},
				{From: filepath.Join(html, "data.json"), To: "/data.json", Mode: 0o644}},
			Entrypoint: agnhost.Entrypoint, Command: []string{"test-webserver"},
		}
	}
	return []Image{
		agnhost, busybox, nginx(), page("kitten", suite.Kitten), page("nautilus", suite.Nautilus),
		{
			Name: "nonroot", Tags: tags(suite.NonRoot), Base: &agnhost,
			Entrypoint: agnhost.Entrypoint, Command: agnhost.Command, User: "1234",
		},
		{
			// The program is privileged by its file, which the test forbids.
			Name: "nonewprivs", Tags: tags(suite.Nonewprivs), Base: &busybox,
			Files: []File{{From: "nonewprivs", To: "/usr/local/bin/nnp", Mode: 0o6755}}, Command: []string{"nnp"},
		},
		{
			Name: "regression-issue-74839", Tags: tags(suite.RegressionIssue74839),
			Files: []File{{From: "regression-issue-74839", To: "/regression-issue-74839"}}, Entrypoint: []string{"/regression-issue-74839"},
		},
		{
			// The one program starts the other; what burdens memory is not packaged.
			Name: "resource-consumer", Tags: tags(suite.ResourceConsumer),
			Files:      []File{{From: "resource-consumer", To: "/consumer"}, {From: "consume-cpu", To: "/consume-cpu/consume-cpu"}},
			Entrypoint: []string{"/consumer"},
		},
		{
			Name: "sample-apiserver", Tags: tags(suite.APIServer),
			Files: []File{{From: "sample-apiserver", To: "/sample-apiserver"}}, Entrypoint: []string{"/sample-apiserver"},
		},
		{
			// The module's program is called by its folder.
			Name: "etcd", Tags: tags(suite.Etcd),
			Files: []File{{From: "server", To: "/usr/local/bin/etcd"}}, Command: []string{"/usr/local/bin/etcd"},
		},
		{
			Name: "pause", Tags: tags(suite.Pause),
			Files: []File{{From: "pause", To: "/pause"}}, Entrypoint: []string{"/pause"}, User: "65535:65535",
		},
	}
}

func tags(ids ...suite.ImageID) []string {
	var names []string
	for _, id := range ids {
		names = append(names, suite.GetE2EImage(id))
	}
	return names
}

// nginx is Debian's, set up as the image of that name is: pages lie in
// /usr/share/nginx/html, and logs go where those of containers belong.
func nginx() Image {
	return Image{
		Name: "nginx", Tags: tags(suite.Nginx, suite.NginxNew),
		Busybox: builtBusybox, Programs: []string{"/usr/sbin/nginx"},
		Files: []File{
			{From: "/etc/nginx/mime.types", To: "/etc/nginx/mime.types", Mode: 0o644},
			{Content: nginxConfiguration, To: "/etc/nginx/nginx.conf"},
			{Content: "<html><head><title>Welcome to nginx!</title></head><body><h1>Welcome to nginx!</h1></body></html>\n",
				To: "/usr/share/nginx/html/index.html"},
		},
		Directories: []string{"/var/lib/nginx", "/var/log/nginx", "/run"},
		Command:     []string{"nginx", "-g", "daemon off;"},
	}
}

const nginxConfiguration = `user nobody nogroup;
pid /run/nginx.pid;
error_log /dev/stderr;
events {}
http {
  include mime.types;
  access_log /dev/stdout;
  server {
    listen 80;
    root /usr/share/nginx/html;
  }
}
`
