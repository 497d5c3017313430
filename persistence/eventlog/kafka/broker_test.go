package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/objectstore/faultstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(patient{m}) }

// patient lets what ends behind the last test end.
type patient struct{ *testing.M }

func (p patient) Run() int {
	code := p.M.Run()
	awaitEnds()
	return code
}

// awaitEnds waits until no goroutine is left, but for those of opts, or until that
// is not to come.
func awaitEnds(opts ...goleak.Option) {
	for end := time.Now().Add(testTimeout); goleak.Find(opts...) != nil && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

// testTimeout is how long anything is waited for that is to come: what is waited
// for longer does not come.
const testTimeout = time.Minute

// broker is a Kafka in this process, whose connections can be cut.
type broker struct {
	*kfake.Cluster
	*cutter
}

func newBroker(t *testing.T, opts ...kfake.Opt) *broker {
	t.Helper()
	c := &cutter{conns: map[*cutConn]struct{}{}}
	cluster, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.ListenFn(c.listen)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return &broker{cluster, c}
}

const brokerTopic = "events"

// writerConfig is a log of few partitions at a broker.
func writerConfig(b *broker) Config {
	cfg := DefaultConfig()
	cfg.Brokers, cfg.Topic, cfg.Partitions = b.ListenAddrs(), brokerTopic, 4
	cfg.Objects = faultstore.NewMemory()
	cfg.Decoder = func() Decoder { return wholeDecoder{} }
	cfg.Now = func() messages.Micros { return messages.Micros(time.Now().UnixMicro()) }
	cfg.HashKey = [32]byte{1, 2, 3}
	cfg.FetchWait = 50 * time.Millisecond
	cfg.Logger = writerLogger()
	return cfg
}

// wholeDecoder refuses everything: these tests are of crest's own records.
type wholeDecoder struct{}

func (wholeDecoder) Decode(_ *messages.Message, dst []byte) ([]byte, int, []messages.Refusal) {
	return dst, 0, []messages.Refusal{{Reason: "foreign"}}
}

func openLog(t *testing.T, cfg Config) *Log {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	l, err := Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	if l.dead.file != nil { // before the first letter
		l.dead.file.patience = testTimeout // a disk that is slow does not hang
	}
	return l
}

// refusedLog is the error of a log that cannot be opened.
func refusedLog(t *testing.T, cfg Config) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	l, err := Open(ctx, cfg)
	if err == nil {
		l.Close()
		t.Fatal("it was opened")
	}
	return err
}

// givenUp is the error of a log that is opened until it says that it waits for
// the brokers, if it does not end before.
func givenUp(t *testing.T, cfg Config) error {
	t.Helper()
	text := new(lines)
	cfg.Logger = text.logger()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		l, err := Open(ctx, cfg)
		if err == nil {
			l.Close()
		}
		ended <- err
	}()
	eventually(t, "it waits for the brokers", func() bool {
		return len(ended) > 0 || text.count("the brokers are asked again until they answer") > 0
	})
	cancel()
	return <-ended
}

// topicRecords are the records of a topic as another client library reads them,
// by partition.
func topicRecords(t *testing.T, b *broker, topic string) map[int32][]*kgo.Record {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(b.ListenAddrs()...), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	left := int64(0)
	for _, p := range b.PartitionInfos(topic) {
		left += p.HighWatermark - p.LogStartOffset
	}
	all := map[int32][]*kgo.Record{}
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	for left > 0 {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			all[r.Partition] = append(all[r.Partition], r)
			left--
		})
	}
	return all
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(testTimeout); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", testTimeout, what)
		}
	}
}

// cutter stands between brokers and their clients. It can be down, and it can
// swallow answers: the broker has done what was asked, and the connection ends.
type cutter struct {
	mu      sync.Mutex
	conns   map[*cutConn]struct{}
	down    bool
	refused int // connections, while down
	swallow func(api int16) bool
}

var errSwallowed = errors.New("swallowed")

func (c *cutter) listen(network, address string) (net.Listener, error) {
	l, err := net.Listen(network, address)
	return &cutListener{l, c}, err
}

// setDown ends all connections, and refuses new ones until it is called again.
func (c *cutter) setDown(down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = down
	if down {
		for conn := range c.conns {
			conn.Conn.Close()
		}
	}
}

// tries is how many connections were refused.
func (c *cutter) tries() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refused
}

// swallowIf has answers swallowed for which f, which is asked for each, is true.
func (c *cutter) swallowIf(f func(api int16) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.swallow = f
}

type cutListener struct {
	net.Listener
	c *cutter
}

func (l *cutListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		l.c.mu.Lock()
		down := l.c.down
		k := &cutConn{Conn: conn, c: l.c}
		if down {
			l.c.refused++
		} else {
			l.c.conns[k] = struct{}{}
		}
		l.c.mu.Unlock()
		if !down {
			return k, nil
		}
		conn.Close()
	}
}

// cutConn follows the requests on a connection, of which a broker answers one
// after the other.
type cutConn struct {
	net.Conn
	c    *cutter
	head []byte // of the request that is being read: size and api
	left int    // bytes of it
	api  int16  // of the last one; guarded by c.mu
}

func (k *cutConn) Read(b []byte) (int, error) {
	n, err := k.Conn.Read(b)
	for rest := b[:n]; len(rest) > 0; {
		if k.left > 0 {
			skip := min(k.left, len(rest))
			k.left, rest = k.left-skip, rest[skip:]
			continue
		}
		take := min(6-len(k.head), len(rest))
		k.head, rest = append(k.head, rest[:take]...), rest[take:]
		if len(k.head) == 6 {
			k.left = int(binary.BigEndian.Uint32(k.head)) - 2
			k.c.mu.Lock()
			k.api = int16(binary.BigEndian.Uint16(k.head[4:]))
			k.c.mu.Unlock()
			k.head = k.head[:0]
		}
	}
	return n, err
}

func (k *cutConn) Write(b []byte) (int, error) {
	k.c.mu.Lock()
	swallowed := k.c.down || k.c.swallow != nil && k.c.swallow(k.api)
	k.c.mu.Unlock()
	if swallowed {
		k.Conn.Close()
		return 0, errSwallowed
	}
	return k.Conn.Write(b)
}

func (k *cutConn) Close() error {
	k.c.mu.Lock()
	delete(k.c.conns, k)
	k.c.mu.Unlock()
	return k.Conn.Close()
}

// eventRecord is record number n of a partition.
func eventRecord(p messages.Partition, n int) messages.Record {
	return messages.Record{
		Topic: fmt.Appendf(nil, "topic %d/%d", p, n), Category: []byte("sport"), Region: []byte("IN"), Count: uint64(1 + n%3),
		Time: 1_700_000_000_000_000 + messages.Micros(n), HasTime: n%2 == 0, ID: fmt.Appendf(nil, "id-%d", n),
	}
}

// frameOf is a frame with so many records in each partition named.
func frameOf(stamp messages.Micros, each int, partitions ...messages.Partition) *messages.Frame {
	f := &messages.Frame{Kind: messages.FrameEvents, Stamp: stamp}
	for _, p := range partitions {
		b := messages.Block{Partition: p, Records: uint32(each)}
		for n := range each {
			r := eventRecord(p, n)
			b.Data = r.AppendTo(b.Data)
		}
		f.Blocks = append(f.Blocks, b)
	}
	return f
}

func writerLogger() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }
