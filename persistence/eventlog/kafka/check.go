package kafka

import (
	"errors"
	"fmt"
	"time"
)

// fillIn puts in the defaults of what is 0 and cannot be.
func (c *Config) fillIn() {
	d := DefaultConfig()
	if c.ClientID == "" {
		c.ClientID = d.ClientID
	}
	if c.Replication == 0 {
		c.Replication = d.Replication
	}
	if c.MaxRecord == 0 {
		c.MaxRecord = d.MaxRecord
	}
	if c.MaxWaiting == 0 {
		c.MaxWaiting = d.MaxWaiting
	}
	if c.GiveUp == 0 {
		c.GiveUp = d.GiveUp
	}
	if c.FetchBytes == 0 {
		c.FetchBytes = d.FetchBytes
	}
	if c.FetchWait == 0 {
		c.FetchWait = d.FetchWait
	}
}

// check names the first setting out of range, behind Validate.
func (c *Config) check() error {
	switch {
	case c.Replication < -1 || c.Replication > 1<<15-1:
		return fmt.Errorf("kafka: replication %d: want -1 (the broker's default) or 1 to %d", c.Replication, 1<<15-1)
	case c.Retention < 0:
		return fmt.Errorf("kafka: retention %v: want 0 (for ever) or more", c.Retention)
	case c.Write > WriteEvents:
		return fmt.Errorf("kafka: write %d: want %d or %d", c.Write, WriteBlocks, WriteEvents)
	case c.MaxRecord < leastRecord:
		return fmt.Errorf("kafka: records of at most %d bytes: want %d or more", c.MaxRecord, leastRecord)
	case c.MaxWaiting < int64(c.MaxRecord):
		return fmt.Errorf("kafka: %d bytes may wait: want at least one record's, %d", c.MaxWaiting, c.MaxRecord)
	case c.GiveUp < time.Second:
		return fmt.Errorf("kafka: give up after %v: want 1s or more", c.GiveUp)
	case c.DeadTopic == c.Topic:
		return errors.New("kafka: dead letters into the topic itself would be read again: name another one")
	case c.deadTopic() == "" && c.DeadFile == "":
		return errors.New("kafka: dead letters have neither a topic nor a file")
	}
	if err := c.checkNames(); err != nil {
		return err
	}
	if err := c.Settings.Validate(); err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	_, err := newBatchEncoder(c.Compression)
	return err
}
