package window

import (
	"testing"

	"github.com/crestdb/crest/messages"
)

// TestARowLiesInTheFamilyOfItsFirstCategory, also where the family was there before
// it and the topic, too: then it is found ahead.
func TestARowLiesInTheFamilyOfItsFirstCategory(t *testing.T) {
	hash := func(topic []byte) uint64 { return uint64(topic[0])<<56 | uint64(topic[0]) }
	table := New(Config{Hash: hash})
	const music, news, region = firstName, firstName + 1, firstName
	clock := 1000 * messages.Second
	apply := func(rows ...DeltaRow) {
		d := &Delta{Clock: clock, Topics: []byte("abc")}
		if table.categories.Len() == 0 {
			d.Categories.Added = []AddedName{{music, "music", true}, {news, "news", true}}
			d.Regions.Added = []AddedName{{region, "IN", true}}
		}
		for _, r := range rows {
			r.Slice, r.Count, r.TopicLen, r.Hash = clock, 1, 1, hash(d.Topics[r.TopicAt:r.TopicAt+1])
			d.Rows = append(d.Rows, r)
		}
		table.Apply(d)
	}
	apply(DeltaRow{TopicAt: 0, Category: music, Region: region}, DeltaRow{TopicAt: 1, Category: news, Region: region}, DeltaRow{TopicAt: 2, Category: news})
	apply(DeltaRow{TopicAt: 2, Category: news, Region: region})
	for name, want := range map[string]NameID{"a": music, "b": news, "c": news} {
		topic, known := table.topics.find(hash([]byte(name)), []byte(name))
		if !known {
			t.Fatalf("%s is not known", name)
		}
		id := table.rows.findPlain(topic, hash([]byte(name)), region)
		if id == 0 || table.rows.familyOf(id).category != want || table.rows.at(id).link != 0 {
			t.Errorf("%s: row %d in the family of category %d, want %d", name, id, table.rows.familyOf(id).category, want)
		}
	}
}
