package demo

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/robson/robson/pkg/money"
	"github.com/robson/robson/pkg/simexchange"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// against names all in which an account's book differs from what the exchange knows: each trade once, to the last digit, and each
// balance; empty for nothing.
func against(fills []*projectorv1.Fill, trades []simexchange.Trade, balances []*projectorv1.Balance, held map[string]simexchange.Balance) []string {
	book, booked := map[string]string{}, map[string]int{}
	for _, f := range fills {
		key := f.GetSymbol() + "/" + f.GetExchangeOrderId() + "/" + f.GetExchangeTradeId()
		book[key] = fmt.Sprintf("%s at %s, fee %s %s", f.GetFillQuantity(), f.GetFillPrice(), f.GetFee(), f.GetFeeAsset())
		booked[key]++
	}
	there := map[string]string{}
	for _, t := range trades {
		key := t.Symbol + "/" + strconv.FormatInt(t.OrderID, 10) + "/" + strconv.FormatInt(t.ID, 10)
		there[key] = fmt.Sprintf("%s at %s, fee %s %s", money.Format(t.Quantity), money.Format(t.Price), money.Format(t.Fee), t.FeeAsset)
	}
	differences := differ("trade", book, there)
	for _, key := range slices.Sorted(maps.Keys(booked)) {
		if booked[key] > 1 {
			differences = append(differences, fmt.Sprintf("trade %s stands in the book %d times", key, booked[key]))
		}
	}
	book, there = map[string]string{}, map[string]string{}
	for _, b := range balances {
		book[b.GetAsset()] = b.GetFree() + " free, " + b.GetLocked() + " locked"
	}
	for asset, b := range held {
		there[asset] = money.Format(b.Free) + " free, " + money.Format(b.Locked) + " locked"
	}
	return append(differences, differ("balance", withoutNothing(book), withoutNothing(there))...)
}

// withoutNothing leaves out what is not held: an exchange may tell a balance of nothing, or not at all.
func withoutNothing(balances map[string]string) map[string]string {
	maps.DeleteFunc(balances, func(_, amounts string) bool { return amounts == "0 free, 0 locked" })
	return balances
}

func differ(what string, book, there map[string]string) []string {
	names := maps.Clone(book)
	maps.Copy(names, there)
	var differences []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		ours, found := book[name]
		theirs, known := there[name]
		switch {
		case !found:
			differences = append(differences, fmt.Sprintf("%s %s is not in the book; the exchange has %s", what, name, theirs))
		case !known:
			differences = append(differences, fmt.Sprintf("%s %s is in the book as %s; the exchange has none", what, name, ours))
		case ours != theirs:
			differences = append(differences, fmt.Sprintf("%s %s is in the book as %s; the exchange has %s", what, name, ours, theirs))
		}
	}
	return differences
}
