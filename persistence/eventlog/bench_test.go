package eventlog_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/eventlog"
)

func benchConfig(b *testing.B) eventlog.Config {
	cfg := eventlog.DefaultConfig()
	cfg.Dir = b.TempDir()
	cfg.Partitions = 16
	cfg.MinFree = 0
	cfg.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	return cfg
}

// BenchmarkAppend is the group commit on the real disk: b.N frames of one
// small record each, by so many clients that wait for each of theirs.
func BenchmarkAppend(b *testing.B) {
	for _, clients := range []int{1, 64, 1000} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			l := mustOpen(b, benchConfig(b))
			defer mustClose(b, l)
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			for c := range clients {
				n := (b.N + c) / clients
				wg.Go(func() {
					f := testFrame(c, 60, messages.Partition(c%16))
					pos := make(messages.Position, 16)
					for range n {
						if err := l.Append(context.Background(), f, pos); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			s := l.Stats()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "acks/s")
			b.ReportMetric(float64(b.N)/float64(s.Groups), "frames/sync")
		})
	}
}

// fillLog appends about size bytes in frames of blockBytes per partition.
func fillLog(b *testing.B, cfg eventlog.Config, size int64, blockBytes int) {
	l := mustOpen(b, cfg)
	partitions := make([]messages.Partition, 16)
	for p := range partitions {
		partitions[p] = messages.Partition(p)
	}
	var wg sync.WaitGroup
	for c := range 64 {
		f := testFrame(1, blockBytes, partitions...)
		if blockBytes < 1000 { // one event per request
			f = testFrame(1, blockBytes, partitions[c%16])
		}
		each := int64(f.Bytes())
		wg.Go(func() {
			pos := make(messages.Position, 16)
			for range size / each / 64 {
				if err := l.Append(context.Background(), f, pos); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	mustClose(b, l)
}

// BenchmarkReplay reads all partitions of a log from the page cache, all at
// about the same pace.
func BenchmarkReplay(b *testing.B) {
	for _, blockBytes := range []int{60, 2500} {
		b.Run(fmt.Sprintf("block=%d", blockBytes), func(b *testing.B) {
			cfg := benchConfig(b)
			fillLog(b, cfg, 256<<20, blockBytes)
			l := mustOpen(b, cfg)
			defer mustClose(b, l)
			b.SetBytes(l.Stats().Bytes)
			b.ReportAllocs()
			for b.Loop() {
				replay(b, l)
			}
			b.ReportMetric(float64(l.Stats().LoadedBytes)/float64(l.Stats().Bytes)/float64(b.N), "reads/byte")
		})
	}
}

func replay(b *testing.B, l *eventlog.Log) {
	ends := make(messages.Position, 16)
	l.Ends(ends)
	var wg sync.WaitGroup
	for p := range messages.Partition(16) {
		wg.Go(func() {
			var batch messages.Batch
			for from := messages.Offset(0); from < ends[p]; from = batch.Next {
				if err := l.Read(context.Background(), p, from, &batch); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkOpen scans a log at the start.
func BenchmarkOpen(b *testing.B) {
	for _, blockBytes := range []int{60, 2500} {
		b.Run(fmt.Sprintf("block=%d", blockBytes), func(b *testing.B) {
			cfg := benchConfig(b)
			fillLog(b, cfg, 256<<20, blockBytes)
			for b.Loop() {
				l := mustOpen(b, cfg)
				b.SetBytes(l.Stats().Bytes)
				mustClose(b, l)
			}
		})
	}
}
