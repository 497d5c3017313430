package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

const (
	// metadataTTL bounds how long a moved leader is looked for where it was.
	metadataTTL = time.Second
	// answerTimeout is how long a broker may be silent beyond what it was asked to
	// wait, longestAnswer how long an answer may take that comes slowly.
	answerTimeout = 30 * time.Second
	longestAnswer = 5 * time.Minute
	// closeTimeout bounds the wait for connections to end; they are closed, so it
	// is never reached unless a goroutine is stuck.
	closeTimeout = 5 * time.Second
)

// client talks to the brokers. Its connections are kafka-go's, one for each
// request on its way; it knows all of them, so that close leaves none.
type client struct {
	cfg         *Config
	addr        net.Addr
	transport   *kafkago.Transport
	correlation atomic.Int32
	stall       time.Duration // answerTimeout
	learning    time.Duration // leadersTimeout
	stop        context.CancelFunc

	met    atomic.Bool // a broker has answered
	speaks atomic.Pointer[spoken]
	// topic is the id of the configured topic as first seen; nil before.
	topic   atomic.Pointer[[16]byte]
	brokers atomic.Pointer[[]int32] // as last heard; nil before
	turn    atomic.Uint32           // which of them askAny begins with

	leaders leaders
	asking  sync.Mutex // held while asking who they are
	asked   time.Time  // guarded by asking

	mu     sync.Mutex
	closed bool
	conns  map[*trackedConn]struct{}
	open   sync.WaitGroup
}

func newClient(cfg *Config) (*client, error) {
	mechanism, err := cfg.mechanism()
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	c := &client{cfg: cfg, addr: kafkago.TCP(cfg.Brokers...), stop: stop, stall: answerTimeout, learning: leadersTimeout, conns: map[*trackedConn]struct{}{}}
	topics := []string{cfg.Topic}
	if dead := cfg.deadTopic(); dead != "" {
		topics = append(topics, dead)
	}
	c.transport = &kafkago.Transport{
		Dial:           c.dial,
		DialTimeout:    5 * time.Second,
		IdleTimeout:    30 * time.Second,
		MetadataTTL:    metadataTTL,
		MetadataTopics: topics,
		ClientID:       cfg.ClientID,
		TLS:            cfg.TLS,
		SASL:           mechanism,
		Context:        ctx,
	}
	return c, nil
}

func (c *Config) mechanism() (sasl.Mechanism, error) {
	switch c.SASL {
	case "":
		return nil, nil
	case "plain":
		return plain.Mechanism{Username: c.User, Password: c.Password}, nil
	case "scram-sha-256":
		return scram.Mechanism(scram.SHA256, c.User, c.Password)
	case "scram-sha-512":
		return scram.Mechanism(scram.SHA512, c.User, c.Password)
	}
	return nil, fmt.Errorf("kafka: sasl %q: want plain, scram-sha-256 or scram-sha-512", c.SASL)
}

// ask sends a request and waits for the answer. An error leaves the exchange to
// the connection that has it.
func (c *client) ask(ctx context.Context, x *exchange, wait time.Duration) error {
	if err := ctx.Err(); err != nil { // kafka-go may send it all the same
		return err
	}
	x.correlation, x.client = c.correlation.Add(1), c.cfg.ClientID
	x.wait, x.stall = wait, c.stall
	// kafka-go may also wait for a connection, for which it has no bound.
	ctx, cancel := context.WithTimeout(ctx, wait+longestAnswer)
	defer cancel()
	_, err := c.transport.RoundTrip(ctx, c.addr, x)
	switch {
	case err == nil:
		c.met.Store(true)
	case !c.met.Load() && (errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)):
		// What a broker does that was not spoken to as it wants; newer ones say why.
		return fmt.Errorf("%w: the broker ends the connection at once: is TLS, SASL, user and password as its listener wants", err)
	}
	return err
}

const (
	// askAnother is how long a broker may be silent before another one is asked as
	// well, where any will do.
	askAnother = 500 * time.Millisecond
	// askedAtMost is how many are asked by their number.
	askedAtMost = 3
)

// askAny sends a request to a broker, whichever. Another one is asked as well when
// it fails or is silent for askAnother; the first answer counts.
func (c *client) askAny(ctx context.Context, request func() *exchange) (*exchange, error) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	type outcome struct {
		x   *exchange
		err error
	}
	routes := c.anyRoutes()
	outcomes := make(chan outcome, len(routes))
	asked, failed := 0, 0
	ask := func() {
		x := request()
		x.route = routes[asked]
		asked++
		running.Go(func() { outcomes <- outcome{x, c.ask(ctx, x, 0)} })
	}
	ask()
	silent := time.NewTicker(askAnother)
	defer silent.Stop()
	var first error
	for {
		select {
		case o := <-outcomes:
			if o.err == nil {
				return o.x, nil
			}
			if first == nil {
				first = o.err
			}
			if failed++; failed == len(routes) || ctx.Err() != nil || !passes(o.err) {
				return nil, first
			}
			if failed < asked {
				continue // the others may answer yet
			}
			ask()
			silent.Reset(askAnother)
		case <-silent.C:
			if asked < len(routes) {
				ask()
			}
		}
	}
}

