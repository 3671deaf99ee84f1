package e2e_test

import (
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// together calls n times at once.
func together(n int, call func(i int)) {
	var wait sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		wait.Go(func() {
			<-begin
			call(i)
		})
	}
	close(begin)
	wait.Wait()
}

func TestOneCommandSentAHundredTimesAtOnceIsInTheLogOnce(t *testing.T) {
	t.Parallel()
	u := sharedStack(t).newUser(t)
	u.withoutSnapshots()
	u.stillMarket(btc)
	account := u.account()
	before := u.head()
	const times = 100
	command := uuid.New()
	responses, errs := make([]*commandv1.OpenPositionResponse, times), make([]error, times)
	together(times, func(i int) {
		responses[i], errs[i] = u.trading().OpenPosition(u.named(command), longBTC(account))
	})
	firsts := 0
	for i := range times {
		require.NoError(t, errs[i])
		if !responses[i].GetOutcome().GetDuplicate() {
			firsts++
		}
		responses[i].Outcome.Duplicate = false
		responses[i].Outcome.Conflicts = 0 // how often this sender lost against the others is his own
		require.True(t, proto.Equal(responses[0], responses[i]), "%v\n%v", responses[0], responses[i])
	}
	require.Equal(t, 1, firsts, "one sender is the first")
	u.settle()
	require.Equal(t, 1, count(u.readLog(before))["POSITION_ARMED"])
	require.Len(t, u.query(&eventlogv1.EventFilter{CommandId: command.String()}), len(responses[0].GetOutcome().GetEvents()))
	require.Equal(t, 1, entries(u, account), "one order was sent")

	t.Run("a position's follow-ups are no part of its receipt", func(t *testing.T) {
		receipt, err := u.log().GetCommand(u.ctx(), &eventlogv1.GetCommandRequest{CommandId: command.String()})
		require.NoError(t, err)
		require.True(t, receipt.GetReceipt().GetDuplicate())
		require.Len(t, receipt.GetReceipt().GetEvents(), len(responses[0].GetOutcome().GetEvents()))
		for i, e := range receipt.GetReceipt().GetEvents() {
			require.Equal(t, responses[0].GetOutcome().GetEvents()[i].GetEventId(), e.GetEventId())
		}
	})

	t.Run("the same id with another request is told, and nothing is written", func(t *testing.T) {
		head := u.head()
		other := longBTC(account)
		other.TechnicalStop = "93400"
		_, err := u.trading().OpenPosition(u.named(command), other)
		requireFault(t, err, codes.AlreadyExists, "COMMAND_ID_REUSED")
		metadata := errorInfo(err).GetMetadata()
		require.Equal(t, command.String(), metadata["command_id"])
		require.NotEqual(t, metadata["stored_digest"], metadata["request_digest"])
		require.Len(t, metadata["stored_digest"], 64)
		// Another RPC with the same id is another request too.
		_, err = u.trading().ClosePosition(u.named(command), &commandv1.ClosePositionRequest{PositionId: responses[0].GetPositionId()})
		requireFault(t, err, codes.AlreadyExists, "COMMAND_ID_REUSED")
		require.Empty(t, u.newsSince(head))
	})

	t.Run("the same command again after the position's end gives the first outcome", func(t *testing.T) {
		u.close(responses[0].GetPositionId())
		head := u.head()
		again, err := u.trading().OpenPosition(u.named(command), longBTC(account))
		require.NoError(t, err)
		require.True(t, again.GetOutcome().GetDuplicate())
		again.Outcome.Duplicate = false
		require.True(t, proto.Equal(responses[0], again))
		require.Empty(t, u.newsSince(head))
	})
}

// entries counts an account's orders to enter.
func entries(u *user, account string) int {
	u.t.Helper()
	n := 0
	for _, o := range u.requireOneSend(account) {
		if o.GetOrderType() == eventv1.OrderType_ORDER_TYPE_MARKET {
			n++
		}
	}
	return n
}

// TestTwoClosesAtOnceAreOneExit is scenario S9: the second answers the exit under way.
func TestTwoClosesAtOnceAreOneExit(t *testing.T) {
	t.Parallel()
	u := sharedStack(t).newUser(t)
	u.stillMarket(btc)
	account := u.account()
	opened := u.open(longBTC(account))
	before := u.head()
	const times = 8
	responses, errs := make([]*commandv1.ClosePositionResponse, times), make([]error, times)
	together(times, func(i int) {
		responses[i], errs[i] = u.trading().ClosePosition(u.ctx(), &commandv1.ClosePositionRequest{PositionId: opened.GetPositionId()})
	})
	firsts, exit := 0, slices.IndexFunc(errs, func(err error) bool { return err == nil })
	for i := range times {
		if errs[i] != nil { // who came so late that all was over
			require.Equal(t, codes.FailedPrecondition, status.Code(errs[i]), "%v", errs[i])
			require.ErrorContains(t, errs[i], "is closed")
			continue
		}
		if !responses[i].GetAlreadyExiting() {
			firsts++
		}
		require.Equal(t, responses[exit].GetOutcome().GetEvents()[0].GetEventId(), responses[i].GetOutcome().GetEvents()[0].GetEventId(), "all tell the one exit")
	}
	require.Equal(t, 1, firsts)
	u.settle()
	counts := count(u.readLog(before))
	require.Equal(t, 1, counts["EXIT_TRIGGERED"])
	require.Equal(t, 1, counts["POSITION_CLOSED"])
	sells := 0
	for _, o := range u.requireOneSend(account) {
		if o.GetSide() == eventv1.Side_SIDE_SELL && o.GetOrderType() == eventv1.OrderType_ORDER_TYPE_MARKET {
			sells++
		}
	}
	require.Equal(t, 1, sells, "one exit order")
}

