package kafka

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/objectstore/faultstore"
)

func TestAMissingTopicIsMade(t *testing.T) {
	b := newBroker(t)
	cfg := writerConfig(b)
	cfg.Retention = 3 * time.Hour
	l := openLog(t, cfg)
	info := b.TopicInfo(brokerTopic)
	if info == nil || len(b.PartitionInfos(brokerTopic)) != 4 {
		t.Fatalf("topic %+v", info)
	}
	for name, want := range map[string]string{"retention.ms": "10800000", "message.timestamp.type": "LogAppendTime", "cleanup.policy": "delete"} {
		if v := info.Configs[name]; v == nil || *v != want {
			t.Errorf("%s is %v, want %s", name, v, want)
		}
	}
	id := l.Identity()
	if id.Partitions != 4 || id.Routing != messages.RoutingMurmur2 || id.Clock != messages.ClockWall || id.HashKey != cfg.HashKey ||
		id.Settings != cfg.Settings || id.ID == (messages.LogID{}) {
		t.Errorf("identity %+v", id)
	}
	if stamp := l.LastStamp(); stamp != 0 {
		t.Errorf("last stamp %d of an empty topic", stamp)
	}
}

func TestAMissingTopicIsRefusedWhereNoneMayBeMade(t *testing.T) {
	b := newBroker(t)
	cfg := writerConfig(b)
	cfg.NoCreate = true
	if err := refusedLog(t, cfg); !strings.Contains(err.Error(), "there is no topic") {
		t.Error(err)
	}
}

func TestWhyATopicCannotBeMadeIsTold(t *testing.T) {
	for code, want := range map[kafkago.Error]string{
		kafkago.TopicAuthorizationFailed: "grant the user Create",
		kafkago.InvalidReplicationFactor: "--kafka-replication",
		kafkago.PolicyViolation:          "LogAppendTime",
	} {
		b := newBroker(t)
		b.ControlKey(int16(kmsg.CreateTopics), func(req kmsg.Request) (kmsg.Response, error, bool) {
			resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
			st := kmsg.NewCreateTopicsResponseTopic()
			st.Topic, st.ErrorCode = brokerTopic, int16(code)
			resp.Topics = append(resp.Topics, st)
			return resp, nil, true
		})
		if err := refusedLog(t, writerConfig(b)); !errors.Is(err, code) || !strings.Contains(err.Error(), want) || len(err.Error()) > 600 {
			t.Errorf("%v: %v", code, err)
		}
	}
}

func TestBrokersThatDoNotAnswerAreToldOf(t *testing.T) {
	b := newBroker(t)
	b.setDown(true)
	err := givenUp(t, writerConfig(b))
	if err == nil || !strings.Contains(err.Error(), "the brokers do not answer") || len(err.Error()) > 600 {
		t.Error(err)
	}
	b.setDown(false)
	openLog(t, writerConfig(b))
}

func TestALogOpensAgainAsWhatItWas(t *testing.T) {
	b := newBroker(t, kfake.SeedTopics(4, brokerTopic))
	cfg := writerConfig(b)
	cfg.Partitions = 64 // only of a topic that is made
	l := openLog(t, cfg)
	first := l.Identity()
	before := messages.Micros(time.Now().Add(-time.Second).UnixMicro())
	mustAppend(t, l, frameOf(messages.Micros(time.Now().UnixMicro()), 3, 1))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.DeleteRecords(brokerTopic, 1, 1); err != nil {
		t.Fatal(err)
	}
	mustAppendTo(t, cfg)

	cfg.Settings.MaxRegions = 9 // a control frame's to change, not the start's
	l = openLog(t, cfg)
	if got := l.Identity(); got != first {
		t.Errorf("identity %+v, was %+v", got, first)
	}
	if stamp := l.LastStamp(); stamp < before || stamp > messages.Micros(time.Now().Add(time.Second).UnixMicro()) {
		t.Errorf("last stamp %d", stamp)
	}
	started, begins := make(messages.Position, 4), make(messages.Position, 4)
	l.Started(started)
	l.Begins(begins)
	if !slices.Equal(started, messages.Position{0, 0, 0, 0}) || !slices.Equal(begins, messages.Position{0, 1, 0, 0}) {
		t.Errorf("started at %v, begins at %v", started, begins)
	}
}

