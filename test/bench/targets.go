package main

import "strconv"

// The marks of a target.
const (
	markAim    = "aim reached"
	markMust   = "must reached"
	markMissed = "NOT REACHED"
)

// target is something that Robson is to reach on a machine of two cores. Must is what a release needs, Aim what it is
// after. value gives what was measured; ok is false where the loads that it needs did not run.
type target struct {
	name      string
	must, aim float64
	// atMost: less is better.
	atMost bool
	value  func(r *report) (value float64, ok bool)
}

// targetValue is a target with what was measured.
type targetValue struct {
	Name   string  `json:"name"`
	Value  float64 `json:"measured"`
	Must   float64 `json:"must"`
	Aim    float64 `json:"aim"`
	AtMost bool    `json:"at_most"`
	Mark   string  `json:"mark"`
}

// payloadBytes is the payload that the target for bytes on disk is meant for.
const payloadBytes = 400

// standardTargets are those of the standard run.
var standardTargets = []target{
	{name: "unary / statement by statement", must: 1.2, aim: 1.5, value: ratio(loadUnary, loadRawStatements)},
	{name: "unary / one function call", must: 0.85, aim: 1.25, value: ratio(loadUnary, loadRawFunction)},
	{name: "unary by three replicas / by one", must: 1, aim: 1, value: ratio(loadReplicas, loadUnary)},
	{name: "unary p99, ms", must: 15, aim: 15, atMost: true, value: p99(loadUnary)},
	{name: "hot stream, events/s", must: 8000, aim: 12000, value: rate(loadHot)},
	{name: "hot stream / one transaction a call", must: 4, aim: 4, value: ratio(loadHot, loadRawHot)},
	{name: "unary / message-db, spread", must: 0.7, aim: 1, value: ratio(loadUnary, loadMessageSpread)},
	{name: "unary / Emmett with inline projection", must: 4, aim: 4, value: ratio(loadUnary, loadEmmettInline)},
	{name: "stream / message-db, spread", must: 0.7, aim: 1, value: ratio(loadStream, loadMessageSpread)},
	{name: "stream / Emmett with inline projection", must: 4, aim: 4, value: ratio(loadStream, loadEmmettInline)},
	{name: "hot stream / message-db, one hot stream", must: 10, aim: 10, value: ratio(loadHot, loadMessageHot)},
	{name: "hot stream p99, ms", must: 20, aim: 12, atMost: true, value: p99(loadHot)},
	{name: "batches of 100, events/s", must: 18000, aim: 30000, value: rate(loadBatch100)},
	{name: "batches of 100 / set-wise SQL", must: 0.7, aim: 1, value: ratio(loadBatch100, loadRawSet)},
	{name: "batches of 100 p99, ms", must: 60, aim: 60, atMost: true, value: p99(loadBatch100)},
	{name: "lone caller p50, ms", must: 1, aim: 1, atMost: true, value: p50(loadLone)},
	{name: "lone caller p99, ms", must: 2, aim: 2, atMost: true, value: p99(loadLone)},
	{name: "steady 1000 events/s p99, ms", must: 5, aim: 5, atMost: true, value: p99(loadSteady)},
	{name: "commit to 100 subscribers elsewhere p99, ms", must: 50, aim: 50, atMost: true, value: p99(loadFollowOther)},
	{name: "disk per event of a 400-byte payload, bytes", must: 1600, aim: 1000, atMost: true, value: diskPerEvent},
	{name: "WAL per event in batches of 100, bytes", must: 2000, aim: 1400, atMost: true, value: walPerEvent},
	{name: "eventlog's peak memory, MB", must: 256, aim: 256, atMost: true, value: func(r *report) (float64, bool) { return r.PeakMemoryMB, r.PeakMemoryMB > 0 }},
}

// of gives a figure of a load that ran.
func of(name string, figure func(l *loadReport) float64) func(r *report) (float64, bool) {
	return func(r *report) (float64, bool) {
		l := r.find(name)
		if l == nil {
			return 0, false
		}
		return figure(l), true
	}
}

func rate(name string) func(r *report) (float64, bool) {
	return of(name, func(l *loadReport) float64 { return l.Rate })
}

func p50(name string) func(r *report) (float64, bool) {
	return of(name, func(l *loadReport) float64 { return l.P50 })
}

func p99(name string) func(r *report) (float64, bool) {
	return of(name, func(l *loadReport) float64 { return l.P99 })
}

// ratio is one load's rate over another's, round by round, so that a machine that slows down slows down both; then the median.
func ratio(name, over string) func(r *report) (float64, bool) {
	return func(r *report) (float64, bool) {
		ours, theirs := r.find(name), r.find(over)
		if ours == nil || theirs == nil {
			return 0, false
		}
		var ratios []float64
		for i := range min(len(ours.Rates), len(theirs.Rates)) {
			if theirs.Rates[i] > 0 {
				ratios = append(ratios, ours.Rates[i]/theirs.Rates[i])
			}
		}
		return median(ratios), len(ratios) > 0
	}
}

// diskPerEvent is what an event and all that belongs to it take, were its payload of the size that the target means.
func diskPerEvent(r *report) (float64, bool) {
	l := r.find(loadUnary)
	if l == nil || r.PayloadBytes == 0 {
		return 0, false
	}
	return l.HeapBytes + l.IndexBytes - r.PayloadBytes + payloadBytes, true
}

func walPerEvent(r *report) (float64, bool) {
	return of(loadBatch100, func(l *loadReport) float64 { return l.WALBytes })(r)
}

// judge holds a report against targets; those whose loads did not run are left out.
func judge(r *report, targets []target) []targetValue {
	var values []targetValue
	for _, t := range targets {
		value, ok := t.value(r)
		if !ok {
			continue
		}
		v := targetValue{Name: t.name, Value: value, Must: t.must, Aim: t.aim, AtMost: t.atMost, Mark: markMissed}
		switch {
		case v.reaches(t.aim):
			v.Mark = markAim
		case v.reaches(t.must):
			v.Mark = markMust
		}
		values = append(values, v)
	}
	return values
}

func (v *targetValue) reaches(bound float64) bool {
	if v.AtMost {
		return v.Value <= bound
	}
	return v.Value >= bound
}

// bound is a bound as people read it.
func (v *targetValue) bound(b float64) string {
	text := strconv.FormatFloat(b, 'f', -1, 64)
	if v.AtMost {
		return "<= " + text
	}
	return ">= " + text
}
