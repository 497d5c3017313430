package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/crestdb/crest/cmd/crest/screen"
	"github.com/crestdb/crest/gateway/api"
)

func newStatus(w world) *cobra.Command {
	a, o := &asker{world: w}, &output{world: w}
	c := &cobra.Command{
		Use:   "status",
		Short: "Show a node for its operator: shards, lag, memory, error bounds",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return status(c.Context(), a, o) },
	}
	c.Flags().SortFlags = false
	a.addFlags(c)
	o.addFlags(c)
	return c
}

func status(ctx context.Context, a *asker, o *output) error {
	if err := o.check(); err != nil {
		return err
	}
	node, err := a.client()
	if err != nil {
		return err
	}
	defer node.Close()
	s, err := node.Status(ctx)
	if err != nil {
		return a.advise(err)
	}
	return o.print(answer{
		value: s,
		lines: func(width int, color bool) []string { return screen.Status(s, width, color) },
		rows:  func(write func(...string)) { statusRows(s, write) },
	})
}

// statusRows has a row per shard.
func statusRows(s *api.Status, write func(...string)) {
	write("partition", "logged", "counted", "duplicates", "dead_lettered", "late", "clamped", "lag_records", "topics", "rows", "state_digest", "failed")
	for i := range s.Partitions {
		p := &s.Partitions[i]
		write(strconv.Itoa(p.Partition), number(p.Logged), number(p.Counted), number(p.Duplicates), number(p.DeadLettered), number(p.Late),
			number(p.Clamped), number(p.LagRecords), strconv.Itoa(p.Topics), strconv.Itoa(p.Rows), p.StateDigest, p.Failed)
	}
}
