// Robson: the book of record for automated crypto trading. One binary serves any of the services, all of them with a
// private PostgreSQL, and is the command line.
package main

import (
	"context"
	"os"

	"github.com/robson/robson/cmd/robson/internal/cli"
)

func main() {
	os.Exit(cli.Run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}
