// Package sim tests the whole from outside: the real binary, over real HTTP,
// killed, restarted, cut off and sent everything several times, on disks that
// fail and with stores that are gone, and compared with counts that share no
// code with the engine.
//
// Its tests are behind the build tag e2e (make integration), since they build
// the binary and take minutes. MUTATIONS.md says which of them, and of the
// other tests, turn red when a guarantee is broken on purpose.
//
// Where the program has no setting for it (snapshots every moment, an engine
// held back), the node is the test's own binary, made by cmd/node as the
// program makes it. S3 is a real versitygw, installed into .cache/tools; calls
// of the operating system fail by Debian's strace.
//
// bench/README.md lists the variables that make the short runs long ones.
package sim
