package main

import (
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// What an operator is told to look at and to type is there: metrics by their
// names, flags, and the commands they are for.
func TestTheOperationsPageNamesWhatThereIs(t *testing.T) {
	page, err := os.ReadFile("../../persistence/OPERATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	exposition := expositionOf(t, "--partitions", "1") + expositionOf(t, "--log", "kafka://"+brokers(t, 1)+"/events")
	metrics := regexp.MustCompile(`crest_[a-z_]+`).FindAllString(string(page), -1)
	if len(metrics) < 5 {
		t.Errorf("metrics %q: want more of them", metrics)
	}
	for _, name := range metrics {
		if !strings.Contains(exposition, "# TYPE "+name+" ") {
			t.Errorf("there is no metric %s", name)
		}
	}

	flags, commands := map[string]bool{"--help": true}, map[string]bool{}
	var collect func(c *cobra.Command)
	collect = func(c *cobra.Command) {
		commands[c.CommandPath()] = true
		c.Flags().VisitAll(func(f *pflag.Flag) { flags["--"+f.Name] = true })
		for _, sub := range c.Commands() {
			collect(sub)
		}
	}
	collect(newRoot(world{}))
	for _, flag := range regexp.MustCompile(`--[a-z][a-z0-9-]+`).FindAllString(string(page), -1) {
		if !flags[flag] {
			t.Errorf("there is no flag %s", flag)
		}
	}
	named := regexp.MustCompile(`crest (snapshot|log) [a-z]+|crest (serve|status|doctor|ingest)\b`).FindAllString(string(page), -1)
	if len(named) < 10 {
		t.Errorf("commands %q: want more of them", named)
	}
	for _, name := range named {
		if !commands[name] {
			t.Errorf("there is no command %s", name)
		}
	}
}

// expositionOf is what a node says at /metrics.
func expositionOf(t *testing.T, serve ...string) string {
	t.Helper()
	n := serveNode(t, t.TempDir(), serve...)
	resp, err := http.Get("http://" + n.addr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
