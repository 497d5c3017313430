package main

import (
	"context"
	"fmt"
	"path"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/crestdb/crest/cmd/crest/screen"
	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/objectstore"
	"github.com/crestdb/crest/persistence/snapshot"
)

func newSnapshotVerify(w world) *cobra.Command {
	s, o := &storeFlags{world: w}, &output{world: w}
	c := &cobra.Command{
		Use:   "verify",
		Short: "Read all snapshots and report damage",
		Long: `Read every byte of every kept snapshot, check it, and report which objects are
damaged or missing, and what to do. Exits with 1 if any is.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return snapshotVerify(c.Context(), s, o) },
	}
	s.addFlags(c)
	o.addFlags(c)
	return c
}

func snapshotVerify(ctx context.Context, s *storeFlags, o *output) error {
	store, err := s.look(ctx, o)
	if err != nil {
		return err
	}
	defer closeStore(store)
	var log *messages.LogID
	if s.log != "" {
		listings, err := s.listings(ctx, store)
		if err != nil {
			return err
		}
		one, err := oneLog(store, listings)
		if err != nil {
			return err
		}
		log = &one
	}
	report, err := snapshot.Verify(ctx, store, log)
	if err != nil {
		return err
	}
	if err := o.print(verifyAnswer(store, report)); err != nil {
		return err
	}
	if !report.Sound() {
		return fmt.Errorf("snapshots in %v are damaged: do what is said above, and see persistence/OPERATIONS.md", store)
	}
	return nil
}

// verified is a report as crest snapshot verify shows it.
type verified struct {
	Sound     bool              `json:"sound"`
	Snapshots int               `json:"snapshots"`
	Objects   int               `json:"objects"` // read, each once
	Bytes     int64             `json:"bytes"`   // of them
	Damage    []damagedObject   `json:"damage"`
	Advice    []partitionAdvice `json:"advice"`
}

// damagedObject is an object that cannot be used.
type damagedObject struct {
	Object    string `json:"object"`
	Reason    string `json:"reason"`
	Partition *int   `json:"partition,omitempty"` // of the snapshot that needs it; null: a manifest
	Offset    uint64 `json:"offset,omitempty"`    // of the snapshot
}

// partitionAdvice is what to do about damage to a partition's snapshots.
type partitionAdvice struct {
	Partition string `json:"partition"` // its folder in the store
	Do        string `json:"do"`
}

const (
	adviseManifest = "the manifest is lost, and a node refuses to start on it: stop the node and run crest snapshot restore, which makes one from the roots that are whole"
	adviseSome     = "a start passes over what is damaged, and replays more of the log: restore it from a copy with crest snapshot restore --from STORE, or leave it until newer snapshots have taken its place and verify again"
	adviseNone     = "none is whole, and a node refuses to start on them: restore them from a copy with crest snapshot restore --from STORE"
)

func newVerified(r *snapshot.Report) *verified {
	v := &verified{Sound: r.Sound(), Snapshots: len(r.Roots), Objects: r.Objects, Bytes: r.Bytes, Damage: []damagedObject{}, Advice: []partitionAdvice{}}
	for _, d := range r.Manifests {
		v.Damage = append(v.Damage, damagedObject{Object: d.Key, Reason: d.Reason.Error()})
		v.Advice = append(v.Advice, partitionAdvice{path.Dir(d.Key), adviseManifest})
	}
	for i := 0; i < len(r.Roots); {
		folder := path.Dir(r.Roots[i].Root.Key)
		whole, damaged := 0, 0
		for ; i < len(r.Roots) && path.Dir(r.Roots[i].Root.Key) == folder; i++ {
			root := &r.Roots[i]
			if len(root.Damage) == 0 {
				whole++
				continue
			}
			damaged++
			partition := int(root.Root.Partition)
			for _, d := range root.Damage {
				v.Damage = append(v.Damage, damagedObject{d.Key, d.Reason.Error(), &partition, uint64(root.Root.Offset)})
			}
		}
		switch {
		case damaged > 0 && whole > 0:
			v.Advice = append(v.Advice, partitionAdvice{folder, adviseSome})
		case damaged > 0:
			v.Advice = append(v.Advice, partitionAdvice{folder, adviseNone})
		}
	}
	return v
}

func verifyAnswer(store objectstore.Store, r *snapshot.Report) answer {
	v := newVerified(r)
	return answer{
		value: v,
		lines: func(int, bool) []string {
			lines := []string{fmt.Sprintf("%v: %d snapshots, %d objects, %s", store, v.Snapshots, v.Objects, screen.Bytes(v.Bytes))}
			for _, d := range v.Damage {
				of := ""
				if d.Partition != nil {
					of = fmt.Sprintf(" (of the snapshot of partition %d at offset %d)", *d.Partition, d.Offset)
				}
				lines = append(lines, fmt.Sprintf("damage: %s: %s%s", d.Object, d.Reason, of))
			}
			for _, a := range v.Advice {
				lines = append(lines, fmt.Sprintf("%s: %s", a.Partition, a.Do))
			}
			if v.Sound {
				lines = append(lines, "the snapshots are sound")
			}
			return lines
		},
		rows: func(write func(...string)) {
			write("object", "reason", "partition", "offset")
			for _, d := range v.Damage {
				partition, offset := "", ""
				if d.Partition != nil {
					partition, offset = strconv.Itoa(*d.Partition), number(d.Offset)
				}
				write(d.Object, d.Reason, partition, offset)
			}
		},
	}
}
