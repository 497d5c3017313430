package objectstore_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/crestdb/crest/persistence/objectstore"
)

// server is a server of S3's API in memory.
type server struct {
	url     string
	handler http.Handler
}

const testBucket = "crest-test"

func newServer(t *testing.T) *server {
	t.Helper()
	// No settings of the machine's take part.
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
		"AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_PROFILE": "", "AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_S3": "", "AWS_CA_BUNDLE": "",
	} {
		t.Setenv(name, value)
	}
	backend := s3mem.New()
	if err := backend.CreateBucket(testBucket); err != nil {
		t.Fatal(err)
	}
	handler := gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server()
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	return &server{url: srv.URL, handler: handler}
}

func (s *server) open(t *testing.T, transport http.RoundTripper) objectstore.Store {
	return s.openWith(t, transport, func(*objectstore.Config) {})
}

func (s *server) openWith(t *testing.T, transport http.RoundTripper, change func(*objectstore.Config)) objectstore.Store {
	t.Helper()
	cfg := objectstore.DefaultConfig()
	cfg.Endpoint, cfg.PathStyle, cfg.Transport = s.url, true, transport
	cfg.Backoff = time.Millisecond
	change(&cfg)
	store, err := objectstore.Open(t.Context(), "s3://"+testBucket+"/some/prefix", cfg)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// realServer is a server named by CREST_S3_ENDPOINT and CREST_S3_BUCKET, with
// the credentials of the environment; nil if there is none. Tests use a prefix
// of their own and remove what they put.
func realServer(t *testing.T) func(t *testing.T) func() objectstore.Store {
	if os.Getenv("CREST_S3_BUCKET") == "" {
		return nil
	}
	return func(t *testing.T) func() objectstore.Store {
		open := realPlace(t)
		return func() objectstore.Store { return open(func(*objectstore.Config) {}) }
	}
}

// realPlace is a new prefix on that server.
func realPlace(t *testing.T) (open func(change func(*objectstore.Config)) objectstore.Store) {
	where := "s3://" + os.Getenv("CREST_S3_BUCKET") + "/crest-test-" + strings.ToLower(rand.Text())
	open = func(change func(*objectstore.Config)) objectstore.Store {
		cfg := objectstore.DefaultConfig()
		cfg.Endpoint = os.Getenv("CREST_S3_ENDPOINT")
		cfg.PathStyle = cfg.Endpoint != ""
		change(&cfg)
		s, err := objectstore.Open(t.Context(), where, cfg)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open(func(*objectstore.Config) {})
	t.Cleanup(func() { removeAll(t, s) })
	return open
}

func removeAll(t *testing.T, s objectstore.Store) {
	ctx := context.WithoutCancel(t.Context())
	var keys []string
	err := s.List(ctx, "", func(i objectstore.Info) error {
		keys = append(keys, i.Key)
		return nil
	})
	for _, key := range keys {
		err = errors.Join(err, s.Delete(ctx, key))
	}
	if err != nil {
		t.Errorf("objects stay behind in %s: %v", s, err)
	}
}
