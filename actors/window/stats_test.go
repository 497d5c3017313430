package window_test

import (
	"runtime"
	"testing"

	"github.com/crestdb/crest/messages"
)

// TestMemoryIsAccountedFor compares what a table says it holds with what the
// heap loses when it goes.
func TestMemoryIsAccountedFor(t *testing.T) {
	l := newLoad(200_000)
	for range 200 {
		l.table.Apply(l.delta(500, 10*messages.Second))
	}
	for _, w := range messages.StandardWindows {
		l.table.Top(topOf(l.table, w, messages.Cell{}, 1000))
	}
	s := l.table.Stats()
	with := heap()
	l.table = nil
	held := with - heap()
	said := s.Memory.Engine()
	t.Logf("%d rows, %d topics, %d slices: says %d bytes, holds %d; %+v", s.Rows, s.Topics, s.Slices, said, held, s.Memory)
	if said < held*8/10 || said > held*12/10 {
		t.Errorf("says %d bytes, holds %d", said, held)
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
