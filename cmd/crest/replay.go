package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/crestdb/crest/cmd/crest/feed"
	"github.com/crestdb/crest/messages"
)

func newReplay(w world) *cobra.Command {
	r := &replay{feeding: newFeeding(w, 1)}
	c := &cobra.Command{
		Use:   "replay FILE|-",
		Short: "Send a file of events in their order and at a pace",
		Long: `Send a file of events in their order, one request after the other, as fast as
the node takes them or at a pace: --speed keeps the distances between the
events' times (1 as they were, 60 a minute for an hour), --rate sends so many
events per second.

The events' own times are kept, which is what a node with --clock event wants.
For a node that follows the wall clock, --rebase now moves them: with --speed
every event gets the moment at which it is sent, else all are shifted by the
same time, so that the last one is now.

A replay that is interrupted begins anew; to send a file without gaps or
repeats, use crest ingest.`,
		Example: `  crest replay views.ndjson.zst
  crest replay views.ndjson.zst --speed 60 --rebase now
  crest replay views.csv --rate 5000`,
		Args: oneArg("FILE"),
		RunE: func(c *cobra.Command, args []string) error { return r.run(c.Context(), args[0]) },
	}
	c.Flags().SortFlags = false
	c.Flags().Var((*factorFlag)(&r.pacer.Speed), "speed", "keep the distances between events' times, N times as fast")
	c.Flags().Var((*rateFlag)(&r.pacer.Rate), "rate", "send this many events per second")
	c.Flags().StringVar(&r.rebase, "rebase", "", "move the events' times to `now`")
	r.feeding.addFlags(c)
	return c
}

type replay struct {
	*feeding
	pacer  feed.Pacer
	rebase string
}

func (r *replay) run(ctx context.Context, path string) error {
	switch {
	case r.check() != nil:
		return r.check()
	case r.pacer.Speed > 0 && r.pacer.Rate > 0:
		return usage("--speed and --rate: give one of them")
	case r.rebase != "" && r.rebase != "now":
		return usage("--rebase %q: want now", r.rebase)
	}
	if err := r.shift(ctx, path); err != nil {
		return err
	}
	f, err := r.open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := r.connect(ctx); err != nil {
		return err
	}
	defer r.node.Close()
	id := feed.RandomIdentity()
	r.pacer.File, r.pacer.Identity, r.pacer.Events = f, id, r.batch
	err = r.send(ctx, f, &r.pacer, feed.MemoryProgress(id, r.batch))
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted")
	}
	return err
}

// shift works out what --rebase now means.
func (r *replay) shift(ctx context.Context, path string) error {
	if r.rebase == "" {
		return nil
	}
	if r.pacer.Speed > 0 {
		r.pacer.Live = true
		return nil
	}
	if path == "-" {
		return usage("--rebase now needs the last event's time first, and standard input cannot be read twice; give --speed, or a file")
	}
	f, err := r.open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	latest, ok, err := feed.LatestTime(ctx, f)
	if err != nil {
		return err
	}
	if ok {
		r.pacer.Shift = messages.MicrosOf(time.Now()) - latest
	}
	return nil
}
