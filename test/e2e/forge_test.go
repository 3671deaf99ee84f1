package e2e_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// appendOf is an append of one event to a stream, whatever that holds.
func appendOf(stream string, payload *eventv1.Payload) *eventlogv1.AppendRequest {
	digest := sha256.Sum256([]byte(stream))
	return &eventlogv1.AppendRequest{
		CommandId: uuid.NewString(), RequestDigest: digest[:], TraceId: uuid.NewString(),
		Streams: []*eventlogv1.StreamAppend{{
			StreamKey: stream, Expected: &eventlogv1.Expected{Kind: &eventlogv1.Expected_Any{Any: true}},
			Events: []*eventlogv1.NewEvent{{Payload: payload, OccurredAt: timestamppb.New(marketStart)}},
		}},
	}
}

// entered is a user with an open long and the events of its entry.
func entered(t *testing.T) (u *user, opened *commandv1.OpenPositionResponse, fill, claim *eventv1.Event) {
	t.Helper()
	u = sharedStack(t).newUser(t)
	u.stillMarket(btc)
	opened = u.open(longBTC(u.account()))
	events := u.query(&eventlogv1.EventFilter{PositionId: opened.GetPositionId()})
	return u, opened, only(events, "FILL_RECEIVED")[0], only(events, "ORDER_SUBMITTED")[0]
}

func TestActorsCannotBeForged(t *testing.T) {
	t.Parallel()
	u, opened, fill, claim := entered(t)
	account := fill.GetPayload().GetFillReceived().GetAccountId()
	otherTrade := proto.CloneOf(fill.GetPayload())
	otherTrade.GetFillReceived().ExchangeTradeId = "4711"
	exit := &eventv1.Payload{Kind: &eventv1.Payload_ExitTriggered{ExitTriggered: &eventv1.ExitTriggered{
		PositionId: opened.GetPositionId(), Reason: eventv1.ExitReason_EXIT_REASON_USER_CLOSE, Quantity: "0.01", TriggeredAt: timestamppb.New(marketStart),
	}}}
	discrepancy := &eventv1.Payload{Kind: &eventv1.Payload_DiscrepancyDetected{DiscrepancyDetected: &eventv1.DiscrepancyDetected{
		DiscrepancyId: uuid.NewString(), AccountId: account, Kind: eventv1.DiscrepancyKind_DISCREPANCY_KIND_OVERFILL,
		Severity: eventv1.Severity_SEVERITY_CRITICAL, Resolution: eventv1.Resolution_RESOLUTION_OBSERVED, Entity: "order",
	}}}
	tenant := &eventv1.Payload{Kind: &eventv1.Payload_TenantCreated{TenantCreated: &eventv1.TenantCreated{TenantId: u.tenant, Name: "forged"}}}
	position, order := "position:"+opened.GetPositionId(), fill.GetStreamKey()
	before := u.head()

	for name, c := range map[string]struct {
		ctx    context.Context
		append *eventlogv1.AppendRequest
		reason string
	}{
		"a user appends a decision":                      {u.ctx(), appendOf(position, exit), "SERVICES_ONLY"},
		"a user appends a fact":                          {u.ctx(), appendOf(order, otherTrade), "SERVICES_ONLY"},
		"a user says that he acts for another":           {u.ctx("x-robson-on-behalf-of", "owner"), appendOf(position, exit), "ON_BEHALF_NOT_ALLOWED"},
		"a user says that he is a service":               {u.ctx("x-robson-service", "connector", "x-robson-actor-type", "Exchange"), appendOf(order, otherTrade), "SERVICES_ONLY"},
		"the command service appends a fact":             {u.service("command"), appendOf(order, otherTrade), "PRODUCER_NOT_ALLOWED"},
		"the command service appends a fact for a user":  {u.service("command", "x-robson-on-behalf-of", "owner"), appendOf(order, otherTrade), "PRODUCER_NOT_ALLOWED"},
		"the command service appends a claim":            {u.service("command"), appendOf("order:"+uuid.NewString(), claim.GetPayload()), "PRODUCER_NOT_ALLOWED"},
		"the command service raises a discrepancy":       {u.service("command"), appendOf("account:"+account, discrepancy), "PRODUCER_NOT_ALLOWED"},
		"the command service makes a tenant for nobody":  {u.service("command"), appendOf("tenant:"+u.tenant, tenant), "USER_REQUIRED"},
		"the connector appends a decision":               {u.service("connector"), appendOf(position, exit), "PRODUCER_NOT_ALLOWED"},
		"the connector appends a decision for a user":    {u.service("connector", "x-robson-on-behalf-of", "owner"), appendOf(position, exit), "PRODUCER_NOT_ALLOWED"},
		"the projector appends":                          {u.service("projector"), appendOf(position, exit), "SERVICE_NOT_ALLOWED"},
		"the snapshotter appends a decision":             {u.service("snapshotter"), appendOf(position, exit), "PRODUCER_NOT_ALLOWED"},
		"somebody without a token appends":               {u.with("").ctx(), appendOf(position, exit), "TOKEN_MISSING"},
		"somebody with a token of his own making":        {u.with("robson_mine").ctx(), appendOf(position, exit), "TOKEN_UNKNOWN"},
		"somebody appends with two tokens":               {u.ctx("authorization", "Bearer "+serviceToken("connector")), appendOf(order, otherTrade), "TOKEN_MISSING"},
		"a service says for two users at once":           {u.service("command", "x-robson-on-behalf-of", "a", "x-robson-on-behalf-of", "b"), appendOf(position, exit), "ON_BEHALF_NOT_ALLOWED"},
		"a service that says for no tenant what it does": {u.with(serviceToken("command")).ctx(), appendOf(position, exit), ""},
	} {
		t.Run(name, func(t *testing.T) {
			code := codes.PermissionDenied
			switch c.reason {
			case "TOKEN_MISSING", "TOKEN_UNKNOWN":
				code = codes.Unauthenticated
			case "":
				code = codes.InvalidArgument
			}
			_, err := u.appender().Append(c.ctx, c.append)
			require.Equal(t, code, status.Code(err), "%v", err)
			if c.reason != "" {
				requireFault(t, err, code, c.reason)
			}
			batch, err := u.appender().AppendBatch(c.ctx, &eventlogv1.AppendBatchRequest{Appends: []*eventlogv1.AppendRequest{c.append}})
			if err == nil {
				require.Equal(t, code, codes.Code(batch.GetResults()[0].GetError().GetCode()))
			} else {
				require.Equal(t, code, status.Code(err), "%v", err)
			}
			stream, err := u.appender().AppendStream(c.ctx)
			require.NoError(t, err)
			_ = stream.Send(&eventlogv1.AppendStreamRequest{Tag: 1, Append: c.append}) // refused by Recv
			require.NoError(t, stream.CloseSend())
			answer, err := stream.Recv()
			if err == nil {
				require.Equal(t, code, codes.Code(answer.GetResult().GetError().GetCode()))
			} else {
				require.Equal(t, code, status.Code(err), "%v", err)
			}
		})
	}
	t.Run("nothing was written", func(t *testing.T) {
		require.Empty(t, u.in(t).newsSince(before))
	})
}

