package window

import (
	"github.com/crestdb/crest/actors/rank"
	"github.com/crestdb/crest/messages"
)

// Config says what a table is made for.
type Config struct {
	// Hash is the keyed hash that DeltaRow.Hash holds of a topic. Required.
	Hash func(topic []byte) uint64
	// Memory is what the table may hold, in bytes; 0: whatever it takes. When it
	// is full, rows leave, and answers carry bounds.
	Memory int64
	// Epsilon and Delta are the wanted error of what is kept of rows that left:
	// a count reads at most Epsilon of all that is kept so too high, with
	// probability 1 − Delta. Memory wins over Epsilon (see SketchError).
	Epsilon, Delta float64
	// Key is the secret of the sketches' hashes.
	Key [2]uint64
}

// Table is the state of one shard.
type Table struct {
	hash                func(topic []byte) uint64
	categories, regions *Names
	topics              topics
	rows                rows
	line                timeline
	clock               messages.Micros
	first               messages.Micros // start of the earliest slice with a count; maxMoment: none
	// starts is where the standard windows begin as of the clock: the totals
	// of a row are its counts from there on.
	starts [windows]messages.Micros

	merge   merge
	watches watches
	hidden  hidden
	sweep   sweep
	hiding  hiding
	scratch scratch
	frozen  *Frozen // nil: none is held
}

// scratch is buffers that answers reuse.
type scratch struct {
	block     block
	selection rank.Selection
	streams   []stream
	ids       []rowID
	sorter    sorter
	slots     []int
	waited    uint64 // see resolve
	expiry    expiry
}

// New makes an empty table. Its clock stands at the epoch.
func New(cfg Config) *Table {
	if cfg.Hash == nil {
		panic("window: Config.Hash is missing")
	}
	t := &Table{
		hash:       cfg.Hash,
		categories: NewNames(),
		regions:    NewNames(),
		rows:       newRows(),
		first:      maxMoment,
		watches:    newWatches(),
		hidden:     newHidden(&cfg),
		sweep:      newSweep(),
	}
	t.line.most = spareIn(cfg.Memory)
	t.line.tight = cfg.Memory > 0
	t.scratch.sorter.most = t.line.most
	t.setStarts()
	return t
}

// Clock is how far the table has slid.
func (t *Table) Clock() messages.Micros { return t.clock }

// First is the start of the earliest slice anything was counted in; false:
// nothing was.
func (t *Table) First() (messages.Micros, bool) { return t.first, t.first != maxMoment }

// Apply counts a delta: its names, then its rows as of its clock.
func (t *Table) Apply(d *Delta) {
	t.categories.Apply(&d.Categories)
	t.regions.Apply(&d.Regions)
	t.slide(d.Clock)
	for i := 0; i < len(d.Rows); {
		// Rows of one slice mostly stand together: find the slice once.
		j := i + 1
		for j < len(d.Rows) && d.Rows[j].Slice == d.Rows[i].Slice {
			j++
		}
		t.count(d, d.Rows[i:j])
		i = j
	}
	t.noteHidden()
	t.age()
	t.merge.credit += creditPerRow * len(d.Rows)
	t.work()
	t.shrink(len(d.Rows))
}

// Slide moves the table on to engine time e, ahead of the partition clock: the
// windows of a quiet partition slide by the node clock. Never backwards.
func (t *Table) Slide(e messages.Micros) {
	if e.Floor(messages.SliceLength) > t.line.open {
		t.age()
	}
	t.slide(e)
	t.work()
	t.shrink(0)
}

func (t *Table) slide(e messages.Micros) {
	if e <= t.clock {
		return
	}
	t.clock = e
	open := e.Floor(messages.SliceLength)
	if open == t.line.open {
		return
	}
	if t.hidden.on {
		t.line.close(&t.scratch.sorter)
	}
	t.line.open = open
	old := t.starts
	t.setStarts()
	t.expire(&old)
	if t.hidden.sketches != nil {
		t.hidden.whole.move(open)
	}
	for _, s := range t.line.drop() {
		t.hidden.release(s)
	}
	t.cancelDropped()
	t.merge.credit += creditPerSlide
	t.merge.due = true
}

func (t *Table) setStarts() {
	for w, length := range messages.StandardWindows {
		t.starts[w] = Resolve(length, t.clock).Start
	}
}

// expire takes what has left the windows out of the totals.
func (t *Table) expire(old *[windows]messages.Micros) {
	for _, s := range t.line.between(old[allWindow-1], t.starts[0]) {
		// The longer a window, the earlier it begins: s leaves those from one
		// it was in to one it is no longer in.
		from, to := 0, allWindow
		for old[from] > s.start {
			from++
		}
		for to > from && t.starts[to-1] <= s.start {
			to--
		}
		if from < to {
			t.subtract(s, from, to)
		}
	}
}
