package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/crestdb/crest/cmd/crest/settings"
	"github.com/crestdb/crest/cmd/node"
)

func newServe(w world) *cobra.Command {
	var file string
	var print bool
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run a node",
		Long: `Run a node until SIGTERM or SIGINT, which drain it: requests in flight are
finished, what they brought is durable, and a snapshot spares the next start a
replay. A second signal ends it at once.

Without any flag it keeps its log and its snapshots under ./data and listens on
127.0.0.1:8080. With --log kafka://… the log is a topic of Kafka: what any
producer writes to it is counted, and what comes over HTTP is written to it.
crest doctor looks at such a topic before.

Settings come from a YAML file (--config, the names below without dashes in
front), over that from the environment (CREST_ and the name in upper case with
_ for -), over that from flags.`,
		Example: `  crest serve
  crest serve --data /var/lib/crest --http :8080 --memory 4GiB
  CREST_CLOCK=event crest serve
  crest serve --log kafka://127.0.0.1:9092/events
  crest serve --config crest.yaml --print-config`,
		Args: noArgs,
	}
	addSettings(c.Flags())
	c.Flags().StringVar(&file, "config", "", "read settings from this YAML `FILE` (env "+settings.ConfigVariable+")")
	c.Flags().BoolVar(&print, "print-config", false, "print the settings in force and how the memory is split, and exit")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if !c.Flags().Changed("config") {
			file = w.getenv(settings.ConfigVariable)
		}
		s, err := settings.Load(settings.Sources{File: file, Environ: w.environ, Flags: givenSettings(c.Flags())})
		if err != nil {
			return &usageError{err: err}
		}
		cfg, err := nodeConfig(s, w)
		if err != nil {
			return &usageError{err: err}
		}
		if print {
			return printConfig(w, s, &cfg)
		}
		return serve(c.Context(), w, cfg)
	}
	return c
}

// addSettings adds a flag for each setting. They collect text alone: what it
// means is settings' to say, wherever it comes from.
func addSettings(flags *pflag.FlagSet) {
	addSettingsOf(flags, func(string) bool { return true })
}

// addSettingsOf adds flags for some settings.
func addSettingsOf(flags *pflag.FlagSet, which func(name string) bool) {
	flags.SortFlags = false
	defaults := settings.Default()
	for _, d := range settings.Table {
		if !which(d.Name) {
			continue
		}
		f := &textFlag{kind: d.Value}
		if !strings.Contains(d.Usage, "(default") { // it depends on others
			f.text = d.Text(&defaults)
		}
		flags.Var(f, d.Name, d.Usage)
		if d.Value == "" {
			f.kind = "bool"
			flags.Lookup(d.Name).NoOptDefVal = "true"
		}
	}
}

// textFlag is a flag's text with the placeholder that the help shows for it.
type textFlag struct{ text, kind string }

func (f *textFlag) Set(s string) error { f.text = s; return nil }
func (f *textFlag) String() string     { return f.text }
func (f *textFlag) Type() string       { return f.kind }

// givenSettings are the settings given as flags.
func givenSettings(flags *pflag.FlagSet) map[string]string {
	given := map[string]string{}
	for _, d := range settings.Table {
		if f := flags.Lookup(d.Name); f != nil && f.Changed {
			given[d.Name] = f.Value.String()
		}
	}
	return given
}

// nodeConfig is the node's configuration. What belongs to the log is passed on
// only if it was given: an existing log keeps what it has.
func nodeConfig(s *settings.Settings, w world) (node.Config, error) {
	key, err := s.HashKey()
	if err != nil {
		return node.Config{}, err
	}
	kafka, err := nodeKafka(s)
	if err != nil {
		return node.Config{}, err
	}
	c := node.DefaultConfig()
	c.Data, c.HTTP, c.Kafka = s.Data, s.HTTP, kafka
	c.Memory, c.DedupMemory, c.MaxBody, c.MinFree = s.Memory, s.DedupMemory, s.MaxBody, s.MinFree
	c.Epsilon, c.Delta = s.Epsilon, s.Delta
	c.Partitions = ifGiven(s, "partitions", s.Partitions)
	c.Clock = ifGiven(s, "clock", s.Clock)
	c.DedupWindow = ifGiven(s, "dedup-window", s.DedupWindow)
	c.MaxAhead = ifGiven(s, "max-ahead", s.MaxAhead)
	c.MaxCategories = ifGiven(s, "max-categories", s.MaxCategories)
	c.MaxRegions = ifGiven(s, "max-regions", s.MaxRegions)
	c.Store, c.S3Endpoint, c.S3Region = s.Store, s.S3Endpoint, s.S3Region
	c.SnapshotPolicy.Every, c.LogRetention = s.SnapshotEvery, s.LogRetention
	c.HashKey = key
	c.KeepUserIDs = s.KeepUserIDs
	c.Version = versionText()
	c.Logger = newLogger(w, s.LogLevel, s.LogFormat)
	return c, c.Validate()
}

func ifGiven[T any](s *settings.Settings, name string, value T) *T {
	if _, ok := s.Given(name); ok {
		return &value
	}
	return nil
}

func newLogger(w world, level slog.Level, format string) *slog.Logger {
	opts := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w.err, opts))
	}
	return slog.New(slog.NewTextHandler(w.err, opts))
}

// printConfig prints a file that --config takes, with the memory split as
// comments.
func printConfig(w world, s *settings.Settings, cfg *node.Config) error {
	var b strings.Builder
	b.WriteString(s.YAML())
	b.WriteString("\n# how memory is split:\n")
	cfg.Split().Each(func(part string, bytes int64) {
		fmt.Fprintf(&b, "#   %s: %s\n", part, settings.FormatSize(bytes))
	})
	_, err := fmt.Fprint(w.out, b.String())
	return err
}

// serve runs a node until ctx ends.
func serve(ctx context.Context, w world, cfg node.Config) error {
	n, err := node.Open(ctx, cfg)
	if err != nil && ctx.Err() != nil { // told to stop before there was anything to drain
		cfg.Logger.Info("stopped before the node was open", "because", err)
		return nil
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s is taken: stop what listens there, or give another address with --http (%w)", cfg.HTTP, err)
	}
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	select {
	case <-n.Ready():
		_, err = fmt.Fprintf(w.out, "crest ready http=%s node=%s data=%s version=%s\n", n.Addr(), word(cfg.Name), word(cfg.Data), word(cfg.Version))
	case err := <-ended:
		return err
	}
	if err != nil { // nobody reads standard output: that is no reason to stop
		cfg.Logger.Warn("the ready line could not be written", "error", err)
	}
	return <-ended
}

// word is a value as one word of a line.
func word(s string) string {
	if s == "" || strings.ContainsAny(s, " \t\n\"=") {
		return fmt.Sprintf("%q", s)
	}
	return s
}
