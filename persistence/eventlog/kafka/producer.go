package kafka

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"net"
	"sync"
	"sync/atomic"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"golang.org/x/sync/errgroup"

	"github.com/crestdb/crest/messages"
)

// ErrNotWritten: none of the records of a Write is in the topic.
var ErrNotWritten = errors.New("nothing was written")

// Keyed is a record as any producer might write it.
type Keyed struct{ Key, Value []byte }

// Producer writes other people's events to a topic: plain records, keyed, put
// into partitions as Kafka's own producer does, on all in-sync replicas when a
// Write returns. What it has to send again within a Write is not there twice: it
// is an idempotent producer, of one session.
//
// It is not how the log is written; see Log.Append.
type Producer struct {
	cfg    Config
	client *client
	routes messages.Routes
	lanes  []lane

	mu      sync.Mutex
	session *session // nil: the next write begins one
}

// session is a producer id that the brokers gave, under which they know repeats.
type session struct {
	id    int64
	epoch int16
	next  []int32 // sequence, per partition; under the partition's lock
}

// lane is one partition's: one batch at a time, so that records keep their order.
type lane struct {
	sync.Mutex
	encoder *batchEncoder
}

const (
	apiInitProducerID = 22
	// producerBatch is how many bytes of records a batch has, before compression.
	producerBatch = 512 << 10
	// producerLanes is how many batches of one Write are under way.
	producerLanes = 16
	firstWait     = 50 * time.Millisecond
	longestWait   = 2 * time.Second
)

// NewProducer connects to cfg.Topic, which has to be there. Of cfg it needs the
// brokers, how to reach them, the topic, compression, MaxRecord, GiveUp and the
// logger.
func NewProducer(ctx context.Context, cfg Config) (*Producer, error) {
	if len(cfg.Brokers) == 0 || cfg.Topic == "" {
		return nil, errors.New("kafka: no broker or no topic")
	}
	cfg.fillIn()
	p := &Producer{cfg: cfg}
	c, err := newClient(&p.cfg)
	if err != nil {
		return nil, err
	}
	p.client = c
	if err := p.connect(ctx); err != nil {
		c.close()
		return nil, fmt.Errorf("produce to kafka://%s: %w", cfg.where(), unreached(err))
	}
	return p, nil
}

func (p *Producer) connect(ctx context.Context) error {
	m, err := p.client.metadata(ctx, p.cfg.Topic)
	if errors.Is(err, errNoTopic) {
		return fmt.Errorf("%w: crest serve --log kafka://%s makes it", err, p.cfg.where())
	}
	if err != nil {
		return err
	}
	if m.partitions < 1 || m.partitions > messages.MaxPartitions {
		return fmt.Errorf("it has %d partitions: want 1 to %d", m.partitions, messages.MaxPartitions)
	}
	p.routes = messages.NewRoutes(&messages.LogIdentity{Partitions: m.partitions, Routing: messages.RoutingMurmur2})
	p.lanes = make([]lane, m.partitions)
	for i := range p.lanes {
		if p.lanes[i].encoder, err = newBatchEncoder(p.cfg.Compression); err != nil {
			return err
		}
	}
	return nil
}

// Close ends its connections.
func (p *Producer) Close() { p.client.close() }

// Write writes records, those of one partition in their order, and returns when
// all in-sync replicas have all of them. After an error that wraps ErrNotWritten
// none is there; after another one some may be.
func (p *Producer) Write(ctx context.Context, records []Keyed) error {
	by := make([][]Keyed, len(p.lanes))
	for _, r := range records {
		n := p.routes.Of(r.Key)
		by[n] = append(by[n], r)
	}
	var touched atomic.Bool // some of it is there, or may be
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(producerLanes)
	for n, list := range by {
		if len(list) == 0 {
			continue
		}
		g.Go(func() error {
			if err := p.write(ctx, int32(n), list, &touched); err != nil {
				return fmt.Errorf("partition %d: %w", n, err)
			}
			return nil
		})
	}
	err := g.Wait()
	switch {
	case err == nil:
		return nil
	case touched.Load():
		return explained(err)
	}
	return fmt.Errorf("%w: %w", ErrNotWritten, explained(err))
}

// write writes one partition's records, in batches.
func (p *Producer) write(ctx context.Context, n int32, list []Keyed, touched *atomic.Bool) error {
	l := &p.lanes[n]
	l.Lock()
	defer l.Unlock()
	for len(list) > 0 {
		count, bytes := 0, 0
		for count < len(list) && (count == 0 || bytes+len(list[count].Key)+len(list[count].Value) <= producerBatch) {
			bytes += len(list[count].Key) + len(list[count].Value)
			count++
		}
		if err := p.batch(ctx, n, list[:count], touched); err != nil {
			return err
		}
		list = list[count:]
	}
	return nil
}

