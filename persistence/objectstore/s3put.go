package objectstore

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// putName is the metadata that names the put that stored an object.
const putName = "crest-put"

// condition is under which a put is to happen: at most one field is set.
type condition struct {
	absent bool
	match  Version
}

// refusal is the error of a put whose condition did not hold.
func (c condition) refusal() error {
	if c.absent {
		return ErrExists
	}
	return ErrChanged
}

// Put stores an object.
func (b *bucket) Put(ctx context.Context, key string, body []byte) (Version, error) {
	v, err := b.put(ctx, key, body, condition{})
	return v, failed("put", key, err)
}

// PutIfAbsent stores an object unless there is one.
func (b *bucket) PutIfAbsent(ctx context.Context, key string, body []byte) (Version, error) {
	v, err := b.put(ctx, key, body, condition{absent: true})
	return v, failed("put if absent", key, err)
}

// PutIfMatch replaces an object of a version.
func (b *bucket) PutIfMatch(ctx context.Context, key string, body []byte, v Version) (Version, error) {
	if v == "" {
		return "", failed("put if unchanged", key, ErrChanged)
	}
	next, err := b.put(ctx, key, body, condition{match: v})
	return next, failed("put if unchanged", key, err)
}

// put makes attempts until one is answered for good. An attempt without an
// answer may have stored the object, or may yet do so. Another one under the
// same condition does no harm: of all of them at most one succeeds. But if it
// is refused then, the object may be there because of the one before.
func (b *bucket) put(ctx context.Context, key string, body []byte, when condition) (Version, error) {
	if err := CheckKey(key); err != nil {
		return "", err
	}
	id := rand.Text()
	lost := false
	for n := 1; ; n++ {
		v, err := b.putOnce(ctx, key, body, when, id)
		if err == nil {
			return v, nil
		}
		refused := when != condition{} && holdsNot(err, when)
		switch {
		case refused && !lost:
			return "", when.refusal()
		case refused:
			return b.lookAfter(ctx, key, body, id)
		case !passes(ctx, err):
			return "", translate(err)
		}
		// S3 answers 409 to one of two that come at the same time, and has not
		// done it.
		lost = lost || status(err) != http.StatusConflict
		if n == b.attempts {
			err = fmt.Errorf("%d attempts: %w", n, err)
			if lost && when != (condition{}) {
				if v, unlike := b.lookAfter(ctx, key, body, id); unlike == nil {
					return v, nil
				}
			}
			return "", err
		}
		if stopped := pause(ctx, b.wait(n)); stopped != nil {
			return "", fmt.Errorf("%w after %d attempts: %w", stopped, n, err)
		}
	}
}

// holdsNot tells whether a put was refused for its condition.
func holdsNot(err error, when condition) bool {
	switch status(err) {
	case http.StatusPreconditionFailed:
		return true
	case http.StatusNotFound:
		return when.match != "" && code(err) != "NoSuchBucket"
	}
	return false
}

func (b *bucket) putOnce(ctx context.Context, key string, body []byte, when condition, id string) (v Version, err error) {
	in := &s3.PutObjectInput{
		Bucket: &b.name, Key: b.key(key), Body: bytes.NewReader(body), ContentLength: aws.Int64(int64(len(body))),
		Metadata: map[string]string{putName: id},
	}
	if when.absent {
		in.IfNoneMatch = aws.String("*")
	}
	if when.match != "" {
		in.IfMatch = aws.String(string(when.match))
	}
	err = b.once(ctx, int64(len(body)), func(ctx context.Context, _ *attempt) error {
		out, err := b.client.PutObject(ctx, in)
		if err == nil && aws.ToString(out.ETag) == "" {
			err = errNoETag
		}
		if err == nil {
			v = Version(*out.ETag)
		}
		return err
	})
	return v, err
}

// errUnanswered is a conditional put of which nobody knows.
var errUnanswered = errors.New("an answer was lost, and what is there now is something else: it may have been stored and replaced")

// lookAfter finds out whether a put without an answer has stored the object:
// by the put's name, or, where the server does not keep names, by the body.
// If something else is there, ours may have been there in between.
func (b *bucket) lookAfter(ctx context.Context, key string, body []byte, id string) (Version, error) {
	o, err := b.get(ctx, key)
	switch {
	case errors.Is(err, ErrNotFound):
		return "", errUnanswered
	case err != nil:
		return "", fmt.Errorf("an answer was lost, and cannot be looked after: %w", err)
	case o.put == id, o.put == "" && bytes.Equal(o.body, body):
		return o.version, nil
	}
	return "", errUnanswered
}
