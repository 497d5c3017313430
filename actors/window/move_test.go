package window

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/crestdb/crest/messages"
)

// TestTopicsMove: topics whose records move keep their names, their rows and their
// categories' rows, also when the names move after them.
func TestTopicsMove(t *testing.T) {
	const topics = 6_000
	hash := func(topic []byte) uint64 {
		return uint64(binary.LittleEndian.Uint32(topic)) * 0x9e3779b97f4a7c15
	}
	name := func(i int) []byte {
		return fmt.Appendf(binary.LittleEndian.AppendUint32(nil, uint32(i)), "%032d", i)
	}
	d := &Delta{Clock: messages.Hour, Categories: NamesDelta{Added: []AddedName{{ID: 2, Text: "a", Clean: true}, {ID: 3, Text: "b", Clean: true}}}}
	add := func(i int, category, region NameID) {
		r := DeltaRow{Slice: d.Clock, Count: 1, TopicAt: uint32(len(d.Topics)), TopicLen: 36, Hash: hash(name(i)), Category: category, Region: region}
		d.Topics = append(d.Topics, name(i)...)
		d.Rows = append(d.Rows, r)
	}
	for i := range topics {
		add(i, 2, NoName)
		if i%3 == 0 {
			add(i, 3, NoName)
		}
		if i%100 == 0 {
			add(i, 2, OtherName)
		}
	}
	table := New(Config{Hash: hash, Memory: 1 << 24, Epsilon: 0.01, Delta: 0.01})
	table.Apply(d)
	r := rand.New(rand.NewPCG(1, 2))
	was, moved := make(map[int]topicID), 0
	for round := range 6 {
		table.Leave(func() bool { return r.IntN(3) > 0 })
		for range 100 {
			table.moveTopics()
			table.topics.compact()
		}
		for i := range topics {
			id, known := table.topics.find(hash(name(i)), name(i))
			if !known {
				continue
			}
			if old, seen := was[i]; seen && old != id {
				moved++
			}
			was[i] = id
			for link := table.topics.at(id).row; link != 0; link = table.rows.at(link).link {
				if got := table.rows.at(link).topic; got != id {
					t.Fatalf("round %d: a row of topic %d is of topic %d", round, id, got)
				}
			}
			q := &CountAsk{Topics: []string{string(name(i))}, Window: messages.Window1h, E: table.Clock(), Cell: messages.Cell{Category: "b"}}
			if n := table.Count(q).Counts[0]; i%3 == 0 && n.Lower != 1 || i%3 > 0 && n.Lower != 0 {
				t.Fatalf("round %d: %d has %+v of b", round, i, n)
			}
		}
	}
	if moved == 0 {
		t.Error("no topic has moved")
	}
}
