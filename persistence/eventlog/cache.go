package eventlog

import (
	"container/list"
	"fmt"
	"path/filepath"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence"
)

// cache holds chunks that were read back from the files, the least recently
// used going first. It belongs to the view and is under its lock. The limit
// may be passed by the chunk used last.
type cache struct {
	limit int64
	held  int64
	order list.List // of *chunk, most recently used first
}

type cacheEntry = list.Element

func (k *cache) addLocked(c *chunk) {
	c.used = k.order.PushFront(c)
	k.held += c.held.bytes
	for k.held > k.limit && k.order.Len() > 1 {
		k.dropLocked(k.order.Back().Value.(*chunk))
	}
}

func (k *cache) touchLocked(c *chunk) {
	if c.used != nil {
		k.order.MoveToFront(c.used)
	}
}

func (k *cache) dropLocked(c *chunk) {
	if c.used == nil {
		return
	}
	k.order.Remove(c.used)
	k.held -= c.held.bytes
	c.used, c.held = nil, nil
}

// load is a chunk on its way from the file into memory. All who need the chunk
// wait for the first one that does.
type load struct {
	done   chan struct{}
	result *blockLists // after done
	err    error       // after done
}

// loader reads chunks back.
type loader struct {
	fs         persistence.FS
	dir        string
	log        messages.LogID
	partitions int
}

// read reads a chunk's frames, checks them and sorts their blocks by
// partition, for all who read at about the same place.
func (l *loader) read(s *segment, at, size int64) (*blockLists, error) {
	name := segmentName(s.number)
	f, err := l.fs.OpenRead(filepath.Join(l.dir, name))
	if err != nil {
		return nil, fmt.Errorf("read log: %w", err)
	}
	defer f.Close()
	b := make([]byte, size)
	if err := readFull(f, b, at); err != nil {
		return nil, fmt.Errorf("read %s at byte %d: %w", name, at, err)
	}
	counts, good, err := l.check(b, s.seed)
	if err != nil {
		return nil, &CorruptError{File: name, Byte: at + int64(good), Reason: err.Error()}
	}
	lists := newBlockLists(l.partitions)
	lists.reserve(counts)
	var k frame
	for len(b) > 0 {
		n := le.Uint32(b)
		if err := k.decode(b[:n:n], l.partitions); err != nil {
			panic("eventlog: a frame just checked cannot be read: " + err.Error())
		}
		lists.add(&k, l.log)
		b = b[n:]
	}
	return lists, nil
}

// check checks the frames that b consists of and counts their blocks by
// partition. good is how many bytes are valid.
func (l *loader) check(b []byte, seed uint32) (counts []int, good int, err error) {
	counts = make([]int, l.partitions)
	var f frame
	for rest := b; len(rest) > 0; rest = b[good:] {
		if len(rest) < frameFixed {
			return counts, good, errPastEnd
		}
		n, err := frameLength(rest, int64(len(rest)))
		if err != nil {
			return counts, good, err
		}
		if err := f.parse(rest[:n], seed, l.partitions); err != nil {
			return counts, good, err
		}
		for k := range f.blocks() {
			counts[k.partition]++
		}
		good += n
	}
	return counts, good, nil
}
