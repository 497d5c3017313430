package eventlog

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence"
)

// chain is the log's files as found in its folder, before their frames are
// looked at.
type chain struct {
	id    messages.LogIdentity
	mark  durableMark
	slot  int // that mark is in
	links []link
	// damage to the chain itself, in order; Open wants none.
	damage []*CorruptError
}

// link is one segment of a chain.
type link struct {
	number uint64
	head   *header // nil if the file is missing or its header damaged
	size   int64
	// bound is how much of the file is durable: all of it must be valid.
	bound int64
}

func (k *link) name() string { return segmentName(k.number) }

// survey looks at a log's files. Errors are a missing log (fs.ErrNotExist), a
// file that cannot be read, or a damaged identity, without which nothing can
// be told.
func survey(fsys persistence.FS, dir string) (*chain, error) {
	c := &chain{}
	var err error
	if c.id, err = readMeta(fsys, dir); err != nil {
		return nil, err
	}
	numbers, err := listSegments(fsys, dir)
	if err != nil {
		return nil, err
	}
	if err := c.readMark(fsys, dir, numbers); err != nil {
		return nil, err
	}
	if err := c.readLinks(fsys, dir, numbers); err != nil {
		return nil, err
	}
	c.checkLinks()
	return c, nil
}

// listSegments is the numbers of the segments in dir, ascending.
func listSegments(fsys persistence.FS, dir string) ([]uint64, error) {
	names, err := fsys.List(dir)
	if err != nil {
		return nil, fmt.Errorf("list log: %w", err)
	}
	var numbers []uint64
	for _, name := range names {
		if n, ok := parseSegmentName(name); ok {
			numbers = append(numbers, n)
		}
	}
	return numbers, nil
}

func (c *chain) broken(file string, at int64, format string, args ...any) {
	c.damage = append(c.damage, &CorruptError{File: file, Byte: at, Reason: fmt.Sprintf(format, args...)})
}

// damageOf is the damage to a file that has no readable header.
func (c *chain) damageOf(file string) error {
	for _, d := range c.damage {
		if d.File == file {
			return d
		}
	}
	return &CorruptError{File: file, Reason: "no header"}
}

func (c *chain) readMark(fsys persistence.FS, dir string, numbers []uint64) error {
	var err error
	c.mark, c.slot, err = readMark(fsys, dir, c.id.ID)
	var corrupt *CorruptError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &corrupt):
		c.damage = append(c.damage, corrupt)
	case errors.Is(err, fs.ErrNotExist):
		c.broken(durableName, 0, "missing")
	default:
		return err
	}
	if len(numbers) > 0 { // for Verify: what the files alone tell
		c.mark = durableMark{first: numbers[0], last: numbers[len(numbers)-1]}
	}
	return nil
}

// readLinks makes one link per segment from the first to the last known of.
// Segments before the first one are what a Trim did not come to remove.
func (c *chain) readLinks(fsys persistence.FS, dir string, numbers []uint64) error {
	next := c.mark.first
	for _, n := range numbers {
		if n < next {
			continue
		}
		c.missing(next, n)
		k := link{number: n}
		if err := c.readLink(fsys, dir, &k); err != nil {
			return err
		}
		c.links = append(c.links, k)
		next = n + 1
	}
	c.missing(next, c.mark.last+1)
	return nil
}

// missing notes that the segments from … to-1 are not there. The first is
// named; a link without header stands for all of them.
func (c *chain) missing(from, to uint64) {
	if from >= to {
		return
	}
	reason := "missing"
	if to-from > 1 {
		reason = fmt.Sprintf("missing, and so is every segment up to %s", segmentName(to-1))
	}
	c.broken(segmentName(from), 0, "%s", reason)
	c.links = append(c.links, link{number: from})
}

func (c *chain) readLink(fsys persistence.FS, dir string, k *link) error {
	f, err := fsys.OpenRead(filepath.Join(dir, k.name()))
	if err != nil {
		return fmt.Errorf("open %s: %w", k.name(), err)
	}
	defer f.Close()
	if k.size, err = f.Size(); err != nil {
		return fmt.Errorf("size of %s: %w", k.name(), err)
	}
	k.head, err = readHeader(f, k.number, &c.id)
	var corrupt *CorruptError
	if errors.As(err, &corrupt) {
		c.damage = append(c.damage, corrupt)
		return nil
	}
	return err
}

// checkLinks fills in the bounds. Whether each file reaches its own shows when
// its frames are read.
func (c *chain) checkLinks() {
	for i := range c.links {
		k := &c.links[i]
		if k.head == nil {
			continue
		}
		if k.number == c.mark.last {
			k.bound = c.mark.length
		}
		k.bound = max(k.bound, k.head.synced)
		if i+1 < len(c.links) {
			successor := c.links[i+1].head
			if successor == nil { // damaged itself: all we know is where the file ends
				k.bound = k.size
				continue
			}
			if k.bound > successor.previousEnd {
				c.broken(successor.name(), 40, "it says that %s ends at byte %d, but that was durable up to %d",
					k.name(), successor.previousEnd, k.bound)
			}
			k.bound = successor.previousEnd
		}
	}
}

func (h *header) name() string { return segmentName(h.number) }