// anyRoutes are the ways to a broker: the connection that kafka-go has, then some
// of the brokers that are known, others each time. Before any is known kafka-go
// makes another connection, to one of those that it was told of.
func (c *client) anyRoutes() []func(protocol.Cluster) (protocol.Broker, error) {
	routes := []func(protocol.Cluster) (protocol.Broker, error){nil}
	brokers := c.brokers.Load()
	if brokers == nil || len(*brokers) == 0 {
		return append(routes, nil)
	}
	turn := int(c.turn.Add(1))
	for i := range min(len(*brokers), askedAtMost) {
		routes = append(routes, toBroker((*brokers)[(turn+i)%len(*brokers)]))
	}
	return routes
}

// toBroker routes to a broker by its number.
func toBroker(id int32) func(protocol.Cluster) (protocol.Broker, error) {
	return func(c protocol.Cluster) (protocol.Broker, error) {
		b, ok := c.Brokers[id]
		if !ok {
			return b, kafkago.BrokerNotAvailable
		}
		return b, nil
	}
}

// toLeader routes to the leader of a partition.
func toLeader(topic string, p int32) func(protocol.Cluster) (protocol.Broker, error) {
	return func(c protocol.Cluster) (protocol.Broker, error) {
		t, ok := c.Topics[topic]
		if !ok {
			return protocol.Broker{}, protocol.NewErrNoTopic(topic)
		}
		part, ok := t.Partitions[p]
		if !ok {
			return protocol.Broker{}, protocol.NewErrNoPartition(topic, p)
		}
		b, ok := c.Brokers[part.Leader]
		if !ok {
			return b, protocol.NewErrNoLeader(topic, p)
		}
		return b, nil
	}
}

// spoken are the newest versions that the brokers speak.
type spoken struct{ fetch, metadata int16 }

// versions asks a broker once, and again after forgetVersions.
func (c *client) versions(ctx context.Context) (*spoken, error) {
	if s := c.speaks.Load(); s != nil {
		return s, nil
	}
	x, err := c.askAny(ctx, func() *exchange { return &exchange{api: apiVersions} })
	if err != nil {
		return nil, fmt.Errorf("ask what the broker speaks: %w", err)
	}
	s, r := new(spoken), x.reader()
	if code := r.int16(); code != 0 {
		return nil, fmt.Errorf("ask what the broker speaks: %w", kafkago.Error(code))
	}
	for n := r.array(); n > 0 && !r.bad; n-- {
		api, _, newest := r.int16(), r.int16(), r.int16()
		switch api {
		case apiFetch:
			s.fetch = newest
		case apiMetadata:
			s.metadata = newest
		}
	}
	if r.bad || s.fetch < 11 || s.metadata < 8 {
		return nil, errors.New("the broker is too old: want Apache Kafka 2.4 or later")
	}
	c.speaks.Store(s)
	return s, nil
}

// forgetVersions has the brokers asked again: after an error they may be others.
func (c *client) forgetVersions() { c.speaks.Store(nil) }

// close ends every connection and waits until nothing of them is left.
func (c *client) close() {
	c.stop()
	c.transport.CloseIdleConnections()
	c.mu.Lock()
	c.closed = true
	for conn := range c.conns {
		conn.Conn.Close() // whoever reads from it closes it again, and is counted then
	}
	c.mu.Unlock()
	done := make(chan struct{})
	go func() {
		c.open.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(closeTimeout):
		c.cfg.Logger.Warn("a connection to Kafka was not given up at the end")
	}
}

// dial is how kafka-go gets its connections.
func (c *client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: 3 * time.Second, KeepAlive: 15 * time.Second}
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		conn.Close()
		return nil, net.ErrClosed
	}
	t := &trackedConn{Conn: conn, of: c}
	c.conns[t] = struct{}{}
	c.open.Add(1)
	return t, nil
}

// trackedConn is a connection that its client knows of until kafka-go has closed
// it.
type trackedConn struct {
	net.Conn
	of   *client
	once sync.Once
}

func (t *trackedConn) Close() error {
	err := t.Conn.Close()
	t.once.Do(func() {
		t.of.mu.Lock()
		delete(t.of.conns, t)
		t.of.mu.Unlock()
		t.of.open.Done()
	})
	return err
}

// short is an error as one line of at most 300 bytes: kafka-go's may have
// megabytes.
func short(err error) string {
	s := err.Error()
	if len(s) > 4096 {
		s = s[:4096]
	}
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 300 {
		s = strings.ToValidUTF8(s[:297], "") + "…"
	}
	return s
}

// topicUnknown tells whether an error says that the topic is not there. After a
// start, or while brokers learn of it, that is so for a moment only.
func topicUnknown(err error) bool {
	return errors.Is(err, kafkago.UnknownTopicOrPartition) || errors.Is(err, kafkago.UnknownTopicID) ||
		errors.Is(err, kafkago.InconsistentTopicID) || errors.Is(err, protocol.ErrNoTopic) || errors.Is(err, protocol.ErrNoPartition)
}

// passes tells whether the same request, sent again, may succeed by itself. What
// has no code came from the network or from kafka-go's view of the cluster.
func passes(err error) bool {
	var code kafkago.Error
	if !errors.As(err, &code) {
		return true
	}
	switch code {
	case kafkago.TopicAuthorizationFailed, kafkago.ClusterAuthorizationFailed, kafkago.GroupAuthorizationFailed,
		kafkago.SASLAuthenticationFailed, kafkago.UnsupportedSASLMechanism, kafkago.UnsupportedVersion, kafkago.InvalidTopic:
		return false
	}
	return true
}
