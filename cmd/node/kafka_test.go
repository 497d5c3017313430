package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/gateway/client"
	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/eventlog/kafka"
)

// brokers are a cluster in this process, with topic "events" if partitions is
// above 0.
func brokers(t *testing.T, partitions int32) *kfake.Cluster {
	t.Helper()
	opts := []kfake.Opt{kfake.NumBrokers(1)}
	if partitions > 0 {
		opts = append(opts, kfake.SeedTopics(partitions, "events"))
	}
	c, err := kfake.NewCluster(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// onKafka is a node's configuration on topic "events".
func onKafka(t *testing.T, c *kfake.Cluster, data string) Config {
	cfg := testConfig(data)
	cfg.Reserve = 0
	k := DefaultKafka()
	k.Brokers, k.Topic, k.Partitions = c.ListenAddrs(), "events", 4
	cfg.Kafka = &k
	return cfg
}

// foreign writes records as anybody else might, keyed by topic; "" as topic
// means without a key.
func foreign(t *testing.T, c *kfake.Cluster, records ...[2]string) {
	t.Helper()
	p, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.DefaultProduceTopic("events"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, r := range records {
		rec := &kgo.Record{Value: []byte(r[1])}
		if r[0] != "" {
			rec.Key = []byte(r[0])
		}
		if err := p.ProduceSync(t.Context(), rec).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// eventually waits until a count in the window all is what it is to be.
func (r *running) eventually(t *testing.T, topic string, want uint64) {
	t.Helper()
	var got uint64
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		if got = r.count(t, topic, ""); got == want {
			return
		}
	}
	t.Fatalf("%s is counted %d times, want %d", topic, got, want)
}

func TestANodeOnKafkaCountsWhatAnybodyWrites(t *testing.T) {
	for _, events := range []bool{false, true} {
		t.Run(fmt.Sprintf("events=%v", events), func(t *testing.T) { countsWhatAnybodyWrites(t, events) })
	}
}

func countsWhatAnybodyWrites(t *testing.T, events bool) {
	cluster := brokers(t, 0)
	cfg := onKafka(t, cluster, t.TempDir())
	cfg.Kafka.WriteEvents = events
	n := run(t, cfg) // makes the topic
	pos := n.send(t, `{"topic":"a","region":"IN"}`+"\n"+`{"topic":"b","count":4}`+"\n", "")
	if got := n.count(t, "b", pos); got != 4 {
		t.Errorf("b is counted %d times, want 4", got)
	}
	foreign(t, cluster, [2]string{"a", `{"video_id":"a","userId":"u1","ts":` + fmt.Sprint(time.Now().UnixMilli()) + `}`}, [2]string{"a", `{"topic":"a"`}, [2]string{"", `{"topic":"a"}`})
	n.eventually(t, "a", 3)
	board, err := n.Trending(t.Context(), client.TrendingQuery{Scope: client.Scope{Window: "1h"}})
	if err != nil || len(board.Topics) != 2 || board.Topics[0].Topic != "b" || board.Topics[0].Lower != 4 || board.Topics[1].Lower != 3 || !board.Exact {
		t.Errorf("board %+v, %v", board, err)
	}
	n.inLedger(t, 5, 4, 1)
	if err := n.stop(); err != nil {
		t.Fatal(err)
	}

	foreign(t, cluster, [2]string{"b", `{"topic":"b"}`}) // while nobody reads
	n = run(t, cfg)
	n.eventually(t, "b", 5)
	n.inLedger(t, 6, 5, 1)
	pos = n.send(t, `{"topic":"b"}`, "")
	if got := n.count(t, "b", pos); got != 6 {
		t.Errorf("b is counted %d times, want 6", got)
	}
	if err := n.stop(); err != nil {
		t.Fatal(err)
	}
	letters := deadLetters(t, cluster)
	if len(letters) != 1 || string(letters[0].Value) != `{"topic":"a"` {
		t.Errorf("dead letters %v, want the broken event once", letters)
	}
}

// inLedger waits until the ledger is what it is to be.
func (r *running) inLedger(t *testing.T, logged, counted, dead uint64) {
	t.Helper()
	var got api.PartitionLedger
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		l, err := r.Ledger(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got = l.Total; got.Logged == logged && got.Counted == counted && got.DeadLettered == dead {
			return
		}
	}
	t.Fatalf("ledger: %d logged, %d counted, %d dead letters; want %d, %d, %d", got.Logged, got.Counted, got.DeadLettered, logged, counted, dead)
}

// deadLetters are all that were put aside.
func deadLetters(t *testing.T, c *kfake.Cluster) []*kgo.Record {
	t.Helper()
	reader, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.ConsumeTopics("events-dead-letters"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	return reader.PollFetches(ctx).Records()
}

// Two nodes on one topic with a store and a secret of their own each count
// everything, whichever gateway it came through.
func TestASecondNodeCountsTheSame(t *testing.T) {
	cluster := brokers(t, 4)
	foreign(t, cluster, [2]string{"a", `{"topic":"a"}`}, [2]string{"b", `{"topic":"b"}`})
	first, second := run(t, onKafka(t, cluster, t.TempDir())), run(t, onKafka(t, cluster, t.TempDir()))
	const body = `{"topic":"a","event_id":"1"}` + "\n" + `{"topic":"c","count":3}` + "\n"
	first.send(t, body, "key-1")
	second.send(t, body, "key-1") // the same request again, at the other gateway
	second.send(t, `{"topic":"a","event_id":"1"}`, "")
	for _, n := range []*running{first, second} {
		n.eventually(t, "a", 2)
		n.eventually(t, "b", 1)
		n.eventually(t, "c", 3)
	}
}

func TestANodeRefusesAnotherTopicThanItsSnapshotsAreOf(t *testing.T) {
	for _, c := range []struct {
		name  string
		other func(t *testing.T, cfg *Config)
		says  string
	}{
		{"another cluster", func(t *testing.T, cfg *Config) {
			cfg.Kafka.Brokers = brokers(t, 4).ListenAddrs()
		}, "deleted and made again"}, // these clusters all go by one id
		{"another secret", func(t *testing.T, cfg *Config) {
			if err := os.WriteFile(filepath.Join(cfg.Data, secretName), make([]byte, 32), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "hash key"},
		{"another clock", func(_ *testing.T, cfg *Config) {
			event := messages.ClockEvent
			cfg.Clock = &event
		}, "--clock wall"},
		{"other partitions", func(_ *testing.T, cfg *Config) {
			eight := 8
			cfg.Partitions = &eight
		}, "has 4 partitions, not 8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cluster := brokers(t, 4)
			cfg := onKafka(t, cluster, t.TempDir())
			if err := run(t, cfg).stop(); err != nil {
				t.Fatal(err)
			}
			c.other(t, &cfg)
			n, err := New(cfg)
			if err == nil {
				_ = n.Close()
				t.Fatal("it starts")
			}
			if !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %q, want one line that says %q", err, c.says)
			}
		})
	}
}

func TestTwoNodesDoNotShareADataFolder(t *testing.T) {
	cluster := brokers(t, 4)
	cfg := onKafka(t, cluster, t.TempDir())
	run(t, cfg)
	n, err := New(cfg)
	if err == nil {
		_ = n.Close()
		t.Fatal("a second node starts on the same folder")
	}
	if !strings.Contains(err.Error(), "in use by process") {
		t.Errorf("got %v", err)
	}
}

// The secret is made once, and nobody else may read it.
func TestTheSecretIsMadeOnce(t *testing.T) {
	cfg := testConfig(t.TempDir())
	first, keep, err := cfg.secret()
	if err != nil || first == [32]byte{} || keep == nil {
		t.Fatalf("got %x, %v", first, err)
	}
	name := filepath.Join(cfg.Data, secretName)
	if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is there before it is used: %v", err)
	}
	if err := keep(); err != nil {
		t.Fatal(err)
	}
	if again, keep, err := cfg.secret(); again != first || keep != nil || err != nil {
		t.Errorf("asked again: got %x, %v; want %x", again, err, first)
	}
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
	other := testConfig(t.TempDir())
	if key, _, err := other.secret(); key == first || err != nil {
		t.Errorf("another folder: got %x, %v", key, err)
	}
	if err := os.WriteFile(name, first[:31], 0o600); err != nil {
		t.Fatal(err)
	}
	if key, _, err := cfg.secret(); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("of a cut off file: got %x, %v", key, err)
	}
	given := [32]byte{1}
	cfg.HashKey = &given
	if key, _, err := cfg.secret(); key != given || err != nil {
		t.Errorf("given: got %x, %v", key, err)
	}
}

// What is counted is committed to the group, where dashboards look.
func TestCountedOffsetsAreCommittedToTheGroup(t *testing.T) {
	cluster := brokers(t, 1)
	cfg := onKafka(t, cluster, t.TempDir())
	cfg.Kafka.Group = "crest-lag"
	n := run(t, cfg)
	n.send(t, `{"topic":"a"}`, "")
	reader, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	for until := time.Now().Add(15 * time.Second); committedTo(t, reader, "crest-lag") != 1; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("nothing is committed")
		}
	}
}

// committedTo is what a group has of partition 0.
func committedTo(t *testing.T, c *kgo.Client, group string) int64 {
	t.Helper()
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group = group
	topic := kmsg.NewOffsetFetchRequestTopic()
	topic.Topic, topic.Partitions = "events", []int32{0}
	req.Topics = append(req.Topics, topic)
	of := kmsg.NewOffsetFetchRequestGroup()
	of.Group = group
	ofTopic := kmsg.NewOffsetFetchRequestGroupTopic()
	ofTopic.Topic, ofTopic.Partitions = "events", []int32{0}
	of.Topics = append(of.Topics, ofTopic)
	req.Groups = append(req.Groups, of)
	answer, err := req.RequestWith(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range answer.Groups {
		for _, topic := range g.Topics {
			for _, p := range topic.Partitions {
				return p.Offset
			}
		}
	}
	return -1
}

// A setting that cannot be names itself.
func TestSettingsOfKafkaAreChecked(t *testing.T) {
	for says, wrong := range map[string]func(*Kafka){
		"brokers":        func(k *Kafka) { k.Brokers = nil },
		"topic":          func(k *Kafka) { k.Topic = "" },
		"partitions":     func(k *Kafka) { k.Partitions = 1025 },
		"replication":    func(k *Kafka) { k.Replication = -1 },
		"retention":      func(k *Kafka) { k.Retention = -time.Second },
		"sasl plain":     func(k *Kafka) { k.SASL = "plain" },
		`sasl "x"`:       func(k *Kafka) { k.SASL, k.User, k.Password = "x", "u", "p" },
		`format "x"`:     func(k *Kafka) { k.Format = "x" },
		"compression":    func(k *Kafka) { k.Compression = "x" },
		"the log itself": func(k *Kafka) { k.DeadLetters = k.Topic },
	} {
		cfg := testConfig(t.TempDir())
		k := DefaultKafka()
		k.Brokers, k.Topic = []string{"h:1"}, "events"
		cfg.Kafka = &k
		if err := cfg.Validate(); err != nil {
			t.Fatal(err)
		}
		wrong(&k)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want %q", err, says)
		}
	}
}

var _ Log = (*kafka.Log)(nil)

// Retention that has run ahead of what is counted fails the partition it did so
// in, and no other.
func TestAPartitionThatLostWhatComesNextFailsAlone(t *testing.T) {
	for _, c := range []struct {
		name string
		lost int // partition
		says string
		rest uint64 // counted of the other one
	}{
		{"that has no snapshot", 0, "counting began at offset 1, and the topic has been trimmed to 2 since", 3},
		{"that has one", 1, "it ends at offset 1, and the log was trimmed to 2", 2},
	} {
		t.Run(c.name, func(t *testing.T) { losing(t, c.lost, c.says, c.rest) })
	}
}

func losing(t *testing.T, lost int, says string, rest uint64) {
	cluster := brokers(t, 2)
	cfg := onKafka(t, cluster, t.TempDir())
	routes := messages.NewRoutes(&messages.LogIdentity{Partitions: 2, Routing: messages.RoutingMurmur2})
	topics := [2]string{}
	for i := 0; topics[0] == "" || topics[1] == ""; i++ {
		name := fmt.Sprintf("t%d", i)
		topics[routes.Of([]byte(name))] = name
	}
	event := func(p int) [2]string { return [2]string{topics[p], `{"topic":"` + topics[p] + `"}`} }
	foreign(t, cluster, event(0), event(1))
	cutOff(t, cluster, 0, 1) // before crest came: nothing that it has to count
	n := run(t, cfg)
	n.eventually(t, topics[1], 1)
	n.inLedger(t, 1, 1, 0)
	if err := n.stop(); err != nil {
		t.Fatal(err)
	}
	foreign(t, cluster, event(0), event(1), event(0), event(1))
	cutOff(t, cluster, int32(lost), 2) // one that no snapshot has

	var log heard
	cfg.Logger = logTo(&log)
	second, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- second.Run(ctx) }()
	asked := newClient(t, second.Addr())
	defer func() {
		asked.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	for until := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		st, err := asked.Status(t.Context())
		if err == nil && strings.Contains(st.Partitions[lost].Failed, says) && st.Partitions[1-lost].Failed == "" && st.Partitions[1-lost].Counted == rest {
			break
		}
		if time.Now().After(until) {
			t.Fatalf("status %+v, %v", st, err)
		}
	}
	if len(log.lines(says)) == 0 {
		t.Errorf("nothing is logged: %q", log.lines(""))
	}
}

