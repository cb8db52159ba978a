// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package activity

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"garret.dev/garret/apis/tenancy/ignore"
	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// The stages of a request that matter.
const (
	stageStarted  = "ResponseStarted"
	stageComplete = "ResponseComplete"
	stagePanic    = "Panic"
)

// list has the fields of an EventList of audit.k8s.io/v1 that the syncer reads. The decoder skips
// all others.
type list struct {
	APIVersion string  `json:"apiVersion"`
	Kind       string  `json:"kind"`
	Items      []event `json:"items"`
}

type event struct {
	AuditID    string `json:"auditID"`
	Stage      string `json:"stage"`
	RequestURI string `json:"requestURI"`
	Verb       string `json:"verb"`
	User       struct {
		Username string `json:"username"`
	} `json:"user"`
	UserAgent string `json:"userAgent"`
	// Received tells apart requests under one id, which a client may choose.
	Received string `json:"requestReceivedTimestamp"`
}

// somebodys says whether the request is of a person or their client, and counted here. All that
// belongs to the cluster has such a name: controllers, nodes, service accounts, and nobody. What
// comes through the relay is counted by garret-apiserver.
func (e *event) somebodys() bool {
	name := e.User.Username
	return name != "" && name != tenancyv1.RelayUser && !strings.HasPrefix(name, "system:")
}

// use is what rules go by. Whoever has a credential of Garret has the name of the host's user
// inside, too. Groups of the host are in no credential.
func (e *event) use() ignore.Use {
	use := ignore.Use{User: ofHost(e.User.Username), UserAgent: e.UserAgent, Verb: e.Verb}
	if uri, err := url.ParseRequestURI(e.RequestURI); err == nil {
		use.Path = uri.Path
	}
	return use
}

// ofHost is the host's user whose credential has the name inside, as a KubeconfigGrant gives it;
// empty for none. What is kept in a Secret is nobody's.
func ofHost(name string) string {
	if user, ok := strings.CutPrefix(name, tenancyv1.HostUserPrefix); ok {
		return user
	}
	held, ok := strings.CutPrefix(name, tenancyv1.KubeconfigPrefix)
	id, owner, _ := strings.Cut(held, ":")
	if !ok || name == tenancyv1.SecretUser(id, strings.TrimPrefix(owner, "secret:")) {
		return ""
	}
	return owner
}

const (
	// longest is how long a stream is at most, when nobody tells of its end.
	longest = 24 * time.Hour
	// longestWatch is the same of a watch whose client asked for no time: the API server ends
	// it after half an hour to an hour.
	longestWatch = time.Hour
)

// atMost is after what time the stream has ended, even if nobody tells.
func (e *event) atMost() time.Duration {
	if e.Verb != "watch" {
		return longest
	}
	asked := longestWatch
	if uri, err := url.ParseRequestURI(e.RequestURI); err == nil {
		seconds, err := strconv.ParseInt(uri.Query().Get("timeoutSeconds"), 10, 32)
		if err == nil && seconds > 0 {
			asked = time.Duration(seconds) * time.Second
		}
	}
	return min(asked+tenancyv1.ActivityInterval, longest)
}
