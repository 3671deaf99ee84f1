package projection_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"

	"github.com/robson/robson/migrations"
	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	optionsv1 "github.com/robson/robson/proto/gen/go/robson/options/v1"
)

// wildAmounts are amounts that the contract lets a fact tell, sensible or not.
var wildAmounts = rapid.SampledFrom([]string{
	"0", "1", "-1", "0.06666", "95000", largest, "-" + largest, "0.000000000000000001", "-0.000000000000000001", "0.000000000000000002",
	"99999999999999999999", "1.000000000000000001", "0.333333333333333333",
})

// Law 6: no report is refused, whatever its numbers and whenever it comes; and all that it makes of the rows fits into their
// columns, so that no report is refused by the database either.
func TestProperty_wild_facts_are_folded_into_what_can_be_stored(t *testing.T) {
	t.Parallel()
	width := numericWidths(t)
	rapid.Check(t, func(t *rapid.T) {
		log, plan := projectiontest.NewLog(), projectiontest.Long("a")
		if rapid.Bool().Draw(t, "short") {
			plan = projectiontest.Short("a")
		}
		require.NoError(t, log.Registered())
		require.NoError(t, log.Opening(plan))
		intents := []*projection.Intent{log.Intent(plan.EntryID())}
		for i := range rapid.IntRange(1, 25).Draw(t, "facts") {
			payload := wildFact(t, log, plan, &intents, i)
			if payload == nil {
				continue
			}
			descriptor, err := event.OfMessage(payload)
			require.NoError(t, err)
			_, err = log.Append(payload)
			if !descriptor.IsDecision() {
				require.NoError(t, err, "%v", payload)
			}
		}
		for _, row := range log.State.Rows() {
			requireFits(t, width, row)
		}
	})
}

// wildFact is something that may happen: mostly a report with odd numbers, sometimes a step of ours that makes room for
// odder ones.
func wildFact(t *rapid.T, log *projectiontest.Log, plan projectiontest.Plan, intents *[]*projection.Intent, i int) proto.Message {
	amount := func(name string) string { return wildAmounts.Draw(t, name) }
	intent := rapid.SampledFrom(*intents).Draw(t, "intent")
	switch rapid.IntRange(0, 11).Draw(t, "what") {
	case 0:
		claim := log.Claim(intent.IntentID, 1)
		order := log.Order(event.OrderID(intent.IntentID, 1))
		claim.Recovered = order != nil && !order.Known
		return claim
	case 1:
		return log.Canceled(intent, 1, amount("cum"))
	case 2:
		sample := log.Sample(fmt.Sprint(i), "USDT", amount("free"))
		sample.Locked, sample.Total, sample.Borrowed = amount("locked"), amount("total"), amount("borrowed")
		return sample
	case 3:
		return &eventv1.BalanceAdjusted{AccountId: projectiontest.Spot.String(), Wallet: "spot", Asset: "USDT", Delta: amount("delta"), Kind: 1}
	case 4:
		return &eventv1.MarginRepaid{
			AccountId: projectiontest.Margin.String(), Symbol: "BTCUSDT", Asset: "BTC", TranId: fmt.Sprint(i),
			Amount: amount("amount"), Principal: amount("principal"), Interest: amount("interest"),
		}
	case 5:
		return log.Leaving(plan, eventv1.ExitReason_EXIT_REASON_PANIC)
	case 6:
		exit := log.Exit(plan, i, rapid.SampledFrom([]string{"0.00001", "0.06666", "1"}).Draw(t, "exits"))
		if _, err := log.Append(exit); err == nil {
			*intents = append(*intents, log.Intent(projectiontest.ExitID(plan, i)))
		}
		return nil
	case 7:
		if position := log.Position(plan.PositionID()); position != nil && position.State == projection.PositionEntering && position.EntryQuantity.IsPositive() {
			return log.Opened(plan, "95000", "0.000000000000000001")
		}
	}
	fill := log.Fill(intent, 1, projectiontest.Trade{
		ID: fmt.Sprint("t", i), Price: amount("price"), Quantity: amount("quantity"), Fee: amount("fee"),
		FeeAsset: rapid.SampledFrom([]string{"BTC", "USDT", "BNB"}).Draw(t, "asset"), FeeQuote: amount("fee quote"),
	})
	fill.QuoteQuantity = amount("quote")
	return fill
}

var (
	tableLine     = regexp.MustCompile(`^(?:CREATE|ALTER) TABLE (\w+)`)
	numericColumn = regexp.MustCompile(`^    (?:ADD COLUMN )?(\w+) numeric\((\d+),18\)`)
)

