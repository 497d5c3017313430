package kafka

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/crestdb/crest/messages"
)

func TestBatchesTooLargeForTheTopicAreHalved(t *testing.T) {
	b := newBroker(t)
	if err := b.CreateTopic(brokerTopic, 4, map[string]string{"max.message.bytes": "20000"}); err != nil {
		t.Fatal(err)
	}
	cfg := writerConfig(b)
	cfg.Compression = "none"
	l := openLog(t, cfg)
	l.cfg.MaxRecord = DefaultConfig().MaxRecord // as where the topic's settings are not shown
	open, reached := gate(b)
	defer open()
	const n = 40
	var wg sync.WaitGroup
	errs := make([]error, n+1)
	appended := func(i, records int) {
		errs[i] = l.Append(t.Context(), frameOf(messages.Micros(i+1), records, 0), make(messages.Position, 4))
	}
	wg.Go(func() { appended(0, 30) })
	<-reached // the first batch is this one alone; all others wait behind it
	for i := range n - 1 {
		wg.Go(func() { appended(i+1, 30) })
	}
	wg.Go(func() { appended(n, 1000) }) // and one that no batch can have
	eventually(t, "all but the first wait", func() bool { return queued(l, 0) == n })
	open()
	wg.Wait()
	for i, err := range errs[:n] {
		if err != nil {
			t.Errorf("append %d: %v", i, err)
		}
	}
	if err := errs[n]; !errors.Is(err, messages.ErrTooLarge) || errors.Is(err, messages.ErrStopped) || !errors.Is(err, kafkago.MessageSizeTooLarge) || len(err.Error()) > 500 {
		t.Errorf("the large one: %v", err)
	}
	kept, repeats := once(writtenTo(t, b)[0])
	if len(kept) != n || repeats > 0 {
		t.Errorf("%d records, %d repeats", len(kept), repeats)
	}
}

func TestALargeBlockIsCutBetweenItsRecords(t *testing.T) {
	for name, write := range map[string]Write{"blocks": WriteBlocks, "events": WriteEvents} {
		t.Run(name, func(t *testing.T) {
			b := newBroker(t)
			cfg := writerConfig(b)
			cfg.MaxRecord, cfg.Write, cfg.Compression = 2000, write, "none"
			l := openLog(t, cfg)
			f := frameOf(1_000_000, 300, 1)
			f.Key = "k"
			var big messages.Record // larger than a part by itself
			big.Topic, big.Count, big.Extra = []byte("big"), 1, fmt.Appendf(nil, `"x":%q`, strings.Repeat("y", 3000))
			f.Blocks[0].Data = big.AppendTo(f.Blocks[0].Data)
			f.Blocks[0].Records++
			pos := mustAppend(t, l, f)

			var data []byte
			parts := uint32(0)
			records := writtenTo(t, b)[1]
			for i := 0; i < len(records); parts++ {
				w := records[i]
				if w.part != parts || w.sent.Sequence != uint64(parts+1) || w.key != "k" {
					t.Fatalf("part %d is %+v", parts, w)
				}
				if !w.event {
					if len(w.value) > 2000 && w.records > 1 {
						t.Errorf("part %d has %d bytes", parts, len(w.value))
					}
					data = append(data, w.value...)
					i++
					continue
				}
				for n := range w.records {
					w := records[i]
					if w.index != n || w.part != parts || w.sent.Sequence != uint64(parts+1) {
						t.Fatalf("event %d of part %d is %+v", n, parts, w)
					}
					data = append(data, w.record...)
					i++
				}
			}
			if !bytes.Equal(data, f.Blocks[0].Data) || parts < 5 {
				t.Errorf("%d parts, %d bytes of %d", parts, len(data), len(f.Blocks[0].Data))
			}
			if want := messages.Offset(len(records)); pos[1] != want {
				t.Errorf("position %v, want %d", pos, want)
			}
		})
	}
}
