package kafka

import (
	"context"
	"strconv"
	"time"
)

const (
	// A fetch of one partition has at least so many bytes, and at most.
	fewestFetched, mostFetched = 64 << 10, 4 << 20
	// leastRecord is the least that MaxRecord may be.
	leastRecord = 1024
	// recordPercent is how much of what the topic takes a record may have by our
	// count, which is not exact.
	recordPercent = 85
	// limitTimeout is how long the brokers are asked for what the topic takes.
	limitTimeout = 5 * time.Second
)

// limit bounds cfg by what the topic is like. All gateways see the same, and so go
// on to cut what is under a key alike. One that is not allowed to see it writes
// what topics mostly take.
func (c *client) limit(ctx context.Context, cfg *Config, partitions int) error {
	if cfg.FetchMemory > 0 {
		cfg.FetchBytes = int(min(max(cfg.FetchMemory/int64(partitions), fewestFetched), mostFetched))
		c.cfg.FetchBytes = cfg.FetchBytes
	}
	asked, cancel := context.WithTimeout(ctx, limitTimeout)
	defer cancel()
	var settings map[string]string
	err := again(asked, func() (err error) {
		settings, err = c.settings(asked)
		return err
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		cfg.Logger.Info("kafka: how large a record the topic takes is not known; grant DescribeConfigs to all gateways, or to none", "topic", cfg.Topic, "error", brief(err))
		return nil
	}
	if most, err := strconv.Atoi(settings["max.message.bytes"]); err == nil {
		cfg.MaxRecord = min(cfg.MaxRecord, max(most/100*recordPercent, leastRecord))
	}
	return nil
}
