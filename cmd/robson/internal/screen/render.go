// Package screen prints what people read: tables whose decimals stand point under point, and timelines of events.
package screen

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/money"
)

// timeLayout shows times in UTC to the millisecond, all equally wide.
const timeLayout = "2006-01-02 15:04:05.000"

// Column shows one field of a row message.
type Column struct {
	// field is the proto field's name; a dot descends into a message.
	field string
	// title is the heading; empty: the field's name in upper case.
	title string
	// decimal aligns the Column at the decimal point.
	decimal bool
	// number aligns the Column right.
	number bool
	// average shows a decimal that was divided with at most averagePlaces places.
	average bool
	// id leaves out an id of zeros, which stands for none.
	id bool
}

// averagePlaces is how many places of a quotient a table shows, rounded half to even; JSON has them all.
const averagePlaces = 8

// noID is the id that stands for none.
const noID = "00000000-0000-0000-0000-000000000000"

// Col shows a field as text under a heading.
func Col(field, title string) Column { return Column{field: field, title: title} }

// ID shows a field as an id, empty where it stands for none.
func ID(field, title string) Column { return Column{field: field, title: title, id: true} }

// Avg shows a field that was divided, to averagePlaces places, aligned at the point.
func Avg(field, title string) Column {
	return Column{field: field, title: title, decimal: true, average: true}
}

// Dec shows a field as a decimal, exactly, aligned at the point.
func Dec(field, title string) Column { return Column{field: field, title: title, decimal: true} }

// Num shows a field as a whole number.
func Num(field, title string) Column { return Column{field: field, title: title, number: true} }

// JSON writes a message as the contract's JSON with the contract's field names, and a line end.
func JSON(w io.Writer, m proto.Message) error {
	data, err := protojson.MarshalOptions{UseProtoNames: true, Multiline: true, Indent: "  ", EmitUnpopulated: true}.Marshal(m)
	if err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	_, err = fmt.Fprintf(w, "%s\n", data)
	return err
}

// Rows writes rows as a table. Decimals of a Column stand point under point.
func Rows(w io.Writer, columns []Column, rows []proto.Message) {
	cells := make([][]string, len(rows))
	for i, row := range rows {
		cells[i] = make([]string, len(columns))
		for j, c := range columns {
			cells[i][j] = c.text(row)
		}
	}
	writeCells(w, columns, cells)
}

// text is a row's cell in the Column.
func (c Column) text(row proto.Message) string {
	value := FieldText(row.ProtoReflect(), c.field)
	switch {
	case c.id && value == noID:
		return ""
	case c.average:
		return Round(value)
	default:
		return value
	}
}

// Round shows an amount with at most averagePlaces places, rounded half to even.
func Round(value string) string {
	d, err := money.Parse(value)
	if err != nil {
		return value
	}
	return money.Format(d.RoundBank(averagePlaces))
}

// writeCells writes cells that are text already.
func writeCells(w io.Writer, columns []Column, cells [][]string) {
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.SuppressTrailingSpaces()
	t.SetStyle(table.StyleLight)
	t.Style().Options = table.Options{SeparateHeader: true}
	t.Style().Box.PaddingLeft = ""
	t.Style().Box.PaddingRight = "  "
	head := make(table.Row, len(columns))
	configs := make([]table.ColumnConfig, len(columns))
	for j, c := range columns {
		title := c.title
		if title == "" {
			title = strings.ToUpper(c.field)
		}
		head[j] = Paint(w, Strong, title)
		configs[j] = table.ColumnConfig{Number: j + 1}
		if c.decimal || c.number {
			configs[j].Align = text.AlignRight
			configs[j].AlignHeader = text.AlignRight
		}
		if c.decimal {
			alignPoints(cells, j)
		}
	}
	t.AppendHeader(head)
	t.SetColumnConfigs(configs)
	for _, row := range cells {
		r := make(table.Row, len(row))
		for j, cell := range row {
			r[j] = Paint(w, inkOfWord(cell), cell)
		}
		t.AppendRow(r)
	}
	t.Render()
}

// alignPoints pads the decimals of a Column on the right, so that right alignment puts their points in one line.
func alignPoints(cells [][]string, j int) {
	widest := 0
	for _, row := range cells {
		widest = max(widest, fractionWidth(row[j]))
	}
	for _, row := range cells {
		if row[j] != "" {
			row[j] += strings.Repeat(" ", widest-fractionWidth(row[j]))
		}
	}
}

// fractionWidth is the width of the point and what follows it.
func fractionWidth(s string) int {
	if i := strings.IndexByte(s, '.'); i >= 0 {
		return len(s) - i
	}
	return 0
}

