// Command crest is the whole of crest in one binary: the node, and the tools
// that feed it, ask it and look into its log.
//
// It is the only part that reads flags, environment and configuration files,
// and the only one that writes to a terminal; what it does with them is done by
// the packages it joins. Commands return errors that say what to do; they
// become one line on standard error and an exit code here: 0 done, 1 the server
// or the data said no, 2 wrong usage.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// version is set when a release is built.
var version = "dev"

func main() {
	ctx, stop := untilSignal()
	defer stop()
	code := run(ctx, os.Args[1:], world{in: os.Stdin, out: os.Stdout, err: os.Stderr, environ: os.Environ()})
	stop()
	os.Exit(code)
}

// untilSignal is a context that ends with the first SIGINT or SIGTERM. The
// second one ends the process at once.
func untilSignal() (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		if _, open := <-signals; !open {
			return
		}
		cancel()
		if _, open := <-signals; open {
			os.Exit(1)
		}
	}()
	stopped := false
	return ctx, func() {
		if !stopped {
			stopped = true
			signal.Stop(signals)
			close(signals)
			cancel()
		}
	}
}

// world is what a command sees of the process it runs in.
type world struct {
	in       io.Reader
	out, err io.Writer
	environ  []string
}

// getenv is the value of an environment variable, "" if it is not set.
func (w world) getenv(name string) string {
	for i := len(w.environ) - 1; i >= 0; i-- { // the last one counts
		if v, ok := strings.CutPrefix(w.environ[i], name+"="); ok {
			return v
		}
	}
	return ""
}

// usageError is a mistake in how the program was called.
type usageError struct {
	err     error
	command string // whose help says more; "" if the message says all
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// usage makes an error of wrong usage.
func usage(format string, args ...any) error {
	return &usageError{err: fmt.Errorf(format, args...)}
}

// run runs one command line and returns its exit code.
func run(ctx context.Context, args []string, w world) int {
	root := newRoot(w)
	root.SetArgs(append([]string{}, args...)) // nil would mean those of the process
	root.SetIn(w.in)
	root.SetOut(w.out)
	root.SetErr(w.err)
	err := root.ExecuteContext(ctx)
	var wrong *usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &wrong):
		hint := ""
		if wrong.command != "" {
			hint = "; see " + wrong.command + " --help"
		}
		fmt.Fprintf(w.err, "crest: %s%s\n", oneLine(err), hint)
		return 2
	}
	fmt.Fprintf(w.err, "crest: %s\n", oneLine(err))
	return 1
}

// oneLine is an error's text as one line: errors that were joined stand below
// each other.
func oneLine(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' }), "; ")
}
