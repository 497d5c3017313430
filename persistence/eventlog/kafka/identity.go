package kafka

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/objectstore"
)

// known is what the store says of the topic that its snapshots are of: an object
// beside them, made when they are first used together and never changed. Without
// it a topic deleted and made again, or a broker of another cluster, would pass
// for the same log, and offsets of the one be read in the other.
type known struct {
	Version    int      `json:"version"`
	Cluster    string   `json:"cluster"`
	Topic      string   `json:"topic"`
	TopicID    hexBytes `json:"topic_id"` // zeros: the brokers give none
	Partitions int      `json:"partitions"`
	// Begins are the topic's log starts at that time: counting began there.
	Begins messages.Position `json:"begins"`
	Clock  string            `json:"clock"`
	// HashKey names the secret, and does not give it away.
	HashKey  hexBytes      `json:"hash_key"`
	Settings knownSettings `json:"settings"` // in force at Begins
}

const knownVersion = 1

const startOver = "or start over with an empty --store and --data"

type knownSettings struct {
	DedupWindow   string `json:"dedup_window"`
	MaxAhead      string `json:"max_ahead"`
	MaxCategories int    `json:"max_categories"`
	MaxRegions    int    `json:"max_regions"`
}

type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

func (h *hexBytes) UnmarshalText(b []byte) (err error) {
	*h, err = hex.DecodeString(string(b))
	return err
}

func (h hexBytes) String() string { return hex.EncodeToString(h) }

func knownKey(topic string) string { return "kafka/" + topic }

// agree compares what the brokers say of the topic with what the store does. A
// store that says nothing has not been used with it: then it is told.
func agree(ctx context.Context, cfg *Config, meta *topicMeta, begins messages.Position) (*known, error) {
	now := &known{
		Version: knownVersion, Cluster: meta.clusterID, Topic: cfg.Topic, TopicID: meta.topicID[:], Partitions: meta.partitions,
		Begins: begins, Clock: cfg.Clock.String(), HashKey: keyName(&cfg.HashKey),
		Settings: knownSettings{
			DedupWindow: cfg.Settings.DedupWindow.String(), MaxAhead: cfg.Settings.MaxAhead.String(),
			MaxCategories: cfg.Settings.MaxCategories, MaxRegions: cfg.Settings.MaxRegions,
		},
	}
	body, err := json.MarshalIndent(now, "", "\t")
	if err != nil {
		return nil, err
	}
	key := knownKey(cfg.Topic)
	switch _, _, err := cfg.Objects.Get(ctx, key); {
	case errors.Is(err, objectstore.ErrNotFound):
		if cfg.FirstUse != nil {
			if err := cfg.FirstUse(); err != nil {
				return nil, err
			}
		}
		_, err = cfg.Objects.PutIfAbsent(ctx, key, body)
		if err == nil {
			return now, nil
		}
		// It may be there all the same; what is there decides.
		if _, _, look := cfg.Objects.Get(ctx, key); look != nil {
			return nil, fmt.Errorf("keep what the topic is: %w", err)
		}
	case err != nil:
		return nil, fmt.Errorf("read what the topic was: %w", err)
	}
	body, _, err = cfg.Objects.Get(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("read what the topic was: %w", err)
	}
	was := new(known)
	if err := json.Unmarshal(body, was); err != nil {
		return nil, fmt.Errorf("object %s of %s cannot be read: %w", key, cfg.Objects, err)
	}
	if err := was.check(); err != nil {
		return nil, fmt.Errorf("object %s of %s: %w", key, cfg.Objects, err)
	}
	return was, was.admits(now, cfg)
}

// alone is an error if the store has been used with another topic and not with
// this one. A name that was mistyped would be counted from its beginning, with the
// boards of the other one gone, and nobody told.
func alone(ctx context.Context, cfg *Config) error {
	topics, err := TopicsIn(ctx, cfg.Objects)
	if err != nil || len(topics) == 0 || slices.Contains(topics, cfg.Topic) {
		return err
	}
	return fmt.Errorf("the snapshots in %s are of topic %s, not %s: name %s in --log, %s (or another --store)",
		cfg.Objects, topics[0], cfg.Topic, topics[0], startOver)
}

