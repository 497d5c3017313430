package decode

import (
	"time"

	"github.com/crestdb/crest/messages"
)

// Config says how events become records.
type Config struct {
	// Routes says which partition a topic goes to.
	Routes messages.Routes
	// MaxAhead is how far an event may lie ahead of the frame's stamp; asked
	// once per frame, since it is a setting of the log that may change.
	MaxAhead func() time.Duration
	// UserKey is the 128-bit key users are hashed with.
	UserKey [2]uint64
	// KeepUserIDs stores users as they came instead of their hash.
	KeepUserIDs bool
}

// Bounds of what one event may hold beside those of package messages.
const (
	MaxExtraBytes = 64 << 10 // keys that are only kept, as JSON
	MaxKeys       = 4096     // keys, nested ones included
	MaxDepth      = 32       // nesting; the event itself is level 1
)

// MaxRejections is how many rejections of one body are kept with their
// reasons; the rest is only counted.
const MaxRejections = 100

// Rejection says why one event of a body was not taken.
type Rejection struct {
	Index  int // of the event in the body, from 0
	Line   int // of NDJSON, from 1; else 0
	Column int // where the line is broken, in characters from 1; else 0
	Reason string
}

// Builder decodes bodies into the blocks of one frame. The zero value is not
// ready; see NewBuilder.
type Builder struct {
	bodies
	cfg Config

	blocks []block // per partition
	frame  messages.Frame

	accepted   int
	rejected   int
	rejections []Rejection
	ids        bool
	topic      []byte // of the first event accepted
}

// block collects the records of one partition.
type block struct {
	records uint32
	data    []byte
}

// NewBuilder makes a builder. It has to be Reset before each body.
func NewBuilder(cfg Config) *Builder {
	b := &Builder{cfg: cfg, blocks: make([]block, cfg.Routes.Partitions())}
	b.bodies = newBodies(b, cfg.UserKey, cfg.KeepUserIDs)
	return b
}

// Reset forgets the last body and sets the arrival stamp of the next frame.
func (b *Builder) Reset(stamp messages.Micros) {
	b.open(stamp, stamp+messages.Micros(b.cfg.MaxAhead()/time.Microsecond))
	for i := range b.blocks {
		b.blocks[i].records, b.blocks[i].data = 0, b.blocks[i].data[:0]
	}
	b.frame = messages.Frame{Blocks: b.frame.Blocks[:0]}
	b.accepted, b.rejected, b.rejections = 0, 0, nil
	b.ids, b.topic = false, b.topic[:0]
}

// Reserve makes room for the records of a body of n bytes if the builder is
// new: at once, in one piece for all partitions. What turns out longer moves
// into memory of its own.
func (b *Builder) Reserve(n int) {
	for i := range b.blocks {
		if cap(b.blocks[i].data) > 0 {
			return
		}
	}
	each := n / len(b.blocks)
	all := make([]byte, each*len(b.blocks))
	for i := range b.blocks {
		b.blocks[i].data = all[i*each : i*each : (i+1)*each]
	}
}

// Frame is what was accepted since Reset: the touched partitions, ascending,
// and with a key always its home partition. The frame and its bytes belong to
// the builder and are valid until its next Reset.
func (b *Builder) Frame(key string, hash messages.BodyHash) *messages.Frame {
	home := messages.Partition(len(b.blocks)) // none
	if key != "" {
		home = b.cfg.Routes.Home(key)
	}
	b.frame = messages.Frame{Kind: messages.FrameEvents, Stamp: b.stamp, Key: key, BodyHash: hash, Blocks: b.frame.Blocks[:0]}
	for i := range b.blocks {
		p := messages.Partition(i)
		if blk := &b.blocks[i]; blk.records > 0 || p == home {
			b.frame.Blocks = append(b.frame.Blocks, messages.Block{Partition: p, Records: blk.records, Data: blk.data})
		}
	}
	return &b.frame
}

// Accepted is the number of events taken since Reset.
func (b *Builder) Accepted() int { return b.accepted }

// Rejected is the number of events refused since Reset.
func (b *Builder) Rejected() int { return b.rejected }

// Rejections are the first MaxRejections of them. The slice is not reused.
func (b *Builder) Rejections() []Rejection { return b.rejections }

// Batch tells whether the body is a batch by its form, even of one event.
func (b *Builder) Batch() bool { return b.batch }

// IDs tells whether an accepted event has an event_id.
func (b *Builder) IDs() bool { return b.ids }

// Topic is the topic of the first event accepted.
func (b *Builder) Topic() string { return string(b.topic) }

// Capacity is the memory the builder holds on to, in bytes.
func (b *Builder) Capacity() int {
	n := b.capacity()
	for i := range b.blocks {
		n += cap(b.blocks[i].data)
	}
	return n
}

// take puts an event into its partition's block.
func (b *Builder) take(r *messages.Record) {
	blk := &b.blocks[b.cfg.Routes.Of(r.Topic)]
	blk.data = r.AppendTo(blk.data)
	blk.records++
	if b.accepted == 0 {
		b.topic = append(b.topic[:0], r.Topic...)
	}
	b.accepted++
	b.ids = b.ids || len(r.ID) > 0
}

// reject counts an event as rejected and keeps the reason of the first ones.
func (b *Builder) reject(r Rejection) {
	if b.explains() {
		b.rejections = append(b.rejections, r)
	}
	b.rejected++
}

// explains tells whether the reason of the next rejection is kept.
func (b *Builder) explains() bool { return len(b.rejections) < MaxRejections }
