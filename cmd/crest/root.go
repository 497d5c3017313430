package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func newRoot(w world) *cobra.Command {
	root := &cobra.Command{
		Use:   "crest",
		Short: "A real-time trending engine",
		Long: `crest counts events as they happen and answers at any moment, for every
sliding window and every category and region: what is the top K, how often did
a topic occur, how did that develop.

  crest demo       see it move
  crest serve      run a node
  crest ingest F   send it a file of events
  crest top        ask it`,
		Args:          noArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
		SilenceUsage:  true, // an error says what is wrong; the help is asked for
		SilenceErrors: true, // run writes them
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return &usageError{err: err, command: c.CommandPath()}
	})
	root.AddCommand(
		newServe(w), newDemo(w),
		newIngest(w), newReplay(w),
		newTop(w), newCount(w), newHistory(w), newStatus(w),
		newLog(w), newSnapshot(w), newDoctor(w), newVersion(w),
	)
	return root
}

// noArgs refuses arguments; of a command with commands below it, it says what
// might have been meant.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if !c.HasSubCommands() {
		return &usageError{err: fmt.Errorf("%s takes no argument, got %q", commandName(c), args[0]), command: c.CommandPath()}
	}
	text := fmt.Sprintf("there is no command %q", strings.TrimSpace(commandName(c)+" "+args[0]))
	if c.SuggestionsMinimumDistance == 0 {
		c.SuggestionsMinimumDistance = 2
	}
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		text += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return &usageError{err: errors.New(text), command: c.CommandPath()}
}

// oneArg wants exactly one argument, of that name.
func oneArg(name string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch len(args) {
		case 1:
			return nil
		case 0:
			return &usageError{err: fmt.Errorf("%s: %s is missing", commandName(c), name), command: c.CommandPath()}
		}
		return &usageError{err: fmt.Errorf("%s takes one %s, got %d (quote names with spaces)", commandName(c), name, len(args)), command: c.CommandPath()}
	}
}

// commandName is a command's path below the program's name, which leads every
// message.
func commandName(c *cobra.Command) string {
	_, name, _ := strings.Cut(c.CommandPath(), " ")
	return name
}

func newVersion(w world) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(w.out, "crest %s\n", versionText())
			return err
		},
	}
}
