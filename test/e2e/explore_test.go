package e2e_test

import (
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// explorer asks one service what it serves, as grpcurl does: nothing is known of it but its address.
type explorer struct {
	t      *testing.T
	stream reflectionv1.ServerReflection_ServerReflectionInfoClient
	// files are those that were told.
	files *descriptorpb.FileDescriptorSet
}

// explore begins without a token: the contract is public.
func (u *user) explore(service string) *explorer {
	u.t.Helper()
	stream, err := reflectionv1.NewServerReflectionClient(u.conn(service)).ServerReflectionInfo(u.with("").ctx())
	require.NoError(u.t, err)
	return &explorer{t: u.t, stream: stream, files: &descriptorpb.FileDescriptorSet{}}
}

func (e *explorer) ask(request *reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse {
	e.t.Helper()
	require.NoError(e.t, e.stream.Send(request))
	answer, err := e.stream.Recv()
	require.NoError(e.t, err)
	require.Nil(e.t, answer.GetErrorResponse())
	return answer
}

// services are the names of what is served.
func (e *explorer) services() []string {
	e.t.Helper()
	var names []string
	answer := e.ask(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}})
	for _, s := range answer.GetListServicesResponse().GetService() {
		names = append(names, s.GetName())
	}
	slices.Sort(names)
	return names
}

// describe gives a service's contract from what the server tells of it alone.
func (e *explorer) describe(name string) protoreflect.ServiceDescriptor {
	e.t.Helper()
	answer := e.ask(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: name}})
	for _, data := range answer.GetFileDescriptorResponse().GetFileDescriptorProto() {
		file := &descriptorpb.FileDescriptorProto{}
		require.NoError(e.t, proto.Unmarshal(data, file))
		// The asked for file comes each time, what it imports once for a stream.
		if !slices.ContainsFunc(e.files.GetFile(), func(f *descriptorpb.FileDescriptorProto) bool { return f.GetName() == file.GetName() }) {
			e.files.File = append(e.files.File, file)
		}
	}
	files, err := protodesc.NewFiles(e.files)
	require.NoError(e.t, err)
	found, err := files.FindDescriptorByName(protoreflect.FullName(name))
	require.NoError(e.t, err)
	service, ok := found.(protoreflect.ServiceDescriptor)
	require.True(e.t, ok)
	return service
}

// TestEveryServiceCanBeExploredAndCalledByReflection: all that the contracts declare is served and described, and can be
// called with nothing but the description.
func TestEveryServiceCanBeExploredAndCalledByReflection(t *testing.T) {
	t.Parallel()
	u := sharedStack(t).newUser(t)
	calls := map[string]struct{ method, request, answers string }{
		"command":     {"robson.command.v1.MonitorService/GetProgress", `{}`, ""},
		"eventlog":    {"robson.eventlog.v1.ReadService/ReadLog", `{"from_position": "1", "direction": "DIRECTION_FORWARDS"}`, `"TENANT_CREATED"`},
		"projector":   {"robson.projector.v1.StateService/GetTenant", `{}`, u.tenant},
		"snapshotter": {"robson.snapshotter.v1.ReadService/GetSchedule", `{}`, "5000"},
		"replayer":    {"robson.replayer.v1.RebuildService/ListRuns", `{}`, ""},
		"connector":   {"robson.connector.v1.PaperService/GetMarket", `{"symbol": "ETHUSDT"}`, `"ETHUSDT"`},
	}
	for _, service := range served {
		t.Run(service, func(t *testing.T) {
			u := u.in(t)
			e := u.explore(service)
			want := []string{"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"}
			protoregistry.GlobalFiles.RangeFilesByPackage(contracts[service], func(file protoreflect.FileDescriptor) bool {
				for i := range file.Services().Len() {
					want = append(want, string(file.Services().Get(i).FullName()))
				}
				return true
			})
			slices.Sort(want)
			require.Equal(t, want, e.services())
			for _, name := range want {
				require.NotZero(t, e.describe(name).Methods().Len())
			}

			call := calls[service]
			name, method, _ := strings.Cut(call.method, "/")
			descriptor := e.describe(name).Methods().ByName(protoreflect.Name(method))
			request, answer := dynamicpb.NewMessage(descriptor.Input()), dynamicpb.NewMessage(descriptor.Output())
			require.NoError(t, protojson.Unmarshal([]byte(call.request), request))
			require.NoError(t, u.conn(service).Invoke(u.ctx(), "/"+call.method, request, answer))
			require.Contains(t, protojson.Format(answer), call.answers)

			health, err := healthv1.NewHealthClient(u.conn(service)).Check(u.with("").ctx(), &healthv1.HealthCheckRequest{})
			require.NoError(t, err)
			require.Equal(t, healthv1.HealthCheckResponse_SERVING, health.GetStatus())
		})
	}
}

// TestGrpcurlAsTheReadmeHasIt runs grpcurl where make tools has built it.
func TestGrpcurlAsTheReadmeHasIt(t *testing.T) {
	t.Parallel()
	found, err := filepath.Glob("../../.bin/grpcurl-*/grpcurl")
	require.NoError(t, err)
	if len(found) == 0 {
		t.Skip("make tools builds grpcurl")
	}
	u := sharedStack(t).newUser(t)
	u.stillMarket(btc)
	account := u.account()
	grpcurl := func(ok bool, args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), callMax)
		defer cancel()
		out, err := exec.CommandContext(ctx, found[0], append([]string{"-plaintext", "-H", "authorization: Bearer " + u.token}, args...)...).CombinedOutput()
		require.Equal(t, ok, err == nil, "grpcurl %v: %s", args, out)
		return string(out)
	}
	addresses := u.stack.profile.Addresses
	for _, service := range served {
		list := grpcurl(true, addresses[service], "list")
		require.Contains(t, list, "robson."+service+".v1.")
		for _, name := range strings.Fields(list) {
			require.Contains(t, grpcurl(true, addresses[service], "describe", name), "is a service")
		}
	}
	const open = "robson.command.v1.TradingService/OpenPosition"
	data := func(stop string) string {
		text, err := json.Marshal(map[string]any{"account_id": account, "symbol": btc, "side": "POSITION_SIDE_LONG", "technical_stop": stop, "dry_run": true})
		require.NoError(t, err)
		return string(text)
	}
	require.Contains(t, grpcurl(true, "-d", data("93500"), addresses["command"], open), `"quantity": "0.06666"`)
	require.Contains(t, grpcurl(true, "-d", `{"states": ["POSITION_STATE_ACTIVE"]}`, addresses["projector"], "robson.projector.v1.StateService/ListPositions"), "asOf")
	require.Contains(t, grpcurl(true, "-d", `{"from_position": 1, "page_size": 1}`, addresses["eventlog"], "robson.eventlog.v1.ReadService/ReadLog"), `"tenantCreated"`)
	require.Contains(t, grpcurl(true, "-d", `{"symbol": "BTCUSDT"}`, addresses["connector"], "robson.connector.v1.PaperService/GetMarket"), `"95000"`)

	wrong := grpcurl(false, "-d", data("96000"), addresses["command"], open)
	require.Contains(t, wrong, "Code: InvalidArgument")
	require.Contains(t, wrong, "technical_stop")
	require.Contains(t, grpcurl(false, "-d", `{"position_id": "`+uuid.NewString()+`"}`, addresses["projector"], "robson.projector.v1.StateService/GetPosition"), "Code: NotFound")
}
