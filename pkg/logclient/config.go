package logclient

import (
	"fmt"
	"time"
)

// Config are the client's named choices. The zero value of each field gets its default.
type Config struct {
	// InFlightMax is how many appends of a tenant may be under way; the next one waits. Default 512.
	InFlightMax int
	// TriesMax is how often an append is offered that the log cannot take now; default 6.
	TriesMax int
	// RetryDelay is the first wait before it is offered again, where the log advises none, and before a stream that broke is
	// made anew; it doubles up to RetryDelayMax, and each wait is a random part of it. Defaults 10 ms and 2 s.
	RetryDelay, RetryDelayMax time.Duration
	// IdleMax is how long a tenant's stream stays open with nothing to send; default 1 min.
	IdleMax time.Duration
	// DeadlineDefault is what an append without a deadline gets; default 15 s.
	DeadlineDefault time.Duration
}

func (c Config) withDefaults() (Config, error) {
	for _, field := range []struct {
		name  string
		value *int
		def   int
	}{{"InFlightMax", &c.InFlightMax, 512}, {"TriesMax", &c.TriesMax, 6}} {
		if *field.value == 0 {
			*field.value = field.def
		}
		if *field.value < 1 {
			return c, fmt.Errorf("log client: %s %d must be above zero", field.name, *field.value)
		}
	}
	for _, field := range []struct {
		name  string
		value *time.Duration
		def   time.Duration
	}{
		{"RetryDelay", &c.RetryDelay, 10 * time.Millisecond},
		{"RetryDelayMax", &c.RetryDelayMax, 2 * time.Second},
		{"IdleMax", &c.IdleMax, time.Minute},
		{"DeadlineDefault", &c.DeadlineDefault, 15 * time.Second},
	} {
		if *field.value == 0 {
			*field.value = field.def
		}
		if *field.value < 0 {
			return c, fmt.Errorf("log client: %s %s is below zero", field.name, *field.value)
		}
	}
	return c, nil
}