// batch writes one batch, in two halves if the brokers find it too large.
func (p *Producer) batch(ctx context.Context, n int32, list []Keyed, touched *atomic.Bool) error {
	err := p.send(ctx, n, list, touched)
	if verdict(err) != outcomeTooLarge || len(list) == 1 {
		return err
	}
	half := len(list) / 2
	if err := p.batch(ctx, n, list[:half], touched); err != nil {
		return err
	}
	return p.batch(ctx, n, list[half:], touched)
}

// send writes a batch until it is known what became of it, or GiveUp has passed.
func (p *Producer) send(ctx context.Context, n int32, list []Keyed, touched *atomic.Bool) error {
	e := p.lanes[n].encoder
	e.reset()
	now := time.Now().UnixMilli()
	for _, r := range list {
		e.add(now, r.Key, r.Value, nil)
	}
	sealed, err := e.seal()
	if err != nil {
		return err
	}
	began, pause := time.Now(), firstWait
	maybe := false // an attempt may have written it
	var s *session
	for {
		if s == nil {
			if s, err = p.begin(ctx); err == nil {
				signBatch(sealed, s.id, s.epoch, s.next[n])
			}
		}
		if err == nil {
			_, err = p.client.produce(ctx, p.cfg.Topic, n, sealed)
			switch {
			case err == nil, errors.Is(err, kafkago.DuplicateSequenceNumber): // it was there
				s.next[n] += int32(len(list))
				touched.Store(true)
				return nil
			case strange(err) && !maybe:
				p.end(s)
				s, err = nil, fmt.Errorf("the brokers do not know the producer: %w", err)
			case verdict(err) == outcomeUnknown && !strange(err):
				maybe = maybe || !unsent(err)
			default:
				p.finish(s, maybe, touched)
				return err
			}
		}
		if denied(err) || time.Since(began) > p.cfg.GiveUp || ctx.Err() != nil {
			p.finish(s, maybe, touched)
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, longestWait)
		if s != nil {
			err = nil
		}
	}
}

// finish gives a batch up. If it may be there, its sequence may be used: the
// session is over, for a new batch under it would pass for the old one.
func (p *Producer) finish(s *session, maybe bool, touched *atomic.Bool) {
	if maybe {
		touched.Store(true)
		p.end(s)
	}
}

// strange are answers of brokers that do not know the session, or not its last
// batches.
func strange(err error) bool {
	return errors.Is(err, kafkago.OutOfOrderSequenceNumber) || errors.Is(err, kafkago.UnknownProducerId) ||
		errors.Is(err, kafkago.InvalidProducerEpoch) || errors.Is(err, kafkago.InvalidProducerIDMapping)
}

// unsent tells an error of before anything was sent.
func unsent(err error) bool {
	var network *net.OpError
	return errors.As(err, &network) && network.Op == "dial" || errors.Is(err, protocol.ErrNoTopic) ||
		errors.Is(err, protocol.ErrNoPartition) || errors.Is(err, protocol.ErrNoLeader)
}

// begin is the session, begun if there is none.
func (p *Producer) begin(ctx context.Context) (*session, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.session != nil {
		return p.session, nil
	}
	x := &exchange{api: apiInitProducerID, version: 1}
	var w wireWriter
	w.int16(-1) // no transactions
	w.int32(0)
	x.body = w.b
	if err := p.client.ask(ctx, x, 0); err != nil {
		return nil, fmt.Errorf("begin a session: %w", err)
	}
	r := x.reader()
	r.int32() // throttled for
	code, id, epoch := kafkago.Error(r.int16()), r.int64(), r.int16()
	switch {
	case r.bad:
		return nil, errors.New("begin a session: the broker's answer cannot be read")
	case code != 0:
		return nil, fmt.Errorf("begin a session: %w", code)
	}
	p.session = &session{id: id, epoch: epoch, next: make([]int32, len(p.lanes))}
	return p.session, nil
}

// end lets the next write begin another session.
func (p *Producer) end(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.session == s {
		p.session = nil
	}
}

// signBatch says whose batch it is, and which of theirs in the partition.
func signBatch(b []byte, id int64, epoch int16, sequence int32) {
	be.PutUint64(b[43:], uint64(id))
	be.PutUint16(b[51:], uint16(epoch))
	be.PutUint32(b[53:], uint32(sequence))
	be.PutUint32(b[atCRC:], crc32.Checksum(b[atAttributes:], castagnoli))
}

// Refused tells whether an error of a Write is one that writing again will not
// mend.
func Refused(err error) bool {
	v := verdict(err)
	return v == outcomeRefused || v == outcomeTooLarge || denied(err)
}

// AppendJSON appends an event as POST /api/v1/events takes it.
func AppendJSON(dst []byte, r *messages.Record) []byte { return appendJSON(dst, r) }
