package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"

	"github.com/crestdb/crest/cmd/crest/settings"
	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence"
	"github.com/crestdb/crest/persistence/eventlog"
	"github.com/crestdb/crest/persistence/eventlog/kafka"
	"github.com/crestdb/crest/persistence/objectstore"
	"github.com/crestdb/crest/persistence/snapshot"
)

// destination is the log that snapshots are restored for.
type destination struct {
	log  messages.LogID
	dir  string               // of the log; "": there is none to look at
	open *eventlog.Log        // the one that is there; it keeps nodes away
	made messages.LogIdentity // of the one to be made; no partitions: none is
	// topic is set if the log is a topic of Kafka, which is nowhere to be looked at
	// or made.
	topic *kafka.Kept
}

// into finds out which log it is: the one in the data folder, the one whose
// identity was given, or the only one that the store knows.
func (r *restoring) into(ctx context.Context, source objectstore.Store, listings []snapshot.Listing) (*destination, error) {
	if r.storeOnly {
		log, err := oneLog(source, listings)
		if err != nil {
			return nil, err
		}
		topic, err := kafka.KeptOf(ctx, source, log)
		return &destination{log: log, topic: topic}, err
	}
	dir := r.logDir()
	_, err := eventlog.ReadIdentity(persistence.OS{}, filepath.Join(dir, eventlog.IdentityFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if into, err := r.intoTopic(ctx, source, listings); into != nil || err != nil {
			return into, err
		}
		return r.intoNew(dir, source, listings)
	case err != nil:
		return nil, err
	case r.identity != "" || r.hashKeyFile != "":
		return nil, fmt.Errorf("there is a log in %s already: leave --identity and --hash-key-file out to restore for it, or move it away to have one made", dir)
	}
	cfg := eventlog.DefaultConfig()
	cfg.Dir, cfg.MinFree, cfg.Logger = dir, 0, slog.New(slog.DiscardHandler)
	open, err := eventlog.Open(cfg)
	if err != nil {
		return nil, fmt.Errorf("%w: a node that runs has to be stopped first; a log that is damaged can be moved away, and one be made with --identity FILE", err)
	}
	return &destination{log: open.Identity().ID, dir: dir, open: open}, nil
}

// intoTopic is the log of the snapshots, if that is a topic of Kafka; else nil.
func (r *restoring) intoTopic(ctx context.Context, source objectstore.Store, listings []snapshot.Listing) (*destination, error) {
	logs := snapshot.Logs(listings)
	if len(logs) == 0 || r.identity != "" || r.hashKeyFile != "" {
		return nil, nil
	}
	if len(logs) > 1 {
		_, err := oneLog(source, listings)
		return nil, err
	}
	topic, err := kafka.KeptOf(ctx, source, logs[0])
	if topic == nil || err != nil {
		return nil, err
	}
	return &destination{log: logs[0], topic: topic}, nil
}

// intoNew is a log that is to be made.
func (r *restoring) intoNew(dir string, source objectstore.Store, listings []snapshot.Listing) (*destination, error) {
	if left, err := filepath.Glob(filepath.Join(dir, "*.seg")); err != nil || len(left) > 0 {
		return nil, errors.Join(err, fmt.Errorf("%s has a log, but no %s: put a copy of that file back there, the rest is as it was; or move the folder away to have a log made behind the snapshots (--identity)", dir, eventlog.IdentityFile))
	}
	if r.partition >= 0 {
		return nil, usage("--partition: there is no log in %s, and one that is made needs all partitions", r.data)
	}
	if r.identity != "" {
		id, err := eventlog.ReadIdentity(persistence.OS{}, r.identity)
		return &destination{log: id.ID, dir: dir, made: id}, err
	}
	if r.hashKeyFile == "" {
		return nil, usage("there is no log in %s: name the node's data folder with --data, give the log's identity (--identity, or --hash-key-file and --clock) to have a log made there, or --store-only", r.data)
	}
	key, err := (&settings.Settings{HashKeyFile: r.hashKeyFile}).HashKey()
	if err != nil {
		return nil, err
	}
	clock, err := messages.ParseClock(r.clock)
	if err != nil {
		return nil, usage("--clock %q: want wall or event", r.clock)
	}
	log, err := oneLog(source, listings)
	if err != nil {
		return nil, err
	}
	id := messages.LogIdentity{ID: log, Clock: clock, HashKey: *key, Settings: messages.DefaultSettings()}
	for _, l := range listings {
		id.Partitions = max(id.Partitions, l.Partitions)
	}
	if id.Partitions == 0 {
		return nil, fmt.Errorf("%v has no manifest that can be read, which would say how many partitions the log has: give --identity", source)
	}
	return &destination{log: log, dir: dir, made: id}, nil
}

// makes tells whether a log is to be made.
func (d *destination) makes() bool { return d.made.Partitions > 0 }

func (d *destination) close() {
	if d.open != nil {
		_ = d.open.Close() // nothing was written
	}
}

// fits refuses snapshots that are not of the log.
func (d *destination) fits(l *snapshot.Listing) error {
	id := d.made
	switch {
	case d.open != nil:
		id = d.open.Identity()
	case d.topic != nil:
		if int(l.Partition) >= d.topic.Partitions || l.Err == nil && l.Partitions != d.topic.Partitions {
			return fmt.Errorf("it has snapshots of a log of %d partitions, the topic %s has %d", max(l.Partitions, int(l.Partition)+1), d.topic.Topic, d.topic.Partitions)
		}
		return nil
	case !d.makes():
		return nil
	}
	switch {
	case int(l.Partition) >= id.Partitions || l.Err == nil && l.Partitions != id.Partitions:
		return fmt.Errorf("it has snapshots of a log of %d partitions, this one has %d", max(l.Partitions, int(l.Partition)+1), id.Partitions)
	case l.Err == nil && l.HashKey != snapshot.HashKeyID(&id):
		return errors.New("its snapshots were made under another hash key than the one given")
	}
	return nil
}

// reaches refuses a snapshot that the log which is there does not go on from.
// Root is that which is meant, "" the newest.
func (d *destination) reaches(l *snapshot.Listing, root string) error {
	if d.open == nil || l.Err != nil {
		return nil // a start finds out
	}
	n := d.open.Identity().Partitions
	begins, ends := make(messages.Position, n), make(messages.Position, n)
	d.open.Begins(begins)
	d.open.Ends(ends)
	for _, r := range l.Roots {
		if root != "" && filepath.Base(r.Key) != filepath.Base(root) {
			continue
		}
		p := l.Partition
		switch {
		case r.Offset > ends[p]:
			return fmt.Errorf("the snapshot of partition %d ends at offset %d, the log at %d: the log has lost events that the snapshot has. Move %s away and have a log made behind the snapshots (--identity with its log.meta), or choose an older snapshot with --before",
				p, r.Offset, ends[p], d.dir)
		case r.Offset < begins[p]:
			return fmt.Errorf("the snapshot of partition %d ends at offset %d, but the log begins at %d: what lies between was trimmed. Choose a newer one, or move %s away and have a log made behind the snapshots (--identity with its log.meta)",
				p, r.Offset, begins[p], d.dir)
		}
		return nil
	}
	return nil
}

// finish makes the log, if one is to be made.
func (d *destination) finish(done []snapshot.RootInfo) error {
	if !d.makes() {
		return nil
	}
	starts, stamp := make(messages.Position, d.made.Partitions), messages.Micros(0)
	for _, info := range done {
		starts[info.Partition] = info.Offset
		stamp = max(stamp, info.Arrival)
	}
	return eventlog.Create(persistence.OS{}, d.dir, &d.made, starts, stamp)
}

// epilogue says what has become of the log.
func (d *destination) epilogue(target objectstore.Store, restored int) string {
	switch {
	case d.makes() && restored < d.made.Partitions:
		return fmt.Sprintf("%s restored in %v, and a log made in %s that begins behind them; the other %d had no snapshot and begin empty. Events that came after the snapshots are not there.",
			partitionsText(restored), target, d.dir, d.made.Partitions-restored)
	case d.makes():
		return fmt.Sprintf("%s restored in %v, and a log made in %s that begins behind them. Events that came after the snapshots are not there.", partitionsText(restored), target, d.dir)
	case d.topic != nil:
		return fmt.Sprintf("%s restored in %v; whoever owned them is fenced. The log is the topic %s of Kafka: the next start reads it from there, as far as it goes back (crest doctor says whether it does).", partitionsText(restored), target, d.topic.Topic)
	case d.open != nil:
		return fmt.Sprintf("%s restored in %v; the next start replays the log in %s from there.", partitionsText(restored), target, d.dir)
	}
	return fmt.Sprintf("%s restored in %v; whoever owned them is fenced.", partitionsText(restored), target)
}
