package intake_test

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/eventlog/internal/intake"
)

func hexOf(digest [32]byte) string { return hex.EncodeToString(digest[:]) }

// entering is a desk with a claimed entry order.
func entering(t must) (*desk, projectiontest.Plan, *projection.Intent) {
	t.Helper()
	d, plan := newDesk(t), projectiontest.Long("a")
	d.add(t, d.Armed(plan), d.Detected(plan))
	d.add(t, d.Proposed(plan), d.Passed(plan))
	d.add(t, d.Entry(plan))
	d.add(t, d.Claim(plan.EntryID(), 1))
	return d, plan, d.Intent(plan.EntryID())
}

func tradeOf(id, price string) projectiontest.Trade {
	return projectiontest.Trade{ID: id, Price: price, Quantity: "0.01", Fee: "0.95", FeeAsset: "USDT"}
}

// Law 7: a trade counts once, however it is heard of: what differs between two reports of it is evidence.
func TestLedger_a_trade_counts_once(t *testing.T) {
	t.Parallel()
	d, _, intent := entering(t)
	first := d.Fill(intent, 1, tradeOf("700001", "95000"))
	r := asRequest(t, d.Log, "", first)
	byWebSocket := d.book.one(t, r)
	again := proto.CloneOf(first)
	again.Source, again.FillQuantity, again.IsMaker, again.FeeQuote, again.QuoteQuantity = eventv1.Source_SOURCE_RECONCILE, "0.01000000", true, "", "950.00"
	byREST := d.book.one(t, asRequest(t, d.Log, "", again))
	require.True(t, byREST.Duplicate)
	require.Equal(t, uuid.Nil, byREST.Discrepancy)
	require.Equal(t, byWebSocket.Receipt, byREST.Receipt)
	order := rowOf[projection.Order](t, d.book, projection.OrderKey(event.OrderID(intent.IntentID, 1)))
	require.Equal(t, "0.01", order.FilledQuantity.String())

	// The same trade id of another symbol, account or order is another trade; a self-trade gives two orders one.
	for _, change := range []func(p *eventv1.FillReceived){
		func(p *eventv1.FillReceived) { p.Symbol = "ETHUSDT" },
		func(p *eventv1.FillReceived) { p.AccountId = projectiontest.Margin.String() },
		func(p *eventv1.FillReceived) { p.ExchangeOrderId = "5002" },
	} {
		another := proto.CloneOf(first)
		change(another)
		require.False(t, d.book.one(t, asRequest(t, d.Log, "", another)).Duplicate)
	}
	require.Len(t, fillsOf(d.book), 4)
	d.book.requireSound(t)
}

func fillsOf(b *book) []projection.Row {
	var fills []projection.Row
	for _, row := range b.rows.Rows() {
		if row.Key().Table == projection.TableFills {
			fills = append(fills, row)
		}
	}
	return fills
}

// rowOf is a row of the book, which must be there.
func rowOf[T any](t must, b *book, key projection.Key) *T {
	t.Helper()
	row, err := b.rows.Get(key)
	require.NoError(t, err)
	typed, ok := row.(any).(*T)
	require.True(t, ok, "%s", key)
	return typed
}

// The same trade at another price is no second trade: each differing report is recorded once, beside the first receipt.
func TestLedger_contradictions_are_recorded_once(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		together bool
	}{{"in transactions of their own", false}, {"in one batch", true}}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d, plan, intent := entering(t)
			told := asRequest(t, d.Log, "", d.Fill(intent, 1, tradeOf("1", "95000")))
			dearer := asRequest(t, d.Log, "", d.Fill(intent, 1, tradeOf("1", "95000.10")))
			otherFee := d.Fill(intent, 1, tradeOf("1", "95000"))
			otherFee.FeeAsset = "BNB"
			fee := asRequest(t, d.Log, "", otherFee)
			requests := []*intake.Request{told, dearer, fee, dearer, told, fee}
			var got []result
			if test.together {
				got = d.book.append(t, requests...)
			} else {
				for _, r := range requests {
					got = append(got, d.book.append(t, r)...)
				}
			}
			for i, r := range requests {
				require.NoError(t, got[i].err)
				require.Equal(t, got[0].Receipt, got[i].Receipt)
				require.Equal(t, i > 0, got[i].Duplicate)
				want := uuid.Nil
				if r != told {
					want = event.DiscrepancyCommandID(r.Command, r.Digest)
				}
				require.Equal(t, want, got[i].Discrepancy)
			}
			require.Len(t, d.book.records, 14) // 11 before, the fill, two discrepancies.
			fill, discrepancy := d.book.records[11], d.book.records[12]
			require.Equal(t, event.Type("DISCREPANCY_DETECTED"), discrepancy.Type)
			require.Equal(t, "account:"+projectiontest.Spot.String(), discrepancy.StreamKey)
			require.Equal(t, fill.EventID, discrepancy.CausationID)
			require.Equal(t, got[1].Discrepancy, discrepancy.CommandID)
			require.Equal(t, eventv1.ActorType_ACTOR_TYPE_SYSTEM, discrepancy.ActorType)
			require.Equal(t, "eventlog", discrepancy.ActorID)
			receipt := d.book.receipts[got[1].Discrepancy]
			require.Len(t, receipt.Requested(), 1)
			require.Equal(t, dearer.Digest, receipt.Digest)

			row := rowOf[projection.Discrepancy](t, d.book, projection.DiscrepancyKey(got[1].Discrepancy))
			require.Equal(t, "price_or_fee_mismatch", row.Kind)
			require.Equal(t, "trade:BTCUSDT/1", row.Entity)
			require.Equal(t, map[string]string{"side": "buy", "fill_price": "95000", "fill_quantity": "0.01", "fee": "0.95", "fee_asset": "USDT"}, row.Expected)
			require.Equal(t, "95000.1", row.Actual["fill_price"])
			require.True(t, row.IsOpen)
			require.Equal(t, plan.PositionID(), row.PositionID.UUID)
			require.Equal(t, event.OrderID(plan.EntryID(), 1), row.OrderID.UUID)
			require.Len(t, fillsOf(d.book), 1)
			d.book.requireSound(t)
		})
	}
}