// mustAppendTo appends something in a log of its own.
func mustAppendTo(t *testing.T, cfg Config) {
	t.Helper()
	l := openLog(t, cfg)
	mustAppend(t, l, frameOf(messages.Micros(time.Now().UnixMicro()), 3, 1))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// A store that was never used with a topic begins where the topic does.
func TestAnOldTopicIsCountedFromItsBeginning(t *testing.T) {
	b := newBroker(t)
	cfg := writerConfig(b)
	mustAppendTo(t, cfg)
	mustAppendTo(t, cfg)
	if err := b.DeleteRecords(brokerTopic, 1, 1); err != nil {
		t.Fatal(err)
	}
	cfg.Objects = faultstore.NewMemory()
	l := openLog(t, cfg)
	started := make(messages.Position, 4)
	l.Started(started)
	if !slices.Equal(started, messages.Position{0, 1, 0, 0}) {
		t.Errorf("started at %v", started)
	}
}

func TestAnotherLogThanTheStoresIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		change func(t *testing.T, b *broker, cfg *Config)
		want   string
	}{
		"made again": {func(t *testing.T, b *broker, _ *Config) {
			if err := errors.Join(b.DeleteTopic(brokerTopic), b.CreateTopic(brokerTopic, 4, nil)); err != nil {
				t.Fatal(err)
			}
		}, "was deleted and made again"},
		"deleted": {func(t *testing.T, b *broker, _ *Config) {
			if err := b.DeleteTopic(brokerTopic); err != nil {
				t.Fatal(err)
			}
		}, "there is no topic \"events\" any more"},
		"more partitions": {func(t *testing.T, b *broker, _ *Config) { addPartitions(t, b, 6) }, "has 6 partitions, and the snapshots in memory: are of 4"},
		"another cluster": {func(t *testing.T, b *broker, cfg *Config) {
			other := newBroker(t, kfake.ClusterID("another"), kfake.SeedTopics(4, brokerTopic))
			cfg.Brokers = other.ListenAddrs()
		}, `it is in cluster "another"`},
		"another hash key": {func(_ *testing.T, _ *broker, cfg *Config) { cfg.HashKey[5]++ }, "--hash-key-file"},
		"another clock":    {func(_ *testing.T, _ *broker, cfg *Config) { cfg.Clock = messages.ClockEvent }, "--clock wall"},
		"another topic": {func(_ *testing.T, _ *broker, cfg *Config) { cfg.Topic = "evnets" },
			"the snapshots in memory: are of topic events, not evnets: name events in --log, or start over"},
		"another topic, where none is made": {func(_ *testing.T, _ *broker, cfg *Config) { cfg.Topic, cfg.NoCreate = "evnets", true }, "name events in --log"},
		"a damaged object": {func(t *testing.T, _ *broker, cfg *Config) {
			rewrite(t, cfg, func(k map[string]any) { k["begins"] = []int{1} })
		}, "not what crest writes"},
		"a newer object": {func(t *testing.T, _ *broker, cfg *Config) {
			rewrite(t, cfg, func(k map[string]any) { k["version"] = 2 })
		}, "version 2"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBroker(t)
			cfg := writerConfig(b)
			mustAppendTo(t, cfg)
			test.change(t, b, &cfg)
			err := refusedLog(t, cfg)
			if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%v\nwant: %s", err, test.want)
			}
			if name == "deleted" && b.TopicInfo(brokerTopic) != nil {
				t.Error("it was made again")
			}
			if b.TopicInfo("evnets") != nil {
				t.Error("the other topic was made")
			}
			// The same again: the refusal has not become what the store says.
			if again := refusedLog(t, cfg); !strings.Contains(again.Error(), test.want) {
				t.Errorf("the second time: %v", again)
			}
		})
	}
}

func rewrite(t *testing.T, cfg *Config, change func(map[string]any)) {
	t.Helper()
	key := knownKey(brokerTopic)
	body, _, err := cfg.Objects.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	k := map[string]any{}
	if err := json.Unmarshal(body, &k); err != nil {
		t.Fatal(err)
	}
	change(k)
	if body, err = json.Marshal(k); err != nil {
		t.Fatal(err)
	}
	if _, err := cfg.Objects.Put(t.Context(), key, body); err != nil {
		t.Fatal(err)
	}
}