// unused is an error if the store has been used with the topic, which is gone.
func unused(ctx context.Context, cfg *Config) error {
	_, _, err := cfg.Objects.Get(ctx, knownKey(cfg.Topic))
	switch {
	case errors.Is(err, objectstore.ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("read what the topic was: %w", err)
	}
	return fmt.Errorf("there is no topic %q any more, and the snapshots in %s are of it: restore it, %s", cfg.Topic, cfg.Objects, startOver)
}

func (k *known) check() error {
	if k.Version != knownVersion {
		return fmt.Errorf("version %d: this crest knows %d", k.Version, knownVersion)
	}
	if k.Partitions < 1 || k.Partitions > messages.MaxPartitions || len(k.Begins) != k.Partitions || len(k.TopicID) != 16 {
		return errors.New("it is not what crest writes there")
	}
	if _, err := k.settings(); err != nil {
		return err
	}
	_, err := messages.ParseClock(k.Clock)
	return err
}

func (k *known) settings() (s messages.Settings, err error) {
	if s.DedupWindow, err = time.ParseDuration(k.Settings.DedupWindow); err != nil {
		return s, err
	}
	if s.MaxAhead, err = time.ParseDuration(k.Settings.MaxAhead); err != nil {
		return s, err
	}
	s.MaxCategories, s.MaxRegions = k.Settings.MaxCategories, k.Settings.MaxRegions
	return s, s.Validate()
}

// admits refuses a topic or settings that are not what was counted, and says
// what to do.
func (k *known) admits(now *known, cfg *Config) error {
	store := cfg.Objects.String()
	switch {
	case k.Topic != now.Topic:
		return fmt.Errorf("the snapshots in %s are of topic %q: name that one in --log, %s", store, k.Topic, startOver)
	case k.Cluster != now.Cluster:
		return fmt.Errorf("it is in cluster %q, and the snapshots in %s are of cluster %q: point --log at the brokers of that cluster, %s",
			now.Cluster, store, k.Cluster, startOver)
	case !bytes.Equal(k.TopicID, now.TopicID):
		return fmt.Errorf("the topic has id %v, and the snapshots in %s are of one with id %v: it was deleted and made again, and its offsets mean other records now. Restore the old topic, %s",
			now.TopicID, store, k.TopicID, startOver)
	case k.Partitions != now.Partitions:
		return fmt.Errorf("the topic has %d partitions, and the snapshots in %s are of %d: topics now go to other partitions than they were counted in. Copy it into a topic of %d partitions, %s",
			now.Partitions, store, k.Partitions, k.Partitions, startOver)
	case k.Clock != now.Clock:
		return fmt.Errorf("the snapshots in %s were counted with --clock %s, not %s: give --clock %s, %s", store, k.Clock, now.Clock, k.Clock, startOver)
	case !bytes.Equal(k.HashKey, now.HashKey):
		return fmt.Errorf("the snapshots in %s were counted under hash key %v, not %v: put back the file DATA/kafka.key, or give the --hash-key-file, that they were made with, %s",
			store, k.HashKey, now.HashKey, startOver)
	}
	return nil
}

// keyName names a hash key: a keyed hash under it, for no other purpose.
func keyName(key *[32]byte) hexBytes {
	id := messages.LogIdentity{HashKey: *key}
	k0, k1 := id.Subkey("the hash key's id")
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, k0), k1)
}

// identity is what the log is: the topic, and what was kept of its first use.
func (k *known) identity(cfg *Config) messages.LogIdentity {
	settings, err := k.settings()
	if err != nil {
		panic("kafka: settings that were checked: " + err.Error())
	}
	return messages.LogIdentity{
		ID: logID(k.Cluster, k.Topic, k.TopicID), Partitions: k.Partitions, Clock: cfg.Clock,
		Routing: messages.RoutingMurmur2, HashKey: cfg.HashKey, Settings: settings,
	}
}

// logID is the same for everybody who uses the topic, and for nobody who uses
// another. Brokers that give topics no ids leave it to the name.
func logID(cluster, topic string, topicID []byte) (id messages.LogID) {
	h := sha256.New()
	h.Write([]byte("crest kafka\x00" + cluster + "\x00"))
	if len(bytes.Trim(topicID, "\x00")) > 0 {
		h.Write(topicID)
	} else {
		h.Write([]byte("name\x00" + topic))
	}
	copy(id[:], h.Sum(nil))
	return id
}

// where is the log as --log names it.
func (c *Config) where() string { return strings.Join(c.Brokers, ",") + "/" + c.Topic }
