// Package sim tests the whole from outside: the real binary, over real HTTP,
// killed, restarted, cut off and sent everything several times, and compared
// with counts that share no code with the engine.
//
// Its tests are behind the build tag e2e (make integration), since they build
// the binary and take minutes. MUTATIONS.md says which of them, and of the
// other tests, turn red when a guarantee is broken on purpose.
package sim
