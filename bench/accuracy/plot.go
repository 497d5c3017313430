package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/crestdb/crest/bench/peers/counters"
	"github.com/crestdb/crest/messages"
)

// engine is crest (0) or a peer (1 + its place in counters.Kinds).
type engine int

const crest engine = 0

func (e engine) line() line {
	if e == crest {
		return line{name: "crest"}
	}
	return line{name: counters.Kinds[e-1].Name, colour: int(e)}
}

func (e engine) score(v *survey, in func(place) bool) *score {
	if e == crest {
		return v.sum(in)
	}
	return v.peer(int(e-1), in)
}

// engines are all that were compared.
func (c *config) engines() []engine {
	engines := []engine{crest}
	if c.besides() {
		for i := range counters.Kinds {
			engines = append(engines, engine(i+1))
		}
	}
	return engines
}

// besides tells whether peers are laid beside.
func (c *config) besides() bool { return c.share > 0 && c.memory[0] != "" }

// curve is a line, and where its values come from: the score of a place, NaN for
// none.
type curve struct {
	line
	engine
	value func(*score) float64
}

func meanRecall(s *score) float64    { return s.recall / float64(s.boards) }
func meanCertified(s *score) float64 { return s.certified / float64(s.boards) }

// looseness is a quantile of the intervals' widths.
func looseness(q float64) func(*score) float64 {
	return func(s *score) float64 {
		if width, ok := s.loose(q); ok {
			return width
		}
		return math.NaN()
	}
}

// plots are the charts of a report, by the name of their file.
func (c *config) plots(all []*course) map[string]*chart {
	var recall, certified []curve
	width := []curve{
		{line{name: "crest, 99 of 100 rows"}, crest, looseness(0.99)},
		{line{name: "crest, median", dashed: true}, crest, looseness(0.5)},
	}
	for _, e := range c.engines() {
		recall = append(recall, curve{e.line(), e, meanRecall})
		if e == crest || counters.Kinds[e-1].Certain {
			certified = append(certified, curve{e.line(), e, meanCertified})
		}
		if e != crest && counters.Kinds[e-1].Bounded {
			l := e.line()
			l.name += ", 99 of 100"
			width = append(width, curve{l, e, looseness(0.99)})
		}
	}
	return map[string]*chart{
		"accuracy-recall.svg": c.byMemory(all, recall,
			fmt.Sprintf("Recall@%d by memory", c.k), "mean over the boards of all windows and cells asked for"),
		"accuracy-windows.svg": c.byWindow(all, recall, len(c.memory)/2),
		"accuracy-certified.svg": c.byMemory(all, certified,
			"Certified rows by memory", fmt.Sprintf("share of the top %d that is proven to be there; mean over all boards (a count-min and HeavyKeeper prove nothing)", c.k)),
		"accuracy-intervals.svg": c.byMemory(all, width,
			"Width of rows' intervals by memory", "(upper − lower) ÷ upper: 0 is exact, 1 says nothing (HeavyKeeper states no bounds)"),
	}
}

// byMemory has the budgets along x.
func (c *config) byMemory(all []*course, curves []curve, title, y string) *chart {
	ch := &chart{title: title, y: y, x: "memory", ticks: c.memory}
	if _, share, _ := budget(c.memory[0]); share {
		ch.x += ", as a share of what it takes to keep everything"
	}
	ch.fill(all, curves, func(s *course, i int) (*survey, func(place) bool) { return s.surveys[i], everywhere })
	return ch
}

// byWindow has the windows along x, with one budget.
func (c *config) byWindow(all []*course, curves []curve, budget int) *chart {
	ch := &chart{
		title: fmt.Sprintf("Recall@%d by window, with memory %s", c.k, c.memory[budget]),
		y:     "mean over the boards of all cells asked for", x: "window",
	}
	for _, w := range messages.StandardWindows {
		ch.ticks = append(ch.ticks, w.String())
	}
	ch.fill(all, curves, func(s *course, i int) (*survey, func(place) bool) {
		return s.surveys[budget], inWindow(messages.StandardWindows[i])
	})
	return ch
}

// fill makes a panel of each stream; at says what is at the i-th tick.
func (c *chart) fill(all []*course, curves []curve, at func(s *course, i int) (*survey, func(place) bool)) {
	for _, curve := range curves {
		c.lines = append(c.lines, curve.line)
	}
	for _, s := range all {
		p := panel{title: s.name}
		for _, curve := range curves {
			values := make([]float64, len(c.ticks))
			for i := range values {
				v, in := at(s, i)
				values[i] = curve.value(curve.score(v, in))
			}
			p.values = append(p.values, values)
		}
		c.panels = append(c.panels, p)
	}
}

func (c *chart) save(dir, name string) error {
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := c.writeSVG(f); err != nil {
		return err
	}
	return f.Close()
}
