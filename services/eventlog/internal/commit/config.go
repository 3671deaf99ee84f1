package commit

import (
	"fmt"
	"runtime"
	"time"
)

// Config bounds the group commit. The zero value of each field gets its default.
type Config struct {
	// WorkersMax is how many transactions run at a time; default the processors, 2 at the least and 8 at the most.
	WorkersMax int
	// BatchEventsMax is the most events of one transaction; one append may have more. Default 256: past that a batch gains
	// little and its senders wait longer.
	BatchEventsMax int
	// LanesMax is how many tenants may at a time wait in lanes of their own; default 16.
	LanesMax int
	// QueueMax is how many appends may wait, TenantQueueMax how many of one tenant; defaults 20 000 and 5 000. At the
	// limit a sender is told to come again.
	QueueMax, TenantQueueMax int
	// RetryAfter is the delay that is then advised; default 50 ms.
	RetryAfter time.Duration
}

func (c Config) withDefaults() (Config, error) {
	for _, field := range []struct {
		name  string
		value *int
		def   int
	}{
		{"WorkersMax", &c.WorkersMax, min(max(runtime.GOMAXPROCS(0), 2), 8)},
		{"BatchEventsMax", &c.BatchEventsMax, 256},
		{"LanesMax", &c.LanesMax, 16},
		{"QueueMax", &c.QueueMax, 20_000},
		{"TenantQueueMax", &c.TenantQueueMax, 5_000},
	} {
		if *field.value == 0 {
			*field.value = field.def
		}
		if *field.value < 1 {
			return c, fmt.Errorf("group commit: %s %d must be above zero", field.name, *field.value)
		}
	}
	if c.RetryAfter == 0 {
		c.RetryAfter = 50 * time.Millisecond
	}
	if c.RetryAfter < 0 {
		return c, fmt.Errorf("group commit: RetryAfter %s is below zero", c.RetryAfter)
	}
	return c, nil
}
