package main

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/crestdb/crest/cmd/crest/screen"
	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/gateway/client"
	"github.com/crestdb/crest/messages"
)

func newTop(w world) *cobra.Command {
	t := &top{asker: asker{world: w}, output: output{world: w}}
	c := &cobra.Command{
		Use:   "top",
		Short: "Show the top topics of a window",
		Long: `Show the most frequent topics of the window that ends now, of everything or of
one category, region or both. Where counts are not exact, their bounds are
shown. With --watch the board is redrawn in place, with what moved: ranks and
counts against some seconds before, and how each topic developed.`,
		Example: `  crest top
  crest top --window 24h --category music --region US -k 50
  crest top --window 5m --watch
  crest top -o csv > top.csv`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return t.run(c.Context()) },
	}
	c.Flags().SortFlags = false
	t.scopeFlags.addFlags(c, "1h")
	c.Flags().IntVarP(&t.k, "top", "k", 10, "`N` rows, 1 to 1000")
	c.Flags().StringVar(&t.rank, "rank", api.RankCount, "`MODE` to rank by: count")
	c.Flags().BoolVar(&t.watch, "watch", false, "redraw in place until interrupted")
	t.interval = time.Second
	c.Flags().Var((*durationFlag)(&t.interval), "interval", "how often to redraw with --watch")
	t.asker.addFlags(c)
	t.output.addFlags(c)
	return c
}

type top struct {
	asker
	output
	scopeFlags
	k        int
	rank     string
	watch    bool
	interval time.Duration
}

func (t *top) run(ctx context.Context) error {
	scope, err := t.scope()
	switch {
	case err != nil:
		return err
	case t.check() != nil:
		return t.check()
	case t.k < 1 || t.k > messages.MaxK:
		return usage("--top %d: want 1 to %d", t.k, messages.MaxK)
	case t.rank != api.RankCount:
		return usage("--rank %q: want %s", t.rank, api.RankCount)
	case t.watch && t.format != "table":
		return usage("--watch draws a table: leave --output %s out", t.format)
	case t.watch && t.interval < 100*time.Millisecond:
		return usage("--interval %v: want 100ms or more", t.interval)
	}
	node, err := t.asker.client()
	if err != nil {
		return err
	}
	defer node.Close()
	q := client.TrendingQuery{Scope: scope, Top: t.k}
	if t.watch {
		return t.advise(watch(ctx, t.asker.world, node, q, t.interval))
	}
	board, err := node.Trending(ctx, q)
	if err != nil {
		return t.advise(err)
	}
	return t.print(boardAnswer(board))
}

func boardAnswer(b *api.Board) answer {
	return answer{
		value: b,
		lines: func(width int, color bool) []string { return screen.Board(b, width, color) },
		rows: func(write func(...string)) {
			write("rank", "topic", "count_estimate", "lower_bound", "upper_bound", "certified")
			for i := range b.Topics {
				r := &b.Topics[i]
				write(strconv.Itoa(r.Rank), r.Topic, number(r.Estimate), number(r.Lower), number(r.Upper), strconv.FormatBool(r.Certified))
			}
		},
	}
}
