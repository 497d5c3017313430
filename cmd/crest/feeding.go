package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/crestdb/crest/cmd/crest/feed"
	"github.com/crestdb/crest/cmd/crest/input"
	"github.com/crestdb/crest/cmd/crest/screen"
	"github.com/crestdb/crest/cmd/crest/settings"
	"github.com/crestdb/crest/gateway/client"
)

var (
	errRejected = errors.New("events were rejected")
	errReadOnly = syscall.EROFS
)

// feeding is what sending a file has in common, however it is paced.
type feeding struct {
	asker
	format  string
	batch   int
	rejects string

	config feed.Config
	node   *client.Client
	to     feed.Ingester // the node, or something else that takes events
}

func newFeeding(w world, parallel int) *feeding {
	f := &feeding{asker: asker{world: w}, config: feed.DefaultConfig()}
	f.config.Parallel = parallel
	return f
}

func (f *feeding) addFlags(c *cobra.Command) {
	f.asker.addFlags(c)
	c.Flags().StringVar(&f.format, "format", "", "format of the events, `ndjson|csv|msgpack` (default by the file's name)")
	c.Flags().IntVar(&f.batch, "batch", feed.DefaultBatch, "at most `N` events per request")
	c.Flags().IntVar(&f.config.Parallel, "parallel", f.config.Parallel, "`N` requests in flight; more than one gives up the order of events")
	c.Flags().StringVar(&f.rejects, "rejects", "", "write rejected events with their lines and reasons to this `FILE`")
}

func (f *feeding) check() error {
	switch {
	case f.batch < 1 || f.batch > 1_000_000:
		return usage("--batch %d: want 1 to 1000000", f.batch)
	case f.config.Parallel < 1 || f.config.Parallel > 256:
		return usage("--parallel %d: want 1 to 256", f.config.Parallel)
	}
	if f.format != "" {
		if _, err := input.ParseFormat(f.format); err != nil {
			return usage("--%w", err)
		}
	}
	return nil
}

// open opens the file, or standard input.
func (f *feeding) open(path string) (*input.File, error) {
	if path == "-" {
		if f.format == "" {
			return nil, usage("standard input has no name to tell the format by; give --format ndjson, csv or msgpack")
		}
		return input.Stream(f.in, "standard input", input.Format(f.format))
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("open events: %w", err)
	}
	if f.format == "" {
		if _, err := input.FormatOf(path); err != nil {
			return nil, &usageError{err: err}
		}
	}
	return input.Open(path, input.Format(f.format))
}

// connect makes the client and asks the node how long it remembers keys.
func (f *feeding) connect(ctx context.Context) error {
	node, err := f.client(client.WithConnections(f.config.Parallel))
	if err != nil {
		return err
	}
	status, err := node.Status(ctx)
	if err == nil {
		f.config.DedupWindow, err = settings.ParseDuration(status.Settings.DedupWindow)
	}
	if err != nil {
		node.Close()
		return f.advise(err)
	}
	f.node, f.to = node, node
	return nil
}

// send sends all blocks, shows how it goes, and prints the summary.
func (f *feeding) send(ctx context.Context, file *input.File, src feed.Source, progress *feed.Progress) (err error) {
	rejections, err := f.newRejections(file.Format())
	if err != nil {
		return err
	}
	bar := newBar(f.world, file)
	f.config.ContentType = file.MediaType()
	f.config.Rejected = func(r feed.Rejection) error { return rejections.add(r, bar) }
	f.config.Sent = bar.sent
	f.config.Waiting = bar.waiting
	began := time.Now()
	totals, err := feed.Send(ctx, f.to, src, progress, f.config)
	bar.close()
	err = errors.Join(err, rejections.close())
	if _, e := fmt.Fprintln(f.out, summary("sent", totals, time.Since(began))); err == nil {
		err = e
	}
	if err == nil && totals.Rejected+totals.ResumedRejected > 0 {
		hint := "; give --rejects FILE to keep them"
		if f.rejects != "" {
			hint = "; " + f.rejects + " has them"
		}
		err = fmt.Errorf("%s %w%s", screen.Number(uint64(totals.Rejected+totals.ResumedRejected)), errRejected, hint)
	}
	return err
}

// rejections shows the first rejected events, and writes all to a file if
// asked to.
type rejections struct {
	feeding *feeding
	plain   bool // events are text and can be written as they are
	file    *os.File
	shown   int
}

// maxShown is how many rejections are shown.
const maxShown = 10

func (f *feeding) newRejections(format input.Format) (*rejections, error) {
	r := &rejections{feeding: f, plain: format != input.Msgpack}
	if f.rejects == "" {
		return r, nil
	}
	var err error
	// Appended to, since a command that goes on has already written some.
	r.file, err = os.OpenFile(f.rejects, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("--rejects: %w", err)
	}
	return r, nil
}

// rejectedLine is a line of the file of rejected events.
type rejectedLine struct {
	Line     int64  `json:"line"`
	LastLine int64  `json:"last_line,omitempty"`
	Events   int    `json:"events,omitempty"`
	Reason   string `json:"reason"`
	Event    string `json:"event,omitempty"`
}

func (r *rejections) add(x feed.Rejection, b *bar) error {
	line := rejectedLine{Line: x.Line, LastLine: x.LastLine, Events: x.More, Reason: x.Reason}
	where := fmt.Sprintf("line %d", x.Line)
	if x.More > 0 {
		line.Reason = "the node names the first 100 rejected events of a request; a smaller --batch names more"
		where = fmt.Sprintf("%d events of lines %d to %d", x.More, x.Line, x.LastLine)
	}
	if r.shown < maxShown {
		r.shown++
		b.say(fmt.Sprintf("rejected: %s: %s", where, line.Reason))
		if r.shown == maxShown {
			b.say("further rejections are not shown")
		}
	}
	if r.file == nil {
		return nil
	}
	if r.plain {
		line.Event = string(x.Event)
	}
	text, err := json.Marshal(line)
	if err == nil {
		_, err = r.file.Write(append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("--rejects: %w", err)
	}
	return nil
}

func (r *rejections) close() error {
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}
