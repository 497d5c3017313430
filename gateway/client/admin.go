package client

import (
	"context"
	"net/http"

	"github.com/crestdb/crest/gateway/api"
)

// Snapshot has the node take snapshots of all that is new, and returns those it
// took when they are durable: within two minutes, so give the client a timeout to
// match (WithTimeout). An *Error says why not all could be taken.
func (c *Client) Snapshot(ctx context.Context) (*api.SnapshotsTaken, error) {
	out := new(api.SnapshotsTaken)
	if err := c.do(ctx, http.MethodPost, "/api/v1/admin/snapshot", nil, nil, out); err != nil {
		return nil, err
	}
	return out, nil
}
