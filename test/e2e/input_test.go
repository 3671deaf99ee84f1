package e2e_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// TestABadRequestNamesItsFieldAndWritesNothing: each is the good request with one thing wrong.
func TestABadRequestNamesItsFieldAndWritesNothing(t *testing.T) {
	t.Parallel()
	u := sharedStack(t).newUser(t)
	u.stillMarket(btc)
	u.stillMarket(eth)
	account := u.account()
	armed, err := u.trading().ArmPosition(u.ctx(), &commandv1.ArmPositionRequest{AccountId: account, Symbol: eth, Side: long})
	require.NoError(t, err)
	u.settle()
	before := u.head()

	for name, c := range map[string]struct {
		wrong func(*commandv1.OpenPositionRequest)
		field string
	}{
		"account id is no UUID":      {func(r *commandv1.OpenPositionRequest) { r.AccountId = "4711" }, "account_id"},
		"account id is empty":        {func(r *commandv1.OpenPositionRequest) { r.AccountId = "" }, "account_id"},
		"account id has a NUL":       {func(r *commandv1.OpenPositionRequest) { r.AccountId = "\x00" + r.GetAccountId()[1:] }, "account_id"},
		"strategy id is no UUID":     {func(r *commandv1.OpenPositionRequest) { r.StrategyId = "s" }, "strategy_id"},
		"symbol in lower case":       {func(r *commandv1.OpenPositionRequest) { r.Symbol = "btcusdt" }, "symbol"},
		"symbol is unknown":          {func(r *commandv1.OpenPositionRequest) { r.Symbol = "DOGEUSDT" }, "symbol"},
		"symbol is too long":         {func(r *commandv1.OpenPositionRequest) { r.Symbol = strings.Repeat("A", 21) }, "symbol"},
		"no side":                    {func(r *commandv1.OpenPositionRequest) { r.Side = 0 }, "side"},
		"a side that does not exist": {func(r *commandv1.OpenPositionRequest) { r.Side = 7 }, "side"},
		"capital below zero":         {func(r *commandv1.OpenPositionRequest) { r.Capital = "-10000" }, "capital"},
		"capital of nothing":         {func(r *commandv1.OpenPositionRequest) { r.Capital = "0" }, "capital"},
		"capital with 19 places":     {func(r *commandv1.OpenPositionRequest) { r.Capital = "1.0000000000000000001" }, "capital"},
		"capital with an exponent":   {func(r *commandv1.OpenPositionRequest) { r.Capital = "1e4" }, "capital"},
		"capital with a comma":       {func(r *commandv1.OpenPositionRequest) { r.Capital = "10,000" }, "capital"},
		"capital with 21 digits":     {func(r *commandv1.OpenPositionRequest) { r.Capital = strings.Repeat("9", 21) }, "capital"},
		"capital is no number":       {func(r *commandv1.OpenPositionRequest) { r.Capital = "NaN" }, "capital"},
		"risk above the account's":   {func(r *commandv1.OpenPositionRequest) { r.RiskPercent = "1.000000000000000001" }, "risk_percent"},
		"risk below zero":            {func(r *commandv1.OpenPositionRequest) { r.RiskPercent = "-1" }, "risk_percent"},
		"stop missing":               {func(r *commandv1.OpenPositionRequest) { r.TechnicalStop = "" }, "technical_stop"},
		"stop on the wrong side":     {func(r *commandv1.OpenPositionRequest) { r.TechnicalStop = "96000" }, "technical_stop"},
		"a short on a spot account":  {func(r *commandv1.OpenPositionRequest) { r.Side, r.TechnicalStop = short, "96000" }, "side"},
		"stop equal to the market":   {func(r *commandv1.OpenPositionRequest) { r.TechnicalStop = "95000" }, "technical_stop"},
		"stop equal to entry":        {func(r *commandv1.OpenPositionRequest) { r.EntryPrice, r.TechnicalStop = "94000.5", "94000.500" }, "technical_stop"},
		"stop of nothing":            {func(r *commandv1.OpenPositionRequest) { r.TechnicalStop = "0" }, "technical_stop"},
		"stop below zero":            {func(r *commandv1.OpenPositionRequest) { r.TechnicalStop = "-93500" }, "technical_stop"},
		"a limit off the tick":       {func(r *commandv1.OpenPositionRequest) { r.OrderType, r.EntryPrice = limit, "94000.005" }, "entry_price"},
		"a limit without a price":    {func(r *commandv1.OpenPositionRequest) { r.OrderType = limit }, "entry_price"},
		"an order type that is no entry": {
			func(r *commandv1.OpenPositionRequest) { r.OrderType = eventv1.OrderType_ORDER_TYPE_STOP_LOSS }, "order_type",
		},
		"an order type that does not exist": {func(r *commandv1.OpenPositionRequest) { r.OrderType = 99 }, "order_type"},
		"a trailing mode that does not exist": {
			func(r *commandv1.OpenPositionRequest) { r.TrailingMode = 99 }, "trailing_mode",
		},
		"expired before it is opened": {
			func(r *commandv1.OpenPositionRequest) {
				r.EntryExpiresAt = timestamppb.New(marketStart.Add(-time.Hour))
			}, "entry_expires_at",
		},
	} {
		t.Run("OpenPosition, "+name, func(t *testing.T) {
			u := u.in(t)
			for _, dry := range []bool{true, false} {
				request := longBTC(account)
				request.DryRun = dry
				c.wrong(request)
				_, err := u.trading().OpenPosition(u.ctx(), request)
				requireField(t, err, c.field)
			}
		})
	}

	for name, c := range map[string]struct {
		call  func(ctx context.Context, u *user) error
		field string
	}{
		"ClosePosition without an id": {func(ctx context.Context, u *user) error {
			_, err := u.trading().ClosePosition(ctx, &commandv1.ClosePositionRequest{})
			return err
		}, "position_id"},
		"MoveStop to a negative price": {func(ctx context.Context, u *user) error {
			_, err := u.trading().MoveStop(ctx, &commandv1.MoveStopRequest{PositionId: armed.GetPositionId(), NewStop: "-1"})
			return err
		}, "new_stop"},
		"SubmitSignal without a stop": {func(ctx context.Context, u *user) error {
			_, err := u.trading().SubmitSignal(ctx, &commandv1.SubmitSignalRequest{PositionId: armed.GetPositionId(), EntryPrice: "2000"})
			return err
		}, "technical_stop"},
		"RegisterAccount with leave to withdraw": {func(ctx context.Context, u *user) error {
			_, err := u.setup().RegisterAccount(ctx, &commandv1.RegisterAccountRequest{
				Environment: eventv1.Environment_ENVIRONMENT_SIM, Product: eventv1.Product_PRODUCT_SPOT, Label: "x", QuoteAsset: "USDT", ApiKeyFingerprint: "x",
				Permissions: []string{"trade", "withdraw"}, RiskLimits: limits(),
			})
			return err
		}, "permissions"},
		"RegisterAccount with a limit below zero": {func(ctx context.Context, u *user) error {
			l := limits()
			l.DailyLossLimit = "-300"
			_, err := u.setup().RegisterAccount(ctx, &commandv1.RegisterAccountRequest{
				Environment: eventv1.Environment_ENVIRONMENT_SIM, Product: eventv1.Product_PRODUCT_SPOT, Label: "x", QuoteAsset: "USDT", ApiKeyFingerprint: "x", RiskLimits: l,
			})
			return err
		}, "risk_limits.daily_loss_limit"},
		"RegisterAccount with a label of 129 characters": {func(ctx context.Context, u *user) error {
			_, err := u.setup().RegisterAccount(ctx, &commandv1.RegisterAccountRequest{
				Environment: eventv1.Environment_ENVIRONMENT_SIM, Product: eventv1.Product_PRODUCT_SPOT, Label: strings.Repeat("l", 129), QuoteAsset: "USDT",
				ApiKeyFingerprint: "x", RiskLimits: limits(),
			})
			return err
		}, "label"},
		"Panic with a note of 513 characters": {func(ctx context.Context, u *user) error {
			_, err := u.trading().Panic(ctx, &commandv1.PanicRequest{AccountId: account, Note: strings.Repeat("n", 513)})
			return err
		}, "note"},
		"Deposit of a negative amount": {func(ctx context.Context, u *user) error {
			_, err := u.paper().Deposit(ctx, &connectorv1.DepositRequest{DepositId: uuid.NewString(), AccountId: account, Wallet: "spot", Asset: "USDT", Amount: "-1"})
			return err
		}, "amount"},
		"Deposit into a wallet of others": {func(ctx context.Context, u *user) error {
			_, err := u.paper().Deposit(ctx, &connectorv1.DepositRequest{DepositId: uuid.NewString(), AccountId: account, Wallet: "isolated:BTCUSDT", Asset: "USDT", Amount: "1"})
			return err
		}, "wallet"},
		"GetInstrument of an unknown symbol": {func(ctx context.Context, u *user) error {
			_, err := u.venue().GetInstrument(ctx, &connectorv1.GetInstrumentRequest{AccountId: account, Symbol: "DOGEUSDT"})
			return err
		}, "symbol"},
		"ListPositions with a page of 1001": {func(ctx context.Context, u *user) error {
			_, err := u.state().ListPositions(ctx, &projectorv1.ListPositionsRequest{PageSize: 1001})
			return err
		}, "page_size"},
		"ListPositions with a page token of one's own": {func(ctx context.Context, u *user) error {
			_, err := u.state().ListPositions(ctx, &projectorv1.ListPositionsRequest{PageToken: "next"})
			return err
		}, "page_token"},
		"QueryEvents without a condition": {func(ctx context.Context, u *user) error {
			_, err := u.log().QueryEvents(ctx, &eventlogv1.QueryEventsRequest{Filter: &eventlogv1.EventFilter{}})
			return err
		}, "filter"},
		"GetEvent with a UUID": {func(ctx context.Context, u *user) error {
			_, err := u.log().GetEvent(ctx, &eventlogv1.GetEventRequest{EventId: uuid.NewString()})
			return err
		}, "event_id"},
		"ReadStream of no kind": {func(ctx context.Context, u *user) error {
			_, err := u.log().ReadStream(ctx, &eventlogv1.ReadStreamRequest{StreamKey: "thing:" + account})
			return err
		}, "stream_key"},
		"a command id that is no UUID": {func(ctx context.Context, u *user) error {
			_, err := u.trading().OpenPosition(metadata.AppendToOutgoingContext(ctx, "x-robson-command-id", "again"), longBTC(account))
			return err
		}, "metadata x-robson-command-id"},
		"a trace id that is no UUID": {func(ctx context.Context, u *user) error {
			_, err := u.trading().OpenPosition(metadata.AppendToOutgoingContext(ctx, "x-robson-trace-id", "again"), longBTC(account))
			return err
		}, "metadata x-robson-trace-id"},
		"a tenant id that is no UUID": {func(ctx context.Context, u *user) error {
			_, err := u.trading().OpenPosition(metadata.AppendToOutgoingContext(ctx, "x-robson-tenant-id", "mine"), longBTC(account))
			return err
		}, "metadata x-robson-tenant-id"},
	} {
		t.Run(name, func(t *testing.T) {
			u := u.in(t)
			requireField(t, c.call(u.ctx(), u), c.field)
		})
	}

	t.Run("unknown ids are not found", func(t *testing.T) {
		request := longBTC(uuid.NewString())
		_, err := u.trading().OpenPosition(u.ctx(), request)
		require.Equal(t, codes.NotFound, status.Code(err), "%v", err)
		request = longBTC(account)
		request.StrategyId = uuid.NewString()
		_, err = u.trading().OpenPosition(u.ctx(), request)
		require.Equal(t, codes.NotFound, status.Code(err), "%v", err)
		_, err = u.trading().ClosePosition(u.ctx(), &commandv1.ClosePositionRequest{PositionId: uuid.NewString()})
		require.Equal(t, codes.NotFound, status.Code(err), "%v", err)
		_, err = u.trading().CancelOrder(u.ctx(), &commandv1.CancelOrderRequest{OrderId: uuid.NewString()})
		require.Equal(t, codes.NotFound, status.Code(err), "%v", err)
	})

	t.Run("what the state does not allow is refused", func(t *testing.T) {
		_, err := u.trading().ArmPosition(u.ctx(), &commandv1.ArmPositionRequest{AccountId: account, Symbol: eth, Side: long})
		require.Equal(t, codes.FailedPrecondition, status.Code(err), "%v", err)
		require.NotEmpty(t, errorInfo(err).GetReason())
		_, err = u.trading().MoveStop(u.ctx(), &commandv1.MoveStopRequest{PositionId: armed.GetPositionId(), NewStop: "1990"})
		require.Equal(t, codes.FailedPrecondition, status.Code(err), "%v", err)
	})

	t.Run("messages beyond the limit are not taken", func(t *testing.T) {
		_, err := u.trading().Panic(u.ctx(), &commandv1.PanicRequest{AccountId: account, Note: strings.Repeat("n", 9<<20)})
		require.Equal(t, codes.ResourceExhausted, status.Code(err), "%v", err)
	})
	require.Empty(t, u.newsSince(before))
}

