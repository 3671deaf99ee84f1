package projection

import (
	"fmt"
	"slices"
	"sync"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/robson/robson/pkg/event"
	optionsv1 "github.com/robson/robson/proto/gen/go/robson/options/v1"
)

// Outside tells that an event cannot be folded on a scope alone, because it rests on rows that may be another scope's: a fact
// that names one account and an order of another's. Who gets it folds the whole log instead; nothing is guessed.
type Outside struct {
	Scope    Scope
	Position int64
	Key      Key
}

// Error implements error.
func (o *Outside) Error() string {
	return fmt.Sprintf("the event at position %d rests on %s, which is not known to belong to %s", o.Position, o.Key, o.Scope)
}

// Base is where a ScopeFold begins: the scope's rows at a position, with its context.
type Base interface {
	// Get gives a row of the base, nil for any other.
	Get(key Key) (Row, error)
	// All gives every row of the base, context too.
	All() ([]Row, error)
}

// ScopeFold folds the tail of a log on a scope's state. What it comes to for the scope's own rows is what folding the whole
// log comes to; rows of others that it makes on the way are never shown. It is not for several goroutines at once.
type ScopeFold struct {
	scope   Scope
	base    Base
	account uuid.UUID
	state   *Overlay
	// doubtful are orders that an event may have made without being folded here, for nobody knows whose they are.
	doubtful map[uuid.UUID]bool
}

// NewScopeFold begins at a base whose root row exists.
func NewScopeFold(scope Scope, base Base) (*ScopeFold, error) {
	root, err := base.Get(scope.Root())
	if err != nil {
		return nil, err
	}
	f := &ScopeFold{scope: scope, base: base, doubtful: map[uuid.UUID]bool{}}
	switch r := root.(type) {
	case *Account:
		f.account = r.AccountID
	case *Strategy:
		f.account = r.AccountID
	case *Position:
		f.account = r.AccountID
	default:
		return nil, fmt.Errorf("the state of %s has no row %s", scope, scope.Root())
	}
	f.state = NewOverlay(scopeView{f})
	return f, nil
}

// scopeView answers for all rows that can matter to the scope.
type scopeView struct{ fold *ScopeFold }

// byAccount are the tables whose keys begin with the account.
var byAccount = map[string]bool{
	TableBalances: true, TableConnector: true, TableFills: true, TableMarginLoans: true, TableMarginState: true, TablePnLPeriods: true, TablePositionSlots: true, TableRisk: true,
}

// Get implements View. A row that is absent from the base does not exist or cannot matter, except where its key says that it
// is another account's.
func (v scopeView) Get(key Key) (Row, error) {
	row, err := v.fold.base.Get(key)
	if err != nil || row != nil {
		return row, err
	}
	if byAccount[key.Table] && key.first != v.fold.account {
		return nil, &Missing{Keys: []Key{key}}
	}
	return nil, nil //nolint:nilnil // As View promises.
}

// Fold folds an event of the tenant's log, all of which must come, in order. It says whether the event concerned the scope.
// The error is *Outside, or that of Fold.
func (f *ScopeFold) Fold(ev Event) (concerned bool, err error) {
	named := idsOf(ev)
	concerned, err = f.concerns(ev, named)
	if err != nil || !concerned {
		return false, err
	}
	_, err = Fold(f.state, ev)
	if missing, is := err.(*Missing); is { //nolint:errorlint // Fold gives it bare.
		return false, &Outside{f.scope, ev.Position, missing.Keys[0]}
	}
	return err == nil, err
}

// Get gives a row as it is now: one of the scope, or of its context.
func (f *ScopeFold) Get(key Key) (Row, error) { return f.state.Get(key) }

// Own gives the scope's rows as they are now, sorted by key.
func (f *ScopeFold) Own() ([]Row, error) {
	rows, err := f.base.All()
	if err != nil {
		return nil, err
	}
	now := make([]Row, 0, len(rows)+len(f.state.changed))
	for _, row := range rows {
		if _, changed := f.state.changed[row.Key()]; !changed {
			now = append(now, row)
		}
	}
	return f.scope.Cut(append(now, f.state.Rows()...)).Own, nil
}

// Changed gives the scope's own rows that the tail has written, as they are now, sorted by key. Whether a row is the scope's may hang
// on others that it names, which are looked up.
func (f *ScopeFold) Changed() ([]Row, error) {
	changed := f.state.Rows()
	seen := make(map[Key]bool, len(changed))
	for _, row := range changed {
		seen[row.Key()] = true
	}
	all := changed[:len(changed):len(changed)]
	for i := 0; i < len(all); i++ { // What is looked up names others itself.
		for _, key := range f.named(all[i]) {
			if seen[key] {
				continue
			}
			seen[key] = true
			row, err := f.state.Get(key)
			if err != nil {
				return nil, err
			}
			if row != nil {
				all = append(all, row)
			}
		}
	}
	own := f.scope.Cut(all).Own
	return slices.DeleteFunc(own, func(row Row) bool {
		_, is := f.state.changed[row.Key()]
		return !is
	}), nil
}

