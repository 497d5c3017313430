package objectstore_test

import (
	"strings"
	"testing"
	"time"

	"github.com/crestdb/crest/persistence/objectstore"
	"github.com/crestdb/crest/persistence/persistencetest"
)

func TestOpenTakesURLs(t *testing.T) {
	newServer(t) // for its environment
	t.Setenv("AWS_REGION", "eu-central-1")
	for where, want := range map[string]string{
		"dir:/a/store":              "dir:/a/store",
		"dir:rel/./store/":          "dir:rel/store",
		"s3://some-bucket":          "s3://some-bucket/",
		"s3://some-bucket/":         "s3://some-bucket/",
		"s3://some-bucket/p/q.r":    "s3://some-bucket/p/q.r",
		"s3://some.bucket.2/p/q.r/": "s3://some.bucket.2/p/q.r",
	} {
		cfg := objectstore.DefaultConfig()
		cfg.FS = persistencetest.New(1)
		s, err := objectstore.Open(t.Context(), where, cfg)
		if err != nil {
			t.Errorf("%s: %v", where, err)
			continue
		}
		if s.String() != want {
			t.Errorf("%s calls itself %s", where, s)
		}
		again, err := objectstore.Open(t.Context(), s.String(), cfg)
		if err != nil || again.String() != want {
			t.Errorf("%s: %v", s, err)
		}
	}
	for where, want := range map[string]string{
		"":                     "dir:PATH or s3://BUCKET/PREFIX",
		"/a/store":             "dir:PATH or s3://BUCKET/PREFIX",
		"dir:":                 "dir:PATH",
		"http://some-bucket/p": "dir:PATH or s3://BUCKET/PREFIX",
		"s3://":                `bucket ""`,
		"s3://No/p":            `bucket "No"`,
		"s3://some-bucket//p":  `prefix: key "/p" has a segment ""`,
		"s3://some-bucket/p q": `prefix: key "p q"`,
	} {
		if _, err := objectstore.Open(t.Context(), where, objectstore.DefaultConfig()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", where, err, want)
		}
	}
}

func TestOpenWantsARegion(t *testing.T) {
	newServer(t)
	_, err := objectstore.Open(t.Context(), "s3://some-bucket", objectstore.DefaultConfig())
	if err == nil || !strings.Contains(err.Error(), "AWS_REGION") {
		t.Error(err)
	}
}

func TestSettingsOutOfRange(t *testing.T) {
	for want, change := range map[string]func(*objectstore.Config){
		"Endpoint localhost:9000: want http":      func(c *objectstore.Config) { c.Endpoint = "localhost:9000" },
		"Endpoint ftp://h: want http":             func(c *objectstore.Config) { c.Endpoint = "ftp://h" },
		"Endpoint: not a URL":                     func(c *objectstore.Config) { c.Endpoint = "http://u:secret@h:x" },
		"Endpoint http://u:xxxxx@h: want no user": func(c *objectstore.Config) { c.Endpoint = "http://u:secret@h" },
		"Attempts 0: want 1 to 100":               func(c *objectstore.Config) { c.Attempts = 0 },
		"Attempts 101: want 1 to 100":             func(c *objectstore.Config) { c.Attempts = 101 },
		"Timeout 9ms: want 10ms to 1h":            func(c *objectstore.Config) { c.Timeout = 9 * time.Millisecond },
		"Timeout 2h0m0s: want 10ms to 1h":         func(c *objectstore.Config) { c.Timeout = 2 * time.Hour },
		"Backoff -1ns: want 0 to 5s":              func(c *objectstore.Config) { c.Backoff = -1 },
		"Backoff 6s: want 0 to 5s":                func(c *objectstore.Config) { c.Backoff = 6 * time.Second },
	} {
		cfg := objectstore.DefaultConfig()
		change(&cfg)
		_, err := objectstore.Open(t.Context(), "dir:/x", cfg)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
