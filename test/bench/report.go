package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// report is what a run came to.
type report struct {
	StartedAt    time.Time    `json:"started_at"`
	Settings     settings     `json:"settings"`
	Machine      machine      `json:"machine"`
	Loads        []loadReport `json:"loads"`
	Tables       []tableSize  `json:"tables,omitempty"`
	Reads        []readReport `json:"reads,omitempty"`
	Replays      *replays     `json:"replays,omitempty"`
	PeakMemoryMB float64      `json:"eventlog_peak_memory_mb,omitempty"`
	// PayloadBytes is the mean size of a simple event's payload.
	PayloadBytes float64       `json:"payload_bytes,omitempty"`
	Targets      []targetValue `json:"targets"`
}

// settings are what makes a run what it is, so that it can be repeated.
type settings struct {
	Size string `json:"size,omitempty"`
	Only string `json:"only,omitempty"`
	// Rounds and Seconds say how often and how long each load ran.
	Rounds   int     `json:"rounds"`
	Seconds  float64 `json:"seconds"`
	Tenants  int     `json:"tenants"`
	Accounts int     `json:"accounts_per_tenant"`
	Callers  int     `json:"callers"`
}

// machine is what the figures were measured on.
type machine struct {
	CPUs            int               `json:"cpus"`
	OS              string            `json:"os"`
	Go              string            `json:"go"`
	Postgres        map[string]string `json:"postgres"`
	SyncsPerSecond  float64           `json:"fdatasync_per_second,omitempty"`
	DurableSettings bool              `json:"durable_settings"`
}

// loadReport is one load. Rates are of the rounds; latencies are of all calls of all rounds, in milliseconds.
type loadReport struct {
	Name               string    `json:"name"`
	Title              string    `json:"title"`
	Callers            int       `json:"callers"`
	Events             int       `json:"events"`
	Calls              int       `json:"calls"`
	Errors             int       `json:"errors"`
	FirstError         string    `json:"first_error,omitempty"`
	Rates              []float64 `json:"events_per_second_by_round"`
	Rate               float64   `json:"events_per_second"`
	P50                float64   `json:"p50_ms"`
	P99                float64   `json:"p99_ms"`
	P999               float64   `json:"p999_ms"`
	Max                float64   `json:"max_ms"`
	RobsonCPUMicros    float64   `json:"robson_cpu_us_per_event"`
	PostgresCPUMicros  float64   `json:"postgres_cpu_us_per_event"`
	GeneratorCPUMicros float64   `json:"bench_cpu_us_per_event"`
	// OthersPercent is the part of the machine that other processes took meanwhile.
	OthersPercent float64 `json:"others_cpu_percent"`
	WALBytes      float64 `json:"wal_bytes_per_event"`
	HeapBytes     float64 `json:"heap_bytes_per_event"`
	IndexBytes    float64 `json:"index_bytes_per_event"`
}

// reported is an outcome as it is told.
func (o *outcome) reported() loadReport {
	r := loadReport{
		Name: o.load.name, Title: o.load.title, Callers: o.load.callers, Events: o.total.events, Calls: o.total.calls, Errors: o.total.errors,
		Rates: o.rates, Rate: median(o.rates), Max: inMillis(o.total.latency.max),
		P50: inMillis(o.total.latency.quantile(0.5)), P99: inMillis(o.total.latency.quantile(0.99)), P999: inMillis(o.total.latency.quantile(0.999)),
		RobsonCPUMicros:    o.perEvent(float64(o.used.robson.Microseconds())),
		PostgresCPUMicros:  o.perEvent(float64(o.used.postgres.Microseconds())),
		GeneratorCPUMicros: o.perEvent(float64(o.used.bench.Microseconds())),
		OthersPercent:      o.used.others(),
		WALBytes:           o.perEvent(float64(o.used.wal)),
		HeapBytes:          o.perEvent(float64(o.used.heap)), IndexBytes: o.perEvent(float64(o.used.index)),
	}
	if o.total.firstError != nil {
		r.FirstError = o.total.firstError.Error()
	}
	return r
}

// median is the middle of some numbers, the mean of the middle two; 0 of none.
func median(numbers []float64) float64 {
	if len(numbers) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(numbers))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

func inMillis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// milliseconds is a duration as people read it beside others.
func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(inMillis(d), 'f', 2, 64) + " ms"
}

// find is a load by its name; nil: it did not run.
func (r *report) find(name string) *loadReport {
	for i := range r.Loads {
		if r.Loads[i].Name == name {
			return &r.Loads[i]
		}
	}
	return nil
}

// write tells the report in the chosen form.
func (r *report) write(out io.Writer, format string) error {
	if format == formatJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(r); err != nil {
			return fmt.Errorf("write report: %w", err)
		}
		return nil
	}
	r.head(out)
	r.loads(out)
	r.tables(out)
	r.reads(out)
	r.Replays.write(out)
	r.targets(out)
	return nil
}

