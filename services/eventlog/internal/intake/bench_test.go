package intake_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/services/eventlog/internal/intake"
)

// BenchmarkLedger_Append is what one event costs in a batch before the database sees it: preparing the append, trying it on
// what is loaded, and encoding what is to be written.
func BenchmarkLedger_Append(b *testing.B) {
	d, _, intent := entering(b)
	fill := d.Fill(intent, 1, tradeOf("0", "95000"))
	sample := d.Sample("0", "USDT", "1")
	benchmarks := map[string]func(i int) proto.Message{
		"fill": func(i int) proto.Message {
			p := proto.CloneOf(fill)
			p.ExchangeTradeId, p.FillQuantity, p.QuoteQuantity = fmt.Sprint(i), "0.00000001", "0.00095"
			return p
		},
		"sample": func(i int) proto.Message {
			p := proto.CloneOf(sample)
			p.SampleId = projectiontest.ID(fmt.Sprint(i)).String()
			return p
		},
	}
	for name, payload := range benchmarks {
		b.Run(name, func(b *testing.B) {
			const batch = 100
			drafts := make([]*intake.Draft, batch)
			for i := range drafts {
				drafts[i] = factDraft(b, d.Log, payload(i+1))
			}
			b.Run("prepare", func(b *testing.B) {
				l := limits(b)
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					_, err := intake.New(drafts[i%batch], l)
					require.NoError(b, err)
				}
			})
			b.Run("append", func(b *testing.B) {
				requests := make([]*intake.Request, batch)
				for i := range requests {
					requests[i] = request(b, drafts[i])
				}
				b.ReportAllocs()
				d.book.clock = start.Add(time.Hour)
				for b.Loop() {
					b.StopTimer()
					ledger := d.book.open(b, requests...)
					for _, r := range requests {
						if w, wants := intake.WantedBy(ledger.Probe(r)); wants {
							d.book.load(b, ledger, w)
						}
					}
					b.StartTimer()
					for _, r := range requests {
						_, err := d.book.try(b, ledger, r)
						require.NoError(b, err)
					}
					_ = ledger.Outcome()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/event")
			})
		})
	}
}
