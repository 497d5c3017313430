package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/messages"
)

// boards answers with boards on which "b" overtakes "a"; down makes it fail.
type boards struct {
	asked atomic.Int64
	down  atomic.Bool
}

func (b *boards) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if b.down.Load() {
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	}
	if strings.HasSuffix(r.URL.Path, "/history") {
		_ = json.NewEncoder(w).Encode(api.BoardHistory{Topics: []api.TopicHistory{
			{Topic: "a", Trend: []api.Point{{}, {Bounds: api.Bounds{Estimate: 9}}, {}}},
		}})
		return
	}
	n := b.asked.Add(1)
	board := api.Board{Window: "5m", Top: 10, Exact: true, Interval: api.Interval{AsOf: time.Unix(n*10, 0)}}
	for i, topic := range []string{"a", "b"} {
		if n > 1 {
			topic = map[string]string{"a": "b", "b": "a"}[topic]
		}
		c := uint64(100 - i + int(n))
		board.Topics = append(board.Topics, api.BoardRow{Rank: i + 1, Topic: topic, Bounds: api.Bounds{Estimate: c, Lower: c, Upper: c}})
	}
	_ = json.NewEncoder(w).Encode(board)
}

func TestWatchShowsMovesAndOutlivesTheNode(t *testing.T) {
	fake := &boards{}
	server := httptest.NewServer(fake)
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, errs := &lockedBuffer{}, &lockedBuffer{}
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"top", "--watch", "--interval", "100ms", "--window", "5m", "--addr", server.URL}, world{out: out, err: errs})
	}()
	says := func(b *lockedBuffer, texts ...string) {
		t.Helper()
		eventually(t, func() error {
			for _, text := range texts {
				if !strings.Contains(b.String(), text) {
					return &missing{text, b.String()}
				}
			}
			return nil
		})
	}
	says(out, "▲1", "▼1", "in 10s", "▁█")
	fake.down.Store(true)
	says(errs, "no answer")
	fake.down.Store(false)
	asked := fake.asked.Load()
	eventually(t, func() error {
		if fake.asked.Load() == asked {
			return &missing{"a further board", ""}
		}
		return nil
	})
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
}

// missing says what was waited for.
type missing struct{ text, got string }

func (m *missing) Error() string { return "waited for " + m.text + " in " + m.got }

func TestTrendsSuitTheSlicesKept(t *testing.T) {
	for window, want := range map[string][2]string{
		"5m": {"5m", "15s"}, "10m": {"10m", "30s"}, "1h": {"1h", "3m"}, "24h": {"24h", "1h"}, "7d": {"7d", "8h"}, "30d": {"30d", "1d12h"}, "all": {"30d", "1d12h"},
		"37m": {"37m", ""}, "10s": {"10s", "5s"}, "1m": {"1m", "5s"}, "2h": {"2h", "5m"},
	} {
		w, err := messages.ParseWindow(window)
		if err != nil {
			t.Fatal(err)
		}
		trend, granularity := trendOf(w)
		if g, err := messages.ParseLength(granularity); want[1] != "" {
			wanted, _ := messages.ParseLength(want[1])
			if err != nil || g != wanted || trend != want[0] {
				t.Errorf("%s: got %s by %s, want %s by %s", window, trend, granularity, want[0], want[1])
			}
		} else if granularity != "" {
			t.Errorf("%s: got granularity %s, want the node's choice", window, granularity)
		}
	}
}

func TestViralIsWhatTakesMoreThanBefore(t *testing.T) {
	row := func(topic string, n uint64) api.BoardRow {
		return api.BoardRow{Topic: topic, Bounds: api.Bounds{Estimate: n}}
	}
	count := func(topic string, n uint64) api.TopicCount {
		return api.TopicCount{Topic: topic, Bounds: api.Bounds{Estimate: n}}
	}
	now := &api.Board{Total: api.Total{Estimate: 1000}, Topics: []api.BoardRow{row("old", 300), row("new", 200), row("small", 40)}}
	short := &api.Counts{WholeCell: api.WholeCell{WindowTotal: 6000}, Counts: []api.TopicCount{count("old", 2000), count("new", 300), count("small", 0)}}
	v := findViral(now, short)
	if v == nil || v.topic != "new" || v.now != 0.2 || v.before != 0.05 {
		t.Errorf("got %+v", v)
	}
	short.Counts[1].Estimate, short.Counts[2].Estimate = 1200, 200
	if v := findViral(now, short); v != nil {
		t.Errorf("got %+v where nothing stands out", v)
	}
	if v := findViral(&api.Board{}, &api.Counts{}); v != nil {
		t.Errorf("got %+v from nothing", v)
	}
}
