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
	// HeadsNamedMax is how many logs' heads are asked for by name at most. Of more, every PollEvery only those that have become
	// longer lately are asked for, and all of them every HeadsEvery. Defaults 128 and 1 s.
	HeadsNamedMax int
	HeadsEvery    time.Duration
	// NewsTenantsMax is of how many logs others' commits are read at a time, NewsSize how many events of each. Defaults 64 and
	// 200.
	NewsTenantsMax int
	NewsSize       int
	// RingEventsMax and RingBytesMax bound the newest events of a log that are kept for those who listen to it, RingsBytesMax
	// those of all logs. Defaults 1024, 2 MiB and 48 MiB.
	RingEventsMax int
	RingBytesMax  int
	RingsBytesMax int
	// FollowersMax bounds those who follow all tenants, FollowTenantsMax the tenants of each, CrewTenantsMax those that can be shared out
	// at all. Defaults 32, 10 000 and 100 000.
	FollowersMax     int
	FollowTenantsMax int
	CrewTenantsMax   int
	// ShareEvery is how often a follower looks whether the tenants are shared out well, new ones too. LeaseTime is how long one who
	// has vanished keeps his; a third of it is how often leases are renewed. Defaults 1 s and 6 s.
	ShareEvery time.Duration
	LeaseTime  time.Duration
	// FollowRetry is the wait before a tenant is tried again whose log could not be followed. Default 30 s.
	FollowRetry time.Duration
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
		{"HeadsEvery", &c.HeadsEvery, time.Second},
		{"ShareEvery", &c.ShareEvery, time.Second},
		{"LeaseTime", &c.LeaseTime, 6 * time.Second},
		{"FollowRetry", &c.FollowRetry, 30 * time.Second},
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
		{"HeadsNamedMax", &c.HeadsNamedMax, 128},
		{"FollowersMax", &c.FollowersMax, 32},
		{"FollowTenantsMax", &c.FollowTenantsMax, 10_000},
		{"CrewTenantsMax", &c.CrewTenantsMax, 100_000},
		{"NewsTenantsMax", &c.NewsTenantsMax, 64},
		{"NewsSize", &c.NewsSize, 200},
		{"RingEventsMax", &c.RingEventsMax, 1024},
		{"RingBytesMax", &c.RingBytesMax, 2 << 20},
		{"RingsBytesMax", &c.RingsBytesMax, 48 << 20},
	} {
		if *field.value == 0 {
			*field.value = field.def
		}
		if *field.value < 1 {
			return c, fmt.Errorf("subscriptions: %s %d must be above zero", field.name, *field.value)
		}
	}
	if c.LeaseTime < 3*c.ShareEvery {
		return c, fmt.Errorf("subscriptions: LeaseTime %s must be at least three times ShareEvery %s", c.LeaseTime, c.ShareEvery)
	}
	return c, nil
}
