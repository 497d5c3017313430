package screen_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/crestdb/crest/cmd/crest/screen"
	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/messages"
)

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, name string, lines []string) {
	t.Helper()
	got := strings.Join(lines, "\n") + "\n"
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is\n%s\nwant\n%s", name, got, want)
	}
}

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func exact(n uint64) api.Bounds { return api.Bounds{Estimate: n, Lower: n, Upper: n} }

func board(at time.Time, topics ...string) *api.Board {
	b := &api.Board{Window: "1h", Top: 5, Exact: true, Certified: len(topics)}
	b.AsOf = at
	n := uint64(4_000_000)
	for i, topic := range topics {
		n = n*2/3 + uint64(at.Second())
		b.Topics = append(b.Topics, api.BoardRow{Rank: i + 1, Topic: topic, Bounds: exact(n), Score: n, Certified: true})
		b.Estimate += n + n/4
	}
	return b
}

func TestBoard(t *testing.T) {
	b := board(noon, "worldcup2025", "a", "日本のニュース", "e\u0301\u0301clair 👩‍👩‍👧", "esc\x1b[31mape\r\n")
	golden(t, "board", screen.Board(b, 0, false))
	golden(t, "board-narrow", screen.Board(b, 40, false))
	golden(t, "board-color", screen.Board(b, 0, true))

	music, in := "music", "IN"
	b.Category, b.Region = &music, &in
	b.Exact, b.Certified = false, 2
	b.Topics[2].Lower -= 1000
	golden(t, "board-bounds", screen.Board(b, 0, false))

	golden(t, "board-empty", screen.Board(&api.Board{Window: "all", Top: 10, Exact: true, Interval: api.Interval{AsOf: noon}}, 0, false))
}

func TestMoverShowsWhatMoved(t *testing.T) {
	var m screen.Mover
	trends := map[string][]uint64{"a": {0, 1, 5, 9, 40}, "b": {9, 8, 7, 0, 0}}
	golden(t, "mover-1", m.Lines(board(noon, "a", "b", "c"), trends, "", 0, false))
	m.Lines(board(noon.Add(4*time.Second), "b", "a", "c"), trends, "", 0, false)
	golden(t, "mover-2", m.Lines(board(noon.Add(7*time.Second), "b", "d", "a"), trends, "d", 0, false))
	golden(t, "mover-3", m.Lines(board(noon.Add(10*time.Second), "b", "a", "d"), trends, "", 0, false))
	golden(t, "mover-narrow", m.Lines(board(noon.Add(10*time.Second), "b", "a", "a rather long name of a topic"), trends, "", 50, false))
	golden(t, "mover-back", m.Lines(board(noon, "b", "a", "d"), trends, "", 0, false))
}

func TestCountAndHistory(t *testing.T) {
	c := &api.Count{Topic: "a", Window: "5m", Bounds: exact(128_947), Exact: true, WholeCell: api.NewWholeCell(messages.ExactCount(1_000_000))}
	c.WindowStart, c.WindowEnd = noon.Add(-5*time.Minute), noon
	golden(t, "count", screen.Count(c, false))
	c.Exact, c.Upper = false, 130_000
	golden(t, "count-bounds", screen.Count(c, false))
	c.WindowTotalUpper = nil
	golden(t, "count-without-a-partition", screen.Count(c, false))

	h := &api.History{Topic: "a", Window: "1h", Granularity: "5m"}
	for i := range 12 {
		h.Trend = append(h.Trend, api.Point{Timestamp: noon.Add(time.Duration(i-12) * 5 * time.Minute), Bounds: exact(uint64(i * i * 100))})
	}
	golden(t, "history", screen.History(h, 0, false))
	golden(t, "history-narrow", screen.History(h, 30, false))
	h.Trend[3].Upper++
	h.Trend[0].Timestamp = noon.Add(-48 * time.Hour)
	golden(t, "history-bounds", screen.History(h, 0, false))
	h.Trend = nil
	if lines := screen.History(h, 0, false); len(lines) != 1 {
		t.Errorf("without points: %q", lines)
	}
}