// numericWidths are how many digits before the point the schema has for a column, by table and column.
func numericWidths(t *testing.T) map[string]int {
	t.Helper()
	widths, table := map[string]int{}, ""
	for _, file := range []string{"003_projections.up.sql", "007_all_types.up.sql"} {
		text, err := migrations.FS.ReadFile(file)
		require.NoError(t, err)
		for line := range strings.Lines(string(text)) {
			if m := tableLine.FindStringSubmatch(line); m != nil {
				table = m[1]
			}
			if m := numericColumn.FindStringSubmatch(line); m != nil {
				widths[table+"."+m[1]] = int(dec(m[2]).IntPart()) - 18
			}
		}
	}
	require.Greater(t, len(widths), 50)
	return widths
}

func requireFits(t require.TestingT, width map[string]int, row projection.Row) {
	table := projection.TableOf(row)
	for i, value := range table.Values(row) {
		var amount decimal.Decimal
		switch v := value.(type) {
		case decimal.Decimal:
			amount = v
		case decimal.NullDecimal:
			amount = v.Decimal
		default:
			continue
		}
		name := table.Name + "." + table.Columns[i].Name
		require.NotZero(t, width[name], name)
		require.True(t, amount.Abs().LessThan(decimal.New(1, int32(width[name]))), "%s is %s", name, amount)
		require.True(t, amount.Equal(amount.Truncate(18)), "%s is %s", name, amount)
	}
}

// What is folded when an event is appended and what is folded when it is read again are the same, however its sender wrote
// its numbers and ids (law 2).
func TestProperty_what_is_stored_folds_to_the_same(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		log := random(t)
		told, stored := &projection.Memory{}, &projection.Memory{}
		for _, ev := range log.Events {
			rewrite(ev.Payload.ProtoReflect())
			canonical, err := event.Canonical(ev.Payload)
			require.NoError(t, err)
			_, err = projection.Fold(told, ev)
			require.NoError(t, err)
			descriptor, err := event.OfMessage(ev.Payload)
			require.NoError(t, err)
			ev.Payload, err = event.Decode(ev.Type, descriptor.Version, canonical)
			require.NoError(t, err)
			_, err = projection.Fold(stored, ev)
			require.NoError(t, err)
		}
		require.Equal(t, told.Render(), stored.Render())
	})
}

// rewrite writes decimals with more zeros and UUIDs in upper case, which mean the same.
func rewrite(m protoreflect.Message) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		options, _ := proto.GetExtension(f.Options(), optionsv1.E_Field).(*optionsv1.Field)
		switch {
		case f.Kind() == protoreflect.MessageKind && f.IsList():
			for i := range v.List().Len() {
				rewrite(v.List().Get(i).Message())
			}
		case f.Kind() == protoreflect.MessageKind && !f.IsMap():
			rewrite(v.Message())
		case f.IsList() || f.IsMap():
		case options.GetFormat() == optionsv1.FieldFormat_FIELD_FORMAT_UUID:
			m.Set(f, protoreflect.ValueOfString(strings.ToUpper(v.String())))
		case options.GetFormat() == optionsv1.FieldFormat_FIELD_FORMAT_DECIMAL && strings.Contains(v.String(), "."):
			m.Set(f, protoreflect.ValueOfString(v.String()+"0"))
		case options.GetFormat() == optionsv1.FieldFormat_FIELD_FORMAT_DECIMAL:
			m.Set(f, protoreflect.ValueOfString(v.String()+".0"))
		}
		return true
	})
}

// A position that holds much more than its entry is said to have brought counts for what a column can hold.
func TestPosition_derived_numbers_are_bounded(t *testing.T) {
	t.Parallel()
	s := sceneAt(t, "exit claimed")
	tell := func(intent *projection.Intent, id, quantity, quote string) {
		fill := s.Fill(intent, 1, projectiontest.Trade{ID: id, Price: "1", Quantity: quantity})
		fill.QuoteQuantity = quote
		_, err := s.Append(fill)
		require.NoError(t, err)
	}
	entry, exit := s.Intent(s.plan.EntryID()), s.Intent(projectiontest.ExitID(s.plan, 1))
	tell(entry, "1", "-0.066659999999999999", largest) // All but the smallest part of what was entered.
	tell(entry, "2", "0", largest)
	tell(exit, "3", "-"+largest, "0")
	_, err := s.Append(s.Canceled(entry, 1, "0"))
	require.NoError(t, err)
	position := s.Position(s.plan.PositionID())
	equal(t, "0.000000000000000001", position.EntryQuantity)
	equal(t, "1"+strings.Repeat("0", 50), position.Exposure)
	equal(t, "1"+strings.Repeat("0", 50), s.Risk(projectiontest.Spot, nilID).TotalExposure)
	width := numericWidths(t)
	for _, row := range s.State.Rows() {
		requireFits(t, width, row)
	}
}
