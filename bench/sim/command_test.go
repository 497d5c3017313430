//go:build e2e

package sim

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// command runs the binary to its end and returns what it printed. It has to
// exit with 0.
func command(ctx context.Context, t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}
	for _, v := range os.Environ() {
		if strings.HasPrefix(v, "AWS_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("crest %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestDemo: what a visitor runs first, moves and ends by itself.
func TestDemo(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	out := command(ctx, t, "demo", "--for", "10s")
	if strings.Count(out, "top 10") < 2 || !strings.Contains(out, "sent ") {
		t.Errorf("the board does not move:\n%s", out)
	}
}

// TestFirstSteps is the README's path: a node, events from a file, a board.
func TestFirstSteps(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	s := newServer(t)
	s.start(ctx)
	file := filepath.Join(t.TempDir(), "views.ndjson")
	events := strings.Repeat(`{"topic":"dQw4w9WgXcQ","category":"music","region":"IN"}`+"\n", 3) + `{"topic":"jNQXAC9IVRw","region":"US"}` + "\n"
	if err := os.WriteFile(file, []byte(events), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := s.node.Addr()
	command(ctx, t, "ingest", file, "--addr", addr)
	wants := []string{"1,dQw4w9WgXcQ,3,3,3,true", "2,jNQXAC9IVRw,1,1,1,true"}
	for { // what is acknowledged is counted a moment later
		board := command(ctx, t, "top", "--window", "5m", "-o", "csv", "--addr", addr)
		if !slices.ContainsFunc(wants, func(want string) bool { return !strings.Contains(board, want) }) {
			break
		}
		if !pause(ctx, 100*time.Millisecond) {
			t.Fatalf("the board lacks one of %q:\n%s", wants, board)
		}
	}
	region := command(ctx, t, "count", "dQw4w9WgXcQ", "--region", "IN", "-o", "csv", "--addr", addr)
	if !strings.Contains(region, "3") {
		t.Errorf("the count in a region:\n%s", region)
	}
	s.stop(ctx)
	command(ctx, t, "log", "verify", "--data", s.data)
}