// cutOff has a partition begin at an offset, as retention does.
func cutOff(t *testing.T, c *kfake.Cluster, partition int32, to int64) {
	t.Helper()
	admin, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	req := kmsg.NewPtrDeleteRecordsRequest()
	topic := kmsg.NewDeleteRecordsRequestTopic()
	part := kmsg.NewDeleteRecordsRequestTopicPartition()
	part.Partition, part.Offset = partition, to
	topic.Topic, topic.Partitions = "events", append(topic.Partitions, part)
	req.Topics, req.TimeoutMillis = append(req.Topics, topic), 1000
	answer, err := req.RequestWith(t.Context(), admin)
	if err != nil {
		t.Fatal(err)
	}
	if code := answer.Topics[0].Partitions[0].ErrorCode; code != 0 {
		t.Fatalf("delete records: error %d", code)
	}
}

func TestAStartThatWaitsForBrokersIsGivenUp(t *testing.T) {
	cfg := testConfig(t.TempDir())
	k := DefaultKafka()
	k.Brokers, k.Topic = []string{"127.0.0.1:1"}, "events"
	cfg.Kafka = &k
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	if n, err := Open(ctx, cfg); err == nil {
		_ = n.Close()
		t.Fatal("it starts")
	} else if !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("got %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v to be given up", took)
	}
}

