package kafka

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
	"go.uber.org/goleak"

	"github.com/crestdb/crest/messages"
)

func numbered(name string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprint(name, i)
	}
	return list
}

// TestReadGoesOnAfterErrorsThatPass: what a broker says while leaders move, and
// what it should not.
func TestReadGoesOnAfterErrorsThatPass(t *testing.T) {
	for _, e := range []*kerr.Error{
		kerr.NotLeaderForPartition, kerr.LeaderNotAvailable, kerr.RequestTimedOut, kerr.UnknownTopicOrPartition, kerr.UnknownTopicID,
		kerr.KafkaStorageError, kerr.OffsetNotAvailable, kerr.FencedLeaderEpoch, kerr.UnknownServerError, kerr.TopicAuthorizationFailed,
		kerr.OffsetOutOfRange, // of a leader that does not know better yet
	} {
		t.Run(e.Message, func(t *testing.T) {
			c := readCluster(t, 1, appendTime, kfake.NumBrokers(1))
			want := numbered("topic", 10)
			produceLines(t, foreignClient(t, c), 0, want...)
			log := new(lines)
			cfg := readConfig(t, c)
			cfg.Logger = log.logger()
			l := openLog(t, cfg)
			h := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: readTopic, Err: e, Count: 2})
			if got := readTo(t, l, 0, 0, 10, 0); !slices.Equal(got.topics(), want) {
				t.Errorf("read %v", got.topics())
			}
			if h.Hits() < 2 {
				t.Fatalf("%d fetches failed: want 2", h.Hits())
			}
			if began, over := log.count("reading failed"), log.count("reading goes on"); began != 1 || over != 1 {
				t.Errorf("logged %d times that reading failed and %d times that it goes on: want once each\n%s", began, over, &log.b)
			}
		})
	}
}

// TestOnlyWhatIsGoneIsLost: a leader that says for long that an offset is out of
// range is not believed while it has the offset, or nobody can say.
func TestOnlyWhatIsGoneIsLost(t *testing.T) {
	for name, faults := range map[string][]kfake.Fault{
		"it has it":          nil,
		"it cannot be asked": {{Keys: []kmsg.Key{kmsg.ListOffsets}, Topic: readTopic, Err: kerr.KafkaStorageError, Count: 3}},
	} {
		t.Run(name, func(t *testing.T) {
			c := readCluster(t, 1, appendTime, kfake.NumBrokers(1))
			want := numbered("topic", 10)
			produceLines(t, foreignClient(t, c), 0, want...)
			l := openLog(t, readConfig(t, c))
			h := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: readTopic, Err: kerr.OffsetOutOfRange, Count: readAgain + 2})
			for _, f := range faults {
				c.Fault(f)
			}
			if got := readTo(t, l, 0, 0, 10, 0); !slices.Equal(got.topics(), want) {
				t.Errorf("read %v", got.topics())
			}
			if h.Hits() < readAgain+2 {
				t.Fatalf("%d fetches failed: want %d", h.Hits(), readAgain+2)
			}
		})
	}
}

// TestReadFollowsLeaders: each record once, though its partition moves from
// broker to broker.
func TestReadFollowsLeaders(t *testing.T) {
	c := readCluster(t, 1, appendTime, kfake.NumBrokers(3))
	k := foreignClient(t, c)
	l := openLog(t, readConfig(t, c))
	const rounds, each = 6, 50
	var want []string
	done := make(chan *haul)
	go func() { done <- readTo(t, l, 0, 0, rounds*each, 300) }()
	for round := range rounds {
		batch := numbered(fmt.Sprint("round", round, "-"), each)
		want = append(want, batch...)
		produceLines(t, k, 0, batch...)
		if err := c.MoveTopicPartition(readTopic, 0, (c.LeaderFor(readTopic, 0)+1)%3); err != nil {
			t.Fatal(err)
		}
	}
	if got := (<-done).topics(); !slices.Equal(got, want) {
		t.Errorf("read %d events: want %d, in their order", len(got), len(want))
	}
}

