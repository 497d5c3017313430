package snapshot

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/objectstore/faultstore"
)

// refused fails the test unless the only snapshot of p is refused with a reason
// that names key and says why, by Load and by Verify.
func refused(t *testing.T, memory *faultstore.Memory, key, why string) {
	t.Helper()
	_, found, w, err := load(take(t, newStore(t, memory), 0))
	if w != nil {
		t.Fatal(w.what)
	}
	if found || !errors.Is(err, ErrUnreadable) || !strings.Contains(err.Error(), key+": "+why) {
		t.Errorf("loaded (%v): %v", found, err)
	}
	report, err := Verify(ctx, memory, nil)
	if err != nil || !strings.Contains(describe(report), key+": "+why) {
		t.Errorf("verified: %v, %s", err, describe(report))
	}
}

// TestSoundObjectsInTheWrongPlaceAreRefused: what is whole in itself, with a
// checksum that matches, is not for that what was saved.
func TestSoundObjectsInTheWrongPlaceAreRefused(t *testing.T) {
	begin := func() (*faultstore.Memory, *Partition, *root) {
		memory := faultstore.NewMemory()
		p := take(t, newStore(t, memory), 0)
		mustSave(t, p, 5)
		return memory, p, p.roots[p.manifest.Roots[0].Key]
	}
	// reseal puts a changed root, and a manifest that names it as it is.
	reseal := func(memory *faultstore.Memory, p *Partition, r *root) {
		encoded, err := r.encode()
		if err != nil {
			t.Fatal(err)
		}
		m := p.manifest.clone()
		m.Roots[0] = r.entry(encoded)
		text, err := m.encode()
		if err != nil {
			t.Fatal(err)
		}
		memory.Damage(p.place.key(r.Key), func([]byte) []byte { return encoded })
		memory.Damage(p.place.key(manifestName), func([]byte) []byte { return text })
	}

	memory, p, r := begin()
	o := r.part("slice/4").Objects[0]
	key := p.place.key(o.Key)
	name, _ := parseName(o.Key)
	memory.Damage(key, func(b []byte) []byte { // noise, as long as what was there
		noise := make([]byte, len(b)-objectHeader)
		rng := rand.New(rand.NewPCG(1, 1))
		for i := range noise {
			noise[i] = byte(rng.Uint32())
		}
		forged, _ := encodeObject(nil, objectID{p.id.Log, 0, name}, noise, newEncoder(1))
		if len(forged) != len(b) {
			t.Fatal("noise was compressed")
		}
		return forged
	})
	refused(t, memory, key, "it is not the one that its root names")

	memory, p, r = begin()
	key = p.place.key(r.Key)
	memory.Damage(key, func(b []byte) []byte {
		_, body, _ := bytes.Cut(b, []byte("\n"))
		return sealedAs("root", 1, strings.Replace(string(body), `"offset": 5`, `"offset": 6`, 1))
	})
	refused(t, memory, key, "it is not the one that the manifest names")

	memory, p, r = begin()
	changed := *r
	changed.Parts = nil
	for _, b := range r.Parts {
		c := *b
		if c.Name == "slice/5" { // its two objects the wrong way round
			c.Objects = []*object{b.Objects[1], b.Objects[0]}
		}
		changed.Parts = append(changed.Parts, &c)
	}
	reseal(memory, p, &changed)
	_, _, _, err := load(take(t, newStore(t, memory), 0))
	if !errors.Is(err, ErrUnreadable) || !strings.Contains(err.Error(), errNotThose.Error()) {
		t.Errorf("a part's objects the wrong way round: %v", err)
	}
	report, err := Verify(ctx, memory, nil)
	if err != nil || !strings.Contains(describe(report), errNotThose.Error()) {
		t.Errorf("verified: %v, %s", err, describe(report))
	}

	memory, p, r = begin()
	changed = *r
	changed.HashKey[0]++
	reseal(memory, p, &changed)
	refused(t, memory, p.place.key(r.Key), "not of this log: it was made under hash key")
}

// TestAnObjectKnowsWhoseItIs: an object with another's name, log or partition in
// its header is refused by that alone.
func TestAnObjectKnowsWhoseItIs(t *testing.T) {
	_, _, o := examples(t)
	own := objectID{hexID(testLog().ID), 2, objectName{3, testNonce, 1, partKind}}
	if _, err := decodeObject(nil, o, own, newDecoder(1)); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		id := own
		switch i {
		case 0:
			id.log[0]++
		case 1:
			id.partition++
		case 2:
			id.name.epoch++
		case 3:
			id.name.nonce[7]++
		case 4:
			id.name.seq++
		}
		if _, err := decodeObject(nil, o, id, newDecoder(1)); err == nil {
			t.Errorf("case %d: read as %v", i, id)
		}
	}
}

// TestASweepWaitsForASave, whose parts nobody names yet.
func TestASweepWaitsForASave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := faultstore.NewMemory()
		p := take(t, newStore(t, memory), 0)
		err := p.Save(ctx, infoOf(0, 5), func(w messages.PartWriter) error {
			if err := writeBlobs(w, contentOf(0, 5)); err != nil {
				return err
			}
			synctest.Wait() // all parts are stored
			if len(findKeys(memory, "/", ".part")) == 0 {
				t.Error("no part is there yet")
			}
			short, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			if swept, err := p.Sweep(short); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("swept %+v beside a save: %v", swept, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		sound(t, memory, "after a save")
	})
}
