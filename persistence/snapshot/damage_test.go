package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/objectstore/faultstore"
)

// damage does something to one object, or exchanges two, and returns the keys
// of those that have other bytes afterwards.
func damage(rng *rand.Rand, m *faultstore.Memory) (how string, hit []string) {
	keys := m.Keys()
	key := keys[rng.IntN(len(keys))]
	before, _, _ := m.Get(ctx, key)
	change := func(k string, b []byte) { m.Damage(k, func([]byte) []byte { return b }) }
	switch rng.IntN(5) {
	case 0:
		how = "flip a bit of"
		b := slices.Clone(before)
		b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
		change(key, b)
	case 1:
		how = "cut"
		change(key, append([]byte{}, before[:rng.IntN(len(before))]...))
	case 2:
		how = "lengthen"
		change(key, append(slices.Clone(before), make([]byte, 1+rng.IntN(100))...))
	case 3:
		how = "exchange"
		other := keys[rng.IntN(len(keys))]
		theirs, _, _ := m.Get(ctx, other)
		if bytes.Equal(before, theirs) {
			return how, nil
		}
		change(key, theirs)
		change(other, before)
		return how, []string{key, other}
	case 4:
		how = "remove"
		change(key, nil)
	}
	return how, []string{key}
}

// TestDamageIsNamedAndNeverReadAsGood: whatever is done to one to three objects,
// the newest snapshot that it left alone is read, byte for byte; if it left none,
// the error names what is damaged, and Verify names all of it.
func TestDamageIsNamedAndNeverReadAsGood(t *testing.T) {
	outcomes := map[string]int{}
	for seed := range uint64(250) {
		rng := rand.New(rand.NewPCG(seed, 2))
		memory := faultstore.NewMemory()
		s := newStore(t, memory)
		// Two partitions, so that objects are exchanged between them as well.
		for p := range messages.Partition(2) {
			part := take(t, s, p)
			for range 3 + rng.IntN(2) {
				mustSave(t, part, messages.Offset(rng.IntN(3)+1)+last(part))
			}
			if _, err := part.Sweep(ctx); err != nil {
				t.Fatal(err)
			}
		}
		// What each root needs, from before the damage.
		p := take(t, s, 0)
		type kept struct {
			offset messages.Offset
			needs  []string
		}
		var roots []kept
		needed := map[string]bool{}
		for _, part := range []*Partition{p, take(t, s, 1)} {
			needed[part.place.key(manifestName)] = true
			for _, e := range part.manifest.distinct() {
				r, err := part.place.root(ctx, e, &part.id)
				if err != nil {
					t.Fatal(err)
				}
				k := kept{offset: e.Offset, needs: []string{part.place.key(e.Key)}}
				for _, b := range r.Parts {
					for _, o := range b.Objects {
						k.needs = append(k.needs, part.place.key(o.Key))
					}
				}
				for _, key := range k.needs {
					needed[key] = true
				}
				if part == p {
					roots = append(roots, k)
				}
			}
		}
		hit := map[string]bool{}
		what := fmt.Sprintf("seed %d:", seed)
		for range 1 + rng.IntN(3) {
			how, keys := damage(rng, memory)
			what += fmt.Sprintf(" %s %q", how, keys)
			for _, k := range keys {
				hit[k] = true
			}
			if len(keys) == 2 {
				break // exchanged, they could be exchanged back
			}
		}
		want, whole := messages.Offset(0), false
		for _, r := range roots {
			if !slices.ContainsFunc(r.needs, func(k string) bool { return hit[k] }) {
				want, whole = r.offset, true
				break
			}
		}
		p, err := newStore(t, memory).Take(ctx, 0)
		manifest := folderOf(testLog().ID, 0) + manifestName
		switch {
		case hit[manifest]:
			if !errors.Is(err, ErrUnreadable) || !strings.Contains(err.Error(), manifest) {
				t.Fatalf("%s: taken over with %v", what, err)
			}
			outcomes["manifest refused"]++
		case err != nil:
			t.Fatalf("%s: %v", what, err)
		default:
			o, found, w, err := load(p)
			switch {
			case w != nil:
				t.Fatalf("%s: %s", what, w.what)
			case whole && (o != want || err != nil):
				t.Fatalf("%s: loaded %d, %v, want %d", what, o, err, want)
			case !whole && (found || !errors.Is(err, ErrUnreadable) || !namesAny(err.Error(), hit)):
				t.Fatalf("%s: loaded %d (%v), %v", what, o, found, err)
			case whole && o == roots[0].offset:
				outcomes["newest"]++
			case whole:
				outcomes["older"]++
			default:
				outcomes["none"]++
			}
		}
		reportNames(t, what, memory, hit)
	}
	t.Log(outcomes)
	for _, o := range []string{"manifest refused", "newest", "older", "none"} {
		if outcomes[o] < 5 {
			t.Errorf("only %d outcomes %q", outcomes[o], o)
		}
	}
}

func last(p *Partition) messages.Offset {
	if r := p.Roots(); len(r) > 0 {
		return r[0].Offset
	}
	return 0
}

func namesAny(text string, keys map[string]bool) bool {
	for k := range keys {
		if strings.Contains(text, k) {
			return true
		}
	}
	return false
}

// reportNames compares what Verify names with what was damaged. Objects behind
// a manifest or a root that cannot be read are not looked at.
func reportNames(t *testing.T, what string, memory *faultstore.Memory, hit map[string]bool) {
	t.Helper()
	report, err := Verify(ctx, memory, nil)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	named := map[string]bool{}
	for _, d := range report.Manifests {
		named[d.Key] = true
	}
	for _, r := range report.Roots {
		for _, d := range r.Damage {
			named[d.Key] = true
		}
	}
	for k := range named {
		if !hit[k] {
			t.Fatalf("%s: Verify names %s", what, k)
		}
	}
	// What is damaged and in reach is named.
	for k := range hit {
		log, p, name, _ := parseFolder(k)
		n, isObject := parseName(name)
		manifest := folderOf(log, p) + manifestName
		switch {
		case !isObject || n.kind == rootKind && !hit[manifest]:
			if !named[k] && !hit[manifest] {
				t.Fatalf("%s: Verify does not name %s, only %v", what, k, slices.Sorted(maps.Keys(named)))
			}
		}
	}
	if report.Sound() != (len(named) == 0) {
		t.Fatalf("%s: sound is %v", what, report.Sound())
	}
}

// TestEveryByteIsCovered: no bit of a manifest, a root or a part can be turned
// without being noticed.
func TestEveryByteIsCovered(t *testing.T) {
	memory := faultstore.NewMemory()
	p := take(t, newStore(t, memory), 0)
	mustSave(t, p, 2)
	for _, key := range memory.Keys() {
		whole, _, _ := memory.Get(ctx, key)
		for at := range whole {
			if at > 300 && at%61 != 0 && at < len(whole)-20 {
				continue
			}
			memory.Damage(key, func(b []byte) []byte { b[at] ^= 1 << (at % 8); return b })
			report, err := Verify(ctx, memory, nil)
			if err != nil {
				t.Fatal(err)
			}
			if report.Sound() {
				t.Errorf("a change of byte %d of %s is not noticed", at, key)
			}
			memory.Damage(key, func(b []byte) []byte { b[at] ^= 1 << (at % 8); return b })
		}
	}
}