// TestReadOfAnswersCutInTheMiddle: every third answer ends somewhere, and its
// connection with it.
func TestReadOfAnswersCutInTheMiddle(t *testing.T) {
	cut := &halver{}
	c := readCluster(t, 1, appendTime, kfake.NumBrokers(1), kfake.ListenFn(cut.listen))
	k := foreignClient(t, c, kgo.ProducerBatchCompression(kgo.NoCompression()))
	var want []string
	for i := range 30 {
		batch := numbered(fmt.Sprint("batch", i, "-", strings.Repeat("x", 100), "-"), 40)
		want = append(want, batch...)
		produceLines(t, k, 0, batch...)
	}
	cfg := readConfig(t, c)
	cfg.FetchBytes = 8 << 10
	l := openLog(t, cfg)
	cut.on.Store(true)
	got := readTo(t, l, 0, 0, 1200, 0)
	cut.on.Store(false)
	if !slices.Equal(got.topics(), want) {
		t.Errorf("read %d events: want %d, in their order", len(got.events), len(want))
	}
	if cut.cuts.Load() < 5 {
		t.Errorf("only %d answers were cut", cut.cuts.Load())
	}
}

// halver cuts every third long answer of a broker in its middle.
type halver struct {
	on            atomic.Bool
	answers, cuts atomic.Int32
}

func (h *halver) listen(network, address string) (net.Listener, error) {
	l, err := net.Listen(network, address)
	return halvedListener{l, h}, err
}

type halvedListener struct {
	net.Listener
	h *halver
}

func (l halvedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return halvedConn{c, l.h}, err
}

type halvedConn struct {
	net.Conn
	h *halver
}

func (c halvedConn) Write(b []byte) (int, error) {
	if len(b) > 2000 && c.h.on.Load() && c.h.answers.Add(1)%3 == 0 {
		c.h.cuts.Add(1)
		n, _ := c.Conn.Write(b[:mathrand.IntN(len(b))])
		c.Conn.Close()
		return n, net.ErrClosed
	}
	return c.Conn.Write(b)
}

// TestReadOfABrokerThatIsAway: it is waited for, and said once.
func TestReadOfABrokerThatIsAway(t *testing.T) {
	b := newBroker(t)
	if err := b.CreateTopic(readTopic, 4, appendTime); err != nil {
		t.Fatal(err)
	}
	log := new(lines)
	cfg := readConfig(t, b.Cluster)
	cfg.Logger = log.logger()
	l := openLog(t, cfg)
	results := make(chan *haul)
	for p := range messages.Partition(4) {
		go func() { results <- readTo(t, l, p, 0, 1, 0) }()
	}
	b.setDown(true)
	eventually(t, "reading fails", func() bool { return log.count("reading failed") > 0 })
	eventually(t, "several tries of each", func() bool { return b.tries() >= 4*4 })
	b.setDown(false)
	k := foreignClient(t, b.Cluster)
	for p := range int32(4) {
		produceLines(t, k, p, "a")
	}
	for range 4 {
		if got := <-results; !slices.Equal(got.topics(), []string{"a"}) {
			t.Errorf("read %v", got.topics())
		}
	}
	if n := log.count("reading failed"); n > 2 {
		t.Errorf("it was logged %d times that reading failed\n%s", n, &log.b)
	}
}

// TestReadOfWhatRetentionHasDeleted is a loud end of that partition, and of no
// other.
func TestReadOfWhatRetentionHasDeleted(t *testing.T) {
	c := readCluster(t, 2, appendTime, kfake.NumBrokers(1))
	k := foreignClient(t, c)
	for p := range int32(2) {
		for range 5 {
			produceLines(t, k, p, numbered("a", 10)...)
		}
	}
	l := openLog(t, readConfig(t, c))
	if err := c.DeleteRecords(readTopic, 0, 30); err != nil {
		t.Fatal(err)
	}
	b := &messages.Batch{}
	err := l.Read(t.Context(), 0, 7, b)
	isErr(t, err, messages.ErrLost, "partition 0", "offset 7", "begins at 30", "23 records")
	if len(b.Blocks) != 0 || b.Next != 7 {
		t.Errorf("the batch has %d blocks and goes on at %d", len(b.Blocks), b.Next)
	}
	if got := readTo(t, l, 1, 7, 50, 0); len(got.events) != 43 {
		t.Errorf("read %d events of the other partition", len(got.events))
	}
	if got := readTo(t, l, 0, 30, 50, 0); len(got.events) != 20 {
		t.Errorf("read %d events of what is left", len(got.events))
	}
	eventually(t, "Begins tells", func() bool {
		begins := make(messages.Position, 2)
		l.Begins(begins)
		return slices.Equal(begins, messages.Position{30, 0})
	})
}

