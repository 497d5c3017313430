package kafka

import (
	"context"
	"time"
)

const (
	apiProduce     = 0
	produceVersion = 8
	// replicaTimeout is how long a broker waits for its replicas before it says
	// that it does not know.
	replicaTimeout = 5 * time.Second
)

// produce writes one record batch and returns when all in-sync replicas have it,
// with the offset of its first record. batch is the caller's again. Of an error
// verdict tells what it means; after one without a code the batch may be there.
func (c *client) produce(ctx context.Context, topic string, p int32, batch []byte) (base int64, err error) {
	one := &sending{partition: p, batch: batch}
	x := produceRequest(topic, one)
	x.route = toLeader(topic, p)
	if err := c.ask(ctx, x, 0); err != nil {
		return 0, err
	}
	results, err := parseProduced(x, []*sending{one})
	if err != nil {
		return 0, err
	}
	return results[0].base, results[0].err
}

// briefError is an error whose text is one short line, with what to do about it
// behind, which is not cut off.
type briefError struct {
	error
	advice string
}

func (e briefError) Error() string {
	if e.advice == "" {
		return short(e.error)
	}
	return short(e.error) + ": " + e.advice
}

func (e briefError) Unwrap() error { return e.error }

// brief is err with a text of one short line.
func brief(err error) error { return advised(err, "") }

// advised is brief with advice; what has some keeps that.
func advised(err error, advice string) error {
	if b, ok := err.(briefError); ok && (advice == "" || b.advice != "") {
		return b
	}
	return briefError{err, advice}
}