// A request whose gateway dies when a part of it is in the topic is completed by
// its repeat, at another gateway.
func TestATornRequestIsCompletedByItsRepeat(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(2), kfake.SeedTopics(2, "events"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	for p := range int32(2) { // a broker each, so that writes to them are apart
		if err := cluster.MoveTopicPartition("events", p, p); err != nil {
			t.Fatal(err)
		}
	}
	routes := messages.NewRoutes(&messages.LogIdentity{Partitions: 2, Routing: messages.RoutingMurmur2})
	const key = "key-1"
	home := routes.Home(key)
	var names [2]string // of a topic in the home partition, and of one elsewhere
	for i := 0; names[0] == "" || names[1] == ""; i++ {
		name := fmt.Sprintf("t%d", i)
		if routes.Of([]byte(name)) == home {
			names[0] = name
		} else {
			names[1] = name
		}
	}
	body := fmt.Sprintf(`{"topic":"%s"}`+"\n"+`{"topic":"%s"}`+"\n", names[0], names[1])
	first := runOn(t, onKafka(t, cluster, t.TempDir()), Ground{Kafka: func(c *kafka.Config) { c.GiveUp = 3 * time.Second }})
	first.send(t, `{"topic":"before"}`, "") // it has its connections
	second := run(t, onKafka(t, cluster, t.TempDir()))

	var closed atomic.Bool
	closed.Store(true)
	cluster.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		return shut(req.(*kmsg.ProduceRequest), int32(1-home), &closed)
	})
	if _, err := first.Ingest(t.Context(), &client.Events{Body: []byte(body), ContentType: client.NDJSON, Key: key}); err == nil {
		t.Fatal("it was acknowledged")
	}
	second.eventually(t, names[0], 1)
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	closed.Store(false)
	if got := second.count(t, names[1], ""); got != 0 {
		t.Fatalf("the request was not torn: %s is counted %d times", names[1], got)
	}
	for range 2 {
		pos := second.send(t, body, key)
		for _, name := range names {
			if got := second.count(t, name, pos); got != 1 {
				t.Errorf("%s is counted %d times, want once", name, got)
			}
		}
	}
}

