package seen

const (
	// A filter block is one cache line, and has 43.5 ids on average: 11.8 bits an
	// id; with the fences of the blocks that is one and a half bytes an id.
	filterWords      = 8
	filterBlockBytes = 8 * filterWords
	twoBlocksHold    = 87
)

// Filter is a blocked Bloom filter (Putze, Sanders and Singler 2007): eight bits
// an id, two in each of four words of one block. It says yes to about 5 in 1,000
// ids that are not there (TestFilterSaysYesToFewOthers).
type Filter []uint64

// filterBlocks is how many blocks n ids get.
func filterBlocks(n uint64) uint64 { return max(1, (2*n+twoBlocksHold-1)/twoBlocksHold) }

// Probe is where a filter has an id, but for the block. The same for every run,
// it is worked out once.
type Probe struct {
	hi    uint64
	words [4]uint64 // which word of each pair
	masks [4]uint64
}

// ProbeOf is an id's. The block comes from the upper bits of Hi, all else from
// the lower ones and Lo.
func ProbeOf(id ID) (p Probe) {
	p.hi = id.Hi
	rest := uint64(id.Lo) | id.Hi<<32
	for i := range p.masks {
		p.words[i] = uint64(2*i) | rest&1
		p.masks[i] = 1<<(rest>>1&63) | 1<<(rest>>7&63)
		rest >>= 13
	}
	return p
}

// Next is the first of the filters from number from on that may have the id;
// len(filters) if no further one has. What a filter does not let through is not
// in its run.
func Next(filters []Filter, p *Probe, from int) int {
	for i := from; i < len(filters); i++ {
		f := filters[i]
		at := scale(p.hi, len(f)/filterWords) * filterWords
		b := (*[filterWords]uint64)(f[at : at+filterWords])
		if p.masks[0]&^b[p.words[0]&7]|p.masks[1]&^b[p.words[1]&7]|p.masks[2]&^b[p.words[2]&7]|p.masks[3]&^b[p.words[3]&7] == 0 {
			return i
		}
	}
	return len(filters)
}

// Touch brings what Next will look at into the cache, for ids that will be
// looked up soon: loads that nothing depends on wait together. Its result means
// nothing; use it, so that the loads are not left out.
func Touch(filters []Filter, ids []ID) (nothing uint64) {
	for _, f := range filters {
		n := len(f) / filterWords
		for i := range ids {
			nothing += f[scale(ids[i].Hi, n)*filterWords]
		}
	}
	return nothing
}

// addAll puts ids in.
func (f Filter) addAll(ids []Packed) {
	for _, id := range ids {
		p := ProbeOf(id.ID())
		at := scale(p.hi, len(f)/filterWords) * filterWords
		b := (*[filterWords]uint64)(f[at : at+filterWords])
		b[p.words[0]&7] |= p.masks[0]
		b[p.words[1]&7] |= p.masks[1]
		b[p.words[2]&7] |= p.masks[2]
		b[p.words[3]&7] |= p.masks[3]
	}
}
