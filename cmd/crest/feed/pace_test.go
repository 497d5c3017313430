package feed_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crestdb/crest/cmd/crest/feed"
	"github.com/crestdb/crest/cmd/crest/input"
	"github.com/crestdb/crest/messages"
)

// play runs a pacer to its end: what left when, relative to the start.
func play(t *testing.T, p *feed.Pacer, content string) (got []string) {
	t.Helper()
	f, err := input.Stream(strings.NewReader(content), "-", input.NDJSON)
	if err != nil {
		t.Fatal(err)
	}
	p.File = f
	if p.Events == 0 {
		p.Events = 1000
	}
	began := time.Now()
	for {
		b, err := p.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		body := strings.ReplaceAll(strings.TrimSpace(string(b.Body)), "\n", " ")
		got = append(got, fmt.Sprintf("%v: %s", time.Since(began), body))
	}
}

func TestPacerKeepsToTheTimes(t *testing.T) {
	const hour = `{"ts":3600}
{"ts":3630}
{"ts":3631}
{"x":1}
{"ts":3600}
{"ts":7200}
`
	for _, c := range []struct {
		name    string
		pacer   feed.Pacer
		content string
		want    []string
	}{
		{"at once", feed.Pacer{}, "1\n2\n3\n", []string{"0s: 1 2 3"}},
		{"at once, in small blocks", feed.Pacer{Events: 2}, "1\n2\n3\n", []string{"0s: 1 2", "0s: 3"}},
		{"at a low rate", feed.Pacer{Rate: 2}, "1\n2\n3\n", []string{"0s: 1", "500ms: 2", "1s: 3"}},
		{"at a rate", feed.Pacer{Rate: 20}, "1\n2\n3\n4\n5\n", []string{"100ms: 1 2 3", "200ms: 4 5"}},
		{"as fast as it was", feed.Pacer{Speed: 1}, hour, []string{
			`0s: {"ts":3600}`, `30s: {"ts":3630}`, `31s: {"ts":3631} {"x":1} {"ts":3600}`, `1h0m0s: {"ts":7200}`}},
		{"a minute for an hour", feed.Pacer{Speed: 60, Events: 2}, hour, []string{
			`0s: {"ts":3600}`, `516.666666ms: {"ts":3630} {"ts":3631}`, `516.666666ms: {"x":1} {"ts":3600}`, `1m0s: {"ts":7200}`}},
		{"shifted", feed.Pacer{Shift: messages.Hour}, "{\"ts\":3600}\n{\"x\":1}\n{\"ts\":\"wrong\"}\n", []string{
			`0s: {"ts":7200000000} {"x":1} {"ts":"wrong"}`}},
		{"shifted before 1970", feed.Pacer{Shift: -messages.Hour}, "{\"ts\":60}\n", []string{`0s: {"ts":0}`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if got := play(t, &c.pacer, c.content); !reflect.DeepEqual(got, c.want) {
					t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
				}
			})
		})
	}
}

func TestLiveEventsGetTheMomentTheyAreDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := messages.MicrosOf(time.Now())
		got := play(t, &feed.Pacer{Speed: 2, Live: true}, "{\"ts\":100}\n{\"ts\":103}\n{\"ts\":101}\n")
		want := []string{
			fmt.Sprintf(`0s: {"ts":%d}`, start),
			fmt.Sprintf(`1.5s: {"ts":%d} {"ts":%d}`, start+1500*messages.Millisecond, start+500*messages.Millisecond),
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestPacerStopsWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, err := input.Stream(strings.NewReader("1\n2\n"), "-", input.NDJSON)
		if err != nil {
			t.Fatal(err)
		}
		p := &feed.Pacer{File: f, Events: 1, Rate: 0.001}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.Next(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

func TestLatestTime(t *testing.T) {
	for content, want := range map[string]messages.Micros{
		"{\"ts\":5}\n{\"x\":1}\n{\"ts\":9}\n{\"ts\":7}\n": 9 * messages.Second,
		"{}\n": 0,
	} {
		f, err := input.Stream(strings.NewReader(content), "-", input.NDJSON)
		if err != nil {
			t.Fatal(err)
		}
		got, ok, err := feed.LatestTime(t.Context(), f)
		if got != want || ok != (want > 0) || err != nil {
			t.Errorf("%q: got %v, %v, %v", content, got, ok, err)
		}
	}
}
