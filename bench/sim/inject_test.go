//go:build e2e

package sim

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Calls of the operating system by which a node makes something durable.
const (
	writeCalls  = "write,pwrite64"
	renameCalls = "rename,renameat,renameat2"
	fsyncCalls  = "fsync"     // of folders, and files of the store
	dataCalls   = "fdatasync" // of the log
)

// injection is a strace that makes calls of a running process fail.
type injection struct {
	t   *testing.T
	cmd *exec.Cmd // nil once it has ended
	out string
}

// inject makes calls fail with an error, of each thread from its n-th on, and,
// if there are files, only calls that have to do with one of them. It returns
// when that is in force.
func inject(ctx context.Context, t *testing.T, process int, calls, errno string, n int, files ...string) *injection {
	t.Helper()
	return attach(ctx, t, process, "trace="+calls, fmt.Sprintf("inject=%s:error=%s:when=%d+", calls, errno, n), files...)
}

// attach has strace watch a running process, and change what some of its calls
// do.
func attach(ctx context.Context, t *testing.T, process int, trace, change string, files ...string) *injection {
	t.Helper()
	i := &injection{t: t, out: filepath.Join(t.TempDir(), "strace")}
	args := []string{"-f", "-ttt", "-o", i.out, "-e", "signal=none", "-e", trace, "-e", change, "-p", strconv.Itoa(process)}
	for _, f := range files {
		args = append(args, "-P", f)
	}
	i.cmd = exec.Command(debian(ctx, t, "strace"), args...)
	stderr, err := i.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := i.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.end)
	lines := bufio.NewScanner(stderr)
	for attached := false; !attached; {
		if !lines.Scan() {
			t.Fatalf("strace does not attach to process %d (of the same user, where ptrace is permitted?)", process)
		}
		attached = strings.Contains(lines.Text(), "attached")
	}
	go func() { // so that it never blocks on a full pipe; ends with strace
		for lines.Scan() {
		}
	}()
	return i
}

// end lets the process alone again.
func (i *injection) end() {
	if i.cmd == nil {
		return
	}
	_ = i.cmd.Process.Signal(syscall.SIGINT) // an error means that it has ended with its process
	_ = i.cmd.Wait()                         // its exit status is that of what it was attached to
	i.cmd = nil
}

// first is when the first call failed; zero if none has.
func (i *injection) first() time.Time {
	i.t.Helper()
	text, err := os.ReadFile(i.out)
	if err != nil {
		i.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line) // process, seconds, call …
		if len(f) < 3 || !strings.Contains(line, "(INJECTED)") {
			continue
		}
		seconds, err := strconv.ParseFloat(f[1], 64)
		if err != nil {
			i.t.Fatalf("strace says %q", line)
		}
		return time.UnixMicro(int64(seconds * 1e6))
	}
	return time.Time{}
}

// logFiles are the files of the log whose names match a pattern.
func (s *server) logFiles(pattern string) []string {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.data, "log", pattern))
	if err != nil || len(files) == 0 {
		s.t.Fatalf("%s in the log in %s: %v, %v", pattern, s.data, files, err)
	}
	return files
}

// killer is a program that starts another one, and kills it as kill -9 does at
// the n-th of some calls of one of its threads, before that call is done. The
// process is the same, so that it can be ended as the other one.
func killer(ctx context.Context, t *testing.T, program, calls string, n int) string {
	t.Helper()
	strace := debian(ctx, t, "strace")
	file := filepath.Join(t.TempDir(), "killer")
	script := fmt.Sprintf("#!/bin/sh\nexec %s -D -f -qq -o /dev/null -e signal=none -e trace=%s -e inject=%s:signal=SIGKILL:when=%d %s \"$@\"\n", strace, calls, calls, n, program)
	if err := os.WriteFile(file, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}

// moment is one at which a node is killed: at which calls, and which of them.
func moment(rng *rand.Rand) (calls string, n int) {
	switch rng.IntN(4) {
	case 0: // few threads write the log, so theirs come soonest
		return dataCalls, 1 + rng.IntN(60)
	case 1:
		return fsyncCalls, 1 + rng.IntN(25)
	case 2:
		return renameCalls, 1 + rng.IntN(12)
	}
	return writeCalls, 1 + rng.IntN(300)
}