// TestAnAppendBeyondTheLimitsIsRefused: too many events, too large a payload, a wrong shape; the log stays as it is.
func TestAnAppendBeyondTheLimitsIsRefused(t *testing.T) {
	t.Parallel()
	u := sharedStack(t).newUser(t)
	account := u.account()
	stream := "account:" + account
	failure := func(message string) *eventv1.Payload {
		return &eventv1.Payload{Kind: &eventv1.Payload_ExchangeRequestFailed{ExchangeRequestFailed: &eventv1.ExchangeRequestFailed{
			AccountId: account, RequestId: uuid.NewString(), Operation: "query", HttpStatus: proto.Int32(400), Message: message, Attempt: 1,
		}}}
	}
	before := u.head()
	for name, c := range map[string]struct {
		wrong func(*eventlogv1.AppendRequest)
		field string
	}{
		"too many events": {func(r *eventlogv1.AppendRequest) {
			for range 1000 {
				r.Streams[0].Events = append(r.Streams[0].Events, proto.CloneOf(r.GetStreams()[0].GetEvents()[0]))
			}
		}, "streams[0].events"},
		"no events":      {func(r *eventlogv1.AppendRequest) { r.Streams[0].Events = nil }, "streams[0].events"},
		"no stream":      {func(r *eventlogv1.AppendRequest) { r.Streams = nil }, "streams"},
		"a stream twice": {func(r *eventlogv1.AppendRequest) { r.Streams = append(r.Streams, proto.CloneOf(r.GetStreams()[0])) }, "streams[1].stream_key"},
		"a stream of another kind": {
			func(r *eventlogv1.AppendRequest) { r.Streams[0].StreamKey = "position:" + account }, "streams[0].stream_key",
		},
		"a digest of 31 bytes": {func(r *eventlogv1.AppendRequest) { r.RequestDigest = r.GetRequestDigest()[1:] }, "request_digest"},
		"an event without a payload": {
			func(r *eventlogv1.AppendRequest) { r.Streams[0].Events[0].Payload = nil }, "streams[0].events[0].payload",
		},
		"a cause that comes later": {
			func(r *eventlogv1.AppendRequest) { r.Streams[0].Events[0].CausedBy = proto.Int32(0) }, "streams[0].events[0].caused_by",
		},
		"a causation id that is no ULID": {func(r *eventlogv1.AppendRequest) { r.CausationId = "x" }, "causation_id"},
	} {
		t.Run(name, func(t *testing.T) {
			u := u.in(t)
			request := appendOf(stream, failure("x"))
			c.wrong(request)
			_, err := u.appender().Append(u.service("connector"), request)
			requireField(t, err, c.field)
		})
	}
	t.Run("a tenant without a log is not found", func(t *testing.T) {
		_, err := u.appender().Append(u.with(serviceToken("connector")).ctx("x-robson-tenant-id", uuid.NewString()), appendOf(stream, failure("x")))
		require.Equal(t, codes.NotFound, status.Code(err), "%v", err)
	})
	t.Run("an append of megabytes is not taken", func(t *testing.T) {
		_, err := u.appender().Append(u.service("connector"), appendOf(stream, failure(strings.Repeat("x", 9<<20))))
		require.Equal(t, codes.ResourceExhausted, status.Code(err), "%v", err)
	})
	require.Empty(t, u.newsSince(before))
}
