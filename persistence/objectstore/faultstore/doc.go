// Package faultstore is stores of objects that behave as badly as real ones
// may: slow, out of order, with answers that are lost after the deed, refusals
// without a reason, lists that leave things out or are old, and a fault at the
// n-th operation. Memory is a store without faults, and the plainest there is.
// Transport does the same to the HTTP requests of a client.
//
// It is for tests. Faults are drawn from a seed, in the order of operations.
package faultstore