func TestLedger_contradictions_of_other_facts(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	sample := d.Sample("1", "USDT", "100")
	d.book.one(t, asRequest(t, d.Log, "", sample))
	sample.Free = "100.00000000" // The same amount, written otherwise.
	require.Equal(t, uuid.Nil, d.book.one(t, asRequest(t, d.Log, "", sample)).Discrepancy)
	sample.Free = "90"
	answer := d.book.one(t, asRequest(t, d.Log, "", sample))
	row := rowOf[projection.Discrepancy](t, d.book, projection.DiscrepancyKey(answer.Discrepancy))
	require.Equal(t, "balance_mismatch", row.Kind)
	require.Equal(t, "balance:spot/USDT", row.Entity)
	require.Equal(t, map[string]string{"free": "90", "locked": "0"}, row.Actual)
	require.Equal(t, "100", rowOf[projection.Balance](t, d.book, projection.BalanceKey(projectiontest.Spot, "spot", "USDT")).Free.String())

	borrowed := &eventv1.MarginBorrowed{AccountId: projectiontest.Margin.String(), Symbol: "BTCUSDT", Asset: "BTC", Amount: "1", TranId: "7"}
	d.book.one(t, asRequest(t, d.Log, "", borrowed))
	borrowed.Amount = "2"
	answer = d.book.one(t, asRequest(t, d.Log, "", borrowed))
	row = rowOf[projection.Discrepancy](t, d.book, projection.DiscrepancyKey(answer.Discrepancy))
	require.Equal(t, "quantity_mismatch", row.Kind)

	// What has no values cannot be contradicted: who tells an end otherwise tells the same end.
	e, _, intent := entering(t)
	canceled := e.Canceled(intent, 1, "0")
	e.book.one(t, asRequest(t, e.Log, "", canceled))
	canceled.CumFilledQuantity, canceled.Reason = "0.01", "another"
	require.Equal(t, uuid.Nil, e.book.one(t, asRequest(t, e.Log, "", canceled)).Discrepancy)
}

// A month that cannot be reached keeps nobody from telling: the digests are compared.
func TestLedger_a_first_report_out_of_reach(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	sample := d.Sample("1", "USDT", "100")
	first := d.book.one(t, asRequest(t, d.Log, "", sample))
	sample.Free = "90"
	r := asRequest(t, d.Log, "", sample)
	ledger := d.book.open(t, r)
	_, err := ledger.Append(r)
	wanted, wants := intake.WantedBy(err)
	require.True(t, wants)
	require.Equal(t, &intake.MissingReport{Position: first.FirstPosition, IngestedAt: first.IngestedAt}, wanted.Report)
	ledger.LoadReport(first.FirstPosition, &intake.FirstReport{EventID: first.Entries[0].EventID})
	answer, err := d.book.try(t, ledger, r)
	require.NoError(t, err)
	d.book.commit(t, ledger)
	row := rowOf[projection.Discrepancy](t, d.book, projection.DiscrepancyKey(answer.Discrepancy))
	require.Equal(t, map[string]string{"digest": hexOf(first.Digest)}, row.Expected)
}

