// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"strings"
	"testing"
)

// TestJudgeSnapshotContent says which contents of tenants may be on the host; an empty refusal lets one pass.
func TestJudgeSnapshotContent(t *testing.T) {
	allowed := AllowedStorage{CSI: []AllowedCSI{
		{Driver: "disks.example.org", VolumeHandles: []string{"*"}},
		{Driver: "disks.example.org", SnapshotHandles: []string{"team-a-*", "one"}, Namespaces: []string{"team-a"}},
		{Driver: "disks.example.org", SnapshotHandles: []string{"team-b-*"}, Namespaces: []string{"team-b"}},
	}}
	for name, test := range map[string]struct {
		change    func(*SnapshotContentSpec)
		namespace string
		want      string
	}{
		"own":                     {func(*SnapshotContentSpec) {}, "team-a", ""},
		"by its whole handle":     {func(s *SnapshotContentSpec) { s.Source.SnapshotHandle = "one" }, "team-a", ""},
		"another namespace":       {func(*SnapshotContentSpec) {}, "team-b", `spec.source.snapshotHandle "team-a-1" is refused`},
		"another's handle":        {func(s *SnapshotContentSpec) { s.Source.SnapshotHandle = "team-b-1" }, "team-a", "csi.snapshotHandles"},
		"a handle of a volume":    {func(s *SnapshotContentSpec) { s.Source.SnapshotHandle = "v-1" }, "team-a", "no such handle is allowed"},
		"a handle that climbs":    {func(s *SnapshotContentSpec) { s.Source.SnapshotHandle = "team-a-/../x" }, "team-a", "may lead out"},
		"another driver":          {func(s *SnapshotContentSpec) { s.Driver = "other.example.org" }, "team-a", `spec.driver "other.example.org" is refused`},
		"a volume":                {func(s *SnapshotContentSpec) { s.Source = SnapshotContentSource{VolumeHandle: "team-a-1"} }, "team-a", "spec.source.volumeHandle"},
		"a volume besides":        {func(s *SnapshotContentSpec) { s.Source.VolumeHandle = "v" }, "team-a", "spec.source.volumeHandle"},
		"nothing":                 {func(s *SnapshotContentSpec) { s.Source = SnapshotContentSource{} }, "team-a", "it names no snapshot"},
		"data to be deleted":      {func(s *SnapshotContentSpec) { s.DeletionPolicy = "Delete" }, "team-a", `spec.deletionPolicy "Delete" is refused`},
		"no policy":               {func(s *SnapshotContentSpec) { s.DeletionPolicy = "" }, "team-a", "spec.deletionPolicy is refused"},
		"nobody is allowed there": {func(*SnapshotContentSpec) {}, "team-c", "no such handle is allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := &SnapshotContentSpec{Driver: "disks.example.org", DeletionPolicy: ContentRetained, Source: SnapshotContentSource{SnapshotHandle: "team-a-1"}}
			test.change(spec)
			var words []string
			for _, refusal := range allowed.In(test.namespace).JudgeSnapshotContent(spec) {
				words = append(words, refusal.String())
			}
			if got := strings.Join(words, ". "); (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
