package projection_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/robson/robson/pkg/projection"
)

// What is folded into memory that is used again is what is folded anywhere, at every position; and two that fold at once
// do not meet.
func TestProperty_scratch_folds_to_the_same(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		log := random(t)
		memory, scratch, other := &projection.Memory{}, &projection.Scratch{}, &projection.Scratch{}
		for _, ev := range log.Events {
			anomalies, err := projection.Fold(memory, ev)
			require.NoError(t, err)
			again, err := projection.Fold(scratch, ev)
			require.NoError(t, err)
			require.Equal(t, anomalies, again)
			_, err = projection.Fold(other, ev)
			require.NoError(t, err)
			if ev.Position%16 == 0 {
				require.Equal(t, memory.Render(), scratch.Render())
			}
		}
		if diff := cmp.Diff(memory.Render(), scratch.Render()); diff != "" {
			t.Fatal(diff)
		}
		require.Equal(t, memory.Render(), other.Render())
	})
}

func TestScratch_keeps_rows_that_are_put_again(t *testing.T) {
	t.Parallel()
	s := sceneAt(t, "claimed")
	scratch := &projection.Scratch{}
	for _, row := range s.State.Rows() {
		scratch.Put(row)
		scratch.Put(row)
	}
	require.Equal(t, s.State.Render(), scratch.Render())
}

// A row that is replaced may be written over, so nothing may point into one: no rule takes the address of a field. Texts
// and amounts are taken over by value.
func TestRules_point_into_no_row(t *testing.T) {
	t.Parallel()
	rows := map[string]bool{}
	for _, table := range projection.Tables() {
		row := reflect.TypeOf(table.NewRow()).Elem()
		for i := range row.NumField() {
			rows[row.Field(i).Name] = true
		}
	}
	names, err := filepath.Glob("*.go")
	require.NoError(t, err)
	looked := 0
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			taken, is := n.(*ast.UnaryExpr)
			if !is || taken.Op != token.AND {
				return true
			}
			if field, of := taken.X.(*ast.SelectorExpr); of {
				looked++
				require.False(t, rows[field.Sel.Name], "the address of a field %s is taken", field.Sel.Name)
			}
			return true
		})
	}
	require.Positive(t, looked)
}
