// Package server turns the contract's requests into reads of the store and rows into the contract's messages.
package server

import (
	"context"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/rowproto"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/projector/internal/store"
)

// StateReader is what StateService needs of the store. Every answer is of one snapshot of one tenant and tells the
// position it is true at, which is at least the position asked for; where that does not come in time the error is
// Stale.
type StateReader interface {
	// Get gives the row that a unique key names; its Row is nil where the tenant has none such.
	Get(ctx context.Context, tenant uuid.UUID, least int64, table *projection.Table, key ...store.Condition) (store.Found, error)
	// List gives a page; a token that does not belong to the list and its conditions is Invalid.
	List(ctx context.Context, tenant uuid.UUID, l store.Listing, p store.ListParams) (store.Page, error)
	// DecisionView gives what a decision rests on; rows that do not exist are nil.
	DecisionView(ctx context.Context, tenant uuid.UUID, p store.ViewParams) (store.View, error)
}

// State serves StateService.
type State struct {
	projectorv1.UnimplementedStateServiceServer

	reader StateReader
	rows   *rowproto.Mapper
}

// NewState makes the server. The error says which column and field do not fit together.
func NewState(reader StateReader) (*State, error) {
	rows, err := rowproto.New()
	if err != nil {
		return nil, err
	}
	return &State{reader: reader, rows: rows}, nil
}

// message is the row as M; nil for no row.
func message[M proto.Message](s *State, row projection.Row) (M, error) {
	return rowproto.As[M](s.rows, row)
}

func messages[M proto.Message](s *State, rows []projection.Row) ([]M, error) {
	out := make([]M, len(rows))
	for i, row := range rows {
		m, err := message[M](s, row)
		if err != nil {
			return nil, err
		}
		out[i] = m
	}
	return out, nil
}

// subject is a thing that can be asked for by its id.
type subject struct {
	name  string
	table *projection.Table
	// key is the unique column that holds the id; empty for the tenant, who has one row.
	key string
}

// one answers a Get. What the tenant does not have is NotFound, be it nobody's or another tenant's.
func one[M proto.Message](ctx context.Context, s *State, what subject, id string, least int64) (M, int64, error) {
	var none M
	tenant := identity.Tenant(ctx)
	var key []store.Condition
	if what.key == "" {
		id = tenant.String()
	} else {
		parsed, err := parseID(what.key, id)
		if err != nil {
			return none, 0, err
		}
		key = append(key, store.IsID(what.key, parsed))
	}
	found, err := s.reader.Get(ctx, tenant, least, what.table, key...)
	if err != nil {
		return none, 0, err //nolint:wrapcheck // The store says what it was doing.
	}
	if found.Row == nil {
		return none, 0, notFound(what.name, id)
	}
	m, err := message[M](s, found.Row)
	return m, found.AsOf, err
}

// pageRequest is what every List request has.
type pageRequest interface {
	GetPageSize() int32
	GetPageToken() string
	GetMinPosition() int64
}

type pageOf[M proto.Message] struct {
	rows []M
	next string
	asOf int64
}

// many answers a List.
func many[M proto.Message](ctx context.Context, s *State, l store.Listing, r pageRequest, where *filter) (pageOf[M], error) {
	if where.err != nil {
		return pageOf[M]{}, where.err
	}
	page, err := s.reader.List(ctx, identity.Tenant(ctx), l, store.ListParams{
		Conditions: where.conditions, Size: int(r.GetPageSize()), Token: r.GetPageToken(), Least: r.GetMinPosition(),
	})
	if err != nil {
		return pageOf[M]{}, err //nolint:wrapcheck // The store says what it was doing.
	}
	rows, err := messages[M](s, page.Rows)
	return pageOf[M]{rows: rows, next: page.Next, asOf: page.AsOf}, err
}

func notFound(what, id string) error {
	return fault.New(fault.NotFound, "NOT_FOUND", "no %s %s", what, id).With(what+"_id", id)
}

func parseID(field, text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil, fault.InvalidField(field, "must be a UUID")
	}
	return id, nil
}

// filter collects a list's conditions; what a request leaves empty is none.
type filter struct {
	conditions []store.Condition
	err        error
}

func filters() *filter { return &filter{} }

func (f *filter) id(column, text string) *filter {
	if text == "" {
		return f
	}
	id, err := parseID(column, text)
	if err != nil && f.err == nil {
		f.err = err
	}
	f.conditions = append(f.conditions, store.IsID(column, id))
	return f
}

func (f *filter) text(column, text string) *filter {
	if text != "" {
		f.conditions = append(f.conditions, store.IsText(column, text))
	}
	return f
}

func (f *filter) flag(column string, truth *bool) *filter {
	if truth != nil {
		f.conditions = append(f.conditions, store.IsTrue(column, *truth))
	}
	return f
}

func (f *filter) among(column string, texts []string) *filter {
	if len(texts) > 0 {
		f.conditions = append(f.conditions, store.InTexts(column, texts))
	}
	return f
}

// enumTexts are the stored texts of enum values.
func enumTexts[E protoreflect.Enum](values []E) []string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = rowproto.EnumText(v.Descriptor(), v.Number())
	}
	return texts
}
