package objectstore_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/crestdb/crest/persistence/objectstore"
	"github.com/crestdb/crest/persistence/persistencetest"
)

// absent stands for an object that is not there among the states it may have.
const absent = "(absent)"

// life is a folder whose process fails, is killed or loses power at some
// operation. may holds, per key, the states that the object may be in: one
// after an answer or a read, more after an error.
type life struct {
	fs       *persistencetest.FS
	rng      *rand.Rand
	may      map[string][]string
	versions map[string]objectstore.Version // of the states that were seen
	ops      int
}

func newLife(seed uint64) *life {
	return &life{
		fs:       persistencetest.New(seed),
		rng:      rand.New(rand.NewPCG(seed, 5)),
		may:      map[string][]string{"m": {absent}, "p/1": {absent}, "p/2": {absent}},
		versions: map[string]objectstore.Version{},
	}
}

// settle notes the answer of a change to a state.
func (l *life) settle(key, state string, v objectstore.Version, err error) error {
	switch {
	case err == nil:
		l.may[key] = []string{state}
		l.versions[state] = v
	case errors.Is(err, objectstore.ErrExists):
		if l.may[key] = slices.DeleteFunc(l.may[key], func(s string) bool { return s == absent }); len(l.may[key]) == 0 {
			return fmt.Errorf("%s: %w, but it did not", key, err)
		}
	case errors.Is(err, objectstore.ErrChanged):
		return fmt.Errorf("%s: %w, by whom", key, err)
	default:
		l.may[key] = append(slices.Clone(l.may[key]), state)
	}
	return nil
}

// step does a random operation of somebody who reads before he writes.
func (l *life) step(d *objectstore.Directory) error {
	ctx := context.Background()
	key := slices.Sorted(maps.Keys(l.may))[l.rng.IntN(len(l.may))]
	l.ops++
	state := fmt.Sprintf("%d %s", l.ops, strings.Repeat("x", l.rng.IntN(9000)))
	switch l.rng.IntN(5) {
	case 0:
		v, err := d.Put(ctx, key, []byte(state))
		return l.settle(key, state, v, err)
	case 1:
		v, err := d.PutIfAbsent(ctx, key, []byte(state))
		return l.settle(key, state, v, err)
	case 2, 3:
		now, v, err := l.read(d, key)
		if err != nil || now == absent {
			return err
		}
		v, err = d.PutIfMatch(ctx, key, []byte(state), v)
		return l.settle(key, state, v, err)
	}
	return l.settle(key, absent, "", d.Delete(ctx, key))
}

// errOff is a store that cannot even be read.
var errOff = errors.New("cannot be read")

// read checks what is there; from now on it must stay.
func (l *life) read(d *objectstore.Directory, key string) (string, objectstore.Version, error) {
	body, v, err := d.Get(context.Background(), key)
	state := string(body)
	if errors.Is(err, objectstore.ErrNotFound) {
		state, err = absent, nil
	}
	if err != nil {
		return "", "", fmt.Errorf("%w: %w", errOff, err)
	}
	if !slices.Contains(l.may[key], state) {
		return "", "", fmt.Errorf("%s is %.20q (%d bytes); it may be %.20q", key, state, len(state), l.may[key])
	}
	if known, ok := l.versions[state]; ok && known != v && state != absent {
		return "", "", fmt.Errorf("%s has version %s; it had %s", key, v, known)
	}
	l.may[key] = []string{state}
	return state, v, nil
}

// check reads everything, and looks for what should not be there.
func (l *life) check(d *objectstore.Directory) error {
	for key := range l.may {
		if _, _, err := l.read(d, key); err != nil {
			return err
		}
	}
	var keys, want []string
	err := d.List(context.Background(), "", func(i objectstore.Info) error {
		keys = append(keys, i.Key)
		return nil
	})
	for key, states := range l.may {
		if states[0] != absent {
			want = append(want, key)
		}
	}
	if slices.Sort(want); err != nil || !slices.Equal(keys, want) {
		return fmt.Errorf("listed %q, want %q, %w", keys, want, err)
	}
	temps, err := l.fs.List("/store/tmp")
	if err != nil || len(temps) > 0 {
		return fmt.Errorf("leftovers: %q, %w", temps, err)
	}
	return nil
}

// run does some operations with a fault among them, ends the process by end,
// and checks what the next ones find. It tells whether the fault came.
func (l *life) run(fault persistencetest.Fault, end func(*persistencetest.FS) *persistencetest.FS) (hit bool, err error) {
	l.fs.Inject(fault)
	if d, err := objectstore.Dir(l.fs, "/store"); err == nil {
		for range 12 {
			if err := l.step(d); err != nil && !errors.Is(err, errOff) {
				return true, err
			}
		}
	}
	hit = l.fs.Ops() >= fault.At
	l.fs = end(l.fs)
	// What one process has read, the next finds as well, after another power
	// loss.
	for life := range uint64(2) {
		d, err := objectstore.Dir(l.fs, "/store")
		if err != nil {
			return hit, fmt.Errorf("start refused: %w", err)
		}
		if err := l.check(d); err != nil {
			return hit, err
		}
		l.fs = l.fs.PowerLoss(100 + life)
	}
	return hit, nil
}

// faultsOf are the ways in which operation n fails.
func faultsOf(n int) map[string]persistencetest.Fault {
	return map[string]persistencetest.Fault{
		"power off": {At: n, PowerOff: true},
		"EIO":       {At: n, Err: syscall.EIO},
		"ENOSPC":    {At: n, Err: syscall.ENOSPC, Short: true},
		"dead disk": {At: n, Err: syscall.EIO, Sticky: true},
	}
}

// lives runs through all faults at all operations, and reports what went wrong.
func lives(seeds uint64, prepare func(*persistencetest.FS)) (runs int, wrong []string) {
	for seed := range seeds {
		ends := map[string]func(*persistencetest.FS) *persistencetest.FS{
			"power loss": func(fs *persistencetest.FS) *persistencetest.FS { return fs.PowerLoss(seed) },
			"kill":       (*persistencetest.FS).Kill,
		}
		for n, hit := 1, true; hit; n++ {
			hit = false
			for how, fault := range faultsOf(n) {
				for name, end := range ends {
					l := newLife(seed)
					prepare(l.fs)
					came, err := l.run(fault, end)
					hit = hit || came
					if runs++; err != nil {
						wrong = append(wrong, fmt.Sprintf("seed %d, %s at operation %d, then %s: %v", seed, how, n, name, err))
					}
				}
			}
		}
	}
	return runs, wrong
}

// TestAnyOperationMayFail: whatever fails, an object is whole or as before, and
// nothing that was answered or read is taken back.
func TestAnyOperationMayFail(t *testing.T) {
	runs, wrong := lives(6, func(*persistencetest.FS) {})
	t.Logf("%d runs", runs)
	if len(wrong) > 0 {
		t.Errorf("%d runs of %d, such as %s", len(wrong), runs, wrong[0])
	}
	if runs < 1000 {
		t.Errorf("only %d runs", runs)
	}
}

// TestADiskThatDoesNotSyncIsNoticed shows that the test above can fail.
func TestADiskThatDoesNotSyncIsNoticed(t *testing.T) {
	if runs, wrong := lives(1, func(fs *persistencetest.FS) { fs.IgnoreSync = true }); len(wrong) < 10 {
		t.Errorf("only %d of %d runs went wrong", len(wrong), runs)
	}
}
