package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/crestdb/crest/cmd/crest/screen"
	"github.com/crestdb/crest/cmd/crest/settings"
	"github.com/crestdb/crest/persistence"
	"github.com/crestdb/crest/persistence/eventlog"
)

func newLog(w world) *cobra.Command {
	c := &cobra.Command{
		Use:   "log",
		Short: "Look into a node's log",
		Long: `Look into the log in a node's data folder. Nothing is changed and no lock is
taken: the node may be running.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newLogLs(w), newLogCat(w), newLogVerify(w))
	return c
}

// logFlags say where the log is.
type logFlags struct {
	world
	data string
}

func (l *logFlags) addFlags(c *cobra.Command) {
	def := settings.Default().Data
	if v := l.getenv("CREST_DATA"); v != "" {
		def = v
	}
	c.Flags().SortFlags = false
	c.Flags().StringVar(&l.data, "data", def, "data folder `DIR` of the node (env CREST_DATA)")
}

// dir is the log's own folder.
func (l *logFlags) dir() string { return filepath.Join(l.data, "log") }

// verify reads the whole log.
func (l *logFlags) verify() (*eventlog.Report, error) {
	r, err := eventlog.Verify(persistence.OS{}, l.dir())
	return r, l.advise(err)
}

// advise says what to do where there is no log.
func (l *logFlags) advise(err error) error {
	if errors.Is(err, fs.ErrNotExist) && l.inKafka() {
		return fmt.Errorf("the log of %s is a topic of Kafka, and there is none here to look into: crest doctor --log kafka://HOST:PORT/TOPIC looks at topics", l.data)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no log in %s: name the node's data folder with --data (%w)", l.data, err)
	}
	return err
}

// inKafka tells whether the data folder is of a node whose log is a topic.
func (l *logFlags) inKafka() bool {
	for _, mark := range []string{"kafka.key", "dead-letters.jsonl", filepath.Join("store", "kafka")} {
		if _, err := os.Stat(filepath.Join(l.data, mark)); err == nil {
			return true
		}
	}
	return false
}

func newLogLs(w world) *cobra.Command {
	l, o := &logFlags{world: w}, &output{world: w}
	c := &cobra.Command{
		Use:   "ls",
		Short: "List the log's segments: frames, events, times",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := o.check(); err != nil {
				return err
			}
			r, err := l.verify()
			if err != nil {
				return err
			}
			if err := o.print(segmentsAnswer(r)); err != nil {
				return err
			}
			if len(r.Damage) > 0 {
				return errors.New("the log is damaged; crest log verify says where")
			}
			return nil
		},
	}
	l.addFlags(c)
	o.addFlags(c)
	return c
}

// segment is a segment as crest log ls shows it.
type segment struct {
	File       string     `json:"file"`
	Bytes      int64      `json:"bytes"`
	Frames     int        `json:"frames"`
	Events     uint64     `json:"events"`
	FirstStamp *time.Time `json:"first_stamp"` // null without a frame
	LastStamp  *time.Time `json:"last_stamp"`
}

func segmentsAnswer(r *eventlog.Report) answer {
	segments := make([]segment, len(r.Segments))
	for i, s := range r.Segments {
		segments[i] = segment{File: s.File, Bytes: s.Bytes, Frames: s.Frames, Events: s.Events}
		if s.Frames > 0 {
			first, last := s.FirstStamp.Time(), s.LastStamp.Time()
			segments[i].FirstStamp, segments[i].LastStamp = &first, &last
		}
	}
	moment := func(t *time.Time, layout string) string {
		if t == nil {
			return ""
		}
		return t.Format(layout)
	}
	return answer{
		value: segments,
		lines: func(width int, color bool) []string {
			t := &screen.Table{Columns: []screen.Column{
				{Title: "segment"}, {Title: "size", Right: true}, {Title: "frames", Right: true}, {Title: "events", Right: true}, {Title: "from"}, {Title: "to"},
			}}
			for _, s := range segments {
				const layout = "2006-01-02 15:04:05"
				t.Rows = append(t.Rows, []screen.Cell{
					{Text: s.File}, {Text: screen.Bytes(s.Bytes)}, {Text: screen.Number(uint64(s.Frames))}, {Text: screen.Number(s.Events)},
					{Text: moment(s.FirstStamp, layout)}, {Text: moment(s.LastStamp, layout)},
				})
			}
			return append(t.Lines(width, color), logSummary(r))
		},
		rows: func(write func(...string)) {
			write("file", "bytes", "frames", "events", "first_stamp", "last_stamp")
			for _, s := range segments {
				write(s.File, strconv.FormatInt(s.Bytes, 10), strconv.Itoa(s.Frames), number(s.Events), moment(s.FirstStamp, time.RFC3339Nano), moment(s.LastStamp, time.RFC3339Nano))
			}
		},
	}
}

// logSummary is the whole log in one line.
func logSummary(r *eventlog.Report) string {
	frames, events, bytes := 0, uint64(0), int64(0)
	for _, s := range r.Segments {
		frames += s.Frames
		events += s.Events
		bytes += s.Bytes
	}
	last := "no frame yet"
	if r.LastStamp > 0 {
		last = "last stamp " + screen.Moment(r.LastStamp.Time())
	}
	return fmt.Sprintf("log %x: %d partitions, clock %v, %d segments, %s, %s frames, %s events, %s",
		r.ID[:4], r.Partitions, r.Clock, len(r.Segments), screen.Bytes(bytes), screen.Number(uint64(frames)), screen.Number(events), last)
}

func newLogVerify(w world) *cobra.Command {
	l := &logFlags{world: w}
	c := &cobra.Command{
		Use:   "verify",
		Short: "Read the whole log and report damage",
		Long: `Read the whole log, check every frame, and report what is damaged and what is
lost by it. Exits with 1 if anything is. What lies behind the last durable byte
is no damage: nobody was told that it is in the log.`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			r, err := l.verify()
			if err != nil {
				return err
			}
			if err := l.printLines(verdict(r)); err != nil {
				return err
			}
			if len(r.Damage) > 0 {
				return fmt.Errorf("the log in %s is damaged and a node refuses to start on it: restore the data folder from a copy, or move the log away and have one made behind the snapshots (crest snapshot restore --identity)", l.data)
			}
			return nil
		},
	}
	l.addFlags(c)
	return c
}

// verdict is a report as lines.
func verdict(r *eventlog.Report) []string {
	lines := []string{logSummary(r)}
	if r.TailFrames > 0 {
		lines = append(lines, fmt.Sprintf("behind the durable end: %d whole frames (%s), which the next start keeps", r.TailFrames, screen.Bytes(r.TailBytes)))
	}
	if r.TornBytes > 0 {
		lines = append(lines, fmt.Sprintf("behind the last whole frame: %d bytes of one that was never finished, which the next start drops", r.TornBytes))
	}
	for _, d := range r.Damage {
		lines = append(lines, "damage: "+d.Error())
	}
	for _, lost := range r.Lost {
		to := fmt.Sprintf("to before %d (%s)", lost.To, screen.Number(uint64(lost.To-lost.From)))
		if lost.ToEnd {
			to = "on, as far as the log went"
		}
		lines = append(lines, fmt.Sprintf("lost: partition %d, offsets from %d %s", lost.Partition, lost.From, to))
	}
	if len(r.Damage) == 0 {
		lines = append(lines, "the log is sound")
	}
	return lines
}
