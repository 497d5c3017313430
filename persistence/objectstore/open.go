package objectstore

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/crestdb/crest/persistence"
)

// Config is how stores are reached. Start from DefaultConfig.
type Config struct {
	FS persistence.FS // dir: the file system; nil: the operating system's

	// Endpoint is the URL of a server that speaks S3's API. Empty: AWS, or what
	// AWS_ENDPOINT_URL says. Credentials are found as the AWS tools find them.
	Endpoint string
	Region   string // empty: AWS_REGION and the like; with an Endpoint us-east-1
	// PathStyle puts the bucket into the path and not into the host's name: what
	// most servers but AWS's want.
	PathStyle bool
	// Attempts is how often a request is made before its error counts, 1 … 100.
	// Default 6.
	Attempts int
	// Timeout is how long one attempt may take, and a second per MiB of the
	// object on top. Default 15 s.
	Timeout time.Duration
	// Backoff is the wait before the second attempt; it doubles from attempt to
	// attempt, up to 5 s. Half of each wait is random. Default 100 ms.
	Backoff time.Duration
	// Transport makes the requests; nil: the AWS client's own.
	Transport http.RoundTripper
}

// DefaultConfig is a safe configuration.
func DefaultConfig() Config {
	return Config{Attempts: 6, Timeout: 15 * time.Second, Backoff: 100 * time.Millisecond}
}

// Validate names the first field out of range, its value and the range.
func (c *Config) Validate() error {
	if c.Endpoint != "" {
		// url.Parse's errors repeat the URL, which may hold a password.
		u, err := url.Parse(c.Endpoint)
		switch {
		case err != nil:
			return fmt.Errorf("store: Endpoint: not a URL: want http://HOST:PORT or https://HOST")
		case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
			return fmt.Errorf("store: Endpoint %s: want http://HOST:PORT or https://HOST", u.Redacted())
		case u.User != nil:
			return fmt.Errorf("store: Endpoint %s: want no user in it; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", u.Redacted())
		}
	}
	switch {
	case c.Attempts < 1 || c.Attempts > 100:
		return fmt.Errorf("store: Attempts %d: want 1 to 100", c.Attempts)
	case c.Timeout < 10*time.Millisecond || c.Timeout > time.Hour:
		return fmt.Errorf("store: Timeout %v: want 10ms to 1h", c.Timeout)
	case c.Backoff < 0 || c.Backoff > maxBackoff:
		return fmt.Errorf("store: Backoff %v: want 0 to %v", c.Backoff, maxBackoff)
	}
	return nil
}

// Open opens the store at a URL: dir:PATH or s3://BUCKET/PREFIX. It makes a
// folder that is not there, but no bucket. Probe tells whether the store keeps
// its promises. A store that is an io.Closer is closed when nobody uses it any
// more.
func Open(ctx context.Context, where string, cfg Config) (Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if path, ok := strings.CutPrefix(where, "dir:"); ok {
		if path == "" {
			return nil, fmt.Errorf("store %q: want dir:PATH", where)
		}
		return Dir(cfg.FS, path)
	}
	if place, ok := strings.CutPrefix(where, "s3://"); ok {
		bucket, prefix, _ := strings.Cut(place, "/")
		prefix = strings.TrimSuffix(prefix, "/")
		if err := checkPlace(bucket, prefix); err != nil {
			return nil, fmt.Errorf("store %q: %w", where, err)
		}
		return openS3(ctx, bucket, prefix, &cfg)
	}
	return nil, fmt.Errorf("store %q: want dir:PATH or s3://BUCKET/PREFIX", where)
}

var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

func checkPlace(bucket, prefix string) error {
	if !bucketName.MatchString(bucket) {
		return fmt.Errorf("bucket %q: want 3 to 63 lower-case letters, digits, '-' and '.'", bucket)
	}
	if prefix != "" {
		if err := CheckKey(prefix); err != nil {
			return fmt.Errorf("prefix: %w", err)
		}
	}
	return nil
}
