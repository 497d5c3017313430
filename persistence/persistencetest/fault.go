package persistencetest

import "errors"

// Fault is what happens at one operation. Operations are those that change
// something: making, renaming and removing names, writes and syncs, numbered
// from 1 in the order in which they come.
type Fault struct {
	At  int   // number of the operation; 0: none
	Err error // what it returns
	// Short: if it is a write, half of it is written before it fails. A failed
	// sync always leaves a part of the bytes on the disk and forgets that the
	// others are missing.
	Short bool
	// PowerOff: the power goes at this operation. It and every later one fail
	// with ErrPowerOff, and PowerLoss is what is left.
	PowerOff bool
	// Sticky: every later operation fails too.
	Sticky bool
}

// ErrPowerOff is what every operation returns when the power has gone, or the
// process has been killed.
var ErrPowerOff = errors.New("the power is off")

// Inject sets the next fault; it replaces one that has not happened.
func (f *FS) Inject(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

// Ops is the number of operations so far.
func (f *FS) Ops() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ops
}

type opKind int

const (
	opOther opKind = iota
	opWrite
	opSync
)

// failing tells whether the operation under way is the one that fails.
func (f *FS) failing() bool {
	at := f.fault.At
	return at > 0 && !f.fault.PowerOff && (f.ops == at || f.fault.Sticky && f.ops > at)
}

// step does one operation, or has it fail.
func (f *FS) step(kind opKind, do func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.off != nil {
		return f.off
	}
	f.ops++
	run := func() error {
		if do == nil {
			return nil
		}
		return do()
	}
	if f.fault.PowerOff && f.ops == f.fault.At {
		// What was under way counts as unsynced; a sync was not done.
		if kind != opSync {
			_ = run()
		}
		f.off = ErrPowerOff
		return f.off
	}
	if f.failing() {
		// A write may be done in part, a sync loses something; names stay.
		if kind == opSync || kind == opWrite && f.fault.Short {
			_ = run()
		}
		return f.fault.Err
	}
	return run()
}

// loseSome is a failed sync: some blocks reached the disk, and all count as
// clean.
func (f *FS) loseSome(n *inode) {
	n.disk = f.image(n)
	n.dirty, n.flushes = map[int][][]byte{}, nil
}
