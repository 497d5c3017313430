package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/crestdb/crest/bench"
	"github.com/crestdb/crest/bench/peers"
)

// plot draws recall and the width of intervals against memory, a line for each
// engine, from the surveys of one stream with ascending budgets.
func plot(dir string, k int, surveys []*survey) error {
	name := surveys[0].name
	recall := bench.Chart{Title: name, Y: fmt.Sprintf("recall@%d", k)}
	width := bench.Chart{Title: name + ": 99 of 100 rows are known to within", Y: "upper − lower", Log: true}
	engines := []string{"crest"}
	for _, kind := range peers.Kinds {
		engines = append(engines, kind.Name)
	}
	for i, engine := range engines {
		r, w := bench.Line{Name: engine}, bench.Line{Name: engine}
		for _, s := range surveys {
			all := s.all()
			if i >= len(all) {
				continue
			}
			r.Points = append(r.Points, bench.Point{X: float64(s.bytes), Y: all[i].recall / float64(all[i].boards)})
			if n, ok := all[i].width(0.99); ok {
				w.Points = append(w.Points, bench.Point{X: float64(s.bytes), Y: float64(n)})
			}
		}
		if recall.Lines = append(recall.Lines, r); len(w.Points) == 0 {
			w.Name += " (none)"
		}
		width.Lines = append(width.Lines, w)
	}
	base, _, _ := strings.Cut(filepath.Base(name), ".")
	f, err := os.Create(filepath.Join(dir, "accuracy-"+base+".svg"))
	if err != nil {
		return fmt.Errorf("plot: %w", err)
	}
	defer f.Close()
	tick := func(x float64) string {
		for _, s := range surveys {
			if float64(s.bytes) == x {
				return s.memory
			}
		}
		return bench.Number(x)
	}
	label := "memory"
	if strings.Contains(surveys[0].memory, "/") {
		label = "memory, of what the stream needs"
	}
	if err := bench.WriteCharts(f, label, tick, recall, width); err != nil {
		return fmt.Errorf("plot: %w", err)
	}
	return f.Close()
}
