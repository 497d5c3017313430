package snapshot

import "github.com/crestdb/crest/messages"

// HashKeyID names a log's hash key as Listing.HashKey does, without giving it
// away: for people who have an identity and want to know whether snapshots are
// of it.
func HashKeyID(id *messages.LogIdentity) string { return identityOf(id, 0).HashKey.String() }
