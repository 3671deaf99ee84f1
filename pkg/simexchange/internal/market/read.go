package market

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"
)

// Limits of a source.
const (
	bytesMax = 256 << 20
	rowsMax  = 2_000_000
)

// microsecondsFrom is the first time that must be counted in microseconds: Binance's dumps do since 2025.
const microsecondsFrom = 100_000_000_000_000

// ReadFile reads recorded market data: klines in the REST form (JSON), or one of Binance's public dumps (CSV, or the ZIP of it) of klines,
// trades and aggTrades, or trades as lines of "unix seconds,price,quantity,side", or a script of prices as lines of "milliseconds,price".
func ReadFile(name string) ([]Tick, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read market data: %w", err)
	}
	defer func() { _ = file.Close() }()
	document, err := io.ReadAll(io.LimitReader(file, bytesMax+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	ticks, err := Parse(document)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return ticks, nil
}

// Parse is ReadFile for a document in memory.
func Parse(document []byte) ([]Tick, error) {
	if len(document) > bytesMax {
		return nil, fmt.Errorf("more than %d bytes", bytesMax)
	}
	var rows [][]string
	var err error
	switch {
	case bytes.HasPrefix(document, []byte("PK\x03\x04")):
		return unzip(document)
	case bytes.HasPrefix(bytes.TrimSpace(document), []byte("[")):
		rows, err = jsonRows(document)
	default:
		rows, err = csvRows(document)
	}
	if err != nil {
		return nil, err
	}
	return ticks(rows)
}

func unzip(document []byte) ([]Tick, error) {
	archive, err := zip.NewReader(bytes.NewReader(document), int64(len(document)))
	if err != nil {
		return nil, fmt.Errorf("open ZIP: %w", err)
	}
	if len(archive.File) != 1 {
		return nil, fmt.Errorf("a ZIP of %d files, a dump has one", len(archive.File))
	}
	inside, err := archive.File[0].Open()
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", archive.File[0].Name, err)
	}
	defer func() { _ = inside.Close() }()
	text, err := io.ReadAll(io.LimitReader(inside, bytesMax+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", archive.File[0].Name, err)
	}
	if bytes.HasPrefix(text, []byte("PK\x03\x04")) {
		return nil, errors.New("a ZIP inside a ZIP")
	}
	return Parse(text)
}

func jsonRows(document []byte) ([][]string, error) {
	var cells [][]json.RawMessage
	if err := json.Unmarshal(document, &cells); err != nil {
		return nil, fmt.Errorf("not an array of klines: %w", err)
	}
	rows := make([][]string, len(cells))
	for n, row := range cells {
		for _, cell := range row {
			rows[n] = append(rows[n], strings.Trim(string(cell), `"`))
		}
		if len(rows[n]) != 12 {
			return nil, fmt.Errorf("row %d has %d columns, a kline has 12", n, len(rows[n]))
		}
	}
	return rows, nil
}

func csvRows(document []byte) ([][]string, error) {
	reader := csv.NewReader(bytes.NewReader(document))
	reader.ReuseRecord = false
	rows, err := reader.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read CSV: %w", err)
	}
	if len(rows) > 0 && !number(rows[0][0]) {
		rows = rows[1:] // the heading that newer dumps have
	}
	return rows, nil
}

func number(cell string) bool {
	_, err := strconv.ParseInt(cell, 10, 64)
	return err == nil
}

// ticks reads rows by their number of columns, which tells the kinds of dumps apart.
func ticks(rows [][]string) ([]Tick, error) {
	if len(rows) == 0 || len(rows) > rowsMax {
		return nil, fmt.Errorf("%d rows, from 1 to %d are taken", len(rows), rowsMax)
	}
	var out []Tick
	for n, row := range rows {
		var made []Tick
		var err error
		switch len(row) {
		case 12:
			made, err = bar(row)
		case 8: // aggTrades: id, price, quantity, first, last, time, buyer is maker, best match
			made, err = trade(row[5], row[1], 1)
		case 7: // trades: id, price, quantity, quote, time, buyer is maker, best match
			made, err = trade(row[4], row[1], 1)
		case 4: // unix seconds, price, quantity, side
			made, err = trade(row[0], row[1], 1000)
		case 2: // a script: milliseconds, price
			made, err = trade(row[0], row[1], 1)
		default:
			err = fmt.Errorf("%d columns are of no known kind", len(row))
		}
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", n, err)
		}
		if len(out) > 0 && made[0].At < out[len(out)-1].At {
			return nil, fmt.Errorf("row %d: its time is before that of the row above", n)
		}
		out = append(out, made...)
	}
	return out, nil
}

func trade(at, price string, scale int64) ([]Tick, error) {
	when, err := stamp(at)
	if err != nil {
		return nil, err
	}
	p, err := positive(price)
	return []Tick{{when * scale, p}}, err
}

// bar expands a kline: open, then low and high in the order that its direction suggests, then close.
func bar(row []string) ([]Tick, error) {
	opened, err := stamp(row[0])
	if err != nil {
		return nil, err
	}
	closed, err := stamp(row[6])
	if err != nil {
		return nil, err
	}
	var p [4]decimal.Decimal // open, high, low, close
	for n := range p {
		if p[n], err = positive(row[n+1]); err != nil {
			return nil, err
		}
	}
	if closed <= opened || decimal.Max(p[0], p[1:]...).GreaterThan(p[1]) || decimal.Min(p[0], p[1:]...).LessThan(p[2]) {
		return nil, errors.New("high and low must span open and close, and the bar must last")
	}
	quarter := (closed + 1 - opened) / 4
	second, third := p[1], p[2]
	if p[3].GreaterThanOrEqual(p[0]) {
		second, third = third, second
	}
	return []Tick{{opened, p[0]}, {opened + quarter, second}, {opened + 2*quarter, third}, {opened + 3*quarter, p[3]}}, nil
}

func stamp(cell string) (int64, error) {
	at, err := strconv.ParseInt(cell, 10, 64)
	if err != nil || at < 0 {
		return 0, fmt.Errorf("%q is no time", cell)
	}
	if at >= microsecondsFrom {
		at /= 1000
	}
	return at, nil
}

func positive(cell string) (decimal.Decimal, error) {
	if len(cell) > 40 || strings.ContainsAny(cell, "eE") {
		return decimal.Zero, fmt.Errorf("%.40q is no price", cell)
	}
	p, err := decimal.NewFromString(cell)
	if err != nil || !p.IsPositive() {
		return decimal.Zero, fmt.Errorf("%q is no price", cell)
	}
	return p, nil
}
