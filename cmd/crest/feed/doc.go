// Package feed sends a file of events to a node: cut into blocks, several
// requests in flight, each block acknowledged exactly once however often the
// node, the network or this program break down in between.
//
// Every block carries an Idempotency-Key that follows from the file, the
// block's number and its content, so that sending it again within the node's
// dedup window changes nothing. A Progress file remembers which blocks are
// acknowledged and since when others may have been under way; it is on disk
// before a block is sent. A block whose answer never came and whose key the
// node may have forgotten is never sent again silently: Send stops with an
// UnresolvedError that says what to do.
//
// It reads no flags, draws nothing and knows the node only as an Ingester.
package feed
