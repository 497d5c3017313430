package sketch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
)

// saved is blocks in memory.
type saved [][]byte

func (s *saved) put(b []byte) error {
	*s = append(*s, bytes.Clone(b))
	return nil
}

func (s saved) get() Get {
	return func() ([]byte, error) {
		if len(s) == 0 {
			return nil, io.EOF
		}
		b := s[0]
		s = s[1:]
		return b, nil
	}
}

func (s saved) equal(o saved) bool {
	return bytes.Equal(bytes.Join(s, []byte("|")), bytes.Join(o, []byte("|")))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func someKey(r *rand.Rand) Key { return Key{r.Uint64(), r.Uint64()} }

// frozenOf is anything that is frozen: what is saved of it then and later, and of
// what is read from that, must be the same.
func frozenOf(t *testing.T, what string, save func(Put) error, live func(), again func(Get) (func(Put) error, error)) {
	t.Helper()
	var now, later, read saved
	must(t, save(now.put))
	live()
	must(t, save(later.put))
	if !now.equal(later) {
		t.Errorf("%s: what is frozen has changed", what)
	}
	saveAgain, err := again(now.get())
	must(t, err)
	must(t, saveAgain(read.put))
	if !now.equal(read) {
		t.Errorf("%s: what is read is not what was saved", what)
	}
	// Without any one block, and with a byte less or more in any, it is refused.
	for i := range now {
		for _, damaged := range []saved{
			append(append(saved(nil), now[:i]...), now[i+1:]...),
			append(append(append(saved(nil), now[:i]...), now[i][:len(now[i])-1]), now[i+1:]...),
			append(append(append(saved(nil), now[:i]...), append(bytes.Clone(now[i]), 1)), now[i+1:]...),
		} {
			if _, err := again(damaged.get()); err == nil {
				t.Errorf("%s: damage of block %d of %d is not seen", what, i, len(now))
			}
		}
	}
}

// TestFrozen changes sketches and filters in every way while frozen copies of them
// are held.
func TestFrozen(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 29))
		width, depth := 1+r.IntN(700), 1+r.IntN(5)
		c := NewCountMin(width, depth)
		slots := []int{c.Acquire()}
		countMin := func() {
			for range 300 {
				slot := slots[r.IntN(len(slots))]
				switch r.IntN(20) {
				case 0:
					slots = append(slots, c.Acquire())
				case 1:
					c.Merge(slot, slots[r.IntN(len(slots))])
				case 2:
					if len(slots) > 1 {
						c.Release(slots[0])
						slots = slots[1:]
					}
				default:
					c.Add(slot, someKey(r), r.Uint64N(1<<r.IntN(40)))
				}
			}
		}
		l := NewLines(width, depth)
		lines := func() {
			for range 300 {
				var n, read Readings
				n.Narrow[r.IntN(Narrow)], n.Wide = r.Uint64N(9), r.Uint64N(9)
				l.Add(someKey(r), &n, &read)
				if r.IntN(300) == 0 {
					l.Clear(r.IntN(Narrow))
				}
			}
		}
		f, now := NewFilter(int64(r.IntN(1<<19)), 1000), int64(0)
		filter := func() {
			for range 300 {
				now += r.Int64N(1 + 20*int64(seed%3))
				f.Add(someKey(r), now)
			}
		}
		for range 3 {
			countMin()
			lines()
			filter()
			frozen := c.Freeze()
			frozenOf(t, "count-min", frozen.Save, countMin, func(get Get) (func(Put) error, error) {
				c, err := ReadCountMin(get)
				if err != nil {
					return nil, err
				}
				return c.Save, ended(get)
			})
			c.Thaw()
			frozenLines := l.Freeze()
			frozenOf(t, "lines", frozenLines.Save, lines, func(get Get) (func(Put) error, error) {
				l, err := ReadLines(get)
				if err != nil {
					return nil, err
				}
				return l.Save, ended(get)
			})
			l.Thaw()
			frozenFilter := f.Freeze()
			frozenOf(t, "filter", frozenFilter.Save, filter, func(get Get) (func(Put) error, error) {
				f, err := ReadFilter(1000, get)
				if err != nil {
					return nil, err
				}
				return f.Save, ended(get)
			})
			f.Thaw()
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// ended is an error if there is another block.
func ended(get Get) error {
	if _, err := get(); err == nil {
		return errors.New("a block is left over")
	}
	return nil
}

// TestReadRefusesSizes: what no memory holds is not asked for.
func TestReadRefusesSizes(t *testing.T) {
	for _, size := range [][2]uint64{{0, 1}, {1, 0}, {1, maxDepth + 1}, {1 << 40, 1}, {1 << 31, maxDepth}} {
		head := binary.AppendUvarint(binary.AppendUvarint(nil, size[0]), size[1])
		if _, err := ReadLines(saved{head}.get()); err == nil {
			t.Errorf("lines of %d", size)
		}
		if _, err := ReadCountMin(saved{append(head, 1, 1, 0)}.get()); err == nil {
			t.Errorf("a count-min of %d", size)
		}
		if _, err := ReadFilter(1, saved{append(head, 0)}.get()); err == nil {
			t.Errorf("a filter of %d", size)
		}
	}
}
