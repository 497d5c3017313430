// Package rank orders topics: the total order of a board, the union of shards'
// candidate lists, the certificate that says how much of a board is proven,
// and the candidate sets that make a board cheap to ask again.
//
// It holds plain values and functions; whoever calls owns the data.
package rank
