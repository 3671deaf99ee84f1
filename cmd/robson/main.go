// Robson: the book of record for automated crypto trading. One binary serves any of the services, all of them with a
// private PostgreSQL, and is the command line.
package main

import (
	"context"
	"os"
	"runtime/debug"

	"github.com/robson/robson/cmd/robson/internal/cli"
)

// How memory is used where GOGC and GOMEMLIMIT do not say otherwise. A service makes much garbage and keeps little: collecting
// it at five times what is kept, instead of twice, gave 40 % more appends on two cores (BenchmarkAppend of services/eventlog, in
// one run); the limit makes collections more frequent before a process grows large.
const (
	gcPercent   = 400
	memoryLimit = 224 << 20 // bytes
)

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	os.Exit(cli.Run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}