// shut refuses what a request has for a partition, and lets the rest be written
// where there is none of that.
func shut(req *kmsg.ProduceRequest, partition int32, closed *atomic.Bool) (kmsg.Response, error, bool) {
	if !closed.Load() {
		return nil, nil, false
	}
	for _, topic := range req.Topics {
		for _, p := range topic.Partitions {
			if p.Partition != partition {
				continue
			}
			answer := req.ResponseKind().(*kmsg.ProduceResponse)
			of := kmsg.NewProduceResponseTopic()
			of.Topic = topic.Topic
			for _, p := range topic.Partitions {
				part := kmsg.NewProduceResponseTopicPartition()
				part.Partition, part.ErrorCode = p.Partition, 7 // REQUEST_TIMED_OUT
				of.Partitions = append(of.Partitions, part)
			}
			answer.Topics = append(answer.Topics, of)
			return answer, nil, true
		}
	}
	return nil, nil, false
}

// A data folder belongs to one kind of log, and its store to one topic: a setting
// that was forgotten or mistyped starts nothing new, and leaves nothing behind.
func TestAStartOnWhatIsOfAnotherLogIsRefused(t *testing.T) {
	cluster := brokers(t, 0)
	ofTopic, embedded, keyed := t.TempDir(), t.TempDir(), t.TempDir()
	key := [32]byte{7}
	withKey := onKafka(t, cluster, keyed)
	withKey.HashKey = &key
	plain := testConfig(embedded)
	for _, cfg := range []Config{onKafka(t, cluster, ofTopic), withKey, plain} {
		if err := run(t, cfg).stop(); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		cfg  func() Config
		says []string
		no   []string // files that are not made
	}{
		{"embedded, on a folder used with Kafka", func() Config { return testConfig(ofTopic) }, []string{"is a topic of Kafka", "--log kafka://", ofTopic},
			[]string{filepath.Join(ofTopic, "log", "log.meta")}},
		{"embedded, on such a store", func() Config { return testConfig(keyed) }, []string{"are of topic events of Kafka", "--log kafka://HOST:PORT/events"},
			[]string{filepath.Join(keyed, "log", "log.meta")}},
		{"Kafka, on an embedded log", func() Config { return onKafka(t, cluster, embedded) }, []string{"has an embedded log", "leave --log out"},
			[]string{filepath.Join(embedded, "kafka.key"), filepath.Join(embedded, "store", "kafka")}},
		{"another topic", func() Config {
			cfg := onKafka(t, cluster, ofTopic)
			cfg.Kafka.Topic = "evnets"
			return cfg
		}, []string{"are of topic events, not evnets: name events in --log"}, []string{filepath.Join(ofTopic, "store", "kafka", "evnets")}},
		{"a secret that is lost", func() Config {
			cfg := onKafka(t, cluster, t.TempDir())
			cfg.Store = "dir:" + filepath.Join(ofTopic, "store")
			return cfg
		}, []string{"kafka.key", "--hash-key-file"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := c.cfg()
			n, err := New(cfg)
			if err == nil {
				_ = n.Close()
				t.Fatal("it starts")
			}
			for _, text := range c.says {
				if !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), "\n") {
					t.Errorf("got %v\nwant: %s", err, text)
				}
			}
			for _, name := range append(c.no, filepath.Join(cfg.Data, "kafka.key")) {
				if cfg.Data == ofTopic && filepath.Base(name) == "kafka.key" {
					continue // of before
				}
				if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("it has left %s: %v", name, err)
				}
			}
			if cluster.TopicInfo("evnets") != nil {
				t.Error("the mistyped topic was made")
			}
		})
	}
	for _, cfg := range []Config{onKafka(t, cluster, ofTopic), withKey, plain} { // they are as they were
		if err := run(t, cfg).stop(); err != nil {
			t.Fatal(err)
		}
	}
}

