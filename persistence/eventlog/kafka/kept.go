package kafka

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/objectstore"
)

// Kept is what a store of snapshots says of a topic that it was used with.
type Kept struct {
	Topic              string
	ClusterID, TopicID string // as in Description
	Partitions         int
	Begins             messages.Position // where counting began
	Clock              messages.Clock
	LogID              messages.LogID
}

// KeptIn reads what a store says of a topic; nil: it was never used with it.
func KeptIn(ctx context.Context, store objectstore.Store, topic string) (*Kept, error) {
	body, _, err := store.Get(ctx, knownKey(topic))
	if errors.Is(err, objectstore.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what the topic was: %w", err)
	}
	k := new(known)
	if err = json.Unmarshal(body, k); err == nil {
		err = k.check()
	}
	if err != nil {
		return nil, fmt.Errorf("object %s of %s: %w", knownKey(topic), store, err)
	}
	kept := &Kept{
		Topic: k.Topic, ClusterID: k.Cluster, TopicID: topicIDText(k.TopicID), Partitions: k.Partitions, Begins: k.Begins,
		LogID: logID(k.Cluster, k.Topic, k.TopicID),
	}
	kept.Clock, err = messages.ParseClock(k.Clock) // checked
	return kept, err
}

// TopicsIn are the topics that a store was used with: one at most, unless it is
// of before that was seen to.
func TopicsIn(ctx context.Context, store objectstore.Store) (topics []string, err error) {
	err = store.List(ctx, knownKey(""), func(o objectstore.Info) error {
		topics = append(topics, strings.TrimPrefix(o.Key, knownKey("")))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read which topic the snapshots are of: %w", err)
	}
	return topics, nil
}

// KeptOf is what a store says of the topic that is the log of this id; nil: the
// log is no topic, or the store was never used with it.
func KeptOf(ctx context.Context, store objectstore.Store, log messages.LogID) (*Kept, error) {
	topics, err := TopicsIn(ctx, store)
	if err != nil {
		return nil, err
	}
	for _, topic := range topics {
		kept, err := KeptIn(ctx, store, topic)
		if err != nil {
			return nil, err
		}
		if kept != nil && kept.LogID == log {
			return kept, nil
		}
	}
	return nil, nil
}

// Copy takes what is kept from the store that has it to another one. Without it
// a partition that has no snapshot there would begin where the topic begins by
// then.
func (k *Kept) Copy(ctx context.Context, from, to objectstore.Store) error {
	body, _, err := from.Get(ctx, knownKey(k.Topic))
	if err != nil {
		return fmt.Errorf("copy what topic %s is: %w", k.Topic, err)
	}
	topics, err := TopicsIn(ctx, to)
	if err != nil {
		return err
	}
	if len(topics) > 0 && !slices.Contains(topics, k.Topic) {
		return fmt.Errorf("%s has snapshots of topic %s, not %s: copy into a store of its own", to, topics[0], k.Topic)
	}
	_, err = to.PutIfAbsent(ctx, knownKey(k.Topic), body)
	if !errors.Is(err, objectstore.ErrExists) {
		return err
	}
	there, err := KeptIn(ctx, to, k.Topic)
	switch {
	case err != nil:
		return err
	case there == nil || there.LogID != k.LogID:
		return fmt.Errorf("%s has snapshots of another topic %s, of another cluster or made again since: copy into a store of its own", to, k.Topic)
	}
	return nil
}