// TestReadBehindTheEnd: brokers that have lost what was counted.
func TestReadBehindTheEnd(t *testing.T) {
	c := readCluster(t, 1, appendTime, kfake.NumBrokers(1))
	produceLines(t, foreignClient(t, c), 0, "a", "b")
	l := openLog(t, readConfig(t, c))
	isErr(t, l.Read(t.Context(), 0, 5, &messages.Batch{}), messages.ErrLost, "offset 5", "ends at 2", "have lost")
}

// TestReadOfATopicMadeAgain: its offsets mean other records, and none of them is
// read, also where fetches name topics and not their ids.
func TestReadOfATopicMadeAgain(t *testing.T) {
	for name, v := range map[string]*kversion.Versions{"by id": kversion.Stable(), "by name": kversion.V2_8_0()} {
		t.Run(name, func(t *testing.T) {
			c := readCluster(t, 1, appendTime, kfake.MaxVersions(v), kfake.NumBrokers(1))
			produceLines(t, foreignClient(t, c), 0, "a", "b")
			l := openLog(t, readConfig(t, c))
			readTo(t, l, 0, 0, 2, 0)
			if err := c.DeleteTopic(readTopic); err != nil {
				t.Fatal(err)
			}
			if err := c.CreateTopic(readTopic, 1, appendTime); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
			defer cancel()
			b := &messages.Batch{}
			isErr(t, l.Read(ctx, 0, 2, b), messages.ErrLost)
			// However many records it has by now.
			produceLines(t, foreignClient(t, c), 0, numbered("other", 5)...)
			eventually(t, "appends are refused", func() bool { return l.Err() != nil })
			isErr(t, l.Read(ctx, 0, 2, b), messages.ErrLost, "deleted and made again", readTopic)
			isErr(t, l.Err(), messages.ErrStopped, "deleted and made again")
		})
	}
}

// TestReadByIDOfATopicMadeAgain: not even a fetch in the moment before the topic
// is looked at brings the other topic's records.
func TestReadByIDOfATopicMadeAgain(t *testing.T) {
	c := readCluster(t, 1, appendTime, kfake.NumBrokers(1))
	k := foreignClient(t, c)
	produceLines(t, k, 0, "a", "b")
	cfg := readConfig(t, c)
	cl, err := newClient(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.close()
	if _, err := cl.metadata(t.Context(), readTopic); err != nil {
		t.Fatal(err)
	}
	if f, err := cl.fetch(t.Context(), 0, 1, 1000, time.Second); err != nil || len(f.records) == 0 {
		t.Fatalf("%v", err)
	}
	if err := c.DeleteTopic(readTopic); err != nil {
		t.Fatal(err)
	}
	if err := c.CreateTopic(readTopic, 1, appendTime); err != nil {
		t.Fatal(err)
	}
	produceLines(t, foreignClient(t, c), 0, numbered("other", 5)...)
	if f, err := cl.fetch(t.Context(), 0, 1, 1000, time.Second); err == nil || !topicUnknown(err) {
		t.Errorf("fetched %d bytes of another topic: %v", len(f.records), err)
	}
}

// damageFetches answers fetches with batches that are all damaged, times times.
func damageFetches(t *testing.T, c *kfake.Cluster, batches []byte, times int) *atomic.Int32 {
	t.Helper()
	bad := slices.Clone(batches)
	for rest := bad; len(rest) > 0; {
		_, next, err := nextBatch(rest)
		if err != nil {
			t.Fatal(err)
		}
		rest[len(rest)-len(next)-3] ^= 1
		rest = next
	}
	n := new(atomic.Int32)
	c.ControlKey(int16(kmsg.Fetch), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if int(n.Add(1)) > times {
			c.DropControl()
			return nil, nil, false
		}
		req := kreq.(*kmsg.FetchRequest)
		resp := req.ResponseKind().(*kmsg.FetchResponse)
		rt := kmsg.NewFetchResponseTopic()
		rt.TopicID, rt.Topic = req.Topics[0].TopicID, req.Topics[0].Topic
		rp := kmsg.NewFetchResponseTopicPartition()
		rp.HighWatermark, rp.LastStableOffset, rp.RecordBatches = 10, 10, bad
		rt.Partitions = append(rt.Partitions, rp)
		resp.Topics = append(resp.Topics, rt)
		return resp, nil, true
	})
	return n
}

