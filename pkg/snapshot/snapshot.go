package snapshot

import (
	"fmt"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/projection"
)

// formatVersion is of the form that doc.go describes.
const formatVersion = 2

// Limits of what is written and read.
const (
	// CompressFromDefault is from how many bytes of text on a snapshot is compressed, where nothing else is said: smaller ones
	// fit a page of the database as they are.
	CompressFromDefault = 4 << 10
	// TextMax bounds the text of a snapshot. A scope that is larger is not checkpointed: it is told, and folded from the log.
	TextMax = 512 << 20
)

// Meta is what a snapshot is of.
type Meta struct {
	TenantID uuid.UUID
	Scope    projection.Scope
	// AsOf is the position of the log at which the state is true.
	AsOf int64
	// ChainHash is the hash of the event there.
	ChainHash [32]byte
	// RulesVersion is that of the rules that folded the state.
	RulesVersion int32
}

// Sealed is a snapshot, ready to be stored.
type Sealed struct {
	Meta
	// Hash is the SHA-256 of the last line of the text, which has those of all others.
	Hash [32]byte
	// Length is that of the text.
	Length int64
	// Own and Context count the rows.
	Own, Context int64
	// Stored is the text, compressed if it is worth it.
	Stored []byte
}

// Expected is what is known of a snapshot from elsewhere, and must hold of its bytes.
type Expected struct {
	Meta
	Hash   [32]byte
	Length int64
}

// Expected is what must hold of the bytes when they come back.
func (s *Sealed) Expected() Expected { return Expected{Meta: s.Meta, Hash: s.Hash, Length: s.Length} }

// Reason says why a snapshot is not used.
type Reason string

// The reasons. They are stored, counted and told by these names.
const (
	// ReasonRules is a state that other rules have folded.
	ReasonRules Reason = "other_rules"
	// ReasonHash is text that is not what was hashed.
	ReasonHash Reason = "bad_hash"
	// ReasonLength is text that is shorter or longer than what was stored.
	ReasonLength Reason = "bad_length"
	// ReasonCompression is bytes that cannot be decompressed.
	ReasonCompression Reason = "bad_compression"
	// ReasonFormat is text that is no snapshot, although it has the expected hash.
	ReasonFormat Reason = "bad_format"
	// ReasonMismatch is a snapshot of something else than was expected.
	ReasonMismatch Reason = "other_snapshot"
	// ReasonChain is a snapshot of another log: the event at its position has another hash, or does not exist.
	ReasonChain Reason = "other_chain"
	// ReasonState is a state that is not what the log folds to. Only a comparison with the log finds it.
	ReasonState Reason = "other_state"
)

// Unfit is a snapshot that must not be used.
type Unfit struct {
	Reason Reason
	Detail string
}

// Error implements error.
func (u *Unfit) Error() string {
	return fmt.Sprintf("the snapshot is not used (%s): %s", u.Reason, u.Detail)
}

func unfit(reason Reason, format string, args ...any) *Unfit {
	return &Unfit{reason, fmt.Sprintf(format, args...)}
}

// TooLarge is a scope whose text is over the bound.
type TooLarge struct {
	Scope projection.Scope
	Max   int64
}

// Error implements error.
func (l *TooLarge) Error() string {
	return fmt.Sprintf("the state of %s is larger than the %d bytes that a snapshot may have", l.Scope, l.Max)
}
