package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/services/projector/internal/store"
)

// BenchmarkStore measures what every decision waits for, by eight callers at a time.
func BenchmarkStore(b *testing.B) {
	s := setupScene(b)
	view := store.ViewParams{AccountID: s.account, StrategyID: s.strategy, PositionID: s.position, At: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	positions := projection.TableNamed(projection.TablePositions)
	for _, c := range []struct {
		name string
		read func(b *testing.B) error
	}{
		{"DecisionView", func(b *testing.B) error {
			_, err := s.DecisionView(b.Context(), s.tenant, view)
			return err
		}},
		{"Get", func(b *testing.B) error {
			_, err := s.Get(b.Context(), s.tenant, 0, positions, store.IsID("position_id", s.position))
			return err
		}},
		{"List", func(b *testing.B) error {
			of := []store.Condition{store.IsID("position_id", s.position)}
			_, err := s.List(b.Context(), s.tenant, store.Orders, store.ListParams{Conditions: of})
			return err
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetParallelism(4)
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if err := c.read(b); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
	require.NoError(b, b.Context().Err())
}