func TestServicesWorkIsNotForUsers(t *testing.T) {
	t.Parallel()
	u := sharedStack(t).newUser(t)
	account := u.account()
	before := u.head()
	execution := connectorv1.NewExecutionServiceClient(u.conn("connector"))
	worker := eventlogv1.NewWorkerServiceClient(u.conn("eventlog"))
	for name, call := range map[string]func(ctx context.Context) error{
		"Execute": func(ctx context.Context) error {
			_, err := execution.Execute(ctx, &connectorv1.ExecuteRequest{IntentId: uuid.NewString(), Attempt: 1})
			return err
		},
		"EndIntent": func(ctx context.Context) error {
			_, err := execution.EndIntent(ctx, &connectorv1.EndIntentRequest{IntentId: uuid.NewString(), Reason: "panic"})
			return err
		},
		"CancelOrder": func(ctx context.Context) error {
			_, err := execution.CancelOrder(ctx, &connectorv1.CancelOrderRequest{OrderId: uuid.NewString()})
			return err
		},
		"ListTenants": func(ctx context.Context) error {
			_, err := u.log().ListTenants(ctx, &eventlogv1.ListTenantsRequest{})
			return err
		},
		"GetCheckpoint": func(ctx context.Context) error {
			_, err := worker.GetCheckpoint(ctx, &eventlogv1.GetCheckpointRequest{Name: "process-manager"})
			return err
		},
		"SaveCheckpoint": func(ctx context.Context) error {
			_, err := worker.SaveCheckpoint(ctx, &eventlogv1.SaveCheckpointRequest{Name: "process-manager", Value: 1_000_000})
			return err
		},
		"AcquireLease": func(ctx context.Context) error {
			_, err := worker.AcquireLease(ctx, &eventlogv1.AcquireLeaseRequest{Name: "user-stream/" + account, Holder: "me", TimeToLive: durationpb.New(3600e9)})
			return err
		},
		"ReleaseLease": func(ctx context.Context) error {
			_, err := worker.ReleaseLease(ctx, &eventlogv1.ReleaseLeaseRequest{Name: "user-stream/" + account, Holder: "me"})
			return err
		},
		"Follow": func(ctx context.Context) error {
			stream, err := worker.Follow(ctx, &eventlogv1.FollowRequest{Name: "process-manager", Holder: "me"})
			require.NoError(t, err)
			_, err = stream.Recv()
			return err
		},
	} {
		require.Equal(t, codes.PermissionDenied, status.Code(call(u.ctx())), name)
	}

	t.Run("each permission allows its own calls", func(t *testing.T) {
		u := u.in(t)
		calls := map[string]func(ctx context.Context) error{
			"read": func(ctx context.Context) error {
				_, err := u.state().ListAccounts(ctx, &projectorv1.ListAccountsRequest{})
				return err
			},
			"trade": func(ctx context.Context) error {
				_, err := u.trading().ArmPosition(ctx, &commandv1.ArmPositionRequest{AccountId: account, Symbol: btc, Side: long, DryRun: true})
				return err
			},
			"operate": func(ctx context.Context) error {
				_, err := u.venue().SampleBalances(ctx, &connectorv1.SampleBalancesRequest{AccountId: uuid.NewString()})
				return err
			},
			"audit": func(ctx context.Context) error {
				_, err := u.paper().ListOrders(ctx, &connectorv1.ListOrdersRequest{AccountId: account})
				return err
			},
		}
		var entries []tokenEntry
		for permission := range calls {
			entries = append(entries, userEntry(u.tenant+permission, u.tenant, permission))
		}
		u.stack.grant(t, entries...)
		for permission := range calls {
			u.stack.awaitToken(t, u.tenant+permission)
			for needed, call := range calls {
				denied := status.Code(call(u.with(u.tenant+permission).ctx())) == codes.PermissionDenied
				require.Equal(t, permission != needed, denied, "a token that may %s calls what needs %s", permission, needed)
			}
		}
	})
	require.Empty(t, u.newsSince(before))
}

