// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package conventions

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"

	v1 "garret.dev/garret/apis/tenancy/v1"
)

const (
	asTable        = "application/json;as=Table;g=meta.k8s.io;v=v1"
	asMetadata     = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
	asMetadataList = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
	protobuf       = "application/vnd.kubernetes.protobuf"
)

func representationChecks() []check {
	return []check{
		{"table", "a table has columns with descriptions, and a row with the metadata of its object", nil, table},
		{"table-object", "includeObject says what of the object stands in a row", nil, tableObjects},
		{"table-list", "a list is a table with a row for each object, of those that selectors choose, page by page", []need{several}, tableList},
		{"table-watch", "a watch is a stream of tables of one row, of which the first has the columns", nil, tableWatch},
		{"metadata", "metadata alone can be read, listed and watched", nil, metadataOnly},
		{"yaml", "YAML is taken and given", []need{several}, yamlBodies},
		{"json-charset", "JSON with a charset is taken", []need{several}, jsonWithCharset},
		{"protobuf", "protobuf, which the kinds are not written in, is 406 and 415, and JSON for who takes that, too", nil, noProtobuf},
		{"cbor", "CBOR is taken and given or refused as for the host's own kinds", nil, cborAsHost},
		{"pretty", "pretty=true indents", nil, pretty},
		{"accept", "a representation that there is not is 406; what else Accept says is taken as for the host's own kinds", nil, accept},
	}
}

// tableOf reads a table.
func (s *subject) tableOf(path string) metav1.Table {
	s.Helper()
	var table metav1.Table
	s.decode(s.expect(http.StatusOK, s.send("GET", path, nil, "Accept", asTable)), &table)
	if table.Kind != "Table" || table.APIVersion != "meta.k8s.io/v1" {
		s.Errorf("got %s %s, want a Table of meta.k8s.io/v1", table.APIVersion, table.Kind)
	}
	return table
}

func table(s *subject) {
	made := s.create("a")
	got := s.tableOf(s.url("a"))
	var narrow, wide []string
	for _, column := range got.ColumnDefinitions {
		if column.Description == "" || column.Type == "" {
			s.Errorf("column %s: got %+v, want a type and a description", column.Name, column)
		}
		if column.Priority == 0 {
			narrow = append(narrow, column.Name)
		} else {
			wide = append(wide, column.Name)
		}
	}
	if !slices.Equal(narrow, s.columns) || !slices.Equal(wide, s.wide) {
		s.Errorf("got %v and %v, want %v and %v", narrow, wide, s.columns, s.wide)
	}
	if c := got.ColumnDefinitions[0]; c.Name != "Name" || c.Format != "name" {
		s.Errorf("first column: got %+v, want Name in the format name", c)
	}
	if len(got.Rows) != 1 || len(got.Rows[0].Cells) != len(got.ColumnDefinitions) || got.Rows[0].Cells[0] != made.GetName() || got.ResourceVersion == "" {
		s.Errorf("got %+v at %q, want one row with a cell for each column", got.Rows, got.ResourceVersion)
	}
}

func tableObjects(s *subject) {
	s.create("a")
	for include, want := range map[string]string{
		"": "PartialObjectMetadata", "?includeObject=Metadata": "PartialObjectMetadata", "?includeObject=Object": s.kind.kind, "?includeObject=None": "",
	} {
		rows := s.tableOf(s.url("a") + include).Rows
		if len(rows) != 1 {
			s.Fatalf("%s: got %d rows, want 1", include, len(rows))
		}
		var object metav1.TypeMeta
		if raw := rows[0].Object.Raw; len(raw) > 0 {
			s.decode(answer{body: raw}, &object)
		}
		if object.Kind != want {
			s.Errorf("%s: got %q, want %q", include, object.Kind, want)
		}
	}
	s.refused("another", http.StatusBadRequest, s.send("GET", s.url("a")+"?includeObject=Some", nil, "Accept", asTable), "includeObject")
}

func tableList(s *subject) {
	s.create("a")
	s.create("b")
	query := "?labelSelector=" + url.QueryEscape(s.mine())
	got := s.tableOf(s.collection() + query)
	if len(got.Rows) != 2 || got.ResourceVersion == "" {
		s.Errorf("got %d rows at %q, want 2", len(got.Rows), got.ResourceVersion)
	}
	if first := s.tableOf(s.collection() + query + "&limit=1"); len(first.Rows) != 1 || first.Continue == "" {
		s.Errorf("limited: got %d rows and continue %q, want one and a token", len(first.Rows), first.Continue)
	} else if rest := s.tableOf(s.collection() + query + "&limit=1&continue=" + first.Continue); len(rest.Rows) != 1 || rest.Rows[0].Cells[0] != s.name("b") {
		s.Errorf("next page: got %+v, want b", rest.Rows)
	}
	selectors := map[string]string{"metadata.name": s.name("b")}
	maps.Copy(selectors, s.selectable)
	var all []string
	for field, value := range selectors {
		all = append(all, field+"="+value)
	}
	if chosen := s.tableOf(s.collection() + query + "&fieldSelector=" + url.QueryEscape(strings.Join(all, ","))); len(chosen.Rows) != 1 || chosen.Rows[0].Cells[0] != s.name("b") {
		s.Errorf("selected by %v: got %+v, want b", all, chosen.Rows)
	}
}

