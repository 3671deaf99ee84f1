// Package storetest makes rows of the projections and puts them into a test's database, with the head of the log that
// goes with them.
package storetest

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/robson/robson/pkg/projection"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// Epoch is the time that made-up times lie after.
var Epoch = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

// descriptors say which texts a column may hold: a text column that the contract shows as an enum holds its names.
var descriptors = map[reflect.Type]protoreflect.MessageDescriptor{
	reflect.TypeFor[projection.Tenant]():            (&projectorv1.Tenant{}).ProtoReflect().Descriptor(),
	reflect.TypeFor[projection.Account]():           (&projectorv1.Account{}).ProtoReflect().Descriptor(),
	reflect.TypeFor[projection.Strategy]():          (&projectorv1.Strategy{}).ProtoReflect().Descriptor(),
	reflect.TypeFor[projection.Signal]():            (&projectorv1.Signal{}).ProtoReflect().Descriptor(),
	reflect.TypeFor[projection.Decision]():          (&projectorv1.Decision{}).ProtoReflect().Descriptor(),
	reflect.TypeFor[projection.Intent]():            (&projectorv1.Intent{}).ProtoReflect().Descriptor(),
	reflect.TypeFor[projection.Order]():             (&projectorv1.Order{}).ProtoReflect().Descriptor(),
	reflect.TypeFor[projection.Fill]():              (&projectorv1.Fill{}).ProtoReflect().Descriptor(),
	reflect.TypeFor[projection.Position]():          (&projectorv1.Position{}).ProtoReflect().Descriptor(),
	reflect.TypeFor[projection.Balance]():           (&projectorv1.Balance{}).ProtoReflect().Descriptor(),
	reflect.TypeFor[projection.Risk]():              (&projectorv1.Risk{}).ProtoReflect().Descriptor(),
	reflect.TypeFor[projection.PnLPeriod]():         (&projectorv1.PnLPeriod{}).ProtoReflect().Descriptor(),
	reflect.TypeFor[projection.MarginLoan]():        (&projectorv1.MarginLoan{}).ProtoReflect().Descriptor(),
	reflect.TypeFor[projection.Discrepancy]():       (&projectorv1.Discrepancy{}).ProtoReflect().Descriptor(),
	reflect.TypeFor[projection.ConnectorState]():    (&projectorv1.ConnectorState{}).ProtoReflect().Descriptor(),
	reflect.TypeFor[projection.MarginState]():       (&projectorv1.MarginState{}).ProtoReflect().Descriptor(),
	reflect.TypeFor[projection.ReconciliationRun](): (&projectorv1.ReconciliationRun{}).ProtoReflect().Descriptor(),
	reflect.TypeFor[projection.ReplayRun]():         (&projectorv1.ReplayRun{}).ProtoReflect().Descriptor(),
	reflect.TypeFor[projection.Snapshot]():          (&projectorv1.Snapshot{}).ProtoReflect().Descriptor(),
}

// Random fills every column of a row by chance; nullable ones are null now and then.
func Random[T any](rng *rand.Rand) *T {
	row := new(T)
	RandomInto(rng, row)
	return row
}

// RandomInto fills every column of the row that the pointer is to.
func RandomInto(rng *rand.Rand, row any) {
	v := reflect.ValueOf(row).Elem()
	message := descriptors[v.Type()]
	for _, f := range reflect.VisibleFields(v.Type()) {
		column, ok := f.Tag.Lookup("db")
		if !ok {
			continue
		}
		var texts []string
		if message != nil {
			texts = enumTexts(message.Fields().ByName(protoreflect.Name(column)))
		}
		v.FieldByIndex(f.Index).Set(random(rng, f.Type, texts))
	}
}

// enumTexts are the names of the field's enum as they are stored.
func enumTexts(fd protoreflect.FieldDescriptor) []string {
	if fd == nil || fd.Kind() != protoreflect.EnumKind {
		return nil
	}
	values := fd.Enum().Values()
	prefix := strings.TrimSuffix(string(values.ByNumber(0).Name()), "UNSPECIFIED")
	var texts []string
	for i := 1; i < values.Len(); i++ {
		texts = append(texts, strings.ToLower(strings.TrimPrefix(string(values.Get(i).Name()), prefix)))
	}
	return texts
}

func random(rng *rand.Rand, t reflect.Type, texts []string) reflect.Value {
	switch {
	case t == reflect.TypeFor[uuid.UUID]():
		return reflect.ValueOf(ID(rng))
	case t == reflect.TypeFor[uuid.NullUUID]():
		if null(rng) {
			return reflect.ValueOf(uuid.NullUUID{})
		}
		return reflect.ValueOf(uuid.NullUUID{UUID: ID(rng), Valid: true})
	case t == reflect.TypeFor[decimal.Decimal]():
		return reflect.ValueOf(Amount(rng))
	case t == reflect.TypeFor[decimal.NullDecimal]():
		if null(rng) {
			return reflect.ValueOf(decimal.NullDecimal{})
		}
		return reflect.ValueOf(decimal.NewNullDecimal(Amount(rng)))
	case t == reflect.TypeFor[time.Time]():
		return reflect.ValueOf(Epoch.Add(time.Duration(rng.Int64N(int64(1000*time.Hour/time.Microsecond))) * time.Microsecond))
	case t == reflect.TypeFor[projection.RiskCheck]():
		return reflect.ValueOf(projection.RiskCheck{
			Name: Text(rng), Limit: Amount(rng), Value: Amount(rng), Passed: rng.IntN(2) == 0, Message: Text(rng),
		})
	}
	return randomKind(rng, t, texts)
}

func randomKind(rng *rand.Rand, t reflect.Type, texts []string) reflect.Value {
	v := reflect.New(t).Elem()
	switch t.Kind() {
	case reflect.Pointer:
		if !null(rng) {
			v.Set(reflect.New(t.Elem()))
			v.Elem().Set(random(rng, t.Elem(), texts))
		}
	case reflect.String:
		v.SetString(Text(rng))
		if len(texts) > 0 {
			v.SetString(texts[rng.IntN(len(texts))])
		}
	case reflect.Bool:
		v.SetBool(rng.IntN(2) == 0)
	case reflect.Int32:
		v.SetInt(int64(rng.Int32()))
	case reflect.Int64:
		v.SetInt(rng.Int64N(1 << 40))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(t, 0, 3))
		for range rng.IntN(4) {
			v.Set(reflect.Append(v, random(rng, t.Elem(), nil)))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(t))
		for range rng.IntN(4) {
			v.SetMapIndex(reflect.ValueOf(Text(rng)), random(rng, t.Elem(), nil))
		}
	default:
		panic(fmt.Sprintf("storetest: a %s", t))
	}
	return v
}

func null(rng *rand.Rand) bool { return rng.IntN(4) == 0 }

// ID is a UUID made by the generator, so that a seed gives the same rows again.
func ID(rng *rand.Rand) uuid.UUID {
	var id uuid.UUID
	for i := range id {
		id[i] = byte(rng.Uint32())
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id
}

// Amount has up to 18 places and either sign.
func Amount(rng *rand.Rand) decimal.Decimal {
	return decimal.New(rng.Int64N(2_000_000_000_000)-1_000_000_000_000, -int32(rng.IntN(19)))
}

// Text is a short text, now and then with signs that keys and JSON must escape.
func Text(rng *rand.Rand) string {
	const signs = `ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-abc|\":é`
	all := []rune(signs)
	out := make([]rune, 1+rng.IntN(10))
	for i := range out {
		out[i] = all[rng.IntN(len(all))]
	}
	return string(out)
}