// With --kafka-keyed an event that is not in the partition of its topic is
// counted where nobody looks for it: somebody has to be told.
func TestStrayEventsOfAKeyedTopicAreTold(t *testing.T) {
	cluster := brokers(t, 4)
	cfg := onKafka(t, cluster, t.TempDir())
	cfg.Kafka.Keyed = true
	var log heard
	cfg.Logger = logTo(&log)
	n := run(t, cfg)
	n.send(t, `{"topic":"b"}`, "")
	foreign(t, cluster, [2]string{"a", `{"topic":"a"}`})
	n.eventually(t, "a", 1)
	if h, err := n.Health(t.Context()); err != nil || strings.Contains(h.Warning, "--kafka-keyed") {
		t.Errorf("keyed as it should be: warning %+v, %v", h, err)
	}
	routes := messages.NewRoutes(&messages.LogIdentity{Partitions: 4, Routing: messages.RoutingMurmur2})
	stray := "k0"
	for i := 1; routes.Of([]byte(stray)) == routes.Of([]byte("a")); i++ {
		stray = fmt.Sprintf("k%d", i)
	}
	foreign(t, cluster, [2]string{stray, `{"topic":"a"}`}, [2]string{stray, `{"topic":"a"}`})
	for until := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		h, err := n.Health(t.Context())
		if err == nil && strings.Contains(h.Warning, "2 events were not in the partition of their topic") {
			break
		}
		if time.Now().After(until) {
			t.Fatalf("health %+v, %v", h, err)
		}
	}
	if told := log.lines("an event is not in the partition of its topic"); len(told) != 1 {
		t.Errorf("told %d times: %q", len(told), told)
	}
}

