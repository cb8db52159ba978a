// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package entrance

import (
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"

	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/framework/kubelet"
)

// TestUpgradesRefused asks the gateway for upgrades with as little as an attacker has to send.
func TestUpgradesRefused(t *testing.T) {
	t.Parallel()
	d := gatewayDoor()
	kubelet.NewPod(t, shared.virtual.ControlPlane, "refused")
	upgrade := func(more ...string) http.Header {
		header := http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
			"Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="}, "Sec-Websocket-Protocol": {"v5.channel.k8s.io"}}
		for i := 0; i < len(more); i += 2 {
			header.Set(more[i], more[i+1])
		}
		return header
	}
	const exec = "/clusters/team/demo/api/v1/namespaces/default/pods/refused/exec?command=true&stdout=true"
	reader, chief, worker := looker(t, d.reader(t)), chief(t), d.admin(t)
	for name, tc := range map[string]struct {
		user   framework.User
		path   string
		header http.Header
		want   int
	}{
		"an administrator, to compare":         {chief, exec, upgrade(), 101},
		"from the gateway's own page":          {chief, exec, upgrade("Origin", d.url), 101},
		"from another page, by certificate":    {chief, exec, upgrade("Origin", "https://evil.example"), 403},
		"from another page, by token":          {worker, exec, upgrade("Origin", "https://console.example"), 101},
		"with a token, as a browser sends it":  {framework.User{}, exec, upgrade("Sec-Websocket-Protocol", "v5.channel.k8s.io, base64url.bearer.authorization.k8s.io."+base64.RawURLEncoding.EncodeToString([]byte(worker.Token))), 101},
		"with a wrong one":                     {framework.User{}, exec, upgrade("Sec-Websocket-Protocol", "v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.d3Jvbmc"), 401},
		"a reader's exec":                      {reader, exec, upgrade(), 403},
		"a reader's attach":                    {reader, strings.Replace(exec, "/exec", "/attach", 1), upgrade(), 403},
		"a reader's port-forward":              {reader, strings.Replace(exec, "/exec", "/portforward", 1), upgrade(), 403},
		"a reader's proxy":                     {reader, strings.Replace(exec, "/exec", "/proxy/x", 1), upgrade(), 403},
		"a reader's exec, spelled otherwise":   {reader, strings.Replace(exec, "/exec", "/%65xec", 1), upgrade(), 403},
		"a reader's exec, with another slash":  {reader, strings.Replace(exec, "/pods/", "//pods/", 1), upgrade(), 403},
		"a reader's watch":                     {reader, "/clusters/team/demo/api/v1/pods?watch=true", upgrade(), 403},
		"a reader's, of no resource":           {reader, "/clusters/team/demo/version", upgrade(), 403},
		"a reader's, to what would carry more": {reader, exec, upgrade("Upgrade", "h2c"), 400},
	} {
		t.Run(name, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.url+tc.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header = tc.header
			if tc.user.Token != "" {
				request.Header.Set("Authorization", "Bearer "+tc.user.Token)
			}
			answer, err := d.client(t, tc.user).Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			if answer.StatusCode != tc.want {
				t.Errorf("answered %d, want %d", answer.StatusCode, tc.want)
			}
			if tc.want >= 400 {
				if body, err := io.ReadAll(answer.Body); !strings.Contains(string(body), `"kind":"Status"`) {
					t.Errorf("answered %q, %v; want a Status", body, err)
				}
			}
		})
	}
}
