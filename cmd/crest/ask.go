package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/crestdb/crest/cmd/crest/settings"
	"github.com/crestdb/crest/gateway/client"
	"github.com/crestdb/crest/messages"
)

// asker is what every command has that asks a node.
type asker struct {
	world
	addr string
}

// addFlags adds --addr.
func (a *asker) addFlags(c *cobra.Command) {
	def := client.DefaultAddr
	if v := a.getenv(settings.AddrVariable); v != "" {
		def = v
	}
	c.Flags().StringVar(&a.addr, "addr", def, "`URL` of the node (env "+settings.AddrVariable+")")
}

// client speaks to the node.
func (a *asker) client(opts ...client.Option) (*client.Client, error) {
	c, err := client.New(a.addr, append(opts, client.WithUserAgent("crest/"+versionText()))...)
	if err != nil {
		return nil, &usageError{err: err}
	}
	return c, nil
}

// advise adds to an error of asking what to do about it.
func (a *asker) advise(err error) error {
	var network *net.OpError
	if errors.As(err, &network) && network.Op == "dial" {
		return fmt.Errorf("no node answers at %s: start one with crest serve, or name another with --addr (%w)", a.addr, network.Err)
	}
	return err
}

// scopeFlags are the flags that say which window and cell is meant.
type scopeFlags struct{ window, category, region string }

func (s *scopeFlags) addFlags(c *cobra.Command, window string) {
	c.Flags().StringVar(&s.window, "window", window, "length of the window that ends now: `D` from 10s to 30d, or all")
	c.Flags().StringVar(&s.category, "category", "", "count in this `CATEGORY` only")
	c.Flags().StringVar(&s.region, "region", "", "count in this `REGION` only")
}

func (s *scopeFlags) scope() (client.Scope, error) {
	if _, err := messages.ParseWindow(s.window); err != nil {
		return client.Scope{}, usage("--%w", err)
	}
	return client.Scope{Window: s.window, Category: s.category, Region: s.region}, nil
}

// output is how an answer is printed.
type output struct {
	world
	format string
}

func (o *output) addFlags(c *cobra.Command) {
	c.Flags().StringVarP(&o.format, "output", "o", "table", "print as `table|json|csv`")
}

func (o *output) check() error {
	switch o.format {
	case "table", "json", "csv":
		return nil
	}
	return usage("--output %q: want table, json or csv", o.format)
}

// answer is one answer in the three ways it may be printed.
type answer struct {
	value any                                  // for JSON
	lines func(width int, color bool) []string // for people
	rows  func(write func(fields ...string))   // for CSV, the header first
}

// print prints an answer.
func (o *output) print(a answer) error {
	switch o.format {
	case "json":
		e := json.NewEncoder(o.out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(a.value)
	case "csv":
		c := csv.NewWriter(o.out)
		a.rows(func(fields ...string) { _ = c.Write(fields) }) // kept for Error
		c.Flush()
		return c.Error()
	}
	width, color := 0, false
	if t := o.terminal(); t != nil {
		width, _ = t.size()
		color = t.color
	}
	return o.printLines(a.lines(width, color))
}

func (w world) printLines(lines []string) error {
	_, err := fmt.Fprintln(w.out, strings.Join(lines, "\n"))
	return err
}

// terminal is standard output where it is one.
type terminal struct {
	file  *os.File
	color bool
}

// terminal is nil if standard output is none.
func (w world) terminal() *terminal {
	f, ok := w.out.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || w.getenv("TERM") == "dumb" {
		return nil
	}
	return &terminal{file: f, color: w.getenv("NO_COLOR") == ""}
}

// size is the terminal's, or a common one if it does not tell.
func (t *terminal) size() (width, height int) {
	width, height, err := term.GetSize(int(t.file.Fd()))
	if err != nil || width < 1 || height < 1 {
		return 80, 24
	}
	return width, height
}

// number is a count as a field of CSV.
func number(n uint64) string { return strconv.FormatUint(n, 10) }
