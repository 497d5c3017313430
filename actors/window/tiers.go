package window

import "github.com/crestdb/crest/messages"

// tier is one level of the pyramid of slices.
type tier struct {
	Grid messages.Micros // length of a slice; slices are aligned to the epoch
	Keep messages.Micros // how far back from the clock slices are kept
}

// margin is how far beyond its window each tier is kept, so that a board whose
// end lies a little before the shard's clock can still be answered.
const margin = 30 * messages.Second

// tiers, finest first. Each Grid divides the next one, and each Keep covers
// the next Grid, so a coarse slice can be merged from the tier below.
var tiers = [...]tier{
	{5 * messages.Second, 5*messages.Minute + 2*margin},
	{10 * messages.Second, 12*messages.Minute + margin},
	{messages.Minute, 72*messages.Minute + margin},
	{5 * messages.Minute, 4*messages.Hour + margin},
	{20 * messages.Minute, 25*messages.Hour + margin},
	{2 * messages.Hour, 7*messages.Day + 2*messages.Hour + margin},
	{12 * messages.Hour, 31*messages.Day + margin},
}

// Grid is the slice grid of a window that ends now: at most 1/60 of a standard
// window, at most 1/12 of any other from a minute up, 5 s below that.
func Grid(w messages.Window) messages.Micros {
	length := messages.Micros(w)
	for i := range tiers {
		if length+tiers[i].Grid+margin <= tiers[i].Keep {
			return tiers[i].Grid
		}
	}
	return tiers[len(tiers)-1].Grid
}

// Interval is a stretch of time, Start included, End not.
type Interval struct {
	Start, End messages.Micros
}

// Resolve is the interval of a window that ends at engine time e, rounded
// outward: it begins on the window's grid, at or before e − w, and ends with
// the 5 s slice that contains e. For "all" Start is the smallest moment there
// is.
func Resolve(w messages.Window, e messages.Micros) Interval {
	end := e.Floor(messages.SliceLength) + messages.SliceLength
	if w == messages.WindowAll {
		return Interval{minMoment, end}
	}
	return Interval{(e - messages.Micros(w)).Floor(Grid(w)), end}
}

// minMoment is earlier than every event.
const minMoment = messages.Micros(-1 << 62)
