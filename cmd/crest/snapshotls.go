package main

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/crestdb/crest/cmd/crest/screen"
	"github.com/crestdb/crest/persistence/objectstore"
	"github.com/crestdb/crest/persistence/snapshot"
)

func newSnapshotLs(w world) *cobra.Command {
	s, o := &storeFlags{world: w}, &output{world: w}
	c := &cobra.Command{
		Use:   "ls",
		Short: "List the snapshots: partitions, roots, offsets, sizes, when",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return snapshotLs(c.Context(), s, o) },
	}
	s.addFlags(c)
	o.addFlags(c)
	return c
}

func snapshotLs(ctx context.Context, s *storeFlags, o *output) error {
	store, err := s.look(ctx, o)
	if err != nil {
		return err
	}
	defer closeStore(store)
	listings, err := s.listings(ctx, store)
	if err != nil {
		return err
	}
	if err := o.print(listingsAnswer(store, listings)); err != nil {
		return err
	}
	for _, l := range listings {
		if l.Err != nil {
			return errors.New("a manifest cannot be used; crest snapshot verify says what to do")
		}
	}
	return nil
}

// partitionSnapshots is a partition as crest snapshot ls shows it.
type partitionSnapshots struct {
	Log        string            `json:"log"`
	Partition  int               `json:"partition"`
	Partitions int               `json:"partitions"`
	HashKey    string            `json:"hash_key"` // names it
	Epoch      uint64            `json:"epoch"`
	Owner      string            `json:"owner"`
	Written    time.Time         `json:"written"`
	Cursors    map[string]uint64 `json:"cursors,omitempty"`
	Objects    int               `json:"objects"` // in its folder
	Bytes      int64             `json:"bytes"`
	Snapshots  []snapshotRow     `json:"snapshots"` // the last saved first
	Error      string            `json:"error,omitempty"`
}

// snapshotRow is one kept snapshot.
type snapshotRow struct {
	Root    string    `json:"root"`
	Epoch   uint64    `json:"epoch"`
	Offset  uint64    `json:"offset"`
	Bytes   int64     `json:"bytes"`
	Saved   time.Time `json:"saved"`
	Arrival time.Time `json:"arrival"` // largest arrival in it
	Format  uint32    `json:"format"`
}

func newSnapshotRow(r snapshot.RootInfo) snapshotRow {
	return snapshotRow{Root: path.Base(r.Key), Epoch: r.Epoch, Offset: uint64(r.Offset), Bytes: r.Bytes, Saved: r.Saved.UTC(), Arrival: r.Arrival.Time(), Format: r.Format}
}

func listingsAnswer(store objectstore.Store, listings []snapshot.Listing) answer {
	all := make([]partitionSnapshots, len(listings))
	for i, l := range listings {
		p := partitionSnapshots{
			Log: logText(l.Log), Partition: int(l.Partition), Partitions: l.Partitions, HashKey: l.HashKey, Epoch: l.Epoch, Owner: l.Owner,
			Written: l.Written, Cursors: l.Cursors, Objects: l.Objects, Bytes: l.Bytes, Snapshots: []snapshotRow{},
		}
		if l.Err != nil {
			p.Error = l.Err.Error()
		}
		for _, r := range l.Roots {
			p.Snapshots = append(p.Snapshots, newSnapshotRow(r))
		}
		all[i] = p
	}
	return answer{
		value: all,
		lines: func(width int, color bool) []string { return listingsLines(store, all, width, color) },
		rows: func(write func(...string)) {
			write("log", "partition", "epoch", "owner", "root", "offset", "bytes", "saved", "arrival", "error")
			for _, p := range all {
				head := []string{p.Log, strconv.Itoa(p.Partition), number(p.Epoch), p.Owner}
				for _, r := range p.Snapshots {
					write(append(head, r.Root, number(r.Offset), strconv.FormatInt(r.Bytes, 10), r.Saved.Format(time.RFC3339), r.Arrival.Format(time.RFC3339Nano), "")...)
				}
				if len(p.Snapshots) == 0 {
					write(append(head, "", "", "", "", "", p.Error)...)
				}
			}
		},
	}
}

func listingsLines(store objectstore.Store, all []partitionSnapshots, width int, color bool) []string {
	t := &screen.Table{Columns: []screen.Column{
		{Title: "log"}, {Title: "partition", Right: true}, {Title: "epoch", Right: true}, {Title: "owner"},
		{Title: "offset", Right: true}, {Title: "size", Right: true}, {Title: "saved"}, {Title: "root"},
	}}
	roots, bytes := 0, int64(0)
	for _, p := range all {
		bytes += p.Bytes
		roots += len(p.Snapshots)
		head := []screen.Cell{{Text: p.Log[:8]}, {Text: strconv.Itoa(p.Partition)}, {Text: number(p.Epoch)}, {Text: p.Owner}}
		for i, r := range p.Snapshots {
			if i > 0 {
				head = []screen.Cell{{}, {}, {}, {}}
			}
			t.Rows = append(t.Rows, append(head, screen.Cell{Text: screen.Number(r.Offset)}, screen.Cell{Text: screen.Bytes(r.Bytes)},
				screen.Cell{Text: screen.Moment(r.Saved)}, screen.Cell{Text: r.Root}))
		}
		if len(p.Snapshots) == 0 {
			state := screen.Cell{Text: "no snapshot yet"}
			if p.Error != "" {
				state = screen.Cell{Text: p.Error, Style: screen.Red}
			}
			t.Rows = append(t.Rows, append(head, screen.Cell{}, screen.Cell{}, screen.Cell{}, state))
		}
	}
	return append(t.Lines(width, color), fmt.Sprintf("%v: %d snapshots of %d partitions, %s in all", store, roots, len(all), screen.Bytes(bytes)))
}
