//go:build !linux && !darwin

package node

func openFiles() int { return filesUnknown }