// A topic that is there, and not what the store is of, is refused as well; a store
// of two topics from before is not.
func TestAStoreIsOfOneTopic(t *testing.T) {
	b := newBroker(t)
	cfg := writerConfig(b)
	mustAppendTo(t, cfg)
	second := cfg
	second.Topic, second.Objects = "second", faultstore.NewMemory()
	mustAppendTo(t, second)
	third := second
	third.Objects = cfg.Objects
	if err := refusedLog(t, third); !strings.Contains(err.Error(), "are of topic events, not second") {
		t.Error(err)
	}
	kept, err := KeptIn(t.Context(), second.Objects, "second")
	if err != nil {
		t.Fatal(err)
	}
	if err := kept.Copy(t.Context(), second.Objects, cfg.Objects); err == nil || !strings.Contains(err.Error(), "of topic events, not second") {
		t.Errorf("copied: %v", err)
	}
	body, _, err := second.Objects.Get(t.Context(), knownKey("second"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cfg.Objects.Put(t.Context(), knownKey("second"), body); err != nil {
		t.Fatal(err)
	}
	mustAppendTo(t, third)
	mustAppendTo(t, cfg)
}

// The secret is made durable before the store is told of it, and by no start that
// is refused.
func TestFirstUseComesBeforeTheStoreIsTold(t *testing.T) {
	b := newBroker(t)
	cfg := writerConfig(b)
	fails := errors.New("no room")
	cfg.FirstUse = func() error { return fails }
	if err := refusedLog(t, cfg); !errors.Is(err, fails) {
		t.Error(err)
	}
	if kept, err := KeptIn(t.Context(), cfg.Objects, brokerTopic); kept != nil || err != nil {
		t.Errorf("the store says %+v, %v", kept, err)
	}
	calls := 0
	cfg.FirstUse = func() error { calls++; return nil }
	mustAppendTo(t, cfg)
	mustAppendTo(t, cfg)
	cfg.HashKey[0]++
	if err := refusedLog(t, cfg); !strings.Contains(err.Error(), "DATA/kafka.key") || calls != 1 {
		t.Errorf("called %d times: %v", calls, err)
	}
}

// Who finds a topic has not made it.
func TestATopicIsMadeByOne(t *testing.T) {
	b := newBroker(t)
	cfg, text := writerConfig(b), new(lines)
	cfg.fillIn()
	cfg.Logger = text.logger()
	c, err := newClient(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for _, want := range []bool{true, false} {
		made, err := c.create(t.Context(), newTopic{name: brokerTopic, partitions: 4, replication: -1})
		if err != nil || made != want {
			t.Errorf("made %v, %v; want %v", made, err, want)
		}
	}
	mustAppendTo(t, cfg)
	if text.count("topic made") > 0 {
		t.Errorf("said to be made: %s", &text.b)
	}
}

// Two nodes with stores of their own have the same log; two topics are two.
func TestALogsIDIsTheTopics(t *testing.T) {
	b := newBroker(t)
	cfg := writerConfig(b)
	one := openLog(t, cfg).Identity().ID
	cfg.Objects = faultstore.NewMemory()
	if two := openLog(t, cfg).Identity().ID; two != one {
		t.Errorf("%x and %x", one, two)
	}
	cfg.Topic, cfg.Objects = "others", faultstore.NewMemory()
	if other := openLog(t, cfg).Identity().ID; other == one {
		t.Errorf("two topics are %x", one)
	}
	zero := make([]byte, 16)
	if logID("c", "a", zero) == logID("c", "b", zero) || logID("c", "a", zero) == logID("d", "a", zero) {
		t.Error("without ids of topics their names do not tell them apart")
	}
}

func TestAnOldBrokersTopicHasNoID(t *testing.T) {
	b := newBroker(t, kfake.MaxVersions(kversion.V2_6_0()))
	cfg := writerConfig(b)
	mustAppendTo(t, cfg)
	mustAppendTo(t, cfg)
	if n := len(writtenTo(t, b)[1]); n != 2 {
		t.Errorf("%d records", n)
	}
}

func TestATopicMadeAgainTakesNoMoreAppends(t *testing.T) {
	b := newBroker(t)
	l := openLog(t, writerConfig(b))
	mustAppend(t, l, frameOf(1, 1, 0))
	if err := errors.Join(b.DeleteTopic(brokerTopic), b.CreateTopic(brokerTopic, 4, nil)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is noticed", func() bool { return l.Err() != nil })
	err := l.Append(t.Context(), frameOf(2, 1, 0), make(messages.Position, 4))
	if !errors.Is(err, messages.ErrStopped) || !errors.Is(err, messages.ErrLost) {
		t.Error(err)
	}
}

func TestSettingsOutOfRangeAreNamed(t *testing.T) {
	b := newBroker(t)
	for want, change := range map[string]func(*Config){
		"no broker":       func(c *Config) { c.Brokers = nil },
		"no topic":        func(c *Config) { c.Topic = "" },
		"Decoder":         func(c *Config) { c.Decoder = nil },
		"partitions":      func(c *Config) { c.Partitions = messages.MaxPartitions + 1 },
		"replication":     func(c *Config) { c.Replication = -2 },
		"retention":       func(c *Config) { c.Retention = -1 },
		"write 2":         func(c *Config) { c.Write = 2 },
		"at most 1000":    func(c *Config) { c.MaxRecord = 1000 },
		"may wait":        func(c *Config) { c.MaxWaiting = 1 },
		"give up":         func(c *Config) { c.GiveUp = time.Millisecond },
		"read again":      func(c *Config) { c.DeadTopic = c.Topic },
		"neither":         func(c *Config) { c.DeadTopic = "-" },
		"compression":     func(c *Config) { c.Compression = "brotli" },
		"dedup-window":    func(c *Config) { c.Settings.DedupWindow = 0 },
		"sasl \"gssapi\"": func(c *Config) { c.SASL = "gssapi" },
	} {
		cfg := writerConfig(b)
		change(&cfg)
		if _, err := Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func addPartitions(t *testing.T, b *broker, count int32) {
	t.Helper()
	c := anotherClient(t, b)
	req := kmsg.NewPtrCreatePartitionsRequest()
	rt := kmsg.NewCreatePartitionsRequestTopic()
	rt.Topic, rt.Count = brokerTopic, count
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(t.Context(), c)
	if err != nil || resp.Topics[0].ErrorCode != 0 {
		t.Fatalf("%+v, %v", resp, err)
	}
}
