//go:build e2e

package sim

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crestdb/crest/bench"
	"github.com/crestdb/crest/bench/workload"
)

// TestKafkaBursts: somebody else produces at a steady rate with bursts. Behind
// each burst the node is up to date again before long, its memory stays flat and
// within its budget, and each event counts once. CREST_KAFKA_RATE, _BURST
// (events/s), _SECONDS of the whole and _BURST_SECONDS are the sizes.
func TestKafkaBursts(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	rate := setting(t, "CREST_KAFKA_RATE", 5000)
	burst := setting(t, "CREST_KAFKA_BURST", 20_000)
	whole := time.Duration(setting(t, "CREST_KAFKA_SECONDS", 10)) * time.Second
	length := time.Duration(setting(t, "CREST_KAFKA_BURST_SECONDS", 1)) * time.Second
	const bursts = 4
	b := realKafka(ctx, t)
	topic := foreignTopic(ctx, t, kgoClient(t, b.Addr()), 64, "message.timestamp.type=LogAppendTime")
	s := newServer(t, "--log", "kafka://"+b.Addr()+"/"+topic)
	s.start(ctx)
	c := kgoClient(t, b.Addr(), kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(kgo.Lz4Compression()),
		kgo.ProducerLinger(10*time.Millisecond), kgo.MaxBufferedRecords(1<<20))

	values := wordyValues(t, 100_000)
	var acked, failed atomic.Int64
	now := func(d time.Duration) int { // events/s, d from the start
		if period := whole / bursts; d%period > period/2 && d%period <= period/2+length {
			return burst
		}
		return rate
	}
	start := time.Now()
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		n, due, last := 0, 0.0, time.Duration(0)
		for d := range tick.C {
			d := d.Sub(start)
			if d > whole || ctx.Err() != nil {
				return
			}
			due += float64(now(d)) * (d - last).Seconds()
			for last = d; n < int(due); n++ {
				v := values[n%len(values)]
				c.Produce(ctx, &kgo.Record{Key: v[10:21], Value: v}, func(_ *kgo.Record, err error) {
					if err != nil {
						failed.Add(1)
						return
					}
					acked.Add(1)
				})
			}
		}
	})
	t.Cleanup(wg.Wait)

	var worst [bursts]int64          // lag
	var behind [bursts]time.Duration // from the end of a burst until the node is up to date
	resident := [bursts]int64{}      // at most
	for period, d := whole/bursts, time.Duration(0); d < whole || behind[bursts-1] == 0 && d < whole+30*time.Second; d = time.Since(start) {
		l, err := s.client.Load().Ledger(ctx)
		if err != nil {
			t.Fatalf("%v\n%s", err, s.node.Log())
		}
		d = time.Since(start)
		i := min(int(d/period), bursts-1)
		lag := acked.Load() - int64(l.Total.Counted)
		u, err := s.node.Usage()
		fail(t, err)
		resident[i], worst[i] = max(resident[i], u.Resident), max(worst[i], lag)
		for j := range i + 1 {
			if at := d - time.Duration(j)*period - period/2 - length; at > 0 && behind[j] == 0 && lag < int64(rate/2) {
				behind[j] = at
			}
		}
		pause(ctx, 50*time.Millisecond)
	}
	wg.Wait()
	fail(t, c.Flush(ctx))
	s.countedAs(ctx, uint64(acked.Load()))
	sum := (&comparison{t: t, client: s.client.Load()}).atRest(ctx)
	u, err := s.node.Usage()
	fail(t, err)
	of, err := bench.UsageOf(b.Process())
	fail(t, err)
	t.Logf("%d events in %v, %d/s with bursts of %d/s for %v; of the machine the node took %v, the broker %v since its start, the producer and this test %v",
		acked.Load(), whole, rate, burst, length, u.CPU, of.CPU, bench.OwnCPU())
	for i := range bursts {
		t.Logf("burst %d: %d events behind at most, up to date %v behind its end; %d MB resident at most", i+1, worst[i], behind[i].Round(time.Millisecond), resident[i]>>20)
		if behind[i] == 0 || behind[i] > 30*time.Second {
			t.Errorf("burst %d: not up to date within 30 s", i+1)
		}
	}
	if failed.Load() > 0 || sum.Counted != uint64(acked.Load()) || sum.DeadLettered+sum.Duplicates != 0 {
		t.Errorf("%d events produced, %d could not be; the ledger says %+v", acked.Load(), failed.Load(), sum)
	}
	const budget = 1<<30 + 1<<28 + 150<<20 // 1.25 × --memory + 150 MiB
	if u.Peak > budget {
		t.Errorf("%d MB resident at most, want %d", u.Peak>>20, budget>>20)
	}
	if first, last := max(resident[0], resident[1]), max(resident[2], resident[3]); whole >= 10*time.Minute && last > first*5/4 {
		t.Errorf("memory grows: %v", resident)
	}
}

// wordyValues are events without a time, which count as they arrive.
func wordyValues(t *testing.T, n int) [][]byte {
	t.Helper()
	s, err := workload.New(workload.DefaultConfig())
	fail(t, err)
	values := make([][]byte, n)
	var e workload.Event
	for i := range values {
		s.Next(&e)
		e.Time = 0
		values[i] = wordy(&e, i)
	}
	return values
}

// TestKafkaLatency has bench/load measure how long it takes until an event that
// goes through the gateway is acknowledged, on all in-sync replicas, and until it
// is on its board, while others come in. CREST_KAFKA_BACKGROUND (events/s) and
// _LOAD_SECONDS are the sizes.
func TestKafkaLatency(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	b := realKafka(ctx, t)
	topic := foreignTopic(ctx, t, kgoClient(t, b.Addr()), 64, "message.timestamp.type=LogAppendTime")
	load := filepath.Join(t.TempDir(), "load")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", load, "github.com/crestdb/crest/bench/load").CombinedOutput(); err != nil {
		t.Fatalf("build bench/load: %v\n%s", err, out)
	}
	background := setting(t, "CREST_KAFKA_BACKGROUND", 5000)
	table, err := exec.CommandContext(ctx, load, "-bin", binary, "-repeat", "1", "-for", fmt.Sprintf("%ds", setting(t, "CREST_KAFKA_LOAD_SECONDS", 5)),
		"-background", fmt.Sprint(background), "-flags", "--log kafka://"+b.Addr()+"/"+topic, "visible").CombinedOutput()
	if t.Logf("%s", table); err != nil {
		t.Fatal(err)
	}
	if background < 50_000 {
		return
	}
	for what, most := range map[string]float64{"event → acknowledged p99,": 50, "event → on the board p99,": 1000} {
		if got := measured(t, string(table), what); got >= most {
			t.Errorf("%s: %v ms, want less than %v", what, got, most)
		}
	}
}

// measured is the first number behind some words of a table.
func measured(t *testing.T, table, words string) (v float64) {
	t.Helper()
	_, rest, found := strings.Cut(table, words)
	if _, err := fmt.Sscan(strings.ReplaceAll(strings.TrimPrefix(rest, " ms"), ",", ""), &v); !found || err != nil {
		t.Fatalf("no %q in the table: %v", words, err)
	}
	return v
}
