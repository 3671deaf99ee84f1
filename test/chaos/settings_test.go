package chaos_test

import (
	"flag"
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

// The flags of a run; make chaos sets them.
var (
	long     = flag.Bool("chaos.long", false, "the long form: more commands, a full disk, bounds asserted")
	rounds   = flag.Int("chaos.rounds", 0, "rounds of faults; 0: each fault once")
	duration = flag.Duration("chaos.duration", 2500*time.Millisecond, "how long the load of a round runs")
	seed     = flag.Uint64("chaos.seed", 0, "what random choices follow from; 0: any")
)

// Limits of waiting.
const (
	// readyMax bounds the start of a process.
	readyMax = time.Minute
	// stopMax bounds its end in order.
	stopMax = 30 * time.Second
	// callMax bounds one call of a client, and patientMax one of a client that is to meet no deadline, however busy the machine.
	callMax, patientMax = 2 * time.Second, 30 * time.Second
	// knownMax bounds how long a client asks.
	knownMax = 90 * time.Second
	// lookPause is between two looks at something that is waited for.
	lookPause = 10 * time.Millisecond
)

// binary is the robson that is tested; make test builds it and sets the variable.
func binary(t *testing.T) string {
	t.Helper()
	path := os.Getenv("ROBSON_BINARY")
	if path == "" {
		t.Skip("ROBSON_BINARY names no binary: run make test")
	}
	return path
}

// chosen makes a source of random choices for a part of the run, and prints what it follows from.
func chosen(t *testing.T) uint64 {
	t.Helper()
	s := *seed
	if s == 0 {
		s = rand.Uint64()
	}
	t.Logf("seed: -chaos.seed=%d", s)
	return s
}

// now is the time, with the monotonic clock: these tests measure what real processes do.
func now() time.Time { return time.Now() } //nolint:forbidigo // see above

// some is a random duration.
func some(r *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(r.Int64N(int64(most-least)+1))
}
