package node

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/crestdb/crest/messages"
)

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

func TestAStartThatWaitsForBrokersIsGivenUp(t *testing.T) {
	cfg := testConfig(t.TempDir())
	k := DefaultKafka()
	k.Brokers, k.Topic = []string{"127.0.0.1:1"}, "events"
	cfg.Kafka = &k
	var log heard
	cfg.Logger = logTo(&log)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		n, err := Open(ctx, cfg)
		if err == nil {
			_ = n.Close()
		}
		ended <- err
	}()
	await(t, "it waits for the brokers", func() bool { return len(log.lines("the brokers are asked again")) > 0 })
	cancel()
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
			t.Errorf("got %v", err)
		}
	case <-time.After(testTimeout):
		t.Fatal("it is not given up")
	}
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
