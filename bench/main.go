package bench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Main is the main of a tool: parse reads its flags, from args, and says what is
// wrong with them, or how to use them, to the writer; what it returns measures
// and prints. An interrupt ends its context. The exit code is 2 for wrong flags,
// 1 if measuring failed or found something false.
func Main(tool string, parse func(args []string, w io.Writer) (func(context.Context, io.Writer) error, error)) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	run, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", tool, err)
		os.Exit(2)
	}
	Describe(os.Stdout, append([]string{tool}, os.Args[1:]...))
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", tool, err)
		os.Exit(1)
	}
}
