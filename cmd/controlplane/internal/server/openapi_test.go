package server

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestAddressedDocument(t *testing.T) {
	builds := 0
	document := lazyHandler(func() http.Handler {
		builds++
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte("document?" + r.URL.RawQuery))
		})
	})
	handler := addressed("NEW", "/openapi/v3/apis/apps/v1?hash=NEW", document)
	if builds != 0 {
		t.Error("built before anybody asked")
	}
	tests := map[string]struct {
		query         string
		code          int
		body, caching string
	}{
		"by its hash":                {"?hash=NEW", http.StatusOK, "document?", "public, immutable"},
		"by its hash, and more":      {"?hash=NEW&timeout=32s", http.StatusOK, "document?timeout=32s", "public, immutable"},
		"by no hash":                 {"", http.StatusOK, "document?", ""},
		"by the hash of another day": {"?hash=OLD", http.StatusMovedPermanently, "", ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/openapi/v3/apis/apps/v1"+tc.query, nil))
			if w.Code != tc.code || w.Header().Get("Cache-Control") != tc.caching || (tc.body != "" && w.Body.String() != tc.body) {
				t.Errorf("got %d %q %q, want %d %q %q", w.Code, w.Body, w.Header().Get("Cache-Control"), tc.code, tc.body, tc.caching)
			}
		})
	}
	if builds != 1 {
		t.Errorf("built %d times, want once", builds)
	}
}
