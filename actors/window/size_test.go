package window

import (
	"testing"
	"unsafe"
)

// TestSizes compares the constants that memory is accounted with with what the
// compiler makes.
func TestSizes(t *testing.T) {
	const entries = 8 + 8 + 8 + 8 // of a family: in families, by key, by region; its first page
	for name, c := range map[string]struct{ said, is int64 }{
		"row":       {rowBytes, int64(unsafe.Sizeof(row{}) + unsafe.Sizeof(admission(0)))},
		"page":      {pageBytes, int64(unsafe.Sizeof(page{}))},
		"scattered": {scatteredBytes, int64(unsafe.Sizeof(scattered{})) + 8},
		"family":    {familyBytes, int64(unsafe.Sizeof(family{})) + 8 + entries},
		"topic":     {topicBytes, int64(unsafe.Sizeof(topic{}))},
		"totals":    {totalsBytes, int64(unsafe.Sizeof(totals{}))},
		"leaver":    {leaverBytes, int64(unsafe.Sizeof(leaver{}))},
		"hiddenKey": {hiddenKeyBytes, int64(unsafe.Sizeof(hiddenKey{}))},
		"cellHeat":  {cellHeatBytes, int64(unsafe.Sizeof(cellHeat{}))},
		"counts":    {cellCountsBytes, int64(unsafe.Sizeof(cellCounts{}))},
		"slice":     {sliceBytes, int64(unsafe.Sizeof(slice{})) + 8},
		"floor":     {floorBytes, int64(unsafe.Sizeof(floor{}))},
	} {
		if c.said < c.is || c.said > c.is+16 {
			t.Errorf("%s: %d bytes are said, %d taken", name, c.said, c.is)
		}
	}
	chosen := unsafe.Sizeof(uint64(0)) + unsafe.Sizeof(rowID(0)) + unsafe.Sizeof(goer{}) + unsafe.Sizeof(uint64(0)) + 2*unsafe.Sizeof(int32(0)) + unsafe.Sizeof(rowID(0))
	if goerBytes < int64(chosen) || goerBytes > int64(chosen)+16 {
		t.Errorf("a goer: %d bytes are said, %d taken", goerBytes, chosen)
	}
}
