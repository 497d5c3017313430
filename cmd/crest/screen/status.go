package screen

import (
	"fmt"
	"strconv"
	"time"

	"github.com/crestdb/crest/gateway/api"
)

// Status draws a node for its operator.
func Status(s *api.Status, width int, color bool) []string {
	state := Cell{"ready", Green}
	if !s.Ready {
		state = Cell{"not ready", Red}
	}
	if s.Reason != "" {
		state.Text += ": " + s.Reason
	}
	engineTime := "no event yet"
	if s.EngineTime != nil {
		engineTime = Moment(*s.EngineTime)
	}
	errorBound := s.ErrorBound
	if s.Epsilon > 0 {
		errorBound += fmt.Sprintf(" (ε %g, δ %g)", s.Epsilon, s.Delta)
	}
	set := s.Settings
	pairs := []Pair{
		{"state", state},
		{"node", Cell{fmt.Sprintf("%s (%s), version %s", s.Node, s.Role, s.Version), Bold}},
		{"up", Cell{Text: (time.Duration(s.UptimeSec) * time.Second).String() + ", since " + Moment(s.Started)}},
		{"engine time", Cell{Text: fmt.Sprintf("%s (clock %s)", engineTime, set.Clock)}},
		{"counts", Cell{Text: fmt.Sprintf("ids for %s, events up to %s ahead, %d categories, %d regions", set.DedupWindow, set.MaxAhead, set.MaxCategories, set.MaxRegions)}},
		{"error", Cell{Text: errorBound}},
		{"lag", Cell{Text: lag(s)}},
		{"boards", Cell{Text: strconv.Itoa(s.Boards)}},
		{"snapshots", snapshots(&s.Snapshots)},
	}
	if s.Log != nil {
		pairs = append(pairs, Pair{"log", outside(s.Log)}, Pair{"headroom", headroom(s.Partitions)})
	}
	lines := Pairs(pairs, color)
	if len(s.Budget) > 0 {
		lines = append(append(lines, ""), budget(s.Budget).Lines(width, color)...)
	}
	return append(append(lines, ""), partitions(s.Partitions).Lines(width, color)...)
}

// lag is what is not counted yet, and how old that is where it is known.
func lag(s *api.Status) string {
	text := Number(s.LagRecords) + " records"
	switch {
	case s.LagSec == nil && s.Log != nil && s.Log.Error != "":
		text += " as last heard; the log cannot be read"
	case s.LagSec != nil && *s.LagSec > 0:
		text += fmt.Sprintf(", %.1f s", *s.LagSec)
	}
	return text
}

// outside is a log that is not the node's own.
func outside(l *api.Log) Cell {
	text := fmt.Sprintf("%s %s/%s, %s dead letters since the start", l.Kind, l.Brokers, l.Topic, Number(l.DeadLetters))
	switch {
	case l.Error != "":
		return Cell{"failing: " + l.Error + "; " + text, Red}
	case l.Warning != "":
		return Cell{l.Warning + "; " + text, Yellow}
	}
	return Cell{Text: text}
}

// headroom is of the partition that the log's retention is nearest to, among
// those that it has begun to take from, and has taken nothing of that is not counted.
func headroom(parts []api.PartitionStatus) Cell {
	least, at := 1.0, 0
	for i := range parts {
		begin := parts[i].LogBegin
		begun := begin != nil && *begin > 0 && parts[i].AppliedOffset >= *begin
		if h := parts[i].Headroom; begun && h != nil && *h < least {
			least, at = *h, parts[i].Partition
		}
	}
	switch {
	case least == 1:
		return Cell{Text: "what the log's retention takes next is counted"}
	case least < 0.25:
		return Cell{fmt.Sprintf("%.0f %% in partition %d: retention is near to what is not counted", 100*least, at), Red}
	}
	return Cell{Text: fmt.Sprintf("%.0f %% in partition %d", 100*least, at)}
}

// snapshots says what a restart would have to replay, or that there are none.
func snapshots(s *api.SnapshotStatus) Cell {
	text := fmt.Sprintf("%s taken, %s entries in none yet", Number(s.Taken), Number(s.UncoveredEntries))
	if s.LastError != "" {
		return Cell{"failing: " + s.LastError + "; " + text, Red}
	}
	return Cell{Text: text}
}

// budget shows how the memory is split, and what is used.
func budget(shares []api.Share) *Table {
	t := &Table{Columns: []Column{{Title: "memory"}, {Title: "used", Right: true}, {Title: "of", Right: true}, {}}}
	for _, s := range shares {
		used, limit := uint64(max(0, s.UsedBytes)), uint64(max(0, s.LimitBytes))
		t.Rows = append(t.Rows, []Cell{
			{Text: s.Part}, {Text: Bytes(s.UsedBytes)}, {Text: Bytes(s.LimitBytes)}, {Bar(used, limit, barWidth), Accent},
		})
	}
	return t
}

func partitions(parts []api.PartitionStatus) *Table {
	t := &Table{Columns: []Column{
		{Title: "shard", Right: true}, {Title: "counted", Right: true}, {Title: "duplicates", Right: true}, {Title: "dead letters", Right: true},
		{Title: "late", Right: true}, {Title: "lag", Right: true}, {Title: "topics", Right: true}, {Title: "rows", Right: true}, {Title: "memory", Right: true}, {Title: "state"},
	}}
	for i := range parts {
		p := &parts[i]
		state := Cell{"ok", Green}
		if p.Failed != "" {
			state = Cell{"failed: " + p.Failed, Red}
		} else if p.CategoriesFolded || p.RegionsFolded {
			state = Cell{"other in use", Yellow}
		}
		m := p.Memory
		t.Rows = append(t.Rows, []Cell{
			{Text: strconv.Itoa(p.Partition)}, {Text: Number(p.Counted)}, {Text: Number(p.Duplicates)}, {Text: Number(p.DeadLettered)},
			{Text: Number(p.Late)}, {Text: Number(p.LagRecords)}, {Text: Number(uint64(max(0, p.Topics)))}, {Text: Number(uint64(max(0, p.Rows)))},
			{Text: Bytes(m.Rows + m.Names + m.Index + m.Lists + m.Overlays + m.Candidates + m.Sketches + m.Filters + m.Combine + m.Dedup)}, state,
		})
	}
	return t
}
