package feed

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Plan is what decides where a file is cut and which keys its blocks have.
type Plan struct {
	File   Fingerprint `json:"file"`
	Format string      `json:"format"`
	Batch  int         `json:"batch"` // events a block
	// Generation counts how often the file is meant to be sent, from 1.
	Generation int `json:"generation"`
}

// identity follows from the plan.
func (p Plan) identity() Identity {
	b, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings and numbers
	}
	return sha256.Sum256(b)
}

const progressVersion = 1

// state is the progress file.
type state struct {
	Version int `json:"version"`
	Plan
	Done       int        `json:"done_blocks"` // all blocks before this one are acknowledged
	Beyond     []int      `json:"beyond"`      // further acknowledged blocks, ascending
	Unresolved []underway `json:"unresolved"`  // blocks that may have been sent, ascending
	Events     int64      `json:"events"`      // in acknowledged blocks
	Rejected   int64      `json:"rejected"`    // of them
	Complete   bool       `json:"complete"`    // the whole file is acknowledged
	Updated    time.Time  `json:"updated"`     //
}

// underway is a block whose answer has not come.
type underway struct {
	Block int       `json:"block"`
	Since time.Time `json:"since"` // of the first attempt that may have reached the log
	Key   string    `json:"key"`
}

// Progress remembers how far a feeding is. Its methods may be called by
// several goroutines.
type Progress struct {
	path     string // "": in memory only
	identity Identity

	mu      sync.Mutex
	written sync.Cond // on mu: a save has ended
	state   state
	changes int   // to state
	saved   int   // changes that are on disk
	saving  bool  // somebody writes
	err     error // of the last save
}

// CompleteError says that there is nothing left to send.
type CompleteError struct {
	At               time.Time
	Events, Rejected int64
}

func (e *CompleteError) Error() string {
	return fmt.Sprintf("sent completely on %s: %d events", e.At.Local().Format(time.DateTime), e.Events-e.Rejected)
}

// MemoryProgress is progress that ends with the program, in blocks of batch
// events.
func MemoryProgress(id Identity, batch int) *Progress {
	p := &Progress{identity: id, state: state{Plan: Plan{Batch: batch}}}
	p.written.L = &p.mu
	return p
}

// DefaultBatch is the number of events a block has unless told otherwise.
const DefaultBatch = 5000

// OpenProgress goes on where the progress file says, or makes one. A Batch of
// 0 means the one it was begun with. With again, a file that was sent
// completely is sent once more, and so is one that has changed since; without,
// that is a *CompleteError or another error.
func OpenProgress(path string, plan Plan, again bool) (*Progress, error) {
	p := MemoryProgress(Identity{}, 0)
	p.path = path
	old, err := readProgress(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = p.begin(plan, 1)
	case err != nil:
	case old.Complete && old.File != plan.File && again:
		err = p.begin(plan, 1)
	case old.Complete && old.File != plan.File:
		// A file that grew, was mended, or another one of that name: sending it
		// whole would count again what is in both.
		err = fmt.Errorf("what was sent completely on %s (%d events) was another file, or this one before it changed; --again sends all of it, --progress keeps the progress of a new file apart",
			old.Updated.Local().Format(time.DateTime), old.Events-old.Rejected)
	case old.Complete && again:
		err = p.begin(plan, old.Generation+1)
	case old.Complete:
		return nil, &CompleteError{At: old.Updated, Events: old.Events, Rejected: old.Rejected}
	default:
		err = p.resume(old, plan)
	}
	if err != nil {
		return nil, fmt.Errorf("progress file %s: %w", path, err)
	}
	p.identity = p.state.identity()
	return p, nil
}

func readProgress(path string) (*state, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var s state
	if err := json.Unmarshal(content, &s); err != nil || s.Version == 0 {
		return nil, errors.New("it is not a progress file; give another one with --progress")
	}
	if s.Version != progressVersion {
		return nil, fmt.Errorf("it is of version %d, this program knows %d; finish with the program that began, or remove it to start over", s.Version, progressVersion)
	}
	return &s, nil
}

