package snapshot

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/crestdb/crest/messages"
)

const (
	manifestName = "manifest"
	rootKind     = "root"
	partKind     = "part"
)

// nonce tells one taking over from every other, also of the same epoch.
type nonce [8]byte

func newNonce() (n nonce) {
	_, _ = rand.Read(n[:]) // never fails
	return n
}

func (n nonce) String() string               { return hex.EncodeToString(n[:]) }
func (n nonce) MarshalText() ([]byte, error) { return []byte(n.String()), nil }
func (n *nonce) UnmarshalText(b []byte) error {
	return unhex(n[:], b)
}

// hexID is a log's id or that of its hash key, in text.
type hexID [16]byte

func (id hexID) String() string               { return hex.EncodeToString(id[:]) }
func (id hexID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }
func (id *hexID) UnmarshalText(b []byte) error {
	return unhex(id[:], b)
}

func unhex(dst, text []byte) error {
	if len(text) != 2*len(dst) {
		return fmt.Errorf("%q: want %d hexadecimal digits", text, 2*len(dst))
	}
	_, err := hex.Decode(dst, text)
	return err
}

// objectName is the name of a root or a part in its partition's folder. Epoch
// and nonce are those of the lease that writes it, and a lease never uses a
// sequence number twice: so nobody ever writes other bytes under a name.
type objectName struct {
	epoch uint64
	nonce nonce
	seq   uint64
	kind  string
}

func (n objectName) String() string {
	return fmt.Sprintf("%010d-%v-%06d.%s", n.epoch, n.nonce, n.seq, n.kind)
}

// parseName reads a name that String made, and nothing else.
func parseName(s string) (n objectName, ok bool) {
	stem, kind, _ := strings.Cut(s, ".")
	if kind != rootKind && kind != partKind {
		return n, false
	}
	fields := strings.Split(stem, "-")
	if len(fields) != 3 {
		return n, false
	}
	var errs [3]error
	n.kind = kind
	n.epoch, errs[0] = strconv.ParseUint(fields[0], 10, 64)
	errs[1] = n.nonce.UnmarshalText([]byte(fields[1]))
	n.seq, errs[2] = strconv.ParseUint(fields[2], 10, 64)
	return n, errs == [3]error{} && n.String() == s
}

// folderOf is where a partition's objects are: a prefix that ends in a slash.
func folderOf(log messages.LogID, p messages.Partition) string {
	return fmt.Sprintf("%v/%04d/", hexID(log), p)
}

// parseFolder reads the prefix of a key in a partition's folder, and the name
// behind it.
func parseFolder(key string) (log messages.LogID, p messages.Partition, name string, ok bool) {
	fields := strings.Split(key, "/")
	if len(fields) != 3 {
		return log, 0, "", false
	}
	n, err := strconv.ParseUint(fields[1], 10, 32)
	if err != nil || n >= messages.MaxPartitions {
		return log, 0, "", false
	}
	var id hexID
	if id.UnmarshalText([]byte(fields[0])) != nil {
		return log, 0, "", false
	}
	log, p, name = messages.LogID(id), messages.Partition(n), fields[2]
	return log, p, name, folderOf(log, p)+name == key
}
