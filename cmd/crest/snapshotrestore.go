package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/crestdb/crest/cmd/crest/screen"
	"github.com/crestdb/crest/cmd/crest/settings"
	"github.com/crestdb/crest/persistence/objectstore"
	"github.com/crestdb/crest/persistence/snapshot"
)

func newSnapshotRestore(w world) *cobra.Command {
	r := &restoring{storeFlags: storeFlags{world: w}, output: output{world: w}}
	c := &cobra.Command{
		Use:   "restore",
		Short: "Make snapshots those that the node starts from",
		Long: `Make a snapshot of each partition the one that the node starts from: the newest
that is whole, or an older one (--before, --root). Snapshots that are newer than
it are let go of. With --from it is copied from another store first. Everything
is read and checked on the way, and doing it again does no harm. The node has to
be stopped; whoever else owns the partitions in the store is fenced.

What becomes of the log:

  a data folder with a log   stays as it is: the start replays it from the
                             snapshots on, so nothing in it is lost
  a data folder without one  gets one that begins behind the snapshots, of the
                             same identity; what came after them is lost. The
                             identity is in no store, since the secret of the
                             hashes is part of it: give a copy of the log's file
                             log.meta (--identity), or --hash-key-file and --clock
  a topic of Kafka           stays as it is, and no data folder is looked at: the
                             start reads it from the snapshots on, as far as it
                             still goes back (crest doctor tells)
  --store-only               no data folder is looked at: to copy snapshots from
                             one store to another`,
		Example: `  crest snapshot restore --before 2026-01-02T15:00:00Z
  crest snapshot restore --from s3://backup/crest --data /var/lib/crest
  crest snapshot restore --data new --store s3://bucket/crest --identity log.meta
  crest snapshot restore --from s3://bucket/crest --store dir:/mnt/backup --store-only`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return r.run(c.Context()) },
	}
	r.storeFlags.addFlags(c)
	f := c.Flags()
	f.StringVar(&r.from, "from", "", "copy from this store first, `dir:PATH|s3://BUCKET/PREFIX`")
	f.IntVar(&r.partition, "partition", -1, "restore partition `N` only, of a log that is there")
	f.StringVar(&r.root, "root", "", "restore the snapshot of this `ROOT`, as ls names it; with --partition")
	f.Var(&r.before, "before", "restore the newest snapshots that were saved by this `TIME`, such as 2026-01-02T15:04:05Z")
	f.StringVar(&r.identity, "identity", "", "`FILE` with the log's identity, a copy of its log.meta: makes a log where there is none")
	f.StringVar(&r.hashKeyFile, "hash-key-file", "", "`FILE` with the secret of the log's hashes, in place of --identity; with --clock")
	f.StringVar(&r.clock, "clock", "", "the log's clock, `wall|event`; with --hash-key-file")
	f.BoolVar(&r.storeOnly, "store-only", false, "do not look at a data folder")
	r.output.addFlags(c)
	return c
}

// momentFlag is a moment in RFC 3339.
type momentFlag struct{ time.Time }

func (m *momentFlag) Set(s string) (err error) {
	if m.Time, err = time.Parse(time.RFC3339, s); err != nil {
		return errors.New("want a time such as 2026-01-02T15:04:05Z")
	}
	return nil
}

func (m *momentFlag) String() string {
	if m.IsZero() {
		return ""
	}
	return m.Format(time.RFC3339)
}

func (*momentFlag) Type() string { return "TIME" }

// restoring is one crest snapshot restore.
type restoring struct {
	storeFlags
	output
	from, root, identity, hashKeyFile, clock string
	partition                                int
	before                                   momentFlag
	storeOnly                                bool
}

// check refuses flags that do not go together.
func (r *restoring) check() error {
	if err := errors.Join(r.output.check(), r.storeFlags.check()); err != nil {
		return err
	}
	if r.from != "" {
		if err := settings.CheckStore(r.from); err != nil {
			return usage("--%s: %w", settings.Shown("from", r.from), err)
		}
	}
	switch {
	case r.from == r.store:
		return usage("--from %s is the store itself: leave it out", r.from)
	case r.root != "" && r.partition < 0:
		return usage("--root is of one partition: say which with --partition")
	case r.root != "" && !r.before.IsZero():
		return usage("--root and --before: give one of them")
	case r.identity != "" && r.hashKeyFile != "":
		return usage("--identity and --hash-key-file: give one of them")
	case (r.hashKeyFile != "") != (r.clock != ""):
		return usage("--hash-key-file and --clock: give both, as the log had them")
	case r.storeOnly && (r.identity != "" || r.hashKeyFile != ""):
		return usage("--store-only makes no log: leave --identity and --hash-key-file out")
	}
	return nil
}