func TestATokenThatIsTakenOutIsRefused(t *testing.T) {
	t.Parallel()
	u := sharedStack(t).newUser(t)
	token := uuid.NewString()
	u.stack.grant(t, userEntry(token, u.tenant, "read", "trade", "operate", "audit"))
	u.stack.awaitToken(t, token)
	u.stack.withdraw(t, token)
	for _, service := range served {
		eventually(t, service+" refuses the token", settleMax, func() string {
			if code := u.with(token).probe(service); code != codes.Unauthenticated {
				return code.String()
			}
			return ""
		})
	}
}

// hex64 is a digest as errors show it.
var hex64 = regexp.MustCompile(`[0-9a-f]{64}`)

// report tells a fact again, as the connector, with the digest that the log says is right.
func (u *user) report(first *eventv1.Event, fact *eventv1.Payload) *eventlogv1.AppendResponse {
	u.t.Helper()
	request := appendOf(first.GetStreamKey(), fact)
	request.CommandId, request.TraceId = first.GetCommandId(), first.GetTraceId()
	_, err := u.appender().Append(u.service("connector"), request)
	requireField(u.t, err, "request_digest")
	digest, err := hex.DecodeString(hex64.FindString(violations(err)["request_digest"]))
	require.NoError(u.t, err)
	request.RequestDigest = digest
	response, err := u.appender().Append(u.service("connector"), request)
	require.NoError(u.t, err)
	return response
}

// TestATradeCountsOnceAndADifferingReportIsFlagged is scenario S7: the same trade told three times is one fill; told with
// another price it is a discrepancy, which the system raises.
func TestATradeCountsOnceAndADifferingReportIsFlagged(t *testing.T) {
	t.Parallel()
	u, opened, fill, _ := entered(t)
	before := u.position(opened.GetPositionId())
	head := u.head()

	for _, source := range []eventv1.Source{eventv1.Source_SOURCE_REST, eventv1.Source_SOURCE_RECONCILE} {
		again := proto.CloneOf(fill.GetPayload())
		again.GetFillReceived().Source = source
		again.GetFillReceived().FillQuantity += "000"
		receipt := u.report(fill, again)
		require.True(t, receipt.GetDuplicate())
		require.Equal(t, fill.GetEventId(), receipt.GetEvents()[0].GetEventId())
		require.Empty(t, receipt.GetDiscrepancyId())
	}
	require.Empty(t, u.newsSince(head))

	other := proto.CloneOf(fill.GetPayload())
	other.GetFillReceived().FillPrice = "94000"
	for range 2 { // each differing report is recorded once
		receipt := u.report(fill, other)
		require.True(t, receipt.GetDuplicate())
		require.Equal(t, fill.GetEventId(), receipt.GetEvents()[0].GetEventId(), "the first report stands")
		require.NotEmpty(t, receipt.GetDiscrepancyId())
	}
	u.settle()
	flagged := only(u.readLog(head), "DISCREPANCY_DETECTED")
	require.Len(t, flagged, 1)
	require.Equal(t, eventv1.ActorType_ACTOR_TYPE_SYSTEM, flagged[0].GetActorType())
	require.Equal(t, fill.GetEventId(), flagged[0].GetCausationId())
	require.Equal(t, fill.GetTraceId(), flagged[0].GetTraceId())
	require.Len(t, u.fills(opened.GetPositionId()), 1)
	after := u.position(opened.GetPositionId())
	require.Equal(t, before.GetCurrentQuantity(), after.GetCurrentQuantity())
	require.Equal(t, before.GetEntryPrice(), after.GetEntryPrice())
	listed, err := u.state().ListDiscrepancies(u.ctx(), &projectorv1.ListDiscrepanciesRequest{AccountId: before.GetAccountId()})
	require.NoError(t, err)
	require.Len(t, listed.GetDiscrepancies(), 1)
	require.Equal(t, eventv1.DiscrepancyKind_DISCREPANCY_KIND_PRICE_OR_FEE_MISMATCH, listed.GetDiscrepancies()[0].GetKind())
}
