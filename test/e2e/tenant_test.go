package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	optionsv1 "github.com/robson/robson/proto/gen/go/robson/options/v1"
	snapshotterv1 "github.com/robson/robson/proto/gen/go/robson/snapshotter/v1"
)

// contracts are the packages of the services' contracts, by service.
var contracts = map[string]protoreflect.FullName{
	"command": "robson.command.v1", "eventlog": "robson.eventlog.v1", "projector": "robson.projector.v1",
	"snapshotter": "robson.snapshotter.v1", "replayer": "robson.replayer.v1", "connector": "robson.connector.v1",
}

// rpc is a method of a served service.
type rpc struct {
	service string
	protoreflect.MethodDescriptor
}

// path is the method as gRPC names it.
func (r rpc) path() string { return fmt.Sprintf("/%s/%s", r.Parent().FullName(), r.Name()) }

// access is who may call, as the contract declares it.
func (r rpc) access() *optionsv1.Access {
	access, _ := proto.GetExtension(r.Options(), optionsv1.E_Access).(*optionsv1.Access)
	return access
}

// rpcs are all methods of the contracts of all services that are served.
func rpcs() []rpc {
	var list []rpc
	for _, service := range served {
		protoregistry.GlobalFiles.RangeFilesByPackage(contracts[service], func(file protoreflect.FileDescriptor) bool {
			for i := range file.Services().Len() {
				methods := file.Services().Get(i).Methods()
				for j := range methods.Len() {
					list = append(list, rpc{service: service, MethodDescriptor: methods.Get(j)})
				}
			}
			return true
		})
	}
	slices.SortFunc(list, func(a, b rpc) int { return strings.Compare(a.path(), b.path()) })
	return list
}

// known are ids of one tenant, by the name of the field that holds such an id.
type known map[string]string

// ghosts are ids of the same kinds that nobody has.
func (k known) ghosts() known {
	ghosts := known{}
	for field, id := range k {
		switch field {
		case "event_id", "causation_id":
			ghosts[field] = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
		case "stream_key":
			ghosts[field] = id[:strings.IndexByte(id, ':')+1] + uuid.NewString()
		default:
			ghosts[field] = uuid.NewString()
		}
	}
	return ghosts
}

// fillers are good values for fields that are no ids.
var fillers = map[string]string{
	"symbol": btc, "label": "l", "quote_asset": "USDT", "api_key_fingerprint": "f", "strategy_name": "s", "strategy_type": "manual", "reason": "panic", "note": "n", "period": "2026-03-02",
	"name": "process-manager", "holder": "me", "wallet": "spot", "asset": "USDT", "amount": "1", "new_stop": "94000", "technical_stop": "93500", "operation": "place",
	"risk_percent_max": "1", "max_exposure": "30000", "daily_loss_limit": "300", "max_drawdown": "1000", "monthly_budget_percent": "4", "capital_base": "10000", "risk_percent": "1",
	"start_price": "95000", "deposit_id": "6f0c1c1e-0000-4000-8000-000000000001", "open": "95000", "high": "95000", "low": "95000", "close": "95000", "volume": "1",
}

// request makes a good request of a method that asks about the ids.
func (r rpc) request(k known) proto.Message {
	kind, err := protoregistry.GlobalTypes.FindMessageByName(r.Input().FullName())
	if err != nil {
		panic(err) // its package is imported
	}
	message := kind.New()
	fill(message, k, 0)
	if field := message.Descriptor().Fields().ByName("dry_run"); field != nil && r.service == "replayer" {
		// A rebuild leaves an event, so that the next one finds more than the one before.
		message.Set(field, protoreflect.ValueOfBool(true))
	}
	return message.Interface()
}

// fill gives fields values: ids of the known kinds, what must be given, nothing else.
func fill(m protoreflect.Message, k known, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		name := string(field.Name())
		switch {
		case field.ContainingOneof() != nil && !field.HasOptionalKeyword() && field != field.ContainingOneof().Fields().Get(0):
		case field.IsMap() || field.IsList() && name != "streams" && name != "events" && name != "appends":
		case field.IsList():
			element := m.Mutable(field).List().NewElement()
			fill(element.Message(), k, depth+1)
			m.Mutable(field).List().Append(element)
		case field.Kind() == protoreflect.MessageKind:
			fillMessage(m, field, k, depth)
		case field.Kind() == protoreflect.StringKind:
			if id := k[name]; id != "" {
				m.Set(field, protoreflect.ValueOfString(id))
			} else if text := fillers[name]; text != "" {
				m.Set(field, protoreflect.ValueOfString(text))
			}
		case field.Kind() == protoreflect.EnumKind:
			m.Set(field, protoreflect.ValueOfEnum(1))
		case field.Kind() == protoreflect.BytesKind:
			m.Set(field, protoreflect.ValueOfBytes(make([]byte, 32)))
		case name == "attempt" || name == "keep" || name == "to_sequence" || name == "count" || name == "max_open_positions":
			if field.Kind() == protoreflect.Int64Kind {
				m.Set(field, protoreflect.ValueOfInt64(1))
			} else {
				m.Set(field, protoreflect.ValueOfInt32(1))
			}
		case name == "dry_run":
			// What a tenant registers under an id of its own choosing is its own affair: the next calls are not to find it.
			m.Set(field, protoreflect.ValueOfBool(strings.HasPrefix(string(m.Descriptor().Name()), "Register")))
		case name == "any" || name == "no_stream" || name == "descendants":
			m.Set(field, protoreflect.ValueOfBool(true))
		}
	}
}