func (p *Progress) begin(plan Plan, generation int) error {
	if plan.Batch == 0 {
		plan.Batch = DefaultBatch
	}
	plan.Generation = generation
	p.state = state{Version: progressVersion, Plan: plan}
	p.changes++
	return p.Save() // a folder that cannot be written shows now, not after the first block
}

func (p *Progress) resume(old *state, plan Plan) error {
	switch {
	case old.File != plan.File:
		return errors.New("it belongs to another file, or the file has changed since (its size or its ends); what was sent of that one is counted: remove the progress file to send this one from its beginning")
	case old.Format != plan.Format:
		return fmt.Errorf("it was begun with --format %s; go on with that", old.Format)
	case plan.Batch != 0 && plan.Batch != old.Batch:
		return fmt.Errorf("it was begun with --batch %d; go on with that", old.Batch)
	}
	p.state = *old
	return nil
}

// Identity is what the blocks' keys follow from.
func (p *Progress) Identity() Identity { return p.identity }

// Batch is the number of events a block has.
func (p *Progress) Batch() int { return p.state.Batch }

// acknowledged tells whether a block needs nothing more.
func (p *Progress) acknowledged(block int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, beyond := slices.BinarySearch(p.state.Beyond, block)
	return block < p.state.Done || beyond
}

// sentSince is when a block may first have reached the log; false if it surely
// has not.
func (p *Progress) sentSince(block int) (time.Time, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i, ok := p.findLocked(block); ok {
		return p.state.Unresolved[i].Since, true
	}
	return time.Time{}, false
}

func (p *Progress) findLocked(block int) (int, bool) {
	return slices.BinarySearchFunc(p.state.Unresolved, block, func(u underway, n int) int { return u.Block - n })
}

// begun notes, durably, that a block is about to be sent.
func (p *Progress) begun(b *Block, now time.Time) error {
	p.mu.Lock()
	if i, ok := p.findLocked(b.Number); !ok {
		p.state.Unresolved = slices.Insert(p.state.Unresolved, i, underway{Block: b.Number, Since: now.UTC(), Key: b.Key})
		p.changes++
	}
	p.mu.Unlock()
	return p.Save()
}

// withdrawn notes that a block has surely not reached the log.
func (p *Progress) withdrawn(block int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i, ok := p.findLocked(block); ok {
		p.state.Unresolved = slices.Delete(p.state.Unresolved, i, i+1)
		p.changes++
	}
}

// done notes that a block is acknowledged. It need not be on disk at once: a
// block sent again because this was lost has the same key.
func (p *Progress) done(b *Block, rejected int) {
	p.withdrawn(b.Number)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.Events += int64(b.Events())
	p.state.Rejected += int64(rejected)
	i, _ := slices.BinarySearch(p.state.Beyond, b.Number)
	p.state.Beyond = slices.Insert(p.state.Beyond, i, b.Number)
	for len(p.state.Beyond) > 0 && p.state.Beyond[0] == p.state.Done {
		p.state.Done++
		p.state.Beyond = p.state.Beyond[1:]
	}
	p.changes++
}

// completed notes that the whole file is acknowledged.
func (p *Progress) completed() error {
	p.mu.Lock()
	p.state.Complete = true
	p.changes++
	p.mu.Unlock()
	return p.Save()
}

// Save returns once all changes made before are on disk. Whoever comes while
// another one writes waits and shares the next write.
func (p *Progress) Save() error {
	if p.path == "" {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	mine := p.changes
	for p.saved < mine {
		if p.saving {
			p.written.Wait()
			continue
		}
		p.saving = true
		at := p.changes
		p.state.Updated = time.Now().UTC()
		content, err := json.MarshalIndent(&p.state, "", "  ")
		p.mu.Unlock()
		if err == nil {
			err = writeAtomically(p.path, append(content, '\n'))
		}
		p.mu.Lock()
		p.saving, p.saved = false, at
		if err != nil {
			p.err = fmt.Errorf("save progress: %w", err)
		}
		p.written.Broadcast()
	}
	return p.err // an error stays: what follows would build on what is not there
}

// writeAtomically replaces a file; after a crash it is the old or the new one.
func writeAtomically(path string, content []byte) error {
	temporary := path + ".new"
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
