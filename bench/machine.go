package bench

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// Describe writes what a number is worth nothing without: the command, the
// commit and the machine.
func Describe(w io.Writer, args []string) {
	fmt.Fprintf(w, "# %s\n", strings.Join(args, " "))
	fmt.Fprintf(w, "# %s, commit %s, %s\n", time.Now().UTC().Format(time.RFC3339), commit(), runtime.Version())
	fmt.Fprintf(w, "# %s: %s, %d cores, %s of memory\n\n", runtime.GOOS+"/"+runtime.GOARCH,
		procField("/proc/cpuinfo", "model name"), runtime.NumCPU(), procField("/proc/meminfo", "MemTotal"))
}

func commit() string {
	out, err := exec.Command("git", "describe", "--tags", "--always", "--dirty").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// procField is the first "name : value" of a file in /proc.
func procField(file, name string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return "unknown " + name
	}
	for line := range bytes.Lines(text) {
		if key, value, ok := strings.Cut(string(line), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown " + name
}
