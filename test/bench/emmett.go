package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// emmettDatabase holds what Emmett writes.
const emmettDatabase = "robson_bench_emmett"

// The modes of the program that drives Emmett.
const (
	emmettAppend = "append"
	emmettInline = "inline"
)

// emmettMax is how long the program may take beside measuring: to start, to make its tables, and to warm up.
const emmettMax = 60 * time.Second

// emmett is Emmett's event store in a database of its own. A program of Node's drives it, as Emmett runs in the process of
// its caller: one for each round.
type emmett struct {
	program string
	url     string
	streams int
	mode    string
	child   *child
}

// prepare starts the program and has it warm up.
func (e *emmett) prepare(ctx context.Context, d time.Duration) error {
	var err error
	seconds := strconv.FormatFloat(d.Seconds(), 'f', -1, 64)
	e.child, err = startChild(ctx, d+emmettMax, append(os.Environ(), "PEER_DATABASE_URL="+e.url),
		"node", e.program, e.mode, strconv.Itoa(peerCallers), strconv.Itoa(e.streams), seconds)
	return err
}

// run lets the program measure for as long as prepare has told it.
func (e *emmett) run(ctx context.Context, _ time.Duration) (*tally, error) {
	told, err := e.child.finish()
	if err != nil {
		return nil, err
	}
	t, err := parseEmmett(told)
	if err != nil {
		return nil, err
	}
	return t, ended(ctx, t)
}

// emmettResult is what the program tells.
type emmettResult struct {
	Events     int     `json:"events"`
	Errors     int     `json:"errors"`
	FirstError string  `json:"first_error"`
	Seconds    float64 `json:"seconds"`
	CPUSeconds float64 `json:"cpu_seconds"`
	// Latencies counts appends by their microseconds.
	Latencies map[uint32]int `json:"latency_us"`
}

// parseEmmett reads what the program tells.
func parseEmmett(text string) (*tally, error) {
	var r emmettResult
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return nil, fmt.Errorf("read what %s tells: %w", emmettProgram, err)
	}
	t := &tally{calls: r.Events, events: r.Events, errors: r.Errors, elapsed: inSeconds(r.Seconds), cpu: inSeconds(r.CPUSeconds)}
	if r.FirstError != "" {
		t.firstError = errors.New(r.FirstError)
	}
	for us, n := range r.Latencies {
		for range n {
			t.latency.record(time.Duration(us) * time.Microsecond)
		}
	}
	if t.latency.total != uint64(r.Events) {
		return nil, fmt.Errorf("%s tells %d latencies of %d events", emmettProgram, t.latency.total, r.Events)
	}
	return t, nil
}

func inSeconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
