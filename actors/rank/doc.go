// Package rank orders topics: the total order of a board, the union of shards'
// candidate lists, the certificate that says how much of a board is proven,
// and the candidate sets that make a board cheap to ask again.
//
// Union and Merge are for sources with disjoint topics, as the shards of a log
// that is keyed by topic. Where a topic may have counts in several, Sum finds
// the first rows of the sums, and everything else is as before: its Part is one
// of a single source.
//
// It holds plain values and functions; whoever calls owns the data.
package rank