// TestTwoOpeningsForTheLastOfABudgetOnePasses: 50.01 of the month's budget is left and each plans to risk 49.50.
func TestTwoOpeningsForTheLastOfABudgetOnePasses(t *testing.T) {
	t.Parallel()
	u := sharedStack(t).newUser(t)
	u.stillMarket(btc)
	u.stillMarket(eth)
	conflicts := 0
	for range 5 {
		account := u.account(func(r *commandv1.RegisterAccountRequest) { r.RiskLimits.MonthlyBudgetPercent = "0.5001" })
		requests := []*commandv1.OpenPositionRequest{
			// 4950 x 1 % / 1500 = 0.033 x 1500 = 49.50
			{AccountId: account, Symbol: btc, Side: long, Capital: "4950", TechnicalStop: "93500"},
			// 4950 x 1 % / 30 = 1.65 x 30 = 49.50
			{AccountId: account, Symbol: eth, Side: long, Capital: "4950", TechnicalStop: "1970"},
		}
		responses, errs := make([]*commandv1.OpenPositionResponse, len(requests)), make([]error, len(requests))
		together(len(requests), func(i int) { responses[i], errs[i] = u.trading().OpenPosition(u.ctx(), requests[i]) })
		passed := 0
		for i, response := range responses {
			require.NoError(t, errs[i])
			require.Equal(t, "49.5", response.GetDecision().GetPlannedRisk())
			conflicts += int(response.GetOutcome().GetConflicts())
			if response.GetOutcome().GetVerdict() == accepted {
				passed++
				continue
			}
			require.Equal(t, refused, response.GetOutcome().GetVerdict())
			require.Equal(t, "monthly_budget", failed(response.GetOutcome().GetFailedChecks()))
			// 50.01 - 49.50; once the other is filled, what it holds: 0.999 x 49.50 = 49.4505.
			require.Contains(t, []string{"0.51", "0.5595"}, response.GetOutcome().GetFailedChecks()[0].GetLimit())
			require.Equal(t, "49.5", response.GetOutcome().GetFailedChecks()[0].GetValue())
		}
		require.Equal(t, 1, passed, "exactly one passes")
		u.settle()
		risk, err := u.state().ListRiskStates(u.ctx(), &projectorv1.ListRiskStatesRequest{AccountId: account})
		require.NoError(t, err)
		require.Equal(t, int32(1), risk.GetRiskStates()[0].GetOpenPositions())
		require.Equal(t, 1, entries(u, account))
	}
	t.Logf("%d decisions were taken anew", conflicts)
}

// TestOfTwoAppendsThatExpectTheSameVersionOneWins: the other is told both versions, and the stream has no gap.
func TestOfTwoAppendsThatExpectTheSameVersionOneWins(t *testing.T) {
	t.Parallel()
	u := sharedStack(t).newUser(t)
	account := u.account()
	stream := "account:" + account
	last, err := u.log().ReadStream(u.ctx(), &eventlogv1.ReadStreamRequest{StreamKey: stream})
	require.NoError(t, err)
	const times = 20
	errs := make([]error, times)
	together(times, func(i int) {
		request := appendOf(stream, &eventv1.Payload{Kind: &eventv1.Payload_ExchangeRequestFailed{ExchangeRequestFailed: &eventv1.ExchangeRequestFailed{
			AccountId: account, RequestId: uuid.NewString(), Operation: "query", HttpStatus: proto.Int32(400), ErrorCode: proto.Int32(-1121), Message: "Invalid symbol.", Attempt: 1,
		}}})
		request.Streams[0].Expected = &eventlogv1.Expected{Kind: &eventlogv1.Expected_Exact{Exact: last.GetLastSeq()}}
		_, errs[i] = u.appender().Append(u.service("connector"), request)
	})
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		require.Equal(t, codes.Aborted, status.Code(err), "%v", err)
		metadata := errorInfo(err).GetMetadata()
		require.Equal(t, strconv.FormatInt(last.GetLastSeq(), 10), metadata["expected"], metadata)
		require.Equal(t, strconv.FormatInt(last.GetLastSeq()+1, 10), metadata["found"], metadata)
	}
	require.Equal(t, 1, won)
	after, err := u.log().ReadStream(u.ctx(), &eventlogv1.ReadStreamRequest{StreamKey: stream, PageSize: 1000})
	require.NoError(t, err)
	require.Equal(t, last.GetLastSeq()+1, after.GetLastSeq())
	for i, e := range after.GetEvents() {
		require.Equal(t, int64(i+1), e.GetSeq(), "no number is burnt")
	}
}