func fillMessage(m protoreflect.Message, field protoreflect.FieldDescriptor, k known, depth int) {
	switch field.Message().FullName() {
	case "google.protobuf.Timestamp":
		if name := field.Name(); name == "occurred_at" || name == "at" {
			m.Set(field, protoreflect.ValueOfMessage(timestamppb.New(marketStart).ProtoReflect()))
		}
	case "google.protobuf.Duration":
		m.Set(field, protoreflect.ValueOfMessage(durationpb.New(time.Minute).ProtoReflect()))
	case "robson.event.v1.Payload":
		m.Set(field, protoreflect.ValueOfMessage((&eventv1.Payload{Kind: &eventv1.Payload_PositionDisarmed{PositionDisarmed: &eventv1.PositionDisarmed{
			PositionId: k["position_id"], Reason: eventv1.DisarmReason_DISARM_REASON_USER, DisarmedAt: timestamppb.New(marketStart),
		}}}).ProtoReflect()))
	default:
		if depth < 5 {
			fill(m.Mutable(field).Message(), k, depth+1)
		}
	}
}

// streamed is how many messages of a stream are looked at, and how long they are waited for.
const (
	streamedMax  = 2000
	streamedTime = 700 * time.Millisecond
)

// call calls a method, of whatever kind, and gives what was answered.
func (u *user) call(ctx context.Context, r rpc, request proto.Message) ([]proto.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	stream, err := u.conn(r.service).NewStream(ctx, &grpc.StreamDesc{ClientStreams: r.IsStreamingClient(), ServerStreams: r.IsStreamingServer()}, r.path())
	if err != nil {
		return nil, err
	}
	if err := stream.SendMsg(request); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err := stream.CloseSend(); err != nil {
		return nil, err
	}
	// Streams that stay open are left when they have been silent for a while. Others tell when they are over, however long they take.
	heard := func() {}
	if r.staysOpen() {
		silent := time.AfterFunc(streamedTime, cancel)
		defer silent.Stop()
		heard = func() { silent.Reset(streamedTime) }
	}
	kind, err := protoregistry.GlobalTypes.FindMessageByName(r.Output().FullName())
	if err != nil {
		return nil, err
	}
	var answers []proto.Message
	for range streamedMax {
		answer := kind.New().Interface()
		err := stream.RecvMsg(answer)
		switch {
		case errors.Is(err, io.EOF), status.Code(err) == codes.Canceled:
			return answers, nil
		case err != nil:
			return answers, err
		}
		heard()
		answers = append(answers, answer)
		if !r.IsStreamingServer() {
			return answers, nil
		}
	}
	return answers, nil
}

// staysOpen says whether a stream goes on as long as its caller stays.
func (r rpc) staysOpen() bool {
	name := string(r.Name())
	return name == "Subscribe" || name == "Follow" || name == "StreamPrices" || strings.HasPrefix(name, "Watch")
}

// text is answers as text.
func text(answers []proto.Message) string {
	var b strings.Builder
	for _, a := range answers {
		b.WriteString(protojson.Format(a))
		b.WriteByte('\n')
	}
	return b.String()
}

// said is a result with ids, times and counts taken out of it, so that two can be compared.
func said(answers []proto.Message, err error, k known) string {
	s := status.Code(err).String() + "\n" + status.Convert(err).Message() + "\n"
	for _, d := range status.Convert(err).Proto().GetDetails() {
		s += protojson.Format(d) + "\n"
	}
	s += text(answers)
	for _, id := range k {
		s = strings.ReplaceAll(s, id, "ID")
	}
	for _, changing := range changings {
		s = changing.ReplaceAllString(s, "~")
	}
	return s
}

