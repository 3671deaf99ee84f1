package market

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// bytesMax bounds a file, packed or not.
const bytesMax = 64 << 20

// zipMark begins every ZIP.
var zipMark = []byte("PK\x03\x04")

// readRows reads the rows of klines as text, whichever form they are in: the array of arrays of GET /api/v3/klines, or a dump of
// data.binance.vision, as CSV, with or without a heading, or as the ZIP of it.
func readRows(r io.Reader) ([][]string, error) {
	document, err := readBounded(r)
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(document, zipMark) {
		document, err = unzip(document)
		if err != nil {
			return nil, fmt.Errorf("klines: %w", err)
		}
	}
	begin := bytes.TrimLeft(document, " \t\r\n")
	if len(begin) == 0 || begin[0] == '[' || begin[0] == '{' {
		return jsonRows(document)
	}
	return csvRows(document)
}

func readBounded(r io.Reader) ([]byte, error) {
	document, err := io.ReadAll(io.LimitReader(r, bytesMax+1))
	if err != nil {
		return nil, fmt.Errorf("read klines: %w", err)
	}
	if len(document) > bytesMax {
		return nil, fmt.Errorf("klines: more than %d bytes", bytesMax)
	}
	return document, nil
}

// unzip gives the one file of a ZIP.
func unzip(document []byte) ([]byte, error) {
	archive, err := zip.NewReader(bytes.NewReader(document), int64(len(document)))
	if err != nil {
		return nil, fmt.Errorf("open ZIP: %w", err)
	}
	if len(archive.File) != 1 {
		return nil, fmt.Errorf("a ZIP of %d files; a dump has one", len(archive.File))
	}
	inside, err := archive.File[0].Open()
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", archive.File[0].Name, err)
	}
	defer func() { _ = inside.Close() }() // it was only read
	text, err := readBounded(inside)
	if err == nil && bytes.HasPrefix(text, zipMark) {
		err = errors.New("a ZIP inside a ZIP")
	}
	return text, err
}

func jsonRows(document []byte) ([][]string, error) {
	var cells [][]json.RawMessage
	if err := json.Unmarshal(document, &cells); err != nil {
		return nil, fmt.Errorf("klines must be a JSON array of arrays, as GET /api/v3/klines answers, or a dump of data.binance.vision (CSV or ZIP): %w", err)
	}
	rows := make([][]string, len(cells))
	for i, row := range cells {
		for _, cell := range row {
			rows[i] = append(rows[i], strings.Trim(string(cell), `"`))
		}
	}
	return rows, nil
}

func csvRows(document []byte) ([][]string, error) {
	rows, err := csv.NewReader(bytes.NewReader(document)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("klines: read CSV: %w", err)
	}
	if _, err := strconv.ParseInt(rows[0][columnOpenTime], 10, 64); err != nil && len(rows) > 1 {
		rows = rows[1:] // the heading that newer dumps have
	}
	return rows, nil
}