// TestReadOfDamagedBatches: what was damaged on its way is fetched again; what
// stays so is an error that says where.
func TestReadOfDamagedBatches(t *testing.T) {
	c := readCluster(t, 1, appendTime, kfake.NumBrokers(1))
	want := numbered("topic", 10)
	produceLines(t, foreignClient(t, c), 0, want...)
	cfg := readConfig(t, c)
	l := openLog(t, cfg)
	f, err := l.client.fetch(t.Context(), 0, 0, 1<<20, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	n := damageFetches(t, c, f.records, 2)
	if got := readTo(t, l, 0, 0, 10, 0); !slices.Equal(got.topics(), want) {
		t.Errorf("read %v", got.topics())
	}
	if n.Load() < 3 {
		t.Errorf("%d fetches: want 2 damaged ones and a third", n.Load())
	}
	damageFetches(t, c, f.records, 1000)
	isErr(t, l.Read(t.Context(), 0, 3, &messages.Batch{}), errDamaged, "partition 0", "offset 3", "checksum")
}

// TestCloseEndsReads, and leaves nothing behind: no goroutine, no connection.
func TestCloseEndsReads(t *testing.T) {
	c := readCluster(t, 8, appendTime, kfake.NumBrokers(2))
	cfg := readConfig(t, c)
	cfg.FetchWait = 2 * testTimeout
	text := new(lines)
	cfg.Logger = text.logger()
	before := goleak.IgnoreCurrent()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	l, err := Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	fetches := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Observe: true, Count: -1})
	errs := make(chan error)
	for p := range messages.Partition(8) {
		go func() { errs <- l.Read(context.Background(), p, 0, &messages.Batch{}) }()
	}
	eventually(t, "all readers wait", func() bool { return fetches.Hits() >= 8 })
	began := time.Now()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for range 8 {
		isErr(t, <-errs, messages.ErrStopped)
	}
	if took := time.Since(began); took > testTimeout || text.count("was not given up") > 0 {
		t.Errorf("closing took %v: %s", took, &text.b)
	}
	isErr(t, l.Read(t.Context(), 0, 0, &messages.Batch{}), messages.ErrStopped)
	if n := len(l.client.conns); n > 0 {
		t.Errorf("%d connections are left", n)
	}
	awaitEnds(before, ignoreBrokers)
	goleak.VerifyNone(t, before, ignoreBrokers)
}

// ignoreBrokers: the fake ones still wait for the end of their fetches.
var ignoreBrokers = goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kfake.(*clientConn).read")

// TestReadEndsWithItsContext, while the broker waits and while it is away.
func TestReadEndsWithItsContext(t *testing.T) {
	b := newBroker(t)
	if err := b.CreateTopic(readTopic, 1, appendTime); err != nil {
		t.Fatal(err)
	}
	cfg := readConfig(t, b.Cluster)
	cfg.FetchWait = 2 * testTimeout
	l := openLog(t, cfg)
	for _, down := range []bool{false, true} {
		b.setDown(down)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		began := time.Now()
		if err := l.Read(ctx, 0, 0, &messages.Batch{}); err != context.DeadlineExceeded {
			t.Errorf("down %v: %v", down, err)
		}
		if took := time.Since(began); took > testTimeout {
			t.Errorf("down %v: it took %v", down, took)
		}
		cancel()
	}
}

