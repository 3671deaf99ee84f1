package subscription

import (
	"fmt"
	"time"
)

// Config holds a hub's limits; its zero value works.
type Config struct {
	// PollEvery is how often the heads of the logs that are listened to are asked for, which finds what other processes
	// have committed. Default 20 ms.
	PollEvery time.Duration
	// PollRetry is the wait after an attempt that failed. Default 500 ms.
	PollRetry time.Duration
	// PageSize is how many events are read at a time. Default 500.
	PageSize int
	// ReadsMax bounds the reads that run at the same time, so that those who catch up leave connections to others.
	// Default 4.
	ReadsMax int
	// ReadTimeout bounds a read, and the asking for heads. Default 10 s.
	ReadTimeout time.Duration
	// SubscribersMax bounds the subscribers of a process, TenantSubscribersMax those of one tenant: one more is
	// RESOURCE_EXHAUSTED. Defaults 1024 and 128.
	SubscribersMax       int
	TenantSubscribersMax int
	// SendMax is how long a receiver may take for one message; then he is left with SUBSCRIBER_TOO_SLOW. Default 30 s.
	SendMax time.Duration
	// CaughtUpEvery is how often, at most, a receiver is told how far the log was looked through while his filter holds
	// everything back. Default 1 s.
	CaughtUpEvery time.Duration
}

func (c Config) withDefaults() (Config, error) {
	for _, field := range []struct {
		name  string
		value *time.Duration
		def   time.Duration
	}{
		{"PollEvery", &c.PollEvery, 20 * time.Millisecond},
		{"PollRetry", &c.PollRetry, 500 * time.Millisecond},
		{"ReadTimeout", &c.ReadTimeout, 10 * time.Second},
		{"SendMax", &c.SendMax, 30 * time.Second},
		{"CaughtUpEvery", &c.CaughtUpEvery, time.Second},
	} {
		if *field.value == 0 {
			*field.value = field.def
		}
		if *field.value < time.Millisecond {
			return c, fmt.Errorf("subscriptions: %s %s must be at least 1 ms", field.name, *field.value)
		}
	}
	for _, field := range []struct {
		name  string
		value *int
		def   int
	}{
		{"PageSize", &c.PageSize, 500},
		{"ReadsMax", &c.ReadsMax, 4},
		{"SubscribersMax", &c.SubscribersMax, 1024},
		{"TenantSubscribersMax", &c.TenantSubscribersMax, 128},
	} {
		if *field.value == 0 {
			*field.value = field.def
		}
		if *field.value < 1 {
			return c, fmt.Errorf("subscriptions: %s %d must be above zero", field.name, *field.value)
		}
	}
	return c, nil
}
