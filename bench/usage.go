package bench

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

// Usage is what a process took of the machine so far.
type Usage struct {
	CPU      time.Duration // of all its threads
	Resident int64         // bytes now
	Peak     int64         // bytes at most
}

// clockTick is the unit of CPU times in /proc: USER_HZ, which is 100 on every
// Linux.
const clockTick = 10 * time.Millisecond

// Usage reads the node's account from /proc.
func (n *Node) Usage() (Usage, error) { return UsageOf(n.cmd.Process.Pid) }

// UsageOf reads the account of any process.
func UsageOf(pid int) (Usage, error) {
	dir := fmt.Sprintf("/proc/%d", pid)
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return Usage{}, fmt.Errorf("usage of process: %w", err)
	}
	// The name, which may hold blanks, ends with the last parenthesis; utime
	// and stime are the 12th and 13th field behind it.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	var u Usage
	for _, f := range fields[11:13] {
		ticks, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return Usage{}, fmt.Errorf("usage of process: %w", err)
		}
		u.CPU += time.Duration(ticks) * clockTick
	}
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return Usage{}, fmt.Errorf("usage of process: %w", err)
	}
	u.Resident, u.Peak = kilobytes(status, "VmRSS:"), kilobytes(status, "VmHWM:")
	return u, nil
}

// OwnCPU is what this process has taken of all cores so far.
func OwnCPU() time.Duration { return cpuOf(syscall.RUSAGE_SELF) }

// ThreadCPU is what the thread that runs the caller has taken so far; a
// difference says something only between runtime.LockOSThread and its end.
func ThreadCPU() time.Duration { return cpuOf(rusageThread) }

// rusageThread is Linux' RUSAGE_THREAD, which package syscall does not name.
const rusageThread = 1

func cpuOf(who int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		panic(err) // it cannot fail for oneself
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// kilobytes reads a line such as "VmRSS:   1234 kB", in bytes; 0 if there is
// none.
func kilobytes(status []byte, name string) int64 {
	for line := range bytes.Lines(status) {
		if f := bytes.Fields(line); len(f) == 3 && string(f[0]) == name {
			n, _ := strconv.ParseInt(string(f[1]), 10, 64)
			return n << 10
		}
	}
	return 0
}
