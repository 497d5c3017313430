package main

import (
	"fmt"
	"html"
	"io"
	"math"
	"slices"
	"strings"
)

// chart is small plots of the same kind side by side, one for each stream, with
// common axes and one legend. Values are shares, 0 to 1.
type chart struct {
	title, y, x string
	ticks       []string // of x, evenly spaced
	lines       []line   // the most important first
	panels      []panel
}

// line is an engine's, with a colour of its own in all charts.
type line struct {
	name   string
	colour int // in palette
	dashed bool
}

// panel is one plot.
type panel struct {
	title  string
	values [][]float64 // by line and tick; NaN: nothing
}

// Sizes, in SVG's units.
const (
	columns                 = 5
	margin                  = 44 // to the left, with the ticks of y
	headHeight, footHeight  = 74, 30
	panelWidth, panelHeight = 176, 168
	plotWidth, plotHeight   = 156, 112
	plotTop                 = 24
	legendTop               = 56
	letterWidth             = 6 // about
)

// palette tells lines apart, also for the colour-blind (Okabe & Ito 2008), on
// white and on black.
var palette = []struct{ light, dark string }{
	{"#0072b2", "#56b4e9"}, {"#d55e00", "#ff8c42"}, {"#008060", "#2fd6a3"}, {"#b0508a", "#e29bc8"},
}

// writeSVG draws the chart. It follows the reader's light or dark scheme, on a
// ground of its own.
func (c *chart) writeSVG(w io.Writer) error {
	rows := (len(c.panels) + columns - 1) / columns
	legendEnd := margin
	for i := range c.lines {
		legendEnd += c.lines[i].legendWidth()
	}
	width := max(margin+min(len(c.panels), columns)*panelWidth, legendEnd, margin+letterWidth*len(c.y), margin+9*len(c.title))
	height := headHeight + rows*panelHeight + footHeight
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, "<title>%s</title>\n", html.EscapeString(c.title))
	b.WriteString(style())
	fmt.Fprintf(&b, `<rect class="ground" width="%d" height="%d"/>`+"\n", width, height)
	text(&b, 12, 20, "head", "start", c.title)
	text(&b, 12, 38, "", "start", c.y)
	x := float64(margin)
	for _, l := range c.lines {
		fmt.Fprintf(&b, `<path class="%s" d="M%.0f %dh26"/>`+"\n", l.class(), x, legendTop)
		marker(&b, l.colour, x+13, legendTop, l.name)
		text(&b, x+32, legendTop+4, "", "start", l.name)
		x += float64(l.legendWidth())
	}
	for i := range c.panels {
		fmt.Fprintf(&b, `<g transform="translate(%d %d)">`+"\n", margin+i%columns*panelWidth, headHeight+i/columns*panelHeight)
		c.draw(&b, &c.panels[i], i%columns == 0)
		b.WriteString("</g>\n")
	}
	text(&b, float64(width)/2, float64(height-10), "", "middle", c.x)
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func style() string {
	var light, dark strings.Builder
	for i, p := range palette {
		fmt.Fprintf(&light, ".l%d{stroke:%s}.m%d{fill:%s}", i, p.light, i, p.light)
		fmt.Fprintf(&dark, ".l%d{stroke:%s}.m%d{fill:%s}", i, p.dark, i, p.dark)
	}
	return `<style>text{font:11px sans-serif;fill:#1f2328}.head{font-size:14px;font-weight:bold}.name{font-weight:bold}` +
		`.ground{fill:#fff}.grid{stroke:#d8dee4}.axis{stroke:#57606a;fill:none}.line{stroke-width:1.5;fill:none}.l0{stroke-width:2.5}.dashed{stroke-dasharray:5 3;stroke-width:1.5}` + light.String() +
		"\n@media (prefers-color-scheme:dark){text{fill:#e6edf3}.ground{fill:#0d1117}.grid{stroke:#30363d}.axis{stroke:#8b949e}" + dark.String() + "}</style>\n"
}

func text(b *strings.Builder, x, y float64, class, anchor, s string) {
	fmt.Fprintf(b, `<text class="%s" x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", class, x, y, anchor, html.EscapeString(s))
}

func (l *line) legendWidth() int { return 56 + letterWidth*len(l.name) }

func (l *line) class() string {
	class := fmt.Sprintf("line l%d", l.colour)
	if l.dashed {
		class += " dashed"
	}
	return class
}

// marker is a point of an engine's line, with a shape of its own.
func marker(b *strings.Builder, i int, x, y float64, label string) {
	shape := ""
	switch i {
	case 0:
		shape = fmt.Sprintf(`<circle class="m%d" cx="%.1f" cy="%.1f" r="3.5">`, i, x, y)
	case 1:
		shape = fmt.Sprintf(`<path class="m%d" d="M%.1f %.1fl4.5 8h-9z">`, i, x, y-5)
	case 2:
		shape = fmt.Sprintf(`<path class="m%d" d="M%.1f %.1fh7v7h-7z">`, i, x-3.5, y-3.5)
	default:
		shape = fmt.Sprintf(`<path class="m%d" d="M%.1f %.1fl4.5 4.5l-4.5 4.5l-4.5 -4.5z">`, i, x, y-4.5)
	}
	end := shape[1:strings.IndexByte(shape, ' ')]
	fmt.Fprintf(b, "%s<title>%s</title></%s>\n", shape, html.EscapeString(label), end)
}

func (c *chart) draw(b *strings.Builder, p *panel, first bool) {
	text(b, plotWidth/2, plotTop-8, "name", "middle", p.title)
	y := func(v float64) float64 { return plotTop + plotHeight*(1-v) }
	for _, v := range []float64{0, 0.25, 0.5, 0.75, 1} {
		fmt.Fprintf(b, `<path class="grid" d="M0 %.1fh%d"/>`+"\n", y(v), plotWidth)
		if first {
			text(b, -6, y(v)+4, "", "end", fmt.Sprintf("%g", v))
		}
	}
	fmt.Fprintf(b, `<path class="axis" d="M0 %dv%dh%d"/>`+"\n", plotTop, plotHeight, plotWidth)
	x := func(i int) float64 { return (float64(i) + 0.5) * plotWidth / float64(len(c.ticks)) }
	for i, t := range c.ticks {
		text(b, x(i), plotTop+plotHeight+15, "", "middle", t)
	}
	// The most important last, so that it lies on top.
	for i := range slices.Backward(p.values) {
		values, path, pen := p.values[i], "", "M"
		for j, v := range values {
			if math.IsNaN(v) {
				pen = "M"
				continue
			}
			path += fmt.Sprintf("%s%.1f %.1f", pen, x(j), y(v))
			pen = "L"
		}
		fmt.Fprintf(b, `<path class="%s" d="%s"/>`+"\n", c.lines[i].class(), path)
		for j, v := range values {
			if !math.IsNaN(v) {
				marker(b, c.lines[i].colour, x(j), y(v), fmt.Sprintf("%s, %s, %s: %.3f", p.title, c.lines[i].name, c.ticks[j], v))
			}
		}
	}
}
