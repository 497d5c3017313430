//go:build e2e

package sim

import (
	"context"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// installed is a Go program of a certain version, source being as "go install"
// takes it. It is kept in .cache/tools, outside of go.mod, under a name with
// the version.
func installed(ctx context.Context, t *testing.T, source string) string {
	t.Helper()
	tools, err := filepath.Abs("../../.cache/tools")
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(tools, path.Base(source))
	if _, err := os.Stat(bin); err == nil {
		return bin
	}
	t.Logf("installing %s; that takes a minute or two", source)
	if err := os.MkdirAll(tools, 0o755); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(tools, "new") // beside its place, so that it can be renamed
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	install := exec.CommandContext(ctx, "go", "install", source)
	install.Env = append(os.Environ(), "GOBIN="+dir)
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("this test wants %s in %s, but go install says: %v\n%s", source, tools, err, out)
	}
	name, _, _ := strings.Cut(path.Base(source), "@")
	if err := os.Rename(filepath.Join(dir, name), bin); err != nil {
		t.Fatal(err)
	}
	return bin
}

// debian is a program of a Debian package of the same name, installed if it is
// not there yet and we may.
func debian(ctx context.Context, t *testing.T, name string) string {
	t.Helper()
	if bin, err := exec.LookPath(name); err == nil {
		return bin
	}
	for _, args := range [][]string{{"update", "-q"}, {"install", "-q", "-y", "--no-install-recommends", name}} {
		c := exec.CommandContext(ctx, "apt-get", args...)
		c.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("this test wants %s, and apt-get %s says: %v\n%s\nInstall it: apt-get install %s", name, strings.Join(args, " "), err, out, name)
		}
	}
	bin, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("this test wants %s: %v", name, err)
	}
	return bin
}

// until waits for a condition while senders are at work.
func until(ctx context.Context, t *testing.T, l *load, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for !holds() {
		l.check(t)
		if !pause(ctx, 20*time.Millisecond) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// saying are the lines of a log that have some words.
func saying(log, words string) (lines []string) {
	for line := range strings.Lines(log) {
		if strings.Contains(line, words) {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return lines
}
