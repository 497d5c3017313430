package kafka

import (
	"context"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"
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
	return c.send(ctx, produceRequest(topic, p, batch))
}

// produceRequest is a request to write a batch. It is the connection's when whoever
// waits for it gives up, so it has its own copy.
func produceRequest(topic string, p int32, batch []byte) *exchange {
	w := wireWriter{b: make([]byte, 0, len(batch)+len(topic)+64)}
	w.int16(-1) // no transaction
	w.int16(-1) // acks: all
	w.int32(int32(replicaTimeout / time.Millisecond))
	w.array(1)
	w.str(topic)
	w.array(1)
	w.int32(p)
	w.int32(int32(len(batch)))
	w.b = append(w.b, batch...)
	return &exchange{api: apiProduce, version: produceVersion, body: w.b, route: toLeader(topic, p)}
}

func (c *client) send(ctx context.Context, x *exchange) (base int64, err error) {
	if err := c.ask(ctx, x, 0); err != nil {
		return 0, err
	}
	return parseProduced(x)
}

func parseProduced(x *exchange) (base int64, err error) {
	r := x.reader()
	code, message, answered := kafkago.Error(0), "", 0
	for n := r.array(); n > 0 && !r.bad; n-- {
		r.str() // topic
		for n := r.array(); n > 0 && !r.bad; n-- {
			r.int32() // partition
			code, base, answered = kafkago.Error(r.int16()), r.int64(), answered+1
			r.int64() // append time
			r.int64() // log start
			for n := r.array(); n > 0 && !r.bad; n-- {
				r.int32() // record
				if s := r.str(); message == "" {
					message = s
				}
			}
			if s := r.str(); s != "" {
				message = s
			}
		}
	}
	switch {
	case r.bad || answered != 1 || code == 0 && base < 0:
		return 0, fmt.Errorf("the broker's answer to a write cannot be read")
	case code != 0 && message != "":
		return 0, fmt.Errorf("%w (%s)", code, message)
	case code != 0:
		return 0, code
	}
	return base, nil
}

// briefError is an error whose text is one short line.
type briefError struct{ error }

func (e briefError) Error() string { return short(e.error) }
func (e briefError) Unwrap() error { return e.error }

// brief is err with a text of one short line.
func brief(err error) error { return briefError{err} }
