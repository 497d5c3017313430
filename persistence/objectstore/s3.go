package objectstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"
)

// bucket is a Store behind S3's API. Every request is made up to attempts
// times (s3retry.go); a put whose answer is lost is looked after (s3put.go).
type bucket struct {
	client   *s3.Client
	name     string
	prefix   string // "" or ends in "/"
	attempts int
	timeout  time.Duration
	backoff  time.Duration
}

var _ Store = (*bucket)(nil)

func openS3(ctx context.Context, name, prefix string, cfg *Config) (*bucket, error) {
	b := &bucket{name: name, attempts: cfg.Attempts, timeout: cfg.Timeout, backoff: cfg.Backoff}
	if prefix != "" {
		b.prefix = prefix + "/"
	}
	// What the client would log, its errors say too.
	options := []func(*config.LoadOptions) error{config.WithLogger(logging.Nop{})}
	if cfg.Region != "" {
		options = append(options, config.WithRegion(cfg.Region))
	}
	found, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("store %s: settings of AWS: %w", b, err)
	}
	if found.Region == "" {
		if cfg.Endpoint == "" {
			return nil, fmt.Errorf("store %s: the region is not known: set AWS_REGION", b)
		}
		found.Region = "us-east-1"
	}
	b.client = s3.NewFromConfig(found, func(o *s3.Options) {
		// The client's own retries would hide which answers were lost.
		o.Retryer = aws.NopRetryer{}
		o.UsePathStyle = cfg.PathStyle
		if cfg.Transport != nil {
			o.HTTPClient = &http.Client{Transport: cfg.Transport}
		}
		o.DisableLogOutputChecksumValidationSkipped = true
		if cfg.Endpoint != "" {
			o.BaseEndpoint = aws.String(cfg.Endpoint)
			// Not every server knows checksums in trailers. All check the SHA-256
			// that is signed.
			o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
			o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		}
	})
	return b, nil
}

func (b *bucket) String() string {
	return "s3://" + b.name + "/" + strings.TrimSuffix(b.prefix, "/")
}

func (b *bucket) key(key string) *string { return aws.String(b.prefix + key) }

// object is what a get brings.
type object struct {
	body    []byte
	version Version
	put     string // name of the put that stored it, "" if the server has not kept it
}

// Get is an object and its version.
func (b *bucket) Get(ctx context.Context, key string) ([]byte, Version, error) {
	if err := CheckKey(key); err != nil {
		return nil, "", failed("get", key, err)
	}
	o, err := b.get(ctx, key)
	return o.body, o.version, failed("get", key, err)
}

func (b *bucket) get(ctx context.Context, key string) (o object, err error) {
	err = b.try(ctx, func(ctx context.Context, a *attempt) error {
		out, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: b.key(key)})
		if err != nil {
			return err
		}
		if aws.ToString(out.ETag) == "" {
			return errors.Join(errNoETag, out.Body.Close())
		}
		o.version, o.put = Version(*out.ETag), out.Metadata[putName]
		a.carry(aws.ToInt64(out.ContentLength))
		o.body, err = readBody(out.Body, aws.ToInt64(out.ContentLength))
		return err
	})
	if err != nil {
		return object{}, err
	}
	return o, nil
}

// readBody reads an answer to its end. The client notices one that is cut
// short.
func readBody(r io.ReadCloser, size int64) ([]byte, error) {
	body := make([]byte, 0, min(max(size, 0), 64<<20)+1) // a byte for the end
	for {
		n, err := r.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err != nil {
			closed := r.Close()
			if errors.Is(err, io.EOF) && closed == nil {
				return body, nil
			}
			return nil, &brokenAnswerError{errors.Join(err, closed)}
		}
		if len(body) == cap(body) {
			body = append(body, 0)[:len(body)]
		}
	}
}

// GetRange is a part of an object.
func (b *bucket) GetRange(ctx context.Context, key string, at, n int64) ([]byte, error) {
	if err := errors.Join(CheckKey(key), checkRange(at, n)); err != nil {
		return nil, failed("get", key, err)
	}
	var body []byte
	last := at + max(n, 1) - 1
	if last < at {
		last = math.MaxInt64
	}
	asked := fmt.Sprintf("bytes=%d-%d", at, last)
	err := b.try(ctx, func(ctx context.Context, a *attempt) error {
		out, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: b.key(key), Range: &asked})
		if status(err) == http.StatusRequestedRangeNotSatisfiable {
			body = []byte{}
			return nil
		}
		if err != nil {
			return err
		}
		a.carry(aws.ToInt64(out.ContentLength))
		body, err = readBody(out.Body, aws.ToInt64(out.ContentLength))
		if err != nil {
			return err
		}
		switch got := aws.ToString(out.ContentRange); {
		case got == "": // the server does not know ranges
			body = body[min(at, int64(len(body))):]
		case !strings.HasPrefix(got, fmt.Sprintf("bytes %d-", at)):
			return fmt.Errorf("asked for %s, got %s", asked, got)
		}
		body = body[:min(n, int64(len(body)))]
		return nil
	})
	if err != nil {
		return nil, failed("get", key, err)
	}
	return body, nil
}

// List calls each for the objects of a prefix, page by page.
func (b *bucket) List(ctx context.Context, prefix string, each func(Info) error) error {
	var token *string
	last := ""
	for {
		var page *s3.ListObjectsV2Output
		err := b.try(ctx, func(ctx context.Context, _ *attempt) (err error) {
			page, err = b.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{
				Bucket: &b.name, Prefix: aws.String(b.prefix + prefix), ContinuationToken: token,
			})
			return err
		})
		if err != nil {
			return failed("list", prefix, err)
		}
		for _, o := range page.Contents {
			key, ours := strings.CutPrefix(aws.ToString(o.Key), b.prefix)
			if !ours || !strings.HasPrefix(key, prefix) || CheckKey(key) != nil {
				continue // somebody else's
			}
			if key <= last {
				return failed("list", prefix, fmt.Errorf("the server does not list keys in ascending order: %s after %s", key, last))
			}
			last = key
			if err := each(Info{Key: key, Size: aws.ToInt64(o.Size)}); err != nil {
				return err
			}
		}
		if !aws.ToBool(page.IsTruncated) {
			return nil
		}
		if next := aws.ToString(page.NextContinuationToken); next == "" || next == aws.ToString(token) {
			return failed("list", prefix, fmt.Errorf("the server's list does not go on after %s", last))
		}
		token = page.NextContinuationToken
	}
}

// Delete takes an object away.
func (b *bucket) Delete(ctx context.Context, key string) error {
	err := CheckKey(key)
	if err == nil {
		err = b.try(ctx, func(ctx context.Context, _ *attempt) error {
			_, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.name, Key: b.key(key)})
			return err
		})
	}
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return failed("delete", key, err)
}
