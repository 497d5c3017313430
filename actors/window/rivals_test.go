package window

import (
	"testing"

	"github.com/crestdb/crest/actors/rank"
	"github.com/crestdb/crest/messages"
)

// TestRivalsThatAreNotListedAreOfTheRest: what looked like a rival until others
// with greater bounds were found is not listed, and the rest is said to have it.
func TestRivalsThatAreNotListedAreOfTheRest(t *testing.T) {
	d := &Delta{Clock: messages.Hour}
	for i, n := range []uint64{10, 11, 20, 25} {
		d.Topics = append(d.Topics, byte('a'+i))
		d.Rows = append(d.Rows, DeltaRow{Slice: d.Clock, Count: n, Hash: uint64(i+1) << 40, TopicAt: uint32(i), TopicLen: 1})
	}
	table := New(Config{Hash: func(topic []byte) uint64 { return uint64(topic[0]-'a'+1) << 40 }})
	table.Apply(d)
	v := table.look(messages.Window1h, table.clock)
	var items []rank.Item
	for _, name := range []string{"a", "b", "c", "d"} {
		id, _, _ := table.findTopic(name)
		row := table.topics.at(id).row
		items = append(items, table.item(row, table.rows.at(row), table.rows.at(row).all))
	}
	p := &rank.Part{Rest: 5, Rows: []rank.Row{{Topic: "a", Count: messages.Count{Lower: 10, Upper: 30}}}}
	table.listRivals(&v, &search{floor: 5, last: items[0], items: items[1:], left: 4}, p)
	if len(p.Rows) != 2 || p.Rows[1].Topic != "d" || p.Rest < 20 {
		t.Errorf("%+v; want d listed, and a rest of 20 at least", p)
	}
}
