package messages

// FrameKind tells what a frame, and each block of it, is.
type FrameKind uint8

// The kinds of frames.
const (
	// FrameEvents carries the events of one request.
	FrameEvents FrameKind = 1
	// FrameTick carries nothing but its stamp; it moves log time on where a
	// quiet log must forget (a full dedup table).
	FrameTick FrameKind = 2
	// FrameControl carries new Settings for every partition.
	FrameControl FrameKind = 3
	// FrameGap is never appended: a block of it stands for offsets that hold
	// nothing (of Kafka: transaction markers, aborted or compacted records).
	FrameGap FrameKind = 4
)

// Frame is what one request, tick or control change brings to the log. In the
// embedded log it is there whole or not at all; in Kafka each block is.
type Frame struct {
	Kind FrameKind
	// Stamp is the arrival, set once from the node clock before the frame is
	// durable.
	Stamp Micros
	// Key is the request's Idempotency-Key, "" without one. Then BodyHash is
	// the hash of the decoded request body, and there is always a block for
	// the key's home partition (Routes.Home), also without records.
	Key      string
	BodyHash BodyHash
	// Follows is set where the blocks do not land together: in a keyed frame
	// whose home block is in the log already, and which has all the others.
	Follows *Followed
	// Blocks are ascending by partition, at most one per partition. A tick and
	// a control frame have one, with no records, for every partition.
	Blocks []Block
}

// BodyHash identifies a request body within one Idempotency-Key.
type BodyHash [16]byte

// Followed is the first block that the home partition of an Idempotency-Key has
// under it. The other blocks of the same request name it, whoever writes them
// and how often: so a partition tells a repeat of them from a later request
// under the same key, without a clock.
type Followed struct {
	Home Offset // behind the home's block
	// Until is the end of the quarter of a dedup window in which the home saw it
	// (KeyVerdict.Until).
	Until Micros
}

// Sent is what the writer of a block says of it in a log whose partitions stamp
// for themselves, and in which a block may come to be twice.
type Sent struct {
	Stamp Micros // the frame's, as its writer gave it
	// Sequence counts the writer's blocks in this partition from 1: one that is not
	// above the last of the same writer was there before.
	Writer   WriterID
	Sequence uint64
	// Follows is that of the frame.
	Follows *Followed
}

// WriterID names one writer of a log in which a lost answer makes its writer
// send a block again. It is random, made at its start.
type WriterID [16]byte

// Block is the part of a frame that goes to one partition.
type Block struct {
	Partition Partition
	Records   uint32 // number of records in Data; 0 for ticks, controls and key headers
	Data      []byte // encoded records (Record.AppendTo), or encoded Settings in a control frame
}

// Span is how many offsets the block takes: its records, at least one.
func (b *Block) Span() Offset { return max(1, Offset(b.Records)) }

// Bytes is the size of the frame's content, as queues count it.
func (f *Frame) Bytes() int {
	n := 64 + len(f.Key)
	for i := range f.Blocks {
		n += 16 + len(f.Blocks[i].Data)
	}
	return n
}

// Batch is a run of blocks of one partition as read from the log. It belongs
// to the reader, which passes it to Read again and again; the blocks' bytes
// are the log's and stay unchanged as long as somebody refers to them.
type Batch struct {
	Partition Partition
	Blocks    []ReadBlock
	// Next is the offset behind the last block: where to read on.
	Next Offset
	// MaxBytes bounds the Data that one Read brings (one block more at most);
	// 0 means 1 MiB.
	MaxBytes int
	// Settings are those in force at the offset asked for. A log that holds
	// events as others wrote them judges them by these, and ends the batch behind
	// a control block. The zero value: the log's first.
	Settings Settings
}

// Records is the number of records in the batch.
func (b *Batch) Records() int {
	n := 0
	for i := range b.Blocks {
		n += int(b.Blocks[i].Records)
	}
	return n
}

// ReadBlock is one block as read back.
type ReadBlock struct {
	Offset Offset // where the partition stood before it
	// End is where it stands behind it. In the embedded log that is its Span
	// further. In Kafka an offset is a record, which may have any number of
	// events, and blocks span gaps.
	End  Offset
	Kind FrameKind
	// Stamp is the arrival: the frame's, or where partitions stamp for themselves
	// (Kafka) the broker's.
	Stamp Micros
	// Sent is what the block's writer says of it where that is more; nil: nothing.
	Sent     *Sent
	Key      string // the frame's Idempotency-Key
	BodyHash BodyHash
	Records  uint32
	// Refused is how many events the log holds here that cannot be records. The
	// log has put them aside (dead letters); they are accounted for here.
	Refused uint32
	Data    []byte
	// Position is the whole frame's position (behind each of its blocks, as
	// Append returned it), encoded as Position.AppendTo does. Set in blocks of
	// frames that have a Key.
	Position []byte
}

// Span is how many offsets the block takes.
func (b *ReadBlock) Span() Offset { return b.End - b.Offset }
