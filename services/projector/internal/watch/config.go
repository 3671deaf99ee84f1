package watch

import (
	"fmt"
	"time"
)

// Config holds the limits of watching; its zero value works.
type Config struct {
	// WatchersMax bounds the watchers of this process, TenantWatchersMax those of one tenant; one more is RESOURCE_EXHAUSTED.
	// Default 1000 and 200.
	WatchersMax, TenantWatchersMax int
	// MailboxRows bounds the rows that wait for one watcher; past it the watcher is sent away. Default 4096.
	MailboxRows int
	// TouchedMax bounds what events name between two looks; past it watchers read everything anew. Default 5000.
	TouchedMax int
	// CatchUpMax bounds the events that a watcher who comes again may have missed; past it he gets everything anew. Default 5000.
	CatchUpMax int
	// LookPause is how long a feed rests after a look, so that what comes meanwhile is one look. Default 10 ms.
	LookPause time.Duration
	// HeartbeatEvery is how often watchers are told that what they have is still true. Default 10 s.
	HeartbeatEvery time.Duration
}

func (c Config) withDefaults() (Config, error) {
	for _, d := range []struct {
		value *int
		by    int
	}{{&c.WatchersMax, 1000}, {&c.TenantWatchersMax, 200}, {&c.MailboxRows, 4096}, {&c.TouchedMax, 5000}, {&c.CatchUpMax, 5000}} {
		if *d.value == 0 {
			*d.value = d.by
		}
		if *d.value < 1 {
			return c, fmt.Errorf("projector watch config: a limit of %d holds nothing", *d.value)
		}
	}
	if c.LookPause == 0 {
		c.LookPause = 10 * time.Millisecond
	}
	if c.HeartbeatEvery == 0 {
		c.HeartbeatEvery = 10 * time.Second
	}
	if c.LookPause < 0 || c.HeartbeatEvery <= c.LookPause {
		return c, fmt.Errorf("projector watch config: HeartbeatEvery %s must be longer than LookPause %s", c.HeartbeatEvery, c.LookPause)
	}
	return c, nil
}