// What the fold finds odd in an event follows it in the same append, caused by it, under its command, apart in the receipt.
// The clock moves, so that ids are drawn anew: rows that are named after them are asked for once all the same.
func TestLedger_anomalies_are_raised_with_the_fact(t *testing.T) {
	t.Parallel()
	d, plan, intent := entering(t)
	d.book.clock = start.Add(time.Hour)
	fill := d.Fill(intent, 1, projectiontest.Trade{ID: "1", Price: "95000", Quantity: "0.07"})
	fill.Side, fill.QuoteQuantity, fill.ExchangeOrderId = eventv1.Side_SIDE_SELL, "1", "5001"
	dr := factDraft(t, d.Log, fill)
	dr.Workflow = projectiontest.ID("workflow")
	answer := d.book.one(t, request(t, dr))
	require.Len(t, answer.Requested(), 1)
	require.Len(t, answer.RaisedEntries(), 3)
	require.Equal(t, 3, answer.Raised)
	records := d.book.records[11:]
	kinds := map[string]bool{}
	for i, entry := range answer.RaisedEntries() {
		record := records[i+1]
		require.Equal(t, answer.FirstPosition+int64(i)+1, record.Position)
		require.Equal(t, records[0].EventID, record.CausationID)
		require.Equal(t, dr.Command, record.CommandID)
		require.Equal(t, dr.Trace, record.TraceID)
		require.Equal(t, dr.Workflow, record.WorkflowID)
		require.Equal(t, eventv1.ActorType_ACTOR_TYPE_SYSTEM, record.ActorType)
		require.Equal(t, event.Type("DISCREPANCY_DETECTED"), entry.Type)
		require.Equal(t, "account:"+projectiontest.Spot.String(), entry.Stream.String())
		payload := record.Message.(*eventv1.DiscrepancyDetected)
		kind := event.EnumText(payload.GetKind())
		kinds[kind] = true
		require.Equal(t, event.DiscrepancyID(records[0].EventID, kind).String(), payload.GetDiscrepancyId())
	}
	require.Equal(t, map[string]bool{"price_or_fee_mismatch": true, "unknown_trade": true, "overfill": true}, kinds)
	require.True(t, d.book.one(t, request(t, dr)).Duplicate) // Told again it raises nothing.
	require.Len(t, d.book.records, 15)
	require.Equal(t, projection.OrderFilled, rowOf[projection.Order](t, d.book, projection.OrderKey(event.OrderID(plan.EntryID(), 1))).Status)
	d.book.requireSound(t)
}

// Text that cannot be stored is mended and flagged: the report counts.
func TestLedger_text_of_venues_is_made_storable(t *testing.T) {
	t.Parallel()
	d, _, intent := entering(t)
	rejected := d.Rejected(intent, 1)
	rejected.Reason = "no\x00 " + strings.Repeat("é", 2000)
	dr := factDraft(t, d.Log, rejected)
	answer := d.book.one(t, request(t, dr))
	require.Len(t, answer.RaisedEntries(), 1)
	require.Contains(t, rejected.GetReason(), "\x00", "what the sender holds is not changed")

	order := rowOf[projection.Order](t, d.book, projection.OrderKey(event.OrderID(intent.IntentID, 1)))
	require.Equal(t, projection.OrderRejected, order.Status)
	require.True(t, strings.HasPrefix(*order.RejectReason, "no\uFFFD é"))
	require.LessOrEqual(t, len(*order.RejectReason), 2<<10)
	told := d.book.records[len(d.book.records)-1].Message.(*eventv1.DiscrepancyDetected)
	require.Equal(t, map[string]string{"reason": "4004 bytes, 1 NUL"}, told.GetActual())
	require.Equal(t, map[string]string{"reason": "UTF-8 without NUL, no longer than the field may be"}, told.GetExpected())
	row := rowOf[projection.Discrepancy](t, d.book, projection.DiscrepancyKey(uuid.MustParse(told.GetDiscrepancyId())))
	require.False(t, row.IsOpen) // There is nothing left to do.
	require.Equal(t, "info", row.Severity)
	require.False(t, row.PositionID.Valid)

	// A record of the connector's is mended too; long text alone is reason enough.
	failed := &eventv1.ExchangeRequestFailed{
		AccountId: projectiontest.Spot.String(), RequestId: "1", Operation: "place", Message: strings.Repeat("x", 5000), Attempt: 1,
	}
	answer = d.book.one(t, request(t, draft(d.Log, "failed", failed)))
	require.Len(t, answer.RaisedEntries(), 1)
	require.Len(t, d.book.records[answer.FirstPosition-1].Message.(*eventv1.ExchangeRequestFailed).GetMessage(), 512)
	d.book.requireSound(t)
}

// An identity is what the fact is known by after mending too, so that every sender names it alike.
func TestLedger_identity_is_that_of_the_stored_text(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	odd := d.Sample("1", "US\x00DT", "1")
	_, err := event.Identity(odd)
	require.Error(t, err)
	mended := proto.CloneOf(odd)
	require.True(t, event.MakeStorable(mended, 2<<10))
	dr := factDraft(t, d.Log, mended)
	dr.Streams[0].Events[0].Payload = event.Wrap(odd)
	answer := d.book.one(t, request(t, dr))
	require.Len(t, answer.RaisedEntries(), 1)
	require.True(t, d.book.one(t, request(t, factDraft(t, d.Log, mended))).Duplicate)
}
