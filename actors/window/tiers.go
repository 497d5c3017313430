package window

import "github.com/crestdb/crest/messages"

// tier is one level of the pyramid of slices.
type tier struct {
	Grid messages.Micros // length of a slice; slices are aligned to the epoch
	Keep messages.Micros // a moment at most this far back lies in a slice no longer than Grid
}

// Margin is how far beyond its window each tier is kept, so that a question
// about a moment a little before the shard's clock can still be answered.
const Margin = 30 * messages.Second

// tiers, finest first. Each Grid divides the next one. Every moment lies in
// one slice: when the last moment of a slice of the next tier is older than
// Keep, the finer slices there are merged into it.
var tiers = [...]tier{
	{5 * messages.Second, 5*messages.Minute + 2*Margin},
	{10 * messages.Second, 12*messages.Minute + 10*messages.Second + Margin},
	{messages.Minute, 72*messages.Minute + Margin},
	{5 * messages.Minute, 4*messages.Hour + 5*messages.Minute + Margin},
	{20 * messages.Minute, 25*messages.Hour + Margin},
	{2 * messages.Hour, 7*messages.Day + 2*messages.Hour + Margin},
	{12 * messages.Hour, 31*messages.Day + Margin},
}

const lastTier = len(tiers) - 1

// Grid is the slice grid of a window that ends now: at most 1/60 of a standard
// window, at most 1/12 of any other from a minute up, 5 s below that.
func Grid(w messages.Window) messages.Micros { return FinestGrid(messages.Micros(w)) }

// FinestGrid is the grid on which an interval can begin that far back: both the
// begin and the steps of a series must be multiples of it.
func FinestGrid(age messages.Micros) messages.Micros {
	for i := range tiers {
		if age+tiers[i].Grid+Margin <= tiers[i].Keep {
			return tiers[i].Grid
		}
	}
	return tiers[lastTier].Grid
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

// The smallest and the greatest moment; every event lies between them.
const (
	minMoment = messages.Micros(-1 << 62)
	maxMoment = messages.Micros(1 << 62)
)
