package replay

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/projection"
)

// Request is what a rebuild is asked to do.
type Request struct {
	Scope Scope `json:"scope"`
	// FromSnapshot folds on from the newest snapshot of the scope that is fit, instead of from zero.
	FromSnapshot bool `json:"from_snapshot,omitempty"`
	// DryRun compares and changes nothing.
	DryRun bool `json:"dry_run,omitempty"`
	// Build folds into a new epoch, however little differs.
	Build bool `json:"build,omitempty"`
}

// ScopeKind is what a part of a tenant's state is cut out by.
type ScopeKind string

// The kinds of scopes.
const (
	ScopeTenant   ScopeKind = "tenant"
	ScopeAccount  ScopeKind = "account"
	ScopeStrategy ScopeKind = "strategy"
	ScopePosition ScopeKind = "position"
	ScopeStream   ScopeKind = "stream"
)

// Scope is a part of a tenant's state. The zero value is the whole tenant.
type Scope struct {
	Kind ScopeKind `json:"kind"`
	// ID is the account, the strategy or the position.
	ID uuid.UUID `json:"id"`
	// Stream is for ScopeStream: what the stream is about.
	Stream string `json:"stream,omitempty"`
}

// IsTenant says whether it is the whole.
func (s Scope) IsTenant() bool { return s.Kind == ScopeTenant || s.Kind == "" }

// HasSnapshots says whether there are snapshots of such a part.
func (s Scope) HasSnapshots() bool {
	return s.Kind == ScopeAccount || s.Kind == ScopeStrategy || s.Kind == ScopePosition
}

// String writes the scope for people.
func (s Scope) String() string {
	switch {
	case s.IsTenant():
		return "the tenant"
	case s.Kind == ScopeStream:
		return "stream " + s.Stream
	}
	return fmt.Sprintf("%s %s", s.Kind, s.ID)
}

// entity is what the scope is about: the kind that a stream's name has, and its id.
func (s Scope) entity() (event.Kind, uuid.UUID) {
	if s.Kind != ScopeStream {
		return event.Kind(s.Kind), s.ID
	}
	key, err := event.ParseStreamKey(s.Stream)
	if err != nil {
		return "", uuid.Nil // The request was checked.
	}
	return key.Kind, key.ID
}

// projected is the scope as pkg/projection knows it; false for a tenant and for an order.
func (s Scope) projected() (projection.Scope, bool) {
	kind, id := s.entity()
	switch kind {
	case event.KindAccount:
		return projection.Scope{Kind: projection.ScopeAccount, ID: id}, true
	case event.KindStrategy:
		return projection.Scope{Kind: projection.ScopeStrategy, ID: id}, true
	case event.KindPosition:
		return projection.Scope{Kind: projection.ScopePosition, ID: id}, true
	case event.KindTenant, event.KindOrder:
	}
	return projection.Scope{}, false
}

// Outcome is what a rebuild came to.
type Outcome string

// The outcomes.
const (
	// OutcomeIdentical: nothing differed, nothing was changed.
	OutcomeIdentical Outcome = "identical"
	// OutcomeDiffers: a dry run found differences.
	OutcomeDiffers Outcome = "differs"
	// OutcomeMended: the rows that differed were made right.
	OutcomeMended Outcome = "mended"
	// OutcomeBuilt: all rows were folded anew, aside, and made live.
	OutcomeBuilt Outcome = "built"
)

// Result is what a rebuild or a validation came to.
type Result struct {
	Run     uuid.UUID `json:"run_id"`
	Request Request   `json:"request"`
	Outcome Outcome   `json:"outcome"`
	// Snapshot is what was folded on from; Nil: from zero.
	Snapshot     uuid.UUID `json:"snapshot_id"`
	FromPosition int64     `json:"from_position"`
	// ToPosition is up to where the live state was right when it ended.
	ToPosition int64 `json:"to_position"`
	// Events is how many events were folded.
	Events int64 `json:"events"`
	// Rows is how many rows the fold makes, Changed how many live ones were changed.
	Rows    int64 `json:"rows"`
	Changed int64 `json:"rows_changed"`
	// Found is how many rows differed, within the scope. AtLeast: it stopped at so many.
	Found   int64 `json:"rows_found"`
	AtLeast bool  `json:"at_least,omitempty"`
	// Tables tells it by table.
	Tables map[string]TableReport `json:"tables,omitempty"`
	// ChecksumBefore and ChecksumAfter sum up the live rows and those of the fold, at one position: all of the tenant, or those that
	// were compared where a run went on from a snapshot.
	ChecksumBefore string `json:"checksum_before"`
	ChecksumAfter  string `json:"checksum_after"`
	// Identical says whether nothing had to be changed.
	Identical  bool  `json:"identical"`
	Generation int64 `json:"generation"`
	// At is when it was done.
	At time.Time `json:"at"`
	// Held is how long appends could not be taken in.
	Held time.Duration `json:"held"`
	// Took is how long it all was.
	Took time.Duration `json:"took"`
	// Note says what was done otherwise than asked, and why.
	Note string `json:"note,omitempty"`
	// Unswept is why old rows could not be taken away; the next run does it.
	Unswept string `json:"unswept,omitempty"`
	// Announced says whether PROJECTION_REBUILT is in the log; Unannounced why not. It is tried again.
	Announced   bool   `json:"announced"`
	Unannounced string `json:"unannounced,omitempty"`
	// Differences are the first ones found; they are told, not stored.
	Differences []Difference `json:"-"`
}

// JSON is the result as it is stored with its run.
func (r *Result) JSON() []byte {
	text, err := json.Marshal(r)
	if err != nil {
		return []byte("{}") // It has nothing that cannot be written.
	}
	return text
}

// ParseResult reads what JSON wrote.
func ParseResult(text []byte) (Result, error) {
	var r Result
	if len(text) == 0 {
		return r, nil
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("read result of a run: %w", err)
	}
	return r, nil
}

// ParseRequest reads a request as it is stored with its run.
func ParseRequest(text []byte) (Request, error) {
	var r Request
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("read request of a run: %w", err)
	}
	return r, nil
}