var changings = []*regexp.Regexp{
	regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), regexp.MustCompile(`[0-9A-HJKMNP-TV-Z]{26}`), regexp.MustCompile(`rb-[a-z0-9]+`),
	regexp.MustCompile(`[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z`), regexp.MustCompile(`[0-9a-f]{64}`), regexp.MustCompile(`"?[0-9]+(\.[0-9]+)?"?`), regexp.MustCompile(`[A-Za-z0-9+/]{30,}=*`), regexp.MustCompile(`  +`),
}

// TestTenantsNeverMeet calls every RPC of every service with one tenant's ids and another tenant's token. The answers are
// those for ids that do not exist, and hold nothing of the first tenant's.
func TestTenantsNeverMeet(t *testing.T) {
	t.Parallel()
	a := sharedStack(t).newUser(t)
	b := a.stack.newUser(t)
	a.stillMarket(btc)
	a.withoutSnapshots()
	const secret = "a secret of the first tenant"
	account := a.account(func(r *commandv1.RegisterAccountRequest) { r.Label, r.ApiKeyFingerprint = secret, secret })
	strategy, err := a.setup().RegisterStrategy(a.ctx(), &commandv1.RegisterStrategyRequest{
		AccountId: account, StrategyName: secret, StrategyType: "manual", RiskConfig: &eventv1.RiskConfig{RiskPercent: "1"},
	})
	require.NoError(t, err)
	opened := a.open(longBTC(account))
	made, err := snapshotterv1.NewOperateServiceClient(a.conn("snapshotter")).CreateSnapshot(a.ctx(), &snapshotterv1.CreateSnapshotRequest{
		Scope: &snapshotterv1.Scope{Kind: eventv1.SnapshotScope_SNAPSHOT_SCOPE_ACCOUNT, Id: account},
	})
	require.NoError(t, err)
	b.account()
	b.settle()
	events := a.query(&eventlogv1.EventFilter{PositionId: opened.GetPositionId()})
	intent, claim, fill := only(events, "INTENT_CREATED")[0], only(events, "ORDER_SUBMITTED")[0], only(events, "FILL_RECEIVED")[0]
	k := known{
		"account_id": account, "strategy_id": strategy.GetStrategyId(), "position_id": opened.GetPositionId(), "order_id": strings.TrimPrefix(claim.GetStreamKey(), "order:"),
		"intent_id": intent.GetPayload().GetIntentCreated().GetIntentId(), "decision_id": opened.GetDecision().GetDecisionId(), "signal_id": opened.GetSignalId(),
		"fill_id": fill.GetPayload().GetFillReceived().GetFillId(), "event_id": fill.GetEventId(), "causation_id": claim.GetEventId(), "command_id": opened.GetOutcome().GetCommandId(),
		"trace_id": opened.GetOutcome().GetTraceId(), "stream_key": claim.GetStreamKey(), "discrepancy_id": uuid.NewString(),
		"snapshot_id": made.GetSnapshot().GetSnapshotId(), "scope_id": account, "id": account,
	}
	ghosts := k.ghosts()
	before, rows := a.head(), a.unsampled()
	secrets := []string{secret, a.tenant}
	for _, e := range a.readLog(0) {
		secrets = append(secrets, e.GetEventId(), e.GetHash())
	}

	for _, r := range rpcs() {
		t.Run(r.path(), func(t *testing.T) {
			a, b := a.in(t), b.in(t)
			request := r.request(k)
			answers, err := b.call(b.ctx(), r, request)
			got := text(answers)
			for _, s := range secrets {
				if asked := slices.ContainsFunc([]string{k["event_id"], k["causation_id"]}, func(id string) bool { return id == s }); !asked {
					require.NotContains(t, got+status.Convert(err).Message(), s, "what is the other tenant's is told")
				}
			}
			none, noneErr := b.call(b.ctx(), r, r.request(ghosts))
			require.Equal(t, said(none, noneErr, ghosts), said(answers, err, k), "it makes a difference that the ids exist elsewhere")

			// Asking for the other tenant by name does not help.
			_, err = b.call(b.ctx("x-robson-tenant-id", a.tenant), r, request)
			if !r.access().GetCrossTenant() {
				require.Equal(t, codes.PermissionDenied, status.Code(err), "%v", err)
			}
			// Nor does a token that nobody gave, or none.
			_, err = b.call(b.with("").ctx(), r, request)
			require.Equal(t, codes.Unauthenticated, status.Code(err), "%v", err)
			_, err = b.call(b.with(uuid.NewString()).ctx(), r, request)
			require.Equal(t, codes.Unauthenticated, status.Code(err), "%v", err)
		})
	}
	t.Run("nothing of the first tenant's has changed", func(t *testing.T) {
		a := a.in(t)
		require.Empty(t, a.newsSince(before))
		require.Equal(t, rows, a.unsampled())
	})
}
