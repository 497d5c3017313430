package node

import (
	"context"
	"fmt"

	"github.com/crestdb/crest/messages"
)

const (
	// stampSlack is more than a frame's stamp may lie behind the largest one
	// before it: it is stamped right before it is appended.
	stampSlack = 10 * messages.Minute
	// agreeMost is how many blocks are looked at; the largest stamp is in one of
	// the last few.
	agreeMost = 1 << 16
)

// agrees tells whether a snapshot was made from this log. A copy of a data folder
// is the same log by its identity, and if both take events they have different
// ones at the same offsets: a snapshot of the other's would stand in for events
// that were acknowledged here. Snapshots end with a block, and state the largest
// stamp up to it. What the log does not have any more is not looked at; nor what
// lies beyond its end, which the engine refuses.
func (s *snapshots) agrees(ctx context.Context, info *messages.SnapshotInfo, begins messages.Offset) error {
	ends := make(messages.Position, len(s.partitions))
	s.log.Ends(ends)
	if info.Offset > ends[info.Partition] {
		return nil
	}
	b := messages.Batch{MaxBytes: 1}
	at := info.Offset
	for range agreeMost {
		if at <= begins {
			break
		}
		// That the log cannot be read there says nothing against the snapshot.
		if err := s.log.Read(ctx, info.Partition, at-1, &b); err != nil {
			return ctx.Err()
		}
		last := &b.Blocks[0]
		switch {
		case last.End != at:
			return notOfThisLog(info, fmt.Sprintf("which is in the middle of a request there (%d to %d)", last.Offset, last.End))
		case last.Stamp == info.Arrival:
			return nil
		case last.Stamp > info.Arrival || last.Stamp < info.Arrival-stampSlack:
			return notOfThisLog(info, fmt.Sprintf("before which the last request came at %v, not at %v", last.Stamp, info.Arrival))
		}
		at = last.Offset
	}
	if at == 0 && info.Offset > 0 {
		return notOfThisLog(info, fmt.Sprintf("before which no request came at %v", info.Arrival))
	}
	return nil
}

func notOfThisLog(info *messages.SnapshotInfo, why string) error {
	return fmt.Errorf("it was not made from this log but from a copy of it that went on by itself: it ends at offset %d, %s", info.Offset, why)
}
