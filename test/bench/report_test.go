package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

// sample is a report with something of everything.
func sample() *report {
	var latency histogram
	for i := range 1000 {
		latency.record(time.Duration(i) * 10 * time.Microsecond)
	}
	ours := &outcome{
		load:  &load{name: loadUnary, title: "one event an append, uniform", callers: 64},
		rates: []float64{9000, 10000, 8000},
		total: tally{calls: 1000, events: 1000, errors: 2, firstError: errors.New("try again"), latency: latency},
		used:  usage{busy: 5 * time.Second, capacity: 20 * time.Second, robson: time.Second, postgres: 2 * time.Second, wal: 1_500_000, heap: 900_000, index: 300_000},
	}
	raw := &outcome{
		load: &load{name: loadRawStatements, title: "statement by statement", callers: 32}, rates: []float64{6000, 5000, 6000},
		total: tally{calls: 1, events: 1, latency: latency},
	}
	r := &report{
		StartedAt: time.Date(2026, time.November, 24, 12, 0, 0, 0, time.UTC), Settings: settings{Rounds: 3, Seconds: 3, Tenants: 100, Accounts: 100, Callers: 64},
		Machine: machine{
			CPUs: 2, OS: "linux 6", Go: "go1.26", DurableSettings: true, SyncsPerSecond: 7300,
			Postgres: map[string]string{"server_version": "15.18", "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "shared_buffers": "1GB", "max_wal_size": "2GB"},
		},
		Loads:        []loadReport{ours.reported(), raw.reported()},
		Tables:       []tableSize{{Name: "event_log", Rows: 1000, HeapBytes: 700_000, IndexBytes: 250_000, HeapPerEvent: 700, IndexPerEvent: 250}},
		Reads:        []readReport{{Name: readStream, LogEvents: 10_000_000, Events: 1000, P50: 4.5, P99: 6.25, Max: 8, PartitionsRead: 12, Partitions: 15}},
		PeakMemoryMB: 123.4, PayloadBytes: 300,
	}
	r.Targets = judge(r, standardTargets)
	return r
}

func TestReport_table(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, sample().write(&out, formatTable))
	path := filepath.Join("testdata", "report.golden")
	if *update {
		require.NoError(t, os.WriteFile(path, out.Bytes(), 0o600))
	}
	golden, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(golden), out.String())
}

func TestReport_save(t *testing.T) {
	t.Parallel()
	r := sample()
	path, err := r.save(filepath.Join(t.TempDir(), "results"))
	require.NoError(t, err)
	require.Equal(t, "20261124T120000Z.json", filepath.Base(path))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	var read report
	require.NoError(t, json.Unmarshal(data, &read))
	require.Equal(t, r, &read)
}

func TestJudge(t *testing.T) {
	t.Parallel()
	r := sample()
	marks := map[string]string{}
	for _, v := range r.Targets {
		marks[v.Name] = v.Mark
	}
	// 9000/6000, 10000/5000, 8000/6000: the median of the rounds' ratios.
	require.InDelta(t, 1.5, r.Targets[0].Value, 0.001)
	require.Equal(t, markAim, marks["unary / statement by statement"])
	require.Equal(t, markAim, marks["unary p99, ms"])
	require.NotContains(t, marks, "unary / one function call", "what did not run is not judged")
	require.InDelta(t, 1300, mustFind(t, r, "disk per event of a 400-byte payload, bytes").Value, 0.001)
	require.Equal(t, markMust, marks["disk per event of a 400-byte payload, bytes"])
	r.find(loadUnary).P99 = 16
	require.Equal(t, markMissed, judge(r, standardTargets)[1].Mark)
}

func mustFind(t *testing.T, r *report, name string) targetValue {
	t.Helper()
	for _, v := range r.Targets {
		if v.Name == name {
			return v
		}
	}
	require.Fail(t, "no target "+name)
	return targetValue{}
}

func TestSizedTargets(t *testing.T) {
	t.Parallel()
	r := &report{
		Loads: []loadReport{
			{Name: at(loadUnary, "100k"), Rates: []float64{100, 100}, P99: 10}, {Name: at(loadUnary, "10m"), Rates: []float64{96, 90}, P99: 11.2},
		},
		Reads: []readReport{{Name: readStream, LogEvents: 100_000, P99: 50}, {Name: readStream, LogEvents: 10_000_000, P99: 9}},
	}
	values := judge(r, sizedTargets("10m"))
	require.Len(t, values, 3)
	require.Equal(t, markAim, values[0].Mark, "the large log's read counts")
	require.InDelta(t, 0.93, values[1].Value, 0.001)
	require.Equal(t, markMust, values[1].Mark)
	require.Equal(t, markMust, values[2].Mark)
}

func TestMedian(t *testing.T) {
	t.Parallel()
	require.Zero(t, median(nil))
	require.InDelta(t, 2, median([]float64{3, 1, 2}), 0)
	require.InDelta(t, 2.5, median([]float64{4, 1, 2, 3}), 0)
}

func TestParse(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	cfg, err := parse([]string{"-binary", "robson", "-size", "10m", "-only", "unary"}, &said)
	require.NoError(t, err)
	require.Equal(t, 10_000_000, sizes[cfg.size])
	require.True(t, cfg.only.MatchString(loadLone))
	_, err = parse([]string{"-binary", "", "-size", "11m", "-rounds", "0", "-callers", "0", "-output", "xml"}, &said)
	for _, flag := range []string{"-binary", "-size", "-rounds", "-callers", "-output"} {
		require.ErrorContains(t, err, flag)
	}
	_, err = parse([]string{"-binary", "robson", "-size", "10m", "-peers", "dir"}, &said)
	require.ErrorContains(t, err, "-size, -replay and -peers")
	_, err = parse([]string{"-only", "("}, &said)
	require.Error(t, err)
	_, err = parse([]string{"-no-such-flag"}, &said)
	require.Error(t, err)
}

func TestParse_peers(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	cfg, err := parse([]string{"-binary", "robson", "-peers", "dir"}, &said)
	require.NoError(t, err)
	for _, name := range []string{loadEmmettInline, loadMessageHot, loadRawRow32, loadUnary, loadHot} {
		require.True(t, cfg.only.MatchString(name), name)
	}
	for _, name := range []string{loadRawRow1, loadLone, loadBatch100} {
		require.False(t, cfg.only.MatchString(name), name)
	}
	cfg, err = parse([]string{"-binary", "robson", "-peers", "dir", "-only", loadLone}, &said)
	require.NoError(t, err)
	require.True(t, cfg.only.MatchString(loadLone))
	require.False(t, cfg.only.MatchString(loadEmmett))
}

// The numbers of a life are worked out by hand; every step of it names ids that follow from others.
func TestLife_steps(t *testing.T) {
	t.Parallel()
	l := newLife("aaaaaaaa-0000-4000-8000-00000000000a", lifeSymbol)
	events := 0
	for _, s := range lifeSteps {
		in := s.make(l)
		require.Len(t, in.GetStreams(), 1)
		require.Len(t, in.GetRequestDigest(), 32)
		events += len(in.GetStreams()[0].GetEvents())
	}
	require.Equal(t, 21, events)
	require.NotEmpty(t, quotes[quantity+"@"+lastStop])
}