// selfSigned is a certificate for 127.0.0.1 and the pool that trusts it.
func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// TestTLSAndPasswords: each mechanism lets the right password in, and names what
// is wrong with another.
func TestTLSAndPasswords(t *testing.T) {
	cert, pool := selfSigned(t)
	for mechanism, method := range map[string]string{"plain": "PLAIN", "scram-sha-256": "SCRAM-SHA-256", "scram-sha-512": "SCRAM-SHA-512"} {
		t.Run(mechanism, func(t *testing.T) {
			c := readCluster(t, 1, appendTime, kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser(method, "ann", "secret"),
				kfake.TLS(&tls.Config{Certificates: []tls.Certificate{cert}}))
			cfg := readConfig(t, c)
			cfg.TLS = &tls.Config{RootCAs: pool}
			cfg.SASL, cfg.User, cfg.Password = mechanism, "ann", "secret"
			l := openLog(t, cfg)
			var pos messages.Position = make(messages.Position, 1)
			if err := l.Append(t.Context(), frameOf(1, 2, 0), pos); err != nil {
				t.Fatal(err)
			}
			if got := readTo(t, l, 0, 0, pos[0], 0); len(got.events) != 2 {
				t.Errorf("read %d events", len(got.events))
			}
			wrong := cfg
			wrong.Password = "guessed"
			err := givenUp(t, wrong)
			if err == nil || !strings.Contains(err.Error(), "password") || strings.Contains(err.Error(), "guessed") {
				t.Errorf("the wrong password: %v", err)
			}
		})
	}
	t.Run("unknown certificate", func(t *testing.T) {
		c := readCluster(t, 1, appendTime, kfake.NumBrokers(1), kfake.TLS(&tls.Config{Certificates: []tls.Certificate{cert}}))
		cfg := readConfig(t, c)
		cfg.TLS = &tls.Config{RootCAs: x509.NewCertPool()}
		cl, err := newClient(&cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer cl.close()
		if _, err := cl.metadata(t.Context(), readTopic); err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("connected in spite of an unknown certificate: %v", err)
		}
	})
}

// trickler makes a broker slow, or silent in the middle of an answer.
type trickler struct {
	slow, silent atomic.Bool
	over         chan struct{}
}

func (h *trickler) listen(network, address string) (net.Listener, error) {
	l, err := net.Listen(network, address)
	return tricklingListener{l, h}, err
}

type tricklingListener struct {
	net.Listener
	h *trickler
}

func (l tricklingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return tricklingConn{c, l.h}, err
}

type tricklingConn struct {
	net.Conn
	h *trickler
}

func (c tricklingConn) Write(b []byte) (n int, err error) {
	if len(b) < 100_000 || !c.h.slow.Load() {
		return c.Conn.Write(b)
	}
	for n < len(b) && err == nil {
		if n > 0 && c.h.silent.Load() {
			<-c.h.over
			return n, net.ErrClosed
		}
		time.Sleep(70 * time.Millisecond) // in all more than two stalls
		var m int
		m, err = c.Conn.Write(b[n:min(len(b), n+16<<10)])
		n += m
	}
	return n, err
}

// TestFetchFromASlowBroker takes as long as it takes, while something comes. A
// silent one is given up.
func TestFetchFromASlowBroker(t *testing.T) {
	h := &trickler{over: make(chan struct{})}
	defer close(h.over)
	c := readCluster(t, 1, map[string]string{"max.message.bytes": "16000000"}, kfake.NumBrokers(1), kfake.ListenFn(h.listen))
	k := foreignClient(t, c, kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(15<<20))
	produceLines(t, k, 0, strings.Repeat("x", 1<<20))
	cfg := readConfig(t, c)
	cl, err := newClient(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.close()
	cl.stall = 2 * time.Second
	if _, err := cl.metadata(t.Context(), readTopic); err != nil {
		t.Fatal(err)
	}
	h.slow.Store(true)
	began := time.Now()
	f, err := cl.fetch(t.Context(), 0, 0, 1000, 100*time.Millisecond)
	if err != nil || len(f.records) < 1<<20 {
		t.Fatalf("after %v: %v", time.Since(began), err)
	}
	if took := time.Since(began); took < 2*cl.stall {
		t.Fatalf("it took %v only: nothing was shown", took)
	}
	h.silent.Store(true)
	began = time.Now()
	if _, err := cl.fetch(t.Context(), 0, 0, 1000, 100*time.Millisecond); err == nil || time.Since(began) > testTimeout {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}

// TestReadErrTellsAfterAWhile, and no more once it is over or nobody reads.
func TestReadErrTellsAfterAWhile(t *testing.T) {
	rig := newCursorRig(t)
	h := &rig.log.reading.health
	h.logger, h.failing = rig.log.cfg.Logger, map[messages.Partition]failure{}
	for _, end := range []func(messages.Partition){h.fine, h.forget} {
		h.failed(3, kerr.NotLeaderForPartition)
		if err := rig.log.ReadErr(); err != nil {
			t.Errorf("at once: %v", err)
		}
		f := h.failing[3]
		f.since = f.since.Add(-patience)
		h.failing[3] = f
		isErr(t, rig.log.ReadErr(), kerr.NotLeaderForPartition, "partition 3")
		end(3)
		if err := rig.log.ReadErr(); err != nil {
			t.Errorf("when it is over: %v", err)
		}
	}
}
