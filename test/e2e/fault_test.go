package e2e_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// errorInfo is an error's machine-readable reason; nil if it has none.
func errorInfo(err error) *errdetails.ErrorInfo {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info
		}
	}
	return nil
}

// violations are the fields that an error names, with what each must be.
func violations(err error) map[string]string {
	fields := map[string]string{}
	for _, detail := range status.Convert(err).Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				fields[v.GetField()] = v.GetDescription()
			}
		}
	}
	return fields
}

// requireFault holds that an error has a code, and a reason that programs can branch on.
func requireFault(t *testing.T, err error, code codes.Code, reason string) {
	t.Helper()
	require.Equal(t, code, status.Code(err), "%v", err)
	info := errorInfo(err)
	require.NotNil(t, info, "%v carries no ErrorInfo", err)
	require.Equal(t, "robson", info.GetDomain())
	require.Equal(t, reason, info.GetReason(), "%v", err)
}

// requireField holds that an error is INVALID_ARGUMENT, names the field and says what it must be.
func requireField(t *testing.T, err error, field string) {
	t.Helper()
	require.Equal(t, codes.InvalidArgument, status.Code(err), "%v", err)
	fields := violations(err)
	require.Contains(t, fields, field, "%v", err)
	require.NotEmpty(t, fields[field])
}

// TestALostRequestIsGivenUpAtItsDeadlineAndNotBefore loses the request on its way: the order ends as not found, and nothing
// of it is ever at the venue.
func TestALostRequestIsGivenUpAtItsDeadlineAndNotBefore(t *testing.T) {
	t.Parallel()
	u := sharedStack(t).newUser(t)
	u.stillMarket(btc)
	account := u.account()
	u.faults(account, &connectorv1.Fault{Kind: connectorv1.FaultKind_FAULT_KIND_DROP_BEFORE, Operation: "place", Count: 1})
	before := u.head()
	opened, err := u.trading().OpenPosition(u.ctx(), longBTC(account))
	require.NoError(t, err)
	u.settle()
	kinds := types(u.readLog(before))
	require.Contains(t, kinds, "EXCHANGE_STATE_UNCERTAIN")
	require.Contains(t, kinds, "ORDER_REJECTED")
	require.NotContains(t, kinds, "FILL_RECEIVED")
	var claimed, rejected *eventv1.Event
	for _, e := range u.readLog(before) {
		switch e.GetEventType() {
		case "ORDER_SUBMITTED":
			claimed = e
		case "ORDER_REJECTED":
			rejected = e
		}
	}
	require.Equal(t, "not_found", rejected.GetPayload().GetOrderRejected().GetReason())
	require.Greater(t, rejected.GetIngestedAt().AsTime().Sub(claimed.GetIngestedAt().AsTime()), 5*time.Second, "a request may arrive for as long")
	position, err := u.state().GetPosition(u.ctx(), &projectorv1.GetPositionRequest{PositionId: opened.GetPositionId()})
	require.NoError(t, err)
	require.Equal(t, projectorv1.PositionState_POSITION_STATE_CLOSED, position.GetPosition().GetState())
}
