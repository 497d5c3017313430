package eventlog

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence"
)

// Log is an open log. Its methods may be called by any number of goroutines.
type Log struct {
	cfg    Config
	id     messages.LogIdentity
	lock   io.Closer
	view   *view
	loader loader
	marks  *durable
	stats  counters
	stamp  atomic.Int64 // largest stamp of a durable frame

	mu      sync.Mutex
	next    []messages.Offset // where the next block of each partition goes
	arena   arena
	pending *group // takes frames until the committer takes it
	// Why no frames are taken. failed is for good; lowSpace comes and goes.
	failed   error
	lowSpace error
	closed   bool

	trimming sync.Mutex // one Trim at a time, and none while the log closes

	poke    chan struct{} // cap 1: something is pending
	closing chan struct{}
	running sync.WaitGroup

	// The committer's own.
	active     *segment
	file       persistence.File // active's
	unmeasured int64            // bytes written since free space was last looked at
}

// Open opens the log in cfg.Dir, or makes one if there is none. It takes the
// folder's lock, checks everything that was durable (about a second per GB),
// and returns a *CorruptError if something is missing or damaged. Frames that
// were written but not known to be durable are kept if they are whole.
func Open(cfg Config) (*Log, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.fillIn()
	if err := cfg.FS.MkdirAll(cfg.Dir); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	lock, err := cfg.FS.Lock(filepath.Join(cfg.Dir, lockName))
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	l, err := open(cfg)
	if err != nil {
		return nil, fmt.Errorf("open log %s: %w", cfg.Dir, errors.Join(err, lock.Close()))
	}
	l.lock = lock
	l.running.Go(l.commitLoop)
	l.running.Go(l.keep)
	return l, nil
}

const lockName = "lock"

// Identity is what the log was made with.
func (l *Log) Identity() messages.LogIdentity { return l.id }

// Ends fills pos, one entry per partition, with the durable ends: the offsets
// behind the last readable entry.
func (l *Log) Ends(pos messages.Position) {
	l.view.mu.Lock()
	defer l.view.mu.Unlock()
	copy(pos, l.view.ends)
}

// LastStamp is the largest stamp of any durable frame, 0 if there is none. No
// clock that stamps new frames may be below it.
func (l *Log) LastStamp() messages.Micros { return messages.Micros(l.stamp.Load()) }

// Err is nil while the log takes frames, else an error that wraps
// messages.ErrStopped and says why. Only lack of space passes by itself.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.errLocked()
}

func (l *Log) errLocked() error {
	switch {
	case l.failed != nil:
		return l.failed
	case l.closed:
		return errClosed
	}
	return l.lowSpace
}

var errClosed = fmt.Errorf("%w: it is closed", messages.ErrStopped)

func (l *Log) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// fail stops the taking of frames for good, but for the first reason only.
func (l *Log) fail(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed == nil {
		l.failed = fmt.Errorf("%w until a restart: %w", messages.ErrStopped, err)
		l.cfg.Logger.Error("log stopped: no events are taken until a restart", "dir", l.cfg.Dir, "error", err)
	}
	return l.failed
}

// Close takes no more frames, makes those that wait durable, wakes blocked
// readers (with an error that wraps messages.ErrStopped) and gives the folder
// free. Closing again does nothing.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()

	close(l.closing)
	l.running.Wait()
	l.trimming.Lock()
	defer l.trimming.Unlock()
	l.view.close()
	err := errors.Join(l.marks.settle(), l.marks.close(), l.closeFile(), l.lock.Close())
	if err != nil {
		return fmt.Errorf("close log: %w", err)
	}
	return nil
}