// named are the rows that a row's belonging to a scope may hang on.
func (f *ScopeFold) named(row Row) []Key {
	t := tablesByName[row.Key().Table]
	var keys []Key
	for column, keyOf := range map[string]func(uuid.UUID) Key{"position_id": PositionKey, "order_id": OrderKey, "strategy_id": StrategyKey} {
		if !slices.ContainsFunc(t.Columns, func(c Column) bool { return c.Name == column }) {
			continue
		}
		if id, there := t.id(row, column); there {
			keys = append(keys, keyOf(id))
		}
	}
	return keys
}

// names is what an event names.
type names struct {
	ids   []uuid.UUID
	order uuid.UUID
	// account is the one in the payload or the stream.
	account uuid.UUID
	// inOrderStream: the event is one of an order's stream.
	inOrderStream bool
}

// idsOf collects the ids that an event names.
func idsOf(ev Event) names {
	var n names
	if stream, err := event.ParseStreamKey(ev.StreamKey); err == nil {
		n.ids = append(n.ids, stream.ID)
		n.note(string(stream.Kind)+"_id", stream.ID)
		n.inOrderStream = stream.Kind == event.KindOrder
	}
	message := ev.Payload.ProtoReflect()
	for _, fd := range idFieldsOf(message.Descriptor()) {
		if fd.IsList() {
			list := message.Get(fd).List()
			for i := range list.Len() {
				n.add("", list.Get(i).String())
			}
			continue
		}
		if text := message.Get(fd).String(); text != "" {
			n.add(string(fd.Name()), text)
		}
	}
	return n
}

// idFields are the fields of a payload's type that hold ids: []protoreflect.FieldDescriptor by protoreflect.FullName. Looking for
// them each time takes longer than folding the event.
var idFields sync.Map

func idFieldsOf(message protoreflect.MessageDescriptor) []protoreflect.FieldDescriptor {
	if known, ok := idFields.Load(message.FullName()); ok {
		if fields, is := known.([]protoreflect.FieldDescriptor); is {
			return fields
		}
	}
	var found []protoreflect.FieldDescriptor
	fields := message.Fields()
	for i := range fields.Len() {
		if fd := fields.Get(i); fd.Kind() == protoreflect.StringKind && !fd.IsMap() && isID(fd) {
			found = append(found, fd)
		}
	}
	idFields.Store(message.FullName(), found)
	return found
}

func isID(fd protoreflect.FieldDescriptor) bool {
	option, _ := proto.GetExtension(fd.Options(), optionsv1.E_Field).(*optionsv1.Field)
	return option.GetFormat() == optionsv1.FieldFormat_FIELD_FORMAT_UUID
}

func (n *names) add(field, text string) {
	id, err := uuid.Parse(text)
	if err != nil {
		return // What is no id names nothing.
	}
	n.note(field, id)
	if !slices.Contains(n.ids, id) {
		n.ids = append(n.ids, id)
	}
}

func (n *names) note(field string, id uuid.UUID) {
	switch field {
	case "order_id":
		n.order = id
	case "account_id":
		n.account = id
	}
}

// concerns says whether an event may change a row of the scope or of its context.
func (f *ScopeFold) concerns(ev Event, n names) (bool, error) {
	known, err := f.names(n)
	if err != nil {
		return false, err
	}
	if n.order == uuid.Nil {
		return known, nil
	}
	order, err := f.state.Get(OrderKey(n.order))
	if err != nil {
		return false, err
	}
	if order != nil {
		matters, err := f.matters(order)
		return known || matters, err
	}
	outside := &Outside{f.scope, ev.Position, OrderKey(n.order)}
	switch {
	case f.doubtful[n.order] && known:
		return false, outside
	case f.doubtful[n.order]:
		return false, nil
	case !n.inOrderStream && ev.Type == "EXCHANGE_STATE_UNCERTAIN":
		// Whether the order exists does not show: it may have facts, which are another scope's business.
		if known {
			return false, outside
		}
		f.doubtful[n.order] = true
		return false, nil
	case n.inOrderStream && ev.Seq > 1 && known:
		return false, outside
	case n.inOrderStream && ev.Seq == 1 && ev.Type != "ORDER_SUBMITTED" && n.account == f.account:
		return true, nil // It makes an order that a claim may take in later.
	}
	return known, nil
}

// names says whether an event names the scope or a row of it by id.
func (f *ScopeFold) names(n names) (bool, error) {
	if slices.Contains(n.ids, f.scope.ID) {
		return true, nil
	}
	for _, id := range n.ids {
		for _, key := range [...]Key{PositionKey(id), OrderKey(id), IntentKey(id), DecisionKey(id), SignalKey(id), DiscrepancyKey(id), StrategyKey(id)} {
			row, err := f.state.Get(key)
			if err != nil {
				return false, err
			}
			if row == nil {
				continue
			}
			if matters, err := f.matters(row); matters || err != nil {
				return matters, err
			}
		}
	}
	return false, nil
}

// matters says whether a row that was found can be the scope's or become it. What was made on the way, an order of which
// facts came before its claim for another position say, cannot.
func (f *ScopeFold) matters(row Row) (bool, error) {
	var position uuid.NullUUID
	switch r := row.(type) {
	case *Order:
		position = r.PositionID
	case *Discrepancy:
		position = r.PositionID
	}
	if !position.Valid || f.scope.Kind == ScopeAccount {
		return true, nil
	}
	held, err := f.state.Get(PositionKey(position.UUID))
	return held != nil, err
}
