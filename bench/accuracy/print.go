package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/crestdb/crest/bench"
	"github.com/crestdb/crest/messages"
)

// scoreHead names the cells of crest's score.
var scoreHead = slices.Concat(
	[]string{"boards"}, kindNames[:],
	[]string{"least", "strict", "certified", "exact", "width p50", "p99", "max error", "checks", "false"},
)

// cells are crest's score over some places.
func (v *survey) cells(in func(place) bool) []string {
	sc := v.sum(in)
	row := []string{fmt.Sprint(sc.boards)}
	for k := range kinds {
		of := v.sum(inKind(in, k))
		row = append(row, of.share(of.recall))
	}
	return append(row,
		sc.leastText(), sc.share(sc.strict), sc.certifiedText(), sc.exactText(),
		sc.widthText(0.5), sc.widthText(0.99), bench.Number(float64(sc.maxError)),
		fmt.Sprint(sc.checks()), fmt.Sprint(sc.lies),
	)
}

// peerHead names the cells of a peer's score, or crest's beside.
var peerHead = []string{"recall", "least", "certified", "exact", "width p50", "p99", "max error", "false"}

func (s *score) peerCells() []string {
	return []string{
		s.share(s.recall), s.leastText(), s.certifiedText(), s.exactText(),
		s.widthText(0.5), s.widthText(0.99), bench.Number(float64(s.maxError)), fmt.Sprint(s.lies),
	}
}

// print writes the stream's tables as text.
func (s *course) print(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "%s: %s\n\n", s.name, s.about()); err != nil {
		return err
	}
	for _, v := range s.surveys {
		if err := s.printSurvey(w, v); err != nil {
			return err
		}
	}
	return nil
}

func (s *course) printSurvey(w io.Writer, v *survey) error {
	t := bench.Table{Title: s.title(v), Head: slices.Concat([]string{"window"}, scoreHead)}
	for _, window := range messages.StandardWindows {
		t.Add(slices.Concat([]string{window.String()}, v.cells(inWindow(window)))...)
	}
	t.Add(slices.Concat([]string{"together"}, v.cells(everywhere))...)
	if _, err := t.WriteTo(w); err != nil {
		return err
	}
	if notes := s.notes(v); len(notes) > 0 {
		if _, err := fmt.Fprintln(w, strings.Join(notes, "\n")+"\n"); err != nil {
			return err
		}
	}
	if !s.besides() {
		return nil
	}
	t = bench.Table{Title: "at the same memory", Head: slices.Concat([]string{"window", "engine"}, peerHead)}
	for _, window := range messages.StandardWindows {
		for _, e := range s.engines() {
			t.Add(slices.Concat([]string{window.String(), e.line().name}, e.score(v, inWindow(window)).peerCells())...)
		}
	}
	if _, err := t.WriteTo(w); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, besideNote+"\n", s.share)
	return err
}

// about says what a stream is and needs.
func (s *course) about() string {
	text := fmt.Sprintf("%s events, %s topics; the true tops asked for in the end are of %s of %s rows (%.0f %%)",
		bench.Number(float64(s.sent)), bench.Number(float64(s.topics)), bench.Number(float64(s.wanted)), bench.Number(float64(s.rows)),
		100*float64(s.wanted)/float64(max(1, s.rows)))
	if s.need.bytes > 0 {
		text += fmt.Sprintf("; to keep all takes %s in %d shards: %s", kilobytes(s.need.bytes), s.shards, byKind(&s.need.held))
	}
	return text
}

func (s *course) title(v *survey) string {
	title := s.name
	if v.memory != "" {
		title += fmt.Sprintf(", memory %s (%s)", v.memory, kilobytes(v.bytes))
	}
	return title
}

// notes say what is false, where too little was found, and what took the memory.
func (s *course) notes(v *survey) (notes []string) {
	for _, text := range v.untrue {
		notes = append(notes, "false: "+text)
	}
	if all := v.all(); all.under > 0 {
		notes = append(notes, fmt.Sprintf("%d of %d boards found less than %v of the true top; the worst:", all.under, all.boards, enough))
	}
	for _, m := range v.misses {
		notes = append(notes, fmt.Sprintf("  %s after %d events: recall %.2f of %d rows, the last of them with %d; %d topics", m.what, m.events, m.recall, m.rows, m.last, m.topics))
	}
	if held := v.held.Engine(); held > 0 {
		text := fmt.Sprintf("held at most %s in %d shards", kilobytes(held), s.shards)
		if v.bytes > 0 {
			text += fmt.Sprintf(", %.2f of the memory", float64(held)/float64(v.bytes))
		}
		notes = append(notes, text+": "+byKind(&v.held))
	}
	return notes
}

// byKind writes what an account consists of, in kB.
func byKind(m *messages.Memory) string {
	var parts []string
	for _, p := range []struct {
		name  string
		bytes int64
	}{
		{"rows", m.Rows}, {"names", m.Names}, {"index", m.Index}, {"lists", m.Lists}, {"overlays", m.Overlays},
		{"candidates", m.Candidates}, {"sketches", m.Sketches}, {"filters", m.Filters}, {"combine", m.Combine},
	} {
		if p.bytes > 0 {
			parts = append(parts, p.name+" "+bench.Number(float64(p.bytes)/1e3))
		}
	}
	return strings.Join(parts, ", ")
}

func kilobytes(n int64) string { return bench.Number(float64(n)/1e3) + " kB" }
