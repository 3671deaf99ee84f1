package process

import (
	"context"

	"github.com/shopspring/decimal"

	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/command/internal/lifecycle"
)

// memory is what is known of a position beside its rows. A lane alone uses it; losing it costs reading again.
type memory struct {
	row     *projectorv1.Position // as last seen
	history *lifecycle.History
	// next is the next seq to read of each stream, and upTo the position up to which it was read.
	next map[string]int64
	upTo map[string]int64
	// tries are the steps that failed or are still due after they were taken.
	tries map[string]*try
	// failures counts failures to look at all, in a row.
	failures int
}

func newMemory() *memory {
	return &memory{history: lifecycle.NewHistory(), next: map[string]int64{}, upTo: map[string]int64{}, tries: map[string]*try{}}
}

// memory finds what is known of a position.
func (w *worker) memory(positionID string) *memory {
	w.mu.Lock()
	defer w.mu.Unlock()
	known := w.memories[positionID]
	if known == nil {
		if len(w.memories) >= memoryMax {
			clear(w.memories)
		}
		known = newMemory()
		w.memories[positionID] = known
	}
	return known
}

// forget drops what is known of a position that has ended.
func (w *worker) forget(positionID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.memories, positionID)
}

// looked is a position as it stands at one position of the log.
type looked struct {
	lifecycle.State
	asOf     int64
	sequence int64 // of the market's last tick
	row      *projectorv1.Position
	orders   []*projectorv1.Order
}

// look reads everything that the next steps of a position rest on, true at one position of the log: the rows in one
// view, and the past up to exactly there.
func (w *worker) look(ctx context.Context, known *memory, positionID string, minPosition int64) (*looked, error) {
	if known.row == nil {
		found, err := w.deps.State.GetPosition(ctx, &projectorv1.GetPositionRequest{PositionId: positionID, MinPosition: minPosition})
		if err != nil {
			return nil, err
		}
		known.row = found.GetPosition()
	}
	if known.row.GetState() == projectorv1.PositionState_POSITION_STATE_CLOSED {
		return &looked{State: lifecycle.State{Position: lifecycle.Position{ID: positionID, State: lifecycle.Closed}}, row: known.row}, nil
	}
	market, err := w.deps.Connector.GetInstrument(ctx, &connectorv1.GetInstrumentRequest{
		AccountId: known.row.GetAccountId(), Symbol: known.row.GetSymbol(),
	})
	if err != nil {
		return nil, err
	}
	view, err := w.deps.State.GetDecisionView(ctx, &projectorv1.GetDecisionViewRequest{
		AccountId: known.row.GetAccountId(), StrategyId: known.row.GetStrategyId(), PositionId: positionID, MinPosition: minPosition,
	})
	if err != nil {
		return nil, err
	}
	known.row = view.GetPosition()
	if err := w.catchUp(ctx, known, view); err != nil {
		return nil, err
	}
	return w.assemble(ctx, known, view, market)
}

// assemble turns rows and past into the state that package lifecycle looks at.
func (w *worker) assemble(
	ctx context.Context, known *memory, view *projectorv1.GetDecisionViewResponse, market *connectorv1.GetInstrumentResponse,
) (*looked, error) {
	r := &reader{}
	seen := &looked{
		State: lifecycle.State{
			Position: r.position(view.GetPosition()), History: known.history,
			Instrument: r.Instrument(market, eventv1.OrderType_ORDER_TYPE_MARKET, decimal.Zero),
			Price:      r.Amount(market.GetLastPrice()), MarketTime: market.GetMarketTime().AsTime(),
			Settings: w.config.Lifecycle,
		},
		asOf: view.GetAsOf(), sequence: market.GetSequence(), row: view.GetPosition(), orders: view.GetOrders(),
	}
	if view.GetPosition().GetSide() == eventv1.PositionSide_POSITION_SIDE_SHORT {
		seen.BaseFeeRate = r.baseFeeRate(view.GetOrders(), market)
	}
	for _, order := range view.GetOrders() {
		seen.Orders = append(seen.Orders, r.order(order))
	}
	for _, intent := range view.GetIntents() {
		seen.Intents = append(seen.Intents, r.intent(intent))
	}
	if r.Err != nil {
		return nil, r.Err
	}
	if seen.Position.State == lifecycle.Armed && view.GetStrategy() != nil && !view.GetStrategy().GetIsEnabled() {
		cause, err := w.disabled(ctx, seen.Position.StrategyID)
		if err != nil {
			return nil, err
		}
		seen.Disabled = cause
	}
	return seen, nil
}

// catchUp reads on what happened to a position and its orders, up to the view's position.
func (w *worker) catchUp(ctx context.Context, known *memory, view *projectorv1.GetDecisionViewResponse) error {
	if err := w.readOn(ctx, known, "position:"+view.GetPosition().GetPositionId(), view.GetAsOf()); err != nil {
		return err
	}
	for _, order := range view.GetOrders() {
		stream := "order:" + order.GetOrderId()
		if order.GetLastPosition() <= known.upTo[stream] {
			continue
		}
		if err := w.readOn(ctx, known, stream, view.GetAsOf()); err != nil {
			return err
		}
	}
	return nil
}

// streamPage is how many events of a stream are read at a time.
const streamPage = 500

// readOn applies the events of one stream that were not applied yet, up to a position.
func (w *worker) readOn(ctx context.Context, known *memory, stream string, upTo int64) error {
	for {
		page, err := w.deps.Log.ReadStream(ctx, &eventlogv1.ReadStreamRequest{
			StreamKey: stream, FromSeq: max(known.next[stream], 1), Direction: eventlogv1.Direction_DIRECTION_FORWARDS, PageSize: streamPage,
		})
		if err != nil {
			return err
		}
		for _, event := range page.GetEvents() {
			if event.GetPosition() > upTo {
				known.upTo[stream] = upTo
				return nil
			}
			known.history.Apply(event)
			known.next[stream] = event.GetSeq() + 1
		}
		if page.GetNextSeq() == 0 || len(page.GetEvents()) == 0 {
			known.upTo[stream] = upTo
			return nil
		}
	}
}

// disabled finds the event that disabled a strategy last; nil if it was enabled again since.
func (w *worker) disabled(ctx context.Context, strategyID string) (*lifecycle.Cause, error) {
	request := &eventlogv1.ReadStreamRequest{
		StreamKey: "strategy:" + strategyID, Direction: eventlogv1.Direction_DIRECTION_BACKWARDS, PageSize: streamPage,
	}
	for {
		page, err := w.deps.Log.ReadStream(ctx, request)
		if err != nil {
			return nil, err
		}
		for _, event := range page.GetEvents() {
			switch event.GetPayload().GetKind().(type) {
			case *eventv1.Payload_StrategyDisabled:
				cause := lifecycle.CauseOf(event)
				return &cause, nil
			case *eventv1.Payload_StrategyEnabled:
				return nil, nil //nolint:nilnil // enabled since the view was read
			}
		}
		if request.FromSeq = page.GetNextSeq(); request.GetFromSeq() == 0 {
			return nil, nil //nolint:nilnil // never enabled, so never disabled: nothing is armed for it
		}
	}
}
