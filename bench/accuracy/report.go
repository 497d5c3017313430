package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/crestdb/crest/bench"
	"github.com/crestdb/crest/messages"
)

// reportIntro stands under the head.
const reportIntro = `[How to read this](../README.md#accuracy): recall is the share of the true top %d that the boards had; "least" is the worst
board's; "under %v" counts boards below that; certified is the share of rows that were proven to be in the top; width is upper − lower
of the rows; false counts statements that were not true.

`

// writeReport writes accuracy.md and its plots.
func (c *config) writeReport(all []*course) error {
	plots := c.plots(all)
	for name, p := range plots {
		if err := p.save(c.report, name); err != nil {
			return err
		}
	}
	var b bytes.Buffer
	b.WriteString("# Accuracy\n\n```\n")
	bench.Describe(&b, slices.Concat([]string{"go", "run", "./bench/accuracy"}, c.args))
	b.Truncate(len(bytes.TrimRight(b.Bytes(), "\n")))
	b.WriteString("\n```\n\n")
	fmt.Fprintf(&b, reportIntro, c.k, enough)
	c.writeSummary(&b, all)
	for _, name := range slices.Sorted(maps.Keys(plots)) {
		fmt.Fprintf(&b, "![%s](%s)\n\n", plots[name].title, name)
	}
	c.writeBeside(&b, all)
	for _, s := range all {
		s.writeMarkdown(&b)
	}
	return os.WriteFile(filepath.Join(c.report, "accuracy.md"), b.Bytes(), 0o644)
}

// writeSummary is a line for each stream and budget, over all windows.
func (c *config) writeSummary(w io.Writer, all []*course) {
	head := slices.Concat([]string{"stream", "memory", "bytes", "held"}, summaryHead)
	var rows [][]string
	for _, s := range all {
		for _, v := range s.surveys {
			held := none
			if v.held.Engine() > 0 {
				held = kilobytes(v.held.Engine())
			}
			rows = append(rows, slices.Concat([]string{s.name, v.memory, kilobytes(v.bytes), held}, v.summary(everywhere)))
		}
	}
	io.WriteString(w, "## All streams\n\n")
	markdown(w, head, rows)
}

// summaryHead names the cells of summary.
var summaryHead = slices.Concat(
	[]string{"boards"}, prefixed("recall ", kindNames[:]),
	[]string{"least", fmt.Sprintf("under %v", enough), "certified", "width p50", "p99", "checks", "false"},
)

func prefixed(prefix string, names []string) (out []string) {
	for _, n := range names {
		out = append(out, prefix+n)
	}
	return out
}

func (v *survey) summary(in func(place) bool) []string {
	sc := v.sum(in)
	row := []string{fmt.Sprint(sc.boards)}
	for k := range kinds {
		of := v.sum(inKind(in, k))
		row = append(row, of.share(of.recall))
	}
	return append(row, sc.leastText(), fmt.Sprint(sc.under), sc.certifiedText(), sc.widthText(0.5), sc.widthText(0.99), fmt.Sprint(sc.checks()), fmt.Sprint(sc.lies))
}

// writeBeside is a line for each stream, budget and engine.
func (c *config) writeBeside(w io.Writer, all []*course) {
	if !c.besides() {
		return
	}
	var rows [][]string
	for _, s := range all {
		for _, v := range s.surveys {
			for _, e := range c.engines() {
				rows = append(rows, slices.Concat([]string{s.name, v.memory, e.line().name}, e.score(v, everywhere).peerCells()))
			}
		}
	}
	io.WriteString(w, "## Others, at the same memory\n\n")
	fmt.Fprintf(w, besideNote+"\n", c.share)
	markdown(w, slices.Concat([]string{"stream", "memory", "engine"}, peerHead), rows)
}

// writeMarkdown is a stream's part: a line for each budget and window.
func (s *course) writeMarkdown(w io.Writer) {
	fmt.Fprintf(w, "## %s\n\n%s.\n\n", s.name, s.about())
	head := slices.Concat([]string{"memory", "window"}, summaryHead)
	var rows [][]string
	for _, v := range s.surveys {
		for _, window := range messages.StandardWindows {
			rows = append(rows, slices.Concat([]string{v.memory, window.String()}, v.summary(inWindow(window))))
		}
	}
	markdown(w, head, rows)
	for _, v := range s.surveys {
		if notes := s.notes(v); len(notes) > 0 {
			fmt.Fprintf(w, "Memory %s:\n\n```\n%s\n```\n\n", v.memory, strings.Join(notes, "\n"))
		}
	}
}

// markdown writes a table that reads well as text, too: words to the left,
// numbers to the right.
func markdown(w io.Writer, head []string, rows [][]string) {
	widths, numbers := make([]int, len(head)), make([]bool, len(head))
	for i := range head {
		widths[i], numbers[i] = max(3, utf8.RuneCountInString(head[i])), true
		for _, row := range rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
			numbers[i] = numbers[i] && strings.ContainsAny(row[i][:1], "0123456789-")
		}
	}
	line := func(row []string) {
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if numbers[i] {
				cell = pad + cell
			} else {
				cell += pad
			}
			fmt.Fprintf(w, "| %s ", cell)
		}
		io.WriteString(w, "|\n")
	}
	line(head)
	for i := range head {
		rule := strings.Repeat("-", widths[i]+1)
		if numbers[i] {
			rule += ":"
		} else {
			rule = "-" + rule
		}
		io.WriteString(w, "|"+rule)
	}
	io.WriteString(w, "|\n")
	for _, row := range rows {
		line(row)
	}
	io.WriteString(w, "\n")
}
