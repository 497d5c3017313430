package messages

// Ledger accounts for every event of a partition: at rest
// Logged = Counted + Duplicates + DeadLettered.
type Ledger struct {
	// Logged is the events in the log: those that were read, and one for each
	// offset that was not yet (in Kafka a record may have more).
	Logged       uint64
	Counted      uint64 // events counted
	Duplicates   uint64 // events dropped because their id or key was there before
	DeadLettered uint64 // events refused behind the log
	Late         uint64 // counted, in a slice before the partition clock's
	Clamped      uint64 // counted, at the partition's largest arrival since they lay after it

	NextOffset    Offset // behind the last durable entry
	AppliedOffset Offset // behind the last entry applied
	// Controls are the applied blocks that hold no event (ticks, settings, key
	// headers without events), an offset each in the embedded log.
	Controls uint64
	Epoch    uint64
	Digest   Digest
}

// Sum adds another partition's ledger; offsets add up too.
func (l *Ledger) Sum(o Ledger) {
	l.Logged += o.Logged
	l.Counted += o.Counted
	l.Duplicates += o.Duplicates
	l.DeadLettered += o.DeadLettered
	l.Late += o.Late
	l.Clamped += o.Clamped
	l.NextOffset += o.NextOffset
	l.AppliedOffset += o.AppliedOffset
	l.Controls += o.Controls
	l.Epoch = max(l.Epoch, o.Epoch)
	l.Digest.Sum(o.Digest)
}

// EngineStatus is the engine as operators see it.
type EngineStatus struct {
	EngineTime Micros
	// Settings in force as of the applied log.
	Settings   Settings
	Partitions []PartitionStatus
	Boards     int // boards kept because somebody asks for them
	Snapshots  SnapshotStatus
	SketchError
	Memory Memory
}

// PartitionStatus is one shard with its ingest side.
type PartitionStatus struct {
	Ledger
	Clock    Micros   // the partition clock; 0 before the first event
	Arrival  Micros   // largest arrival counted; 0 before the first block
	Settings Settings // in force as of the applied log
	Failed   string   // why the partition stopped; "" while it runs
	Topics   int      // topic rows
	Rows     int      // all rows
	// Folded: values past the bounds are in "other".
	CategoriesFolded, RegionsFolded bool
	// Slices is the number of kept time slices.
	Slices int
	SketchError
	Memory Memory
}

// Memory is bytes by kind. Sketches and Filters are of what rows that left had
// counted.
type Memory struct {
	Rows, Names, Index, Lists, Overlays, Candidates, Sketches, Filters, Combine, Dedup int64
}

// Sum adds another account.
func (m *Memory) Sum(o Memory) {
	m.Rows += o.Rows
	m.Names += o.Names
	m.Index += o.Index
	m.Lists += o.Lists
	m.Overlays += o.Overlays
	m.Candidates += o.Candidates
	m.Sketches += o.Sketches
	m.Filters += o.Filters
	m.Combine += o.Combine
	m.Dedup += o.Dedup
}

// Engine is the part that counts against the engine's share of the memory
// budget: everything but dedup.
func (m *Memory) Engine() int64 {
	return m.Rows + m.Names + m.Index + m.Lists + m.Overlays + m.Candidates + m.Sketches + m.Filters + m.Combine
}
