package subscription

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// crewModel is a crew whose holders make their rounds one after the other, in any order.
type crewModel struct {
	holders map[uuid.UUID]string
	freeFor map[uuid.UUID]int
	most    map[string]int
	wants   map[string]bool
	leaving map[string]map[uuid.UUID]bool
	moves   int
}

func newCrewModel(tenants int) *crewModel {
	m := &crewModel{
		holders: map[uuid.UUID]string{}, freeFor: map[uuid.UUID]int{}, most: map[string]int{}, wants: map[string]bool{},
		leaving: map[string]map[uuid.UUID]bool{},
	}
	for range tenants {
		m.holders[uuid.New()] = ""
	}
	return m
}

func (m *crewModel) join(name string, most int) {
	m.most[name], m.wants[name], m.leaving[name] = most, true, map[uuid.UUID]bool{}
}

// leave has a holder go; what he had is free.
func (m *crewModel) leave(name string) {
	delete(m.most, name)
	delete(m.wants, name)
	for tenant, holder := range m.holders {
		if holder == name {
			m.holders[tenant] = ""
		}
	}
}

// round is one holder's, as shares goes it.
func (m *crewModel) round(name string) {
	for tenant := range m.leaving[name] {
		m.holders[tenant] = ""
	}
	clear(m.leaving[name])
	var wanting []string
	for other, wants := range m.wants {
		if wants && other != name {
			wanting = append(wanting, other)
		}
	}
	p := plan{
		me: name, holders: m.holders, leaving: m.leaving[name], wanting: wanting, most: m.most[name],
		longFree: func(tenant uuid.UUID) bool { return m.freeFor[tenant] > 4 },
	}
	take, leave := p.make()
	target, count := p.target(), p.count()
	for _, tenant := range take {
		m.holders[tenant] = name
		m.moves++
	}
	for _, tenant := range leave {
		m.leaving[name][tenant] = true
	}
	m.wants[name] = target > count+len(take)-len(leave)
}

// settle makes so many rounds of all.
func (m *crewModel) settle(rng *rand.Rand, rounds int) {
	for range rounds {
		names := make([]string, 0, len(m.most))
		for name := range m.most {
			names = append(names, name)
		}
		slices.Sort(names)
		rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		for _, name := range names {
			m.round(name)
		}
		for tenant, holder := range m.holders {
			if holder == "" {
				m.freeFor[tenant]++
			} else {
				delete(m.freeFor, tenant)
			}
		}
	}
}

func (m *crewModel) counts() map[string]int {
	counts := map[string]int{}
	for _, holder := range m.holders {
		counts[holder]++
	}
	return counts
}

// TestPlan_fair: whoever comes and goes, in whatever order rounds are made, after a few of them every tenant has a holder, all have
// as many, and nothing moves any more.
func TestPlan_fair(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 1))
		m := newCrewModel(rng.IntN(200))
		for step := range 12 {
			if name := fmt.Sprint("holder ", rng.IntN(6)); m.most[name] > 0 && len(m.most) > 1 {
				m.leave(name)
			} else {
				m.join(name, 1000)
			}
			for range rng.IntN(20) {
				m.holders[uuid.New()] = ""
			}
			m.settle(rng, 12)
			counts := m.counts()
			require.Zero(t, counts[""], "seed %d, step %d: %v", seed, step, counts)
			least, most := len(m.holders), 0
			for name := range m.most {
				least, most = min(least, counts[name]), max(most, counts[name])
			}
			require.LessOrEqual(t, most-least, 1, "seed %d, step %d: %v", seed, step, counts)
			moves := m.moves
			m.settle(rng, 12)
			require.Equal(t, moves, m.moves, "seed %d, step %d", seed, step)
		}
	}
}

// TestPlan_bounded: what holders cannot take goes to those who can, for as long as there are any.
func TestPlan_bounded(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 2))
		m := newCrewModel(100)
		room := 0
		for i := range 2 + rng.IntN(4) {
			most := 1 + rng.IntN(60)
			m.join(fmt.Sprint("holder ", i), most)
			room += most
			m.settle(rng, 60)
			counts := m.counts()
			require.Equal(t, max(100-room, 0), counts[""], "seed %d: %v of %v", seed, counts, m.most)
			for name, most := range m.most {
				require.LessOrEqual(t, counts[name], most)
				require.Positive(t, counts[name])
			}
			moves := m.moves
			m.settle(rng, 30)
			require.Equal(t, moves, m.moves, "seed %d: %v of %v", seed, counts, m.most)
		}
	}
}

// TestPlan_moves_little: of three who share, the fourth is given his part, and no more moves than that.
func TestPlan_moves_little(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 3))
	m := newCrewModel(120)
	for i := range 3 {
		m.join(fmt.Sprint("holder ", i), 1000)
	}
	m.settle(rng, 10)
	moves := m.moves
	m.join("holder 3", 1000)
	m.settle(rng, 10)
	require.Equal(t, moves+30, m.moves)
}