func (r *report) head(out io.Writer) {
	fmt.Fprintf(out, "%d CPUs, %s, %s; PostgreSQL %s", r.Machine.CPUs, r.Machine.OS, r.Machine.Go, r.Machine.Postgres["server_version"])
	for _, name := range []string{"fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size"} {
		fmt.Fprintf(out, ", %s %s", name, r.Machine.Postgres[name])
	}
	fmt.Fprintf(out, "\n%d rounds of %gs a load, in turn", r.Settings.Rounds, r.Settings.Seconds)
	if r.Machine.SyncsPerSecond > 0 {
		fmt.Fprintf(out, "; fdatasync %.0f/s", r.Machine.SyncsPerSecond)
	}
	if r.PeakMemoryMB > 0 {
		fmt.Fprintf(out, "; eventlog's peak memory %.0f MB", r.PeakMemoryMB)
	}
	fmt.Fprintln(out)
}

// table writes rows in columns: the first begins at the left, as names do, the others end at the right, as numbers do.
func table(out io.Writer, header string, rows [][]string) {
	rows = append([][]string{strings.Split(header, " | ")}, rows...)
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			padding := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				line.WriteString(cell + padding)
				continue
			}
			line.WriteString("  " + padding + cell)
		}
		fmt.Fprintln(out, line.String())
	}
}

func number(f float64, digits int) string {
	if f == 0 {
		return "-"
	}
	return strconv.FormatFloat(f, 'f', digits, 64)
}

func (r *report) loads(out io.Writer) {
	if len(r.Loads) == 0 {
		return
	}
	fmt.Fprintln(out, "\nLoads. Latency is that of a call; CPU, WAL and bytes on disk are per event; others % is what\n"+
		"other processes took of the machine; rates are the rounds' median, least and most.")
	rows := make([][]string, 0, len(r.Loads))
	for _, l := range r.Loads {
		rows = append(rows, []string{
			l.Name, strconv.Itoa(l.Callers), number(l.Rate, 0), number(slices.Min(l.Rates), 0), number(slices.Max(l.Rates), 0),
			number(l.P50, 2), number(l.P99, 2), number(l.P999, 2), number(l.Max, 1),
			number(l.RobsonCPUMicros, 0), number(l.PostgresCPUMicros, 0), number(l.GeneratorCPUMicros, 0), number(l.OthersPercent, 0),
			number(l.WALBytes, 0), number(l.HeapBytes, 0), number(l.IndexBytes, 0), number(float64(l.Errors), 0),
		})
	}
	table(out, "load | callers | events/s | min | max | p50 ms | p99 ms | p99.9 ms | max ms | robson µs | postgres µs | bench µs | others % | WAL B | heap B | index B | errors", rows)
	for _, l := range r.Loads {
		if l.FirstError != "" {
			fmt.Fprintf(out, "%s: %d calls failed, the first: %s\n", l.Name, l.Errors, l.FirstError)
		}
	}
	fmt.Fprintln(out)
	for _, l := range r.Loads {
		fmt.Fprintf(out, "  %-22s %s\n", l.Name, l.Title)
	}
}

func (r *report) tables(out io.Writer) {
	if len(r.Tables) == 0 {
		return
	}
	fmt.Fprintln(out, "\nOn disk, bytes per event of the log, all loads together.")
	rows := make([][]string, 0, len(r.Tables))
	for _, t := range r.Tables {
		rows = append(rows, []string{t.Name, strconv.FormatInt(t.Rows, 10), number(t.HeapPerEvent, 1), number(t.IndexPerEvent, 1), number(t.HeapPerEvent+t.IndexPerEvent, 1)})
	}
	table(out, "table | rows | heap B | index B | all B", rows)
}

func (r *report) reads(out io.Writer) {
	if len(r.Reads) == 0 {
		return
	}
	fmt.Fprintln(out, "\nReads by RPC.")
	rows := make([][]string, 0, len(r.Reads))
	for _, read := range r.Reads {
		rows = append(rows, []string{
			read.Name, strconv.FormatInt(read.LogEvents, 10), number(read.Events, 1), number(read.P50, 2), number(read.P99, 2), number(read.Max, 1),
			fmt.Sprintf("%d of %d", read.PartitionsRead, read.Partitions),
		})
	}
	table(out, "read | log events | events | p50 ms | p99 ms | max ms | partitions read", rows)
}

func (r *report) targets(out io.Writer) {
	if len(r.Targets) == 0 {
		return
	}
	fmt.Fprintln(out, "\nTargets, for two cores that bench, service and PostgreSQL share.")
	rows := make([][]string, 0, len(r.Targets))
	for _, t := range r.Targets {
		rows = append(rows, []string{t.Name, number(t.Value, 2), t.bound(t.Must), t.bound(t.Aim), t.Mark})
	}
	table(out, "target | measured | must | aim | mark", rows)
}

// save writes the report into a file of a directory and says which.
func (r *report) save(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // figures, for all to read
		return "", fmt.Errorf("make result directory: %w", err)
	}
	path := filepath.Join(dir, r.StartedAt.UTC().Format("20060102T150405Z")+".json")
	f, err := os.Create(path)
	if err != nil {
		return "", fmt.Errorf("write result: %w", err)
	}
	if err := r.write(f, formatJSON); err != nil {
		return "", err
	}
	if err := f.Close(); err != nil {
		return "", fmt.Errorf("write result: %w", err)
	}
	return path, nil
}
