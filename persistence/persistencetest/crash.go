package persistencetest

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
)

// PowerLoss ends the process and cuts the power: what is left depends on the
// seed. The old FS fails from now on.
func (f *FS) PowerLoss(seed uint64) *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.off = ErrPowerOff
	f.rng = newRand(seed)

	after := New(seed + 1)
	after.IgnoreSync, after.IgnoreWrites, after.SyncDelay = f.IgnoreSync, f.IgnoreWrites, f.SyncDelay
	nodes := map[*inode]*inode{}
	for _, name := range f.allNames() {
		n := f.durable[name]
		if last := f.names[name]; n != last && f.rng.IntN(2) == 0 {
			n = last
		}
		if n == nil {
			continue
		}
		if nodes[n] == nil {
			nodes[n] = settled(f.image(n))
		}
		after.names[name], after.durable[name] = nodes[n], nodes[n]
	}
	return after
}

// Kill ends the process (kill -9): the next one sees all that was written,
// synced or not. The old FS fails from now on.
func (f *FS) Kill() *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.off = ErrPowerOff
	after := New(f.rng.Uint64())
	after.IgnoreSync, after.IgnoreWrites, after.SyncDelay = f.IgnoreSync, f.IgnoreWrites, f.SyncDelay
	after.names, after.durable = f.names, f.durable
	return after
}

// allNames is sorted, so that a seed always draws the same.
func (f *FS) allNames() []string {
	var names []string
	for name := range f.names {
		names = append(names, name)
	}
	for name := range f.durable {
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// image draws what a power loss leaves of a file.
func (f *FS) image(n *inode) []byte {
	size := len(n.disk)
	if last := len(n.live); last != size {
		switch f.rng.IntN(3) {
		case 0:
			size = last
		case 1:
			lo, hi := min(size, last), max(size, last)
			size = lo + f.rng.IntN(hi-lo+1)
		}
	}
	image := make([]byte, size)
	copy(image, n.disk)
	for i := range (len(n.live) + blockBytes - 1) / blockBytes {
		versions := n.versions(i)
		if len(versions) == 0 || i*blockBytes >= size {
			continue
		}
		to := image[i*blockBytes : min(size, (i+1)*blockBytes)]
		switch k := f.rng.IntN(len(versions) + 2); {
		case k < len(versions):
			copy(to, versions[k])
		case k == len(versions):
			tear(f.rng, to, versions[len(versions)-1])
		} // else: as it was
	}
	return image
}

// versions are the contents of a block that may be on the disk instead of what
// is there for sure.
func (n *inode) versions(i int) [][]byte {
	var versions [][]byte
	for _, s := range n.flushes {
		versions = append(versions, s.blocks[i]...)
	}
	if dirty, ok := n.dirty[i]; ok {
		versions = append(append(versions, dirty...), n.block(n.live, i))
	}
	return versions
}

// tear takes each sector from the new contents or leaves it, and now and then
// only the first part of it.
func tear(rng *rand.Rand, to, from []byte) {
	for at := 0; at < len(to) && at < len(from); at += sectorBytes {
		n := min(len(to)-at, len(from)-at, sectorBytes)
		switch rng.IntN(5) {
		case 0, 1:
			copy(to[at:at+n], from[at:])
		case 2:
			copy(to[at:at+rng.IntN(n)], from[at:])
		}
	}
}

// ReadFile is a file's contents, nil if it is missing.
func (f *FS) ReadFile(name string) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := f.names[filepath.Clean(name)]; n != nil {
		return slices.Clone(n.live)
	}
	return nil
}

// WriteFile replaces a file's contents, or with nil removes the file, durably
// and without counting as an operation: for damaging files.
func (f *FS) WriteFile(name string, data []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	name = filepath.Clean(name)
	if data == nil {
		delete(f.names, name)
		delete(f.durable, name)
		return
	}
	n := settled(slices.Clone(data))
	f.names[name], f.durable[name] = n, n
}

// Clone is an independent copy of what the process sees, all of it durable.
func (f *FS) Clone(seed uint64) *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := New(seed)
	for name, n := range f.names {
		k := settled(slices.Clone(n.live))
		c.names[name], c.durable[name] = k, k
	}
	return c
}