func (r *restoring) run(ctx context.Context) error {
	if err := r.check(); err != nil {
		return err
	}
	from := r.from
	if from == "" {
		from = r.store
	}
	source, err := r.open(ctx, from, false)
	if err != nil {
		return err
	}
	defer closeStore(source)
	listings, err := r.listings(ctx, source)
	if err != nil {
		return err
	}
	into, err := r.into(ctx, source, listings)
	if err != nil {
		return err
	}
	defer into.close()
	plan, err := r.plan(source, into, listings)
	if err != nil {
		return err
	}
	target := source // nothing has been made or changed so far
	if r.from != "" {
		if target, err = r.open(ctx, r.store, true); err != nil {
			return err
		}
		defer closeStore(target)
	}
	if into.topic != nil && source != target {
		if err := into.topic.Copy(ctx, source, target); err != nil {
			return err
		}
	}
	done, err := r.carryOut(ctx, source, target, plan)
	if err != nil {
		return err
	}
	if err := into.finish(done); err != nil {
		return err
	}
	return r.print(restoredAnswer(target, into, done))
}

// plan chooses a snapshot of every partition that has any, before anything is
// changed.
func (r *restoring) plan(source objectstore.Store, into *destination, listings []snapshot.Listing) ([]snapshot.Choice, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "an unknown host"
	}
	var plan []snapshot.Choice
	for i := range listings {
		l := &listings[i]
		if l.Log != into.log || r.partition >= 0 && int(l.Partition) != r.partition {
			continue
		}
		if err := into.fits(l); err != nil {
			return nil, fmt.Errorf("%v: %w", source, err)
		}
		if l.Err == nil && len(l.Roots) == 0 {
			continue
		}
		c := snapshot.Choice{Log: l.Log, Partition: l.Partition, Root: r.root, Owner: "crest snapshot restore on " + host}
		if !r.before.IsZero() {
			if c.Root, err = savedBy(l, r.before.Time); err != nil {
				return nil, err
			}
		}
		if err := into.reaches(l, c.Root); err != nil {
			return nil, err
		}
		plan = append(plan, c)
	}
	if len(plan) == 0 {
		return nil, fmt.Errorf("%v has no snapshot of what is to be restored: crest snapshot ls shows what it has", source)
	}
	return plan, nil
}

// savedBy is the newest snapshot of a partition that was saved by a time.
func savedBy(l *snapshot.Listing, at time.Time) (string, error) {
	if l.Err != nil {
		return "", fmt.Errorf("partition %d: when its snapshots were saved is not known: %w; leave --before out, or name one with --root", l.Partition, l.Err)
	}
	for _, root := range l.Roots {
		if !root.Saved.After(at) {
			return root.Key, nil
		}
	}
	oldest := l.Roots[len(l.Roots)-1]
	return "", fmt.Errorf("partition %d has no snapshot of %s or before: the oldest that is kept was saved at %s", l.Partition, at.Format(time.RFC3339), oldest.Saved.Format(time.RFC3339))
}

// carryOut restores one partition after the other. After an error those before
// stay restored, and trying again goes on from there.
func (r *restoring) carryOut(ctx context.Context, source, target objectstore.Store, plan []snapshot.Choice) ([]snapshot.RootInfo, error) {
	var done []snapshot.RootInfo
	for _, c := range plan {
		var info snapshot.RootInfo
		var err error
		if source == target {
			info, err = snapshot.Restore(ctx, target, c)
		} else {
			info, err = snapshot.Copy(ctx, source, target, c)
		}
		if err != nil {
			return nil, fmt.Errorf("%w (%d of %d partitions are restored; the same command again does the rest)", err, len(done), len(plan))
		}
		done = append(done, info)
	}
	return done, nil
}

// restored is what crest snapshot restore has done.
type restored struct {
	Store      string        `json:"store"`
	Log        string        `json:"log"`
	LogMade    bool          `json:"log_made"` // and begins behind the snapshots
	Partitions []restoredRow `json:"partitions"`
}

type restoredRow struct {
	Partition int `json:"partition"`
	snapshotRow
}

func restoredAnswer(target objectstore.Store, into *destination, done []snapshot.RootInfo) answer {
	v := restored{Store: target.String(), Log: logText(into.log), LogMade: into.makes(), Partitions: make([]restoredRow, len(done))}
	for i, info := range done {
		v.Partitions[i] = restoredRow{int(info.Partition), newSnapshotRow(info)}
	}
	return answer{
		value: v,
		lines: func(width int, color bool) []string {
			t := &screen.Table{Columns: []screen.Column{{Title: "partition", Right: true}, {Title: "offset", Right: true}, {Title: "size", Right: true}, {Title: "saved"}, {Title: "root"}}}
			for _, p := range v.Partitions {
				t.Rows = append(t.Rows, []screen.Cell{
					{Text: strconv.Itoa(p.Partition)}, {Text: screen.Number(p.Offset)}, {Text: screen.Bytes(p.Bytes)}, {Text: screen.Moment(p.Saved)}, {Text: p.Root},
				})
			}
			return append(t.Lines(width, color), into.epilogue(target, len(done)))
		},
		rows: func(write func(...string)) {
			write("partition", "root", "offset", "bytes", "saved")
			for _, p := range v.Partitions {
				write(strconv.Itoa(p.Partition), p.Root, number(p.Offset), strconv.FormatInt(p.Bytes, 10), p.Saved.Format(time.RFC3339))
			}
		},
	}
}

// logDir is the log's folder in the data folder.
func (s *storeFlags) logDir() string { return filepath.Join(s.data, "log") }

func partitionsText(n int) string {
	if n == 1 {
		return "1 partition"
	}
	return fmt.Sprintf("%d partitions", n)
}
