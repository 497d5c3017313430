package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence"
	"github.com/crestdb/crest/persistence/eventlog"
)

func newLogCat(w world) *cobra.Command {
	l := &logCat{logFlags: logFlags{world: w}}
	c := &cobra.Command{
		Use:   "cat",
		Short: "Print the log's records as NDJSON",
		Long: `Print every record of the log as a line of JSON: its partition, offset and
arrival stamp, and the fields of the event. Users are shown as the log has
them, as keyed hashes unless the node was told otherwise. With --frames, frames
are printed instead: also ticks and changes of settings, which hold no records.`,
		Example: `  crest log cat --data ./data | head
  crest log cat --data ./data --topic worldcup2025
  crest log cat --data ./data --frames`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return l.run(c.Context()) },
	}
	l.addFlags(c)
	c.Flags().IntVar(&l.partition, "partition", -1, "only partition `N` (default all)")
	c.Flags().StringVar(&l.topic, "topic", "", "only records of this `TOPIC`")
	c.Flags().StringVar(&l.key, "key", "", "only what was sent with this Idempotency-`KEY`")
	c.Flags().IntVar(&l.limit, "limit", 0, "at most `N` lines (default all)")
	c.Flags().BoolVar(&l.frames, "frames", false, "print frames instead of records")
	return c
}

type logCat struct {
	logFlags
	partition  int
	topic, key string
	limit      int
	frames     bool

	out   *bufio.Writer
	lines int
	buf   []byte
}

// errEnough ends a scan whose further frames are not asked for.
var errEnough = errors.New("enough")

func (l *logCat) run(ctx context.Context) error {
	if l.frames && l.topic != "" {
		return usage("--frames and --topic: frames have no topic; leave one out")
	}
	l.out = bufio.NewWriterSize(l.world.out, 64<<10)
	err := eventlog.Scan(persistence.OS{}, l.dir(), func(f eventlog.FrameInfo) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if l.key != "" && f.Key != l.key {
			return nil
		}
		if l.frames {
			return l.frame(&f)
		}
		return l.records(&f)
	})
	if flushed := l.out.Flush(); err == nil || errors.Is(err, errEnough) {
		err = flushed
	}
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, context.Canceled) {
		return nil // whoever reads has seen enough
	}
	return l.advise(err)
}

// line prints what is in buf.
func (l *logCat) line() error {
	if _, err := l.out.Write(append(l.buf, '\n')); err != nil {
		return err
	}
	if l.lines++; l.lines == l.limit {
		return errEnough
	}
	return nil
}

// wanted tells whether a partition is asked for.
func (l *logCat) wanted(p messages.Partition) bool {
	return l.partition < 0 || p == messages.Partition(l.partition)
}

func (l *logCat) records(f *eventlog.FrameInfo) error {
	if f.Kind != messages.FrameEvents {
		return nil
	}
	for _, b := range f.Blocks {
		if !l.wanted(b.Partition) {
			continue
		}
		data := b.Data
		var r messages.Record
		for i := range messages.Offset(b.Records) {
			var err error
			if data, err = r.ReadFrom(data); err != nil {
				return fmt.Errorf("%s, byte %d: record at partition %d, offset %d: %w", f.File, f.Byte, b.Partition, b.Offset+i, err)
			}
			if l.topic != "" && string(r.Topic) != l.topic {
				continue
			}
			l.buf = appendRecord(l.buf[:0], f, b.Partition, b.Offset+i, &r)
			if err := l.line(); err != nil {
				return err
			}
		}
	}
	return nil
}