// A request is cut into parts that its key tells apart. Whoever repeats it at a
// gateway that writes otherwise must cut it alike, or its parts count again, or
// are taken for ones that are there.
func TestARepeatAtANodeThatWritesOtherwiseCountsOnce(t *testing.T) {
	for name, c := range map[string]struct {
		events int
		event  string // with a number in it
		change func(*Config)
	}{
		"events in place of blocks": {20_000, `{"topic":"hot","session_id":"%d"}`, func(c *Config) { c.Kafka.WriteEvents = true }},
		"users as they are":         {12_000, `{"topic":"hot","user_id":"%0150d"}`, func(c *Config) { c.KeepUserIDs = true }},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := brokers(t, 4)
			cfg := onKafka(t, cluster, t.TempDir())
			cfg.Memory = 1 << 30
			var b strings.Builder
			for i := range c.events {
				fmt.Fprintf(&b, c.event+"\n", i)
			}
			n := run(t, cfg)
			pos := n.send(t, b.String(), "key-1")
			if got := n.count(t, "hot", pos); got != uint64(c.events) {
				t.Fatalf("%d counted of %d", got, c.events)
			}
			if err := n.stop(); err != nil {
				t.Fatal(err)
			}
			c.change(&cfg)
			n = run(t, cfg)
			pos = n.send(t, b.String(), "key-1")
			if got := n.count(t, "hot", pos); got != uint64(c.events) {
				t.Errorf("%d counted after a repeat, want %d", got, c.events)
			}
		})
	}
}

// An event that the topic does not take is the client's to make smaller.
func TestAnEventLargerThanTheTopicTakesIsNoInternalError(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	if err := cluster.CreateTopic("events", 4, map[string]string{"max.message.bytes": "20000"}); err != nil {
		t.Fatal(err)
	}
	n := run(t, onKafka(t, cluster, t.TempDir()))
	rng := rand.New(rand.NewPCG(1, 2))
	note := make([]byte, 60_000)
	for i := range note {
		note[i] = 'a' + byte(rng.IntN(26))
	}
	for _, key := range []string{"", "key-1"} {
		body := fmt.Sprintf(`{"topic":"big","note":"%s"}`, note)
		_, err := n.Ingest(t.Context(), &client.Events{Body: []byte(body), ContentType: client.NDJSON, Key: key})
		if err == nil || !strings.Contains(err.Error(), "413") || !strings.Contains(err.Error(), "max.message.bytes") {
			t.Errorf("key %q: %v", key, err)
		}
	}
	var b strings.Builder
	for range 20_000 { // of one partition, and more than one record takes
		fmt.Fprintf(&b, `{"topic":"hot","session_id":"%x"}`+"\n", rng.Uint64())
	}
	for _, key := range []string{"", "key-2"} {
		before := n.count(t, "hot", "")
		if got := n.count(t, "hot", n.send(t, b.String(), key)); got != before+20_000 {
			t.Errorf("key %q: %d counted, want %d", key, got-before, 20_000)
		}
	}
}
