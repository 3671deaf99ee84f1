package event

import (
	"time"

	"github.com/robson/robson/pkg/money"
)

// What is stored is most often in the very form that Canonical writes. The functions here recognise that form quickly; what
// they do not recognise may still be good, and is then looked at with more patience.

// plainDecimal says whether a text is an amount in plain notation that is well within the bounds.
func plainDecimal(text []byte) bool {
	if len(text) > 0 && text[0] == '-' {
		text = text[1:]
	}
	whole := leadingDigits(text)
	if whole == 0 || whole > money.IntegerDigitsMax || text[0] == '0' && whole > 1 {
		return false
	}
	if whole == len(text) {
		return true
	}
	fraction := text[whole+1:]
	return text[whole] == '.' && len(fraction) > 0 && len(fraction) <= money.Scale && leadingDigits(fraction) == len(fraction)
}

// leadingDigits counts the digits that a text begins with.
func leadingDigits(text []byte) int {
	for i, c := range text {
		if c-'0' > 9 {
			return i
		}
	}
	return len(text)
}

// hexBytes are the digits of UUIDs.
var hexBytes = func() (digits [256]bool) {
	for _, c := range "0123456789abcdefABCDEF" {
		digits[c] = true
	}
	return digits
}()

// isUUID says whether a text is a UUID with dashes, in either case.
func isUUID(text []byte) bool {
	if len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return false
	}
	dashes := 0
	for _, c := range text {
		if !hexBytes[c] {
			dashes++
		}
	}
	return dashes == 4
}

// storedTime reads a time in one of the forms that AppendTime writes.
func storedTime(text []byte) (seconds int64, nanos int32, ok bool) {
	if n := len(text); n != len(layoutMillis) && n != len(layoutMicros) || text[n-1] != 'Z' ||
		text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' || text[16] != ':' || text[19] != '.' {
		return 0, 0, false
	}
	year, month, day := decimalNumber(text[:4]), decimalNumber(text[5:7]), decimalNumber(text[8:10])
	hour, minute, second := decimalNumber(text[11:13]), decimalNumber(text[14:16]), decimalNumber(text[17:19])
	fraction := decimalNumber(text[20 : len(text)-1])
	if len(text) == len(layoutMillis) {
		fraction *= 1000
	}
	switch {
	case year < 1 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month):
		return 0, 0, false
	case hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 || fraction < 0:
		return 0, 0, false
	}
	seconds = time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC).Unix()
	return seconds, int32(fraction * int(time.Microsecond)), true
}

// decimalNumber reads digits; below zero for what is none.
func decimalNumber(text []byte) int {
	n := 0
	for _, c := range text {
		if c -= '0'; c > 9 {
			return -1
		}
		n = 10*n + int(c)
	}
	return n
}

// daysIn is how many days a month has.
func daysIn(year, month int) int {
	switch {
	case month == 2 && year%4 == 0 && (year%100 != 0 || year%400 == 0):
		return 29
	case month == 2:
		return 28
	case month == 4 || month == 6 || month == 9 || month == 11:
		return 30
	default:
		return 31
	}
}