func TestStatus(t *testing.T) {
	at := noon
	s := &api.Status{
		Node: "n1", Role: "single", Version: "1.0", Started: noon.Add(-time.Hour), UptimeSec: 3600, EngineTime: &at, Ready: true,
		Settings: api.Settings{Clock: "wall", Partitions: 2, DedupWindow: "10m", MaxAhead: "5m", MaxCategories: 64, MaxRegions: 512},
		Boards:   3, LagRecords: 1234, Budget: []api.Share{{Part: "engine", LimitBytes: 512 << 20, UsedBytes: 100 << 20}, {Part: "dedup", LimitBytes: 256 << 20}},
		Error:     api.Error{ErrorBound: "±0%"},
		Snapshots: api.SnapshotStatus{Taken: 12, UncoveredEntries: 3_456_789},
		Partitions: []api.PartitionStatus{
			{NumberedLedger: api.NumberedLedger{PartitionLedger: api.PartitionLedger{Counted: 1_000_000, Duplicates: 3}}, Topics: 500, Rows: 2500, Memory: api.Memory{Rows: 1 << 20, Dedup: 1 << 10}},
			{NumberedLedger: api.NumberedLedger{Partition: 1}, RegionsFolded: true},
		},
	}
	golden(t, "status", screen.Status(s, 0, false))
	s.Ready, s.Reason, s.EngineTime, s.Epsilon, s.Delta = false, "the log is replayed", nil, 0.001, 0.01
	s.Partitions[1].Failed = "disk"
	s.Snapshots.LastError = "put x: denied"
	golden(t, "status-failed", screen.Status(s, 0, false))

	sec, near, begin := 2.5, 0.125, uint64(7)
	s.Log, s.LagSec = &api.Log{Kind: "kafka", Brokers: "h:9092", Topic: "events", DeadLetters: 1234}, &sec
	golden(t, "status-kafka", screen.Status(s, 0, false))
	s.Partitions[0].Headroom = &near // and nothing was taken
	s.Partitions[1].Headroom, s.Partitions[1].LogBegin, s.Log.Error = &near, &begin, "no broker answers"
	s.Partitions[1].AppliedOffset = begin // nothing is lost yet
	s.LagSec = nil                        // nobody knows it then
	golden(t, "status-kafka-failing", screen.Status(s, 0, false))
}

func TestText(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{screen.Number(0), "0"}, {screen.Number(999), "999"}, {screen.Number(1000), "1,000"}, {screen.Number(1234567), "1,234,567"},
		{screen.Signed(5, 1005), "+1,000"}, {screen.Signed(5, 3), "-2"}, {screen.Signed(5, 5), ""},
		{screen.Percent(1, 3), "33.3%"}, {screen.Percent(1, 0), "0.0%"},
		{screen.Bytes(1023), "1023 B"}, {screen.Bytes(1536), "1.5 KiB"}, {screen.Bytes(3 << 40), "3.0 TiB"},
		{screen.Fit("abc", 5, false), "abc  "}, {screen.Fit("abc", 5, true), "  abc"}, {screen.Fit("abcdef", 4, false), "abc…"},
		{screen.Fit("日本語", 4, false), "日… "}, {screen.Fit("abc", 0, false), ""}, {screen.Fit("e\u0301e\u0301e\u0301", 2, false), "e\u0301…"},
		{screen.Clean("a\tb\x1b[2J\u202e\u0085"), "a\ufffdb\ufffd[2J\ufffd\ufffd"},
		{screen.Sparkline(nil), ""}, {screen.Sparkline([]uint64{0, 0}), "▁▁"}, {screen.Sparkline([]uint64{0, 1, 50, 100}), "▁▂▅█"},
		{screen.Bar(1, 2, 4), "██"}, {screen.Bar(0, 2, 4), ""}, {screen.Bar(1, 0, 4), ""}, {screen.Bar(9, 2, 4), "████"}, {screen.Bar(1, 32, 4), "▏"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
	if got := screen.Squeeze([]uint64{1, 2, 3, 4, 5}, 3); !reflect.DeepEqual(got, []uint64{3, 7, 5}) {
		t.Errorf("squeezed to %v", got)
	}
}

func TestLinesKeepToTheWidth(t *testing.T) {
	b := board(noon, "worldcup2025", strings.Repeat("long ", 40), strings.Repeat("長い", 40))
	var m screen.Mover
	for width := 1; width < 160; width++ {
		for _, lines := range [][]string{screen.Board(b, width, false), m.Lines(b, nil, "", width, false)} {
			for _, line := range lines {
				if w := screen.Width(line); w > width {
					t.Fatalf("width %d: line of %d columns: %q", width, w, line)
				}
			}
		}
	}
}

func TestPainterRedrawsInPlace(t *testing.T) {
	var out bytes.Buffer
	width, height := 80, 4
	p := screen.NewPainter(&out, func() (int, int) { return width, height })
	step := func(want string, lines ...string) {
		t.Helper()
		out.Reset()
		if err := p.Paint(lines); err != nil {
			t.Fatal(err)
		}
		got := strings.TrimSuffix(strings.TrimPrefix(out.String(), "\x1b[?2026h"), "\x1b[J\x1b[?2026l")
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	step("\x1b[?25la\x1b[K\r\nb\x1b[K\r\n", "a", "b")
	step("\r\x1b[2Ac\x1b[K\r\n", "c")
	step("\r\x1b[1A1\x1b[K\r\n2\x1b[K\r\n3\x1b[K\r\n", "1", "2", "3", "4")
	width = 70
	step("\x1b[H\x1b[2Jd\x1b[K\r\n", "d")
	out.Reset()
	if err := p.Close(); err != nil || out.String() != "\x1b[?25h" {
		t.Errorf("closed with %q, %v", out.String(), err)
	}
	out.Reset()
	if err := p.Close(); err != nil || out.Len() > 0 {
		t.Errorf("closed again with %q, %v", out.String(), err)
	}
}
