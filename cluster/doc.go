// Package cluster says who owns what: which node serves a partition, a board
// or a replica, and how ownership moves. DESIGN.md beside this file describes
// it. A node that runs alone owns everything and needs nothing of it.
//
// It knows messages only. It alone talks to the gossip of the members; the
// actors see the Placement that they declare.
package cluster
