package gateway

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/crestdb/crest/messages"
)

// params reads the parameters of one request. It remembers the first thing
// that is wrong; after that its methods return zero values. Every parameter
// that an address takes is read exactly once, so what is left over is unknown:
// done says so. Nothing is silently ignored or corrected.
type params struct {
	values url.Values
	known  []string
	err    error
}

func newParams(r *http.Request) *params {
	values, err := url.ParseQuery(r.URL.RawQuery)
	p := &params{values: values}
	if err != nil {
		p.err = badRequest("The query string cannot be read (%v); percent-encode names and values.", err)
	}
	return p
}

// done is the first error, or that of a parameter nobody has read.
func (p *params) done() error {
	if p.err != nil {
		return p.err
	}
	for _, name := range sortedKeys(p.values) {
		if !slices.Contains(p.known, name) {
			takes := "no parameters"
			if len(p.known) > 0 {
				takes = strings.Join(p.known, ", ")
			}
			return &refusal{
				status: http.StatusBadRequest,
				title:  "Unknown parameter",
				detail: fmt.Sprintf("%s is not known here; this address takes %s.", quote(name), takes),
				extra:  map[string]any{"parameter": clip(name), "allowed": takes},
			}
		}
	}
	return nil
}

// fail remembers the first error; nil is none.
func (p *params) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// all are the values of a parameter that may be repeated, none of them empty.
func (p *params) all(name string) []string {
	p.known = append(p.known, name)
	if p.err != nil {
		return nil
	}
	values := p.values[name]
	for _, v := range values {
		if v == "" {
			p.fail(badParameter(name, v, "a value, or no such parameter at all"))
			return nil
		}
	}
	return values
}

// one is the value of a parameter that may be given once, by one of its names;
// "" if it was not given.
func (p *params) one(names ...string) (name, value string) {
	name = names[0]
	for _, n := range names {
		values := p.all(n)
		if len(values) == 0 {
			continue
		}
		if len(values) > 1 {
			p.fail(badParameter(n, values[1], "it once"))
		}
		if value != "" {
			p.fail(badParameter(n, values[0], fmt.Sprintf("one of %s, not several", strings.Join(names, ", "))))
		}
		name, value = n, values[0]
	}
	if p.err != nil {
		return name, ""
	}
	return name, value
}

// window is a window; def if it was not given.
func (p *params) window(def messages.Window, names ...string) messages.Window {
	name, v := p.one(names...)
	if v == "" {
		return def
	}
	w, err := messages.ParseWindow(v)
	if err != nil {
		p.fail(badParameter(name, v, "whole seconds from 10s to 30d, such as 5m, 37m, 1h or 7d, or all"))
	}
	return w
}

// number is a whole number from least to most; def if it was not given.
func (p *params) number(def, least, most int, names ...string) int {
	name, v := p.one(names...)
	if v == "" {
		return def
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < least || n > most {
		p.fail(badParameter(name, v, fmt.Sprintf("a whole number from %d to %d", least, most)))
		return def
	}
	return n
}

// cell is the category and region asked for; empty means any.
func (p *params) cell() messages.Cell {
	var c messages.Cell
	_, c.Category = p.one("category")
	_, c.Region = p.one("region")
	p.fail(checkName("category", c.Category))
	p.fail(checkName("region", c.Region))
	return c
}

// topics are the topics of a parameter that may be repeated up to most times.
func (p *params) topics(name string, most int) []string {
	topics := p.all(name)
	if len(topics) > most {
		p.fail(badRequest("%s is given %d times; want at most %d.", name, len(topics), most))
	}
	for _, t := range topics {
		p.fail(checkTopic(name, t))
	}
	return topics
}

// notYet refuses parameters that belong to the contract but are not served by
// this version.
func (p *params) notYet(names ...string) {
	for _, name := range names {
		if p.err == nil && p.values.Has(name) {
			p.fail(&refusal{
				status: http.StatusBadRequest,
				title:  "Parameter not served",
				detail: fmt.Sprintf("%s is not served by this version; leave it out.", name),
				extra:  map[string]any{"parameter": name},
			})
		}
	}
}

// after is the position that has to be counted first; nil if none was given.
func (s *Server) after(p *params) messages.Position {
	_, v := p.one("after")
	if v == "" {
		return nil
	}
	return s.position(p, v)
}

func (s *Server) position(p *params, token string) messages.Position {
	pos, err := messages.ParsePosition(token, s.identity.ID, s.identity.Partitions)
	if err != nil {
		p.fail(err)
	}
	return pos
}

func sortedKeys(values url.Values) []string {
	keys := make([]string, 0, len(values))
	for k := range values {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
