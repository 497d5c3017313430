package node

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence"
	"github.com/crestdb/crest/persistence/eventlog"
)

// Log is the event log as a node uses it, whichever it is: the embedded one, or
// a topic of Kafka. Positions have an offset for every partition.
type Log interface {
	// Append makes a frame durable and fills pos with where its blocks end.
	Append(ctx context.Context, f *messages.Frame, pos messages.Position) error
	// Read fills a batch from an offset on, and waits until there is something.
	Read(ctx context.Context, p messages.Partition, from messages.Offset, b *messages.Batch) error
	// Begins and Ends fill pos with where the partitions begin and end now.
	Begins(pos messages.Position)
	Ends(pos messages.Position)
	// Older fills pos with how far everything was stamped before a moment, as far
	// as it could be given up; 0: nothing of the partition could.
	Older(than messages.Micros, pos messages.Position)
	// Trim gives up what lies below pos.
	Trim(pos messages.Position) error
	LastStamp() messages.Micros
	Identity() messages.LogIdentity
	// Err is nil, or why appends are refused.
	Err() error
	Close() error
}

// openEmbedded opens the log in the data folder, and then the store of
// snapshots. What the start needs of a full disk it gets from the reserve.
func (c *Core) openEmbedded(ctx context.Context, l *eventlog.Config) error {
	if err := c.usedWithKafka(ctx); err != nil {
		return err
	}
	err := c.reserve.Do("the log's start", func() (err error) {
		c.embedded, err = eventlog.Open(*l)
		return err
	})
	if err != nil {
		return err
	}
	c.log = c.embedded
	return c.openObjects(ctx)
}

func (c *Core) logConfig() eventlog.Config {
	split := c.cfg.Split()
	l := eventlog.DefaultConfig()
	l.Dir = filepath.Join(c.cfg.Data, "log")
	l.FS = c.cfg.FS
	l.HashKey = c.cfg.HashKey
	l.Settings = c.cfg.settings(messages.DefaultSettings())
	l.TailBytes, l.CacheBytes, l.GroupBytes = split.LogTail, split.LogCache, split.LogGroup
	l.MinFree, l.FreeSpace = c.cfg.MinFree, persistence.FreeSpace
	l.Logger = c.cfg.Logger
	if c.cfg.Partitions != nil {
		l.Partitions = *c.cfg.Partitions
	}
	if c.cfg.Clock != nil {
		l.Clock = *c.cfg.Clock
	}
	if c.ground.Log != nil {
		c.ground.Log(&l)
	}
	return l
}

// closeLog gives back the log, if it was opened, and what goes with it.
func (c *Core) closeLog() error {
	var err error
	if c.log != nil {
		err = wrap("close log", c.log.Close())
	}
	if c.lock != nil {
		err = errors.Join(err, wrap("unlock the data folder", c.lock.Close()))
	}
	return err
}
