package main

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/crestdb/crest/cmd/crest/screen"
	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/messages"
)

func newCount(w world) *cobra.Command {
	a, o, s := &asker{world: w}, &output{world: w}, &scopeFlags{}
	c := &cobra.Command{
		Use:   "count TOPIC",
		Short: "Show how often a topic occurred",
		Long: `Show how often a topic occurred in the window that ends now, in everything or
in one category, region or both. Any topic can be asked for, also one that
never occurred.`,
		Example: `  crest count worldcup2025
  crest count worldcup2025 --window 24h --region IN`,
		Args: oneArg("TOPIC"),
		RunE: func(c *cobra.Command, args []string) error { return count(c.Context(), a, o, s, args[0]) },
	}
	c.Flags().SortFlags = false
	s.addFlags(c, "5m")
	a.addFlags(c)
	o.addFlags(c)
	return c
}

func count(ctx context.Context, a *asker, o *output, s *scopeFlags, topic string) error {
	scope, err := s.scope()
	if err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return err
	}
	node, err := a.client()
	if err != nil {
		return err
	}
	defer node.Close()
	n, err := node.Count(ctx, topic, scope)
	if err != nil {
		return a.advise(err)
	}
	return o.print(answer{
		value: n,
		lines: func(_ int, color bool) []string { return screen.Count(n, color) },
		rows: func(write func(...string)) {
			write("topic", "window", "category", "region", "count_estimate", "lower_bound", "upper_bound", "exact", "window_total")
			total := "" // not known while a partition has failed
			if n.WindowTotalUpper != nil {
				total = number(n.WindowTotal)
			}
			write(n.Topic, n.Window, orEmpty(n.Category), orEmpty(n.Region), number(n.Estimate), number(n.Lower), number(n.Upper), strconv.FormatBool(n.Exact), total)
		},
	})
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func newHistory(w world) *cobra.Command {
	h := &history{asker: asker{world: w}, output: output{world: w}}
	c := &cobra.Command{
		Use:   "history TOPIC",
		Short: "Show how a topic's count developed",
		Example: `  crest history worldcup2025
  crest history worldcup2025 --window 24h --granularity 1h -o csv`,
		Args: oneArg("TOPIC"),
		RunE: func(c *cobra.Command, args []string) error { return h.run(c.Context(), args[0]) },
	}
	c.Flags().SortFlags = false
	h.scopeFlags.addFlags(c, "1h")
	c.Flags().StringVar(&h.granularity, "granularity", "", "length `D` of each point, such as 5m; a whole part of the window (default what suits the window)")
	h.asker.addFlags(c)
	h.output.addFlags(c)
	return c
}

type history struct {
	asker
	output
	scopeFlags
	granularity string
}

func (h *history) run(ctx context.Context, topic string) error {
	scope, err := h.scope()
	if err != nil {
		return err
	}
	if err := h.check(); err != nil {
		return err
	}
	if scope.Window == "all" {
		return usage("--window all: a history needs a length, at most 30d")
	}
	if h.granularity != "" {
		if _, err := messages.ParseLength(h.granularity); err != nil {
			return usage("--granularity: %w", err)
		}
	}
	node, err := h.asker.client()
	if err != nil {
		return err
	}
	defer node.Close()
	answered, err := node.History(ctx, topic, h.granularity, scope)
	if err != nil {
		return h.advise(err)
	}
	return h.print(historyAnswer(answered))
}

func historyAnswer(h *api.History) answer {
	return answer{
		value: h,
		lines: func(width int, color bool) []string { return screen.History(h, width, color) },
		rows: func(write func(...string)) {
			write("timestamp", "count_estimate", "lower_bound", "upper_bound")
			for _, p := range h.Trend {
				write(p.Timestamp.UTC().Format(time.RFC3339), number(p.Estimate), number(p.Lower), number(p.Upper))
			}
		},
	}
}