// Fields writes one row as a list of its fields, those without a value left out.
func Fields(w io.Writer, m proto.Message) {
	fields := m.ProtoReflect().Descriptor().Fields()
	widest := 0
	for i := range fields.Len() {
		widest = max(widest, len(fields.Get(i).Name()))
	}
	for i := range fields.Len() {
		f := fields.Get(i)
		if value := FieldText(m.ProtoReflect(), string(f.Name())); value != "" {
			fmt.Fprintf(w, "%-*s  %s\n", widest, f.Name(), value)
		}
	}
}

// FieldText is a field's value as a person reads it; empty when it has none.
func FieldText(m protoreflect.Message, path string) string {
	name, rest, nested := strings.Cut(path, ".")
	f := m.Descriptor().Fields().ByName(protoreflect.Name(name))
	if f == nil {
		return ""
	}
	if nested {
		if !m.Has(f) {
			return ""
		}
		return FieldText(m.Get(f).Message(), rest)
	}
	if f.HasPresence() && !m.Has(f) {
		return ""
	}
	switch {
	case f.IsMap():
		return mapText(m.Get(f).Map())
	case f.IsList():
		list := m.Get(f).List()
		parts := make([]string, list.Len())
		for i := range parts {
			parts[i] = valueText(f, list.Get(i))
		}
		return strings.Join(parts, ", ")
	default:
		return valueText(f, m.Get(f))
	}
}

// mapText is a map in the order of its keys.
func mapText(m protoreflect.Map) string {
	var parts []string
	m.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		parts = append(parts, k.String()+"="+v.String())
		return true
	})
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// valueText is one value as a person reads it.
func valueText(f protoreflect.FieldDescriptor, v protoreflect.Value) string {
	switch f.Kind() {
	case protoreflect.EnumKind:
		return EnumText(f.Enum(), v.Enum())
	case protoreflect.MessageKind:
		if ts, ok := v.Message().Interface().(*timestamppb.Timestamp); ok {
			return timeText(ts)
		}
		return messageText(v.Message())
	default:
		return v.String()
	}
}

// messageText is a small message on one line, its fields in the contract's order.
func messageText(m protoreflect.Message) string {
	var parts []string
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if value := FieldText(m, string(f.Name())); value != "" {
			parts = append(parts, string(f.Name())+"="+value)
		}
	}
	return "{" + strings.Join(parts, " ") + "}"
}

// timeText shows a time in UTC; empty for none.
func timeText(ts *timestamppb.Timestamp) string {
	if ts == nil || !ts.IsValid() || ts.AsTime().Equal(time.Unix(0, 0)) {
		return ""
	}
	return ts.AsTime().UTC().Format(timeLayout)
}

// EnumText is an enum value as the event log writes it: POSITION_SIDE_LONG is long.
func EnumText(d protoreflect.EnumDescriptor, n protoreflect.EnumNumber) string {
	v := d.Values().ByNumber(n)
	if v == nil || n == 0 {
		return ""
	}
	return strings.ToLower(strings.TrimPrefix(string(v.Name()), enumPrefix(d)))
}

// enumPrefix is what the zero value of an enum starts with, which all its values share.
func enumPrefix(d protoreflect.EnumDescriptor) string {
	return strings.TrimSuffix(string(d.Values().ByNumber(0).Name()), "UNSPECIFIED")
}

// EnumNumber reads the text that EnumText writes, or the contract's name.
func EnumNumber(d protoreflect.EnumDescriptor, s string) (protoreflect.EnumNumber, error) {
	upper := strings.ToUpper(strings.ReplaceAll(s, "-", "_"))
	names := make([]string, 0, d.Values().Len())
	for i := range d.Values().Len() {
		v := d.Values().Get(i)
		if v.Number() == 0 {
			continue
		}
		short := strings.TrimPrefix(string(v.Name()), enumPrefix(d))
		if upper == short || upper == string(v.Name()) {
			return v.Number(), nil
		}
		names = append(names, strings.ToLower(short))
	}
	return 0, fmt.Errorf("%q is not one of %s", s, strings.Join(names, ", "))
}

// Table is a table whose cells are text already.
type Table struct {
	columns []Column
	cells   [][]string
}

// Text heads a column of text.
func Text(title string) Column { return Column{title: title} }

// Decimal heads a column of decimals, aligned at the point.
func Decimal(title string) Column { return Column{title: title, decimal: true} }

// NewTable makes an empty table.
func NewTable(columns ...Column) *Table { return &Table{columns: columns} }

// Add adds a row.
func (t *Table) Add(cells ...string) { t.cells = append(t.cells, cells) }

// Write prints the table.
func (t *Table) Write(w io.Writer) { writeCells(w, t.columns, t.cells) }