func tableWatch(s *subject) {
	s.create("a")
	event, object := s.watchAs(asTable)
	var got metav1.Table
	s.decode(answer{body: body(object)}, &got)
	if event != "ADDED" || len(got.Rows) != 1 || len(got.ColumnDefinitions) == 0 || got.Rows[0].Cells[0] != s.name("a") {
		s.Errorf("got %s %+v, want a row with its columns", event, got)
	}
}

func metadataOnly(s *subject) {
	made := s.create("a")
	got := s.decoded(s.expect(http.StatusOK, s.send("GET", s.url("a"), nil, "Accept", asMetadata)))
	if got.GetKind() != "PartialObjectMetadata" || got.GetUID() != made.GetUID() || got.Object["spec"] != nil {
		s.Errorf("get: got %v, want the metadata alone", got.Object)
	}
	client := shared.metadata.Resource(v1.SchemeGroupVersion.WithResource(s.resource))
	list, err := client.Namespace(s.namespace).List(s.Context(), metav1.ListOptions{LabelSelector: s.mine()})
	s.must(err)
	if len(list.Items) != 1 || list.Items[0].UID != made.GetUID() {
		s.Errorf("list: got %+v, want the one object's", list.Items)
	}
	raw := s.decoded(s.expect(http.StatusOK, s.send("GET", s.collection(), nil, "Accept", asMetadataList)))
	if raw.GetKind() != "PartialObjectMetadataList" {
		s.Errorf("list: got %s, want PartialObjectMetadataList", raw.GetKind())
	}
	event, object := s.watchAs(asMetadata)
	if event != "ADDED" || object["kind"] != "PartialObjectMetadata" || object["spec"] != nil {
		s.Errorf("watch: got %s %v, want the metadata alone", event, object)
	}
}

func yamlBodies(s *subject) {
	const mediaType = "application/yaml"
	content, err := yaml.Marshal(s.object("a").Object)
	s.must(err)
	got := s.expect(http.StatusCreated, s.send("POST", s.collection(), content, "Content-Type", mediaType, "Accept", mediaType))
	s.Cleanup(func() { s.clear(s.name("a")) })
	var object map[string]any
	if err := yaml.Unmarshal(got.body, &object); err != nil || object["kind"] != s.kind.kind || strings.HasPrefix(string(got.body), "{") ||
		got.header.Get("Content-Type") != mediaType {
		s.Errorf("got %s %q, want it in YAML", got.header.Get("Content-Type"), got.body)
	}
}

func jsonWithCharset(s *subject) {
	s.expect(http.StatusCreated, s.send("POST", s.collection()+"?dryRun=All", body(s.object("a")), "Content-Type", "application/json; charset=utf-8"))
}

func noProtobuf(s *subject) {
	s.create("a")
	// The refusal itself is written as was asked.
	refusal := s.expect(http.StatusNotAcceptable, s.send("GET", s.url("a"), nil, "Accept", protobuf))
	object, _, err := scheme.Codecs.UniversalDeserializer().Decode(refusal.body, nil, nil)
	s.must(err)
	if status, ok := object.(*metav1.Status); !ok || status.Reason != metav1.StatusReasonNotAcceptable || !strings.Contains(status.Message, "application/json") {
		s.Errorf("get: got %+v, want a Status that names what there is", object)
	}
	for _, path := range []string{s.url("a"), s.collection()} {
		got := s.expect(http.StatusOK, s.send("GET", path, nil, "Accept", protobuf+",application/json"))
		if !strings.HasPrefix(got.header.Get("Content-Type"), "application/json") {
			s.Errorf("%s: got %s, want JSON", path, got.header.Get("Content-Type"))
		}
	}
	s.refused("post", http.StatusUnsupportedMediaType, s.send("POST", s.collection(), []byte("k8s\x00"), "Content-Type", protobuf), "application/json")
}

func cborAsHost(s *subject) {
	s.create("a")
	const mediaType = "application/cbor"
	host := s.send("GET", "/api/v1/namespaces/default", nil, "Accept", mediaType)
	got := s.send("GET", s.url("a"), nil, "Accept", mediaType)
	if got.code != host.code || got.header.Get("Content-Type") != host.header.Get("Content-Type") {
		s.Errorf("got %d and %s, want %d and %s", got.code, got.header.Get("Content-Type"), host.code, host.header.Get("Content-Type"))
	}
}

func pretty(s *subject) {
	s.create("a")
	if got := s.send("GET", s.url("a")+"?pretty=true", nil); !strings.Contains(string(got.body), "\n  \"kind\"") {
		s.Errorf("got %q, want it indented", got.body)
	}
	if got := s.send("GET", s.url("a"), nil); strings.Count(string(got.body), "\n") > 1 {
		s.Errorf("got %q, want one line", got.body)
	}
}

func accept(s *subject) {
	s.create("a")
	s.refused("text", http.StatusNotAcceptable, s.send("GET", s.url("a"), nil, "Accept", "text/csv"), "application/json")
	for _, wish := range []string{"*/*", "application/json", "text/html,application/json;q=0.5", "application/*", "*/json", "nonsense", ""} {
		host := s.send("GET", "/api/v1/namespaces/default", nil, "Accept", wish)
		got := s.send("GET", s.url("a"), nil, "Accept", wish)
		if got.code != host.code || got.header.Get("Content-Type") != host.header.Get("Content-Type") {
			s.Errorf("%q: got %d and %s, want %d and %s", wish, got.code, got.header.Get("Content-Type"), host.code, host.header.Get("Content-Type"))
		}
	}
}
