package main

import (
	"math"

	"github.com/crestdb/crest/bench/tape"
	"github.com/crestdb/crest/bench/truth"
	"github.com/crestdb/crest/bench/workload"
	"github.com/crestdb/crest/messages"
)

// judge knows the true tops of the whole stream in some cells.
type judge struct {
	cells   []messages.Cell // the first is any
	tallies map[messages.Cell]*truth.Tally
}

// judgedCells of a kind: the most used categories, regions, and pairs of those.
const judgedCells = 5

func newJudge(t *tape.Tape) *judge {
	j := &judge{cells: []messages.Cell{{}}, tallies: map[messages.Cell]*truth.Tally{}}
	for i := range judgedCells {
		category, region := workload.CategoryNames[i], workload.RegionNames[i]
		j.cells = append(j.cells, messages.Cell{Category: category}, messages.Cell{Region: region}, messages.Cell{Category: category, Region: region})
	}
	for _, cell := range j.cells {
		j.tallies[cell] = t.Tally(len(t.Events), cell, 0, math.MaxInt64)
	}
	return j
}

// row is one of a board under judgement.
type row struct {
	topic string
	count float64
}

// findings sum up over boards.
type findings struct {
	boards int
	recall float64 // sum; ties for the last place are open
	rows   int
	offs   float64 // sum of |count − true| / true
}

// board compares one with the truth.
func (j *judge) board(f *findings, cell messages.Cell, rows []row) {
	t := j.tallies[cell]
	top := t.Ranked()[:min(boardRows, len(t.Ranked()))]
	found := 0
	for _, r := range rows {
		n := t.Count(r.topic)
		if n >= top[len(top)-1].Count {
			found++
		}
		f.rows++
		f.offs += math.Abs(r.count-float64(n)) / math.Max(1, float64(n))
	}
	f.boards++
	f.recall += float64(found) / float64(len(top))
}

// recalled is the mean recall, and off the mean error of a count.
func (f *findings) recalled() float64 { return f.recall / float64(max(1, f.boards)) }
func (f *findings) off() float64      { return f.offs / float64(max(1, f.rows)) }
