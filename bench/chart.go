package bench

import (
	"fmt"
	"html"
	"io"
	"math"
	"strings"
)

// Chart is lines over a common x axis, side by side with others in one SVG.
// The x axis is logarithmic, which is what sizes of memory want.
type Chart struct {
	Title string
	Y     string // what the y axis shows
	// Log: y is drawn as log(1+y), for counts that are mostly 0 and at times
	// large.
	Log   bool
	Lines []Line
}

// Line is one engine's points, x ascending.
type Line struct {
	Name   string
	Points []Point
}

// Point is a measured value.
type Point struct{ X, Y float64 }

// Sizes of a chart, in SVG's units.
const (
	chartWidth, chartHeight  = 460, 320
	plotLeft, plotTop        = 70, 40
	plotWidth, plotHeight    = 360, 200
	legendTop, legendSpacing = 282, 110
)

// lineColors tell lines apart, also for the colour-blind (Okabe & Ito 2008).
var lineColors = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00"}

// WriteCharts writes charts side by side as one SVG; xLabel names their x
// values, tick writes one.
func WriteCharts(w io.Writer, xLabel string, tick func(x float64) string, charts ...Chart) error {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11">`+"\n", chartWidth*len(charts), chartHeight)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/>`+"\n")
	for i := range charts {
		fmt.Fprintf(&b, `<g transform="translate(%d 0)">`+"\n", i*chartWidth)
		charts[i].draw(&b, xLabel, tick)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// scale maps values onto the plot.
type scale struct {
	minX, maxX, minY, maxY float64
	log                    bool
}

func (s *scale) x(v float64) float64 {
	if s.maxX == s.minX {
		return plotLeft + plotWidth/2
	}
	return plotLeft + plotWidth*math.Log(v/s.minX)/math.Log(s.maxX/s.minX)
}

func (s *scale) y(v float64) float64 {
	share := (v - s.minY) / (s.maxY - s.minY)
	if s.log {
		share = math.Log1p(v) / math.Log1p(s.maxY)
	}
	return plotTop + plotHeight*(1-share)
}

func (c *Chart) scale() *scale {
	s := &scale{minX: math.Inf(1), log: c.Log}
	for _, l := range c.Lines {
		for _, p := range l.Points {
			s.minX, s.maxX, s.maxY = min(s.minX, p.X), max(s.maxX, p.X), max(s.maxY, p.Y)
		}
	}
	if s.maxY = max(s.maxY, 1); c.Log && s.maxY > 1 {
		s.maxY = math.Pow(10, math.Ceil(math.Log10(s.maxY)))
	}
	return s
}

func (c *Chart) draw(b *strings.Builder, xLabel string, tick func(float64) string) {
	text := func(x, y float64, anchor, s string) {
		fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", x, y, anchor, html.EscapeString(s))
	}
	s := c.scale()
	text(plotLeft+plotWidth/2, 18, "middle", c.Title)
	text(plotLeft, plotTop-8, "end", c.Y)
	for _, v := range s.ticks() {
		fmt.Fprintf(b, `<path d="M%d %.1fh%d" stroke="#ddd"/>`+"\n", plotLeft, s.y(v), plotWidth)
		text(plotLeft-6, s.y(v)+4, "end", Number(v))
	}
	fmt.Fprintf(b, `<path d="M%d %dv%dh%d" stroke="black" fill="none"/>`+"\n", plotLeft, plotTop, plotHeight, plotWidth)
	shown := map[float64]bool{}
	for i, l := range c.Lines {
		color := lineColors[i%len(lineColors)]
		var path strings.Builder
		for j, p := range l.Points {
			fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(j, 1)], s.x(p.X), s.y(p.Y))
			fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"><title>%s</title></circle>`+"\n",
				s.x(p.X), s.y(p.Y), color, html.EscapeString(fmt.Sprintf("%s: %s at %s", l.Name, Number(p.Y), tick(p.X))))
			if !shown[p.X] {
				shown[p.X] = true
				text(s.x(p.X), plotTop+plotHeight+16, "middle", tick(p.X))
			}
		}
		fmt.Fprintf(b, `<path d="%s" stroke="%s" stroke-width="2" fill="none"/>`+"\n", path.String(), color)
		x, y := float64(plotLeft-40+i%4*legendSpacing), float64(legendTop+i/4*18)
		fmt.Fprintf(b, `<path d="M%.0f %.0fh14" stroke="%s" stroke-width="3"/>`+"\n", x, y, color)
		text(x+18, y+4, "start", l.Name)
	}
	text(plotLeft+plotWidth/2, plotTop+plotHeight+30, "middle", xLabel)
}

// ticks of the y axis.
func (s *scale) ticks() []float64 {
	if !s.log {
		return []float64{s.minY, s.maxY / 4, s.maxY / 2, 3 * s.maxY / 4, s.maxY}
	}
	ticks := []float64{0}
	step := max(10, math.Pow(10, math.Ceil(math.Log10(s.maxY)/6)))
	for v := 1.0; v <= s.maxY; v *= step {
		ticks = append(ticks, v)
	}
	return ticks
}
