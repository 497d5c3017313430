package kafka

import (
	"context"
	"errors"
	"fmt"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/offsetcommit"

	"github.com/crestdb/crest/messages"
)

// Commit commits offsets to Config.Group, for whoever watches the lag of consumer
// groups: nothing here reads them. pos has the offset behind what is counted per
// partition; 0 is left out. Without a group it does nothing.
func (l *Log) Commit(ctx context.Context, pos messages.Position) error {
	if l.cfg.Group == "" {
		return nil
	}
	var parts []offsetcommit.RequestPartition
	for p, o := range pos {
		if o > 0 {
			parts = append(parts, offsetcommit.RequestPartition{
				PartitionIndex: int32(p), CommittedOffset: int64(o), CommittedLeaderEpoch: -1,
			})
		}
	}
	if len(parts) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	defer context.AfterFunc(l.open, cancel)()
	// The first commit to a group finds it without a coordinator.
	if err := again(ctx, func() error { return l.commit(ctx, parts) }); err != nil {
		return fmt.Errorf("commit to group %q: %w", l.cfg.Group, brief(err))
	}
	return nil
}

func (l *Log) commit(ctx context.Context, parts []offsetcommit.RequestPartition) error {
	answer, err := l.client.transport.RoundTrip(ctx, l.client.addr, &offsetcommit.Request{
		GroupID:         l.cfg.Group,
		GenerationID:    -1, // no member of it
		RetentionTimeMs: -1, // the broker's default
		Topics:          []offsetcommit.RequestTopic{{Name: l.cfg.Topic, Partitions: parts}},
	})
	if err != nil {
		return err
	}
	r, ok := answer.(*offsetcommit.Response)
	if !ok {
		return errors.New("the broker's answer cannot be read")
	}
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 {
				return fmt.Errorf("partition %d: %w", p.PartitionIndex, kafkago.Error(p.ErrorCode))
			}
		}
	}
	return nil
}
