package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/crestdb/crest/cmd/crest/feed"
	"github.com/crestdb/crest/cmd/crest/input"
	"github.com/crestdb/crest/cmd/crest/screen"
)

func newIngest(w world) *cobra.Command {
	i := &ingest{feeding: newFeeding(w, 4)}
	i.kafka = newProducing(w)
	c := &cobra.Command{
		Use:   "ingest FILE|-",
		Short: "Send a file of events",
		Long: `Send a file of events, or standard input, to a node. NDJSON (.ndjson, .jsonl,
.json), CSV (.csv; its first row names the fields) and msgpack (.msgpack, .mpk)
are told apart by the name; gzip and zstd are read as they are.

Every event is sent and counted once, also when the node, the network or this
command break down in between: FILE.crest-progress remembers what is
acknowledged, and the same command goes on where it stopped. What was under way
is sent again with the Idempotency-Key it had, which the node remembers for its
dedup window (10 minutes unless set otherwise). If the window is over, nobody
can know any more whether those events are counted: the command stops and says
how to find out, and --unresolved says what to do then.

With --kafka no node is asked: the events are checked here and written to a
topic of Kafka as any producer would, a record of JSON for each, in the
partition of its topic. What has to be sent again while the command runs is not
there twice. Kafka remembers no keys, so what was under way when the command or
its last try broke down is left to --unresolved, unless the events have an
event_id: then --unresolved resend is exact.`,
		Example: `  crest ingest views.ndjson.zst
  crest ingest views.csv --rejects rejected.ndjson
  zcat views.gz | crest ingest - --format ndjson
  crest ingest views.ndjson --kafka 127.0.0.1:9092/events`,
		Args: oneArg("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			i.batchGiven = c.Flags().Changed("batch")
			if err := i.kafka.given(c, i.feeding); err != nil {
				return err
			}
			i.batchGiven = i.batchGiven || i.kafka.on() // it has a default of its own
			return i.run(c.Context(), args[0])
		},
	}
	c.Flags().SortFlags = false
	i.feeding.addFlags(c)
	c.Flags().StringVar(&i.progress, "progress", "", "`FILE` that remembers what is acknowledged, or none (default the file's name with .crest-progress)")
	c.Flags().StringVar(&i.unresolved, "unresolved", string(feed.Stop), "what to do with events that may be counted already: `stop|resend|skip`")
	c.Flags().BoolVar(&i.again, "again", false, "send a file once more that was sent completely")
	i.kafka.addFlags(c)
	return c
}

type ingest struct {
	*feeding
	batchGiven bool
	progress   string
	unresolved string
	again      bool
	kafka      *producing
}

func (i *ingest) run(ctx context.Context, path string) error {
	if err := i.check(); err != nil {
		return err
	}
	policy := feed.Policy(i.unresolved)
	if policy != feed.Stop && policy != feed.Resend && policy != feed.Skip {
		return usage("--unresolved %q: want stop, resend or skip", i.unresolved)
	}
	if path == "-" && i.progress != "" && i.progress != "none" {
		return usage("--progress %s: standard input cannot be read again from its beginning", i.progress)
	}
	f, err := i.open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	disconnect, err := i.target(ctx)
	if err != nil {
		return err
	}
	defer disconnect()
	progress, err := i.remember(path, f.Format())
	var complete *feed.CompleteError
	if errors.As(err, &complete) {
		_, err = fmt.Fprintf(i.out, "%s was %v; nothing to do (--again sends it once more)\n", path, complete)
		return err
	}
	if err != nil {
		return err
	}
	i.config.Unresolved = policy
	src := &feed.Cutter{File: f, Identity: progress.Identity(), Events: progress.Batch()}
	err = i.send(ctx, f, src, progress)
	return i.explain(err, path)
}

// target is where the events go: to a node, or to a topic of Kafka.
func (i *ingest) target(ctx context.Context) (disconnect func(), err error) {
	if i.kafka.on() {
		return i.kafka.connect(ctx, i.feeding)
	}
	if err := i.connect(ctx); err != nil {
		return nil, err
	}
	return i.node.Close, nil
}

// remember opens the progress file.
func (i *ingest) remember(path string, format input.Format) (*feed.Progress, error) {
	if path == "-" || i.progress == "none" {
		return feed.MemoryProgress(feed.RandomIdentity(), i.batch), nil
	}
	print, err := feed.FingerprintOf(path)
	if err != nil {
		return nil, err
	}
	plan := feed.Plan{File: print, Format: string(format)}
	if i.batchGiven {
		plan.Batch = i.batch
	}
	name := i.progressFile(path)
	p, err := feed.OpenProgress(name, plan, i.again)
	if errors.Is(err, os.ErrPermission) || errors.Is(err, errReadOnly) {
		return nil, fmt.Errorf("%w; keep it elsewhere with --progress FILE, or do without with --progress none", err)
	}
	return p, err
}

func (i *ingest) progressFile(path string) string {
	if i.progress != "" {
		return i.progress
	}
	return path + ".crest-progress"
}

// explain says how to go on after an error.
func (i *ingest) explain(err error, path string) error {
	var unresolved *feed.UnresolvedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &unresolved) && i.kafka.on():
		return fmt.Errorf("%w; if its events have an event_id go on with --unresolved resend; else look into the topic %s, and go on with --unresolved skip if they are there", unresolved, i.kafka.url.Topic)
	case errors.As(err, &unresolved):
		return fmt.Errorf("%w; look for its key %s in the node's log (crest log cat --data DIR --key %s): if it is there, go on with --unresolved skip, else with --unresolved resend", unresolved, unresolved.Key, unresolved.Key)
	case path == "-" || i.progress == "none" || errors.Is(err, errRejected):
		return err
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted; the same command goes on where it stopped")
	}
	return fmt.Errorf("%w; the same command goes on where it stopped", err)
}

// summary is the last line of a feeding.
func summary(verb string, t feed.Totals, took time.Duration) string {
	var b strings.Builder
	rate := float64(t.Events) / max(took.Seconds(), 1e-3)
	fmt.Fprintf(&b, "%s %s events, %s rejected, %.1f s, %s events/s", verb, screen.Number(uint64(t.Events)), screen.Number(uint64(t.Rejected)), took.Seconds(), screen.Number(uint64(rate)))
	if t.ResumedEvents > 0 {
		fmt.Fprintf(&b, " (%s sent before)", screen.Number(uint64(t.ResumedEvents)))
	}
	if t.Skipped > 0 {
		fmt.Fprintf(&b, " (%d unresolved blocks taken as counted)", t.Skipped)
	}
	return b.String()
}
