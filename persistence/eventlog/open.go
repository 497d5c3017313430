package eventlog

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/crestdb/crest/messages"
)

// open makes or checks the log's files and builds the Log, without its
// goroutines. The folder's lock is held.
func open(cfg Config) (*Log, error) {
	if err := prepare(&cfg); err != nil {
		return nil, err
	}
	c, err := survey(cfg.FS, cfg.Dir)
	if err != nil {
		return nil, err
	}
	if err := cfg.matches(&c.id); err != nil {
		return nil, err
	}
	if len(c.damage) > 0 {
		return nil, c.damage[0]
	}
	l := &Log{
		cfg:     cfg,
		id:      c.id,
		view:    newView(&c.id, &cfg),
		loader:  loader{fs: cfg.FS, dir: cfg.Dir, log: c.id.ID, partitions: c.id.Partitions},
		pending: newGroup(),
		poke:    make(chan struct{}, 1),
		closing: make(chan struct{}),
	}
	if err := l.recover(c); err != nil {
		return nil, err
	}
	if l.marks, err = openDurable(cfg.FS, cfg.Dir, c.id.ID, c.mark, c.slot); err != nil {
		return nil, err
	}
	segments := l.view.segments
	if err := errors.Join(l.activate(segments[len(segments)-1]), l.marks.sync()); err != nil {
		return nil, errors.Join(err, l.marks.close(), l.closeFile())
	}
	if err := l.removeTrimmed(c.mark.first); err != nil {
		cfg.Logger.Warn("trimmed segments are still there", "dir", cfg.Dir, "error", err)
	}
	l.next = slices.Clone(l.view.ends)
	l.measureSpace()
	return l, nil
}

// prepare makes what a log needs at least, or finishes making it: first its
// identity, then segment 0, last the side file. It never makes anything of a
// log that has had frames: what is missing there is damage.
func prepare(cfg *Config) error {
	names, err := cfg.FS.List(cfg.Dir)
	if err != nil {
		return err
	}
	// After a kill a name may be there, but not durably.
	if err := cfg.FS.SyncDir(cfg.Dir); err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasSuffix(name, tempSuffix) {
			if err := cfg.FS.Remove(filepath.Join(cfg.Dir, name)); err != nil {
				return err
			}
		}
	}
	hasSegments := slices.ContainsFunc(names, func(n string) bool { _, ok := parseSegmentName(n); return ok })
	hasDurable := slices.Contains(names, durableName)
	id, err := readMeta(cfg.FS, cfg.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		if hasSegments || hasDurable {
			return &CorruptError{File: metaName, Reason: "missing"}
		}
		id = newIdentity(cfg)
		err = writeMeta(cfg.FS, cfg.Dir, &id)
	}
	if err != nil || hasDurable {
		return err
	}
	if hasSegments {
		if err := checkBare(cfg, &id); err != nil {
			return err
		}
	} else if err := makeFirst(cfg, &id); err != nil {
		return err
	}
	return makeDurable(cfg.FS, cfg.Dir, id.ID, durableMark{sequence: 1, length: headerSize(id.Partitions)})
}

func makeFirst(cfg *Config, id *messages.LogIdentity) error {
	return makeSegment(cfg.FS, cfg.Dir, &header{
		log:    id.ID,
		synced: headerSize(id.Partitions),
		base:   make([]messages.Offset, id.Partitions),
	}, nil)
}

// checkBare refuses unless the only segment is number 0 and without frames, as
// an interrupted making leaves it.
func checkBare(cfg *Config, id *messages.LogIdentity) error {
	numbers, err := listSegments(cfg.FS, cfg.Dir)
	if err != nil {
		return err
	}
	b, err := readSmall(cfg.FS, filepath.Join(cfg.Dir, segmentName(numbers[0])), headerSize(id.Partitions)+1)
	if err != nil {
		return err
	}
	if len(numbers) > 1 || numbers[0] != 0 || int64(len(b)) > headerSize(id.Partitions) {
		return &CorruptError{File: durableName, Reason: "missing"}
	}
	return nil
}