// appendRecord appends a record as JSON: where it is, then the event.
func appendRecord(dst []byte, f *eventlog.FrameInfo, p messages.Partition, o messages.Offset, r *messages.Record) []byte {
	dst = fmt.Appendf(dst, `{"partition":%d,"offset":%d,"stamp":"%s"`, p, o, stampText(f.Stamp))
	if !f.Durable {
		dst = append(dst, `,"durable":false`...)
	}
	dst = appendMember(dst, "idempotency_key", []byte(f.Key))
	dst = appendMember(dst, "topic", r.Topic)
	if r.HasTime {
		dst = fmt.Appendf(dst, `,"timestamp":"%s"`, stampText(r.Time))
	}
	dst = appendMember(dst, "event_id", r.ID)
	dst = appendMember(dst, "category", r.Category)
	dst = appendMember(dst, "region", r.Region)
	if r.UserPlain {
		dst = appendMember(dst, "user_id", r.User)
	} else {
		dst = appendMember(dst, "user_hash", []byte(hex.EncodeToString(r.User)))
	}
	if r.Count != 1 {
		dst = append(dst, `,"count":`...)
		dst = strconv.AppendUint(dst, r.Count, 10)
	}
	if r.HasWatch {
		dst = append(dst, `,"watch_time_sec":`...)
		dst = strconv.AppendFloat(dst, float64(r.WatchMillis)/1000, 'f', -1, 64)
	}
	if r.Completed != messages.Unknown {
		dst = append(dst, `,"completed":`...)
		dst = strconv.AppendBool(dst, r.Completed == messages.True)
	}
	if len(r.Extra) > 0 { // members of one object, named by whoever sent them
		dst = append(dst, `,"extra":{`...)
		dst = append(append(dst, r.Extra...), '}')
	}
	return append(dst, '}')
}

// appendMember appends a member with a string, unless that is empty.
func appendMember(dst []byte, name string, value []byte) []byte {
	if len(value) == 0 {
		return dst
	}
	text, err := json.Marshal(string(value))
	if err != nil { // a string always can be
		panic(err)
	}
	dst = append(dst, ',', '"')
	dst = append(dst, name...)
	dst = append(dst, '"', ':')
	return append(dst, text...)
}

func stampText(m messages.Micros) string { return m.Time().Format(time.RFC3339Nano) }

// frameLine is a frame as --frames shows it.
type frameLine struct {
	Frame    string        `json:"frame"` // events, tick or control
	Stamp    string        `json:"stamp"`
	File     string        `json:"file"`
	Byte     int64         `json:"byte"`
	Size     int           `json:"size"`
	Durable  bool          `json:"durable"`
	Key      string        `json:"idempotency_key,omitempty"`
	Records  int           `json:"records"`
	Blocks   []blockLine   `json:"blocks"`
	Settings *settingsLine `json:"settings,omitempty"`
}

// settingsLine is what a change of settings sets.
type settingsLine struct {
	DedupWindow   string `json:"dedup_window"`
	MaxAhead      string `json:"max_ahead"`
	MaxCategories int    `json:"max_categories"`
	MaxRegions    int    `json:"max_regions"`
}

type blockLine struct {
	Partition messages.Partition `json:"partition"`
	Offset    messages.Offset    `json:"offset"`
	Records   uint32             `json:"records"`
}

var frameKinds = map[messages.FrameKind]string{
	messages.FrameEvents: "events", messages.FrameTick: "tick", messages.FrameControl: "control",
}

func (l *logCat) frame(f *eventlog.FrameInfo) error {
	line := frameLine{
		Frame: frameKinds[f.Kind], Stamp: stampText(f.Stamp), File: f.File, Byte: f.Byte, Size: f.Size, Durable: f.Durable, Key: f.Key,
		Blocks: []blockLine{},
	}
	for _, b := range f.Blocks {
		if !l.wanted(b.Partition) {
			continue
		}
		line.Blocks = append(line.Blocks, blockLine{b.Partition, b.Offset, b.Records})
		line.Records += int(b.Records)
		if f.Kind == messages.FrameControl {
			s, err := messages.ParseSettings(b.Data)
			if err != nil {
				return fmt.Errorf("%s, byte %d: %w", f.File, f.Byte, err)
			}
			line.Settings = &settingsLine{s.DedupWindow.String(), s.MaxAhead.String(), s.MaxCategories, s.MaxRegions}
		}
	}
	if len(line.Blocks) == 0 {
		return nil
	}
	var err error
	if l.buf, err = json.Marshal(line); err != nil {
		return err
	}
	return l.line()
}
