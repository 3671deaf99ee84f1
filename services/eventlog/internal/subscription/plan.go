package subscription

import (
	"bytes"
	"crypto/sha256"
	"slices"

	"github.com/google/uuid"
)

// plan is how a holder gets from what he has to what he should have. Each holder makes his own, of what he sees; that they see
// different things for a while costs a tenant's moving, no more.
//
// Every holder should have as many as every other, those who come first by name one more. One who has less, and can take more,
// says so: only then others give up what they have above their part. A tenant that stays free, since those who lack tenants
// cannot take more, goes to whoever can.
type plan struct {
	me string
	// holders are those of all tenants; empty: free.
	holders map[uuid.UUID]string
	// leaving are those of mine that are on their way out.
	leaving map[uuid.UUID]bool
	// wanting are the others who lack tenants.
	wanting []string
	// most is how many I can take.
	most int
	// longFree says whether a tenant has been free for a while.
	longFree func(uuid.UUID) bool
}

// make gives the tenants that I should take, and those that I should let go.
func (p *plan) make() (take, leave []uuid.UUID) {
	var free, mine []uuid.UUID
	for tenant, holder := range p.holders {
		switch {
		case holder == "":
			free = append(free, tenant)
		case holder == p.me && !p.leaving[tenant]:
			mine = append(mine, tenant)
		}
	}
	target := p.target()
	if room := target - len(mine); room > 0 {
		return p.liked(free, room), nil
	}
	if over := len(mine) - target; over > 0 && len(p.wanting) > 0 {
		liked := p.liked(mine, len(mine))
		return nil, liked[len(liked)-p.part(over, len(free)):]
	}
	free = slices.DeleteFunc(free, func(tenant uuid.UUID) bool { return !p.longFree(tenant) })
	if room := min(p.most-len(mine), (len(free)+1)/2); room > 0 {
		return p.liked(free, room), nil
	}
	return nil, nil
}

// part is what I give up of what I have over my part, so that all who have too much come up together for what the others lack.
func (p *plan) part(over, free int) int {
	counts, targets := p.counts(), p.targets()
	lack, surplus := -free, 0
	for _, holder := range p.wanting {
		lack += max(targets[holder]-counts[holder], 0)
	}
	for holder, count := range counts {
		surplus += max(count-targets[holder], 0)
	}
	surplus -= len(p.leaving)
	lack -= len(p.leaving)
	if lack <= 0 || surplus <= 0 {
		return 0
	}
	return min(over, (lack*over+surplus-1)/surplus)
}

// count is how many I have.
func (p *plan) count() int { return p.counts()[p.me] - len(p.leaving) }

// counts are how many each has.
func (p *plan) counts() map[string]int {
	counts := map[string]int{}
	for _, holder := range p.holders {
		if holder != "" {
			counts[holder]++
		}
	}
	return counts
}

// target is how many I should have.
func (p *plan) target() int { return min(p.targets()[p.me], p.most) }

// targets are how many each of those who live should have.
func (p *plan) targets() map[string]int {
	live := append(slices.Clone(p.wanting), p.me)
	for holder := range p.counts() {
		live = append(live, holder)
	}
	slices.Sort(live)
	live = slices.Compact(live)
	targets := make(map[string]int, len(live))
	for i, holder := range live {
		targets[holder] = len(p.holders) / len(live)
		if i < len(p.holders)%len(live) {
			targets[holder]++
		}
	}
	return targets
}

// liked are so many of the tenants, at most, in my own order: holders who choose at a time choose different ones, and one who comes
// back the same.
func (p *plan) liked(tenants []uuid.UUID, most int) []uuid.UUID {
	rank := make(map[uuid.UUID][sha256.Size]byte, len(tenants))
	for _, tenant := range tenants {
		rank[tenant] = sha256.Sum256(append(tenant[:], p.me...))
	}
	slices.SortFunc(tenants, func(x, y uuid.UUID) int {
		a, b := rank[x], rank[y]
		return bytes.Compare(a[:], b[:])
	})
	return tenants[:min(most, len(tenants))]
}
