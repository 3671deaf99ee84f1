package cli_test

import (
	"bytes"
	"errors"
	"flag"
	"net"
	"os"
	"path"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/robson/robson/cmd/robson/internal/cli"
	"github.com/robson/robson/cmd/robson/internal/client"
	"github.com/robson/robson/pkg/rpc"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const tenantID = "7e57ab1e-0000-4000-8000-000000000001"

// services answers every RPC of every service with what a test gives it, and remembers what was asked.
type services struct {
	t       *testing.T
	dir     string
	mu      sync.Mutex
	asked   []asked
	answers map[string][]any
}

// asked is one call that came in.
type asked struct {
	method  string
	request proto.Message
	header  metadata.MD
}

// start serves on a free port, and leaves a profile that leads there.
func start(t *testing.T) *services {
	t.Helper()
	s := &services{t: t, dir: t.TempDir(), answers: map[string][]any{}}
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer(grpc.UnknownServiceHandler(s.handle))
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; !errors.Is(err, grpc.ErrServerStopped) { // stopped before it began
			require.NoError(t, err)
		}
	})
	addresses := map[string]string{}
	for name := range client.DefaultAddresses {
		addresses[name] = listener.Addr().String()
	}
	require.NoError(t, client.Profile{Addresses: addresses, Token: "owner's", TenantID: tenantID}.Save(s.dir))
	return s
}

// answer gives the next answers of a method: messages, lists of them for a stream, or errors. The last one stays.
func (s *services) answer(method string, answers ...any) *services {
	s.answers[method] = answers
	return s
}

// answerJSON gives a method an answer in the contract's JSON.
func (s *services) answerJSON(fullMethod, text string) *services {
	s.t.Helper()
	_, out := messagesOf(s.t, fullMethod)
	require.NoError(s.t, protojson.Unmarshal([]byte(text), out))
	return s.answer(path.Base(fullMethod), out)
}

// messagesOf makes the request and the response of a method.
func messagesOf(t *testing.T, fullMethod string) (in, out proto.Message) {
	t.Helper()
	service, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(path.Base(path.Dir(fullMethod))))
	require.NoError(t, err, fullMethod)
	method := service.(protoreflect.ServiceDescriptor).Methods().ByName(protoreflect.Name(path.Base(fullMethod)))
	require.NotNil(t, method, fullMethod)
	made := func(d protoreflect.MessageDescriptor) proto.Message {
		messageType, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
		require.NoError(t, err)
		return messageType.New().Interface()
	}
	return made(method.Input()), made(method.Output())
}

// handle takes any call.
func (s *services) handle(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	request, response := messagesOf(s.t, method)
	if err := stream.RecvMsg(request); err != nil {
		return err
	}
	header, _ := metadata.FromIncomingContext(stream.Context())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, asked{method: method, request: request, header: header})
	answers := s.answers[path.Base(method)]
	if len(answers) == 0 {
		return stream.SendMsg(response)
	}
	if len(answers) > 1 {
		s.answers[path.Base(method)] = answers[1:]
	}
	if err, failed := answers[0].(error); failed {
		return rpc.Status(err).Err()
	}
	if many, streamed := answers[0].([]any); streamed {
		for _, message := range many {
			if err := stream.SendMsg(message); err != nil {
				return err
			}
		}
		return nil
	}
	return stream.SendMsg(answers[0])
}

// run runs a command line against the services.
func (s *services) run(args ...string) (code int, out, errOut string) {
	s.t.Helper()
	return run(s.t, append([]string{"--data-dir", s.dir}, args...)...)
}

// only is the one call that was made.
func (s *services) only() asked {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Len(s.t, s.asked, 1)
	return s.asked[0]
}

// run runs a command line.
func run(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = cli.Run(t.Context(), args, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

// golden holds text to a file of testdata, or writes it there.
func golden(t *testing.T, name, text string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "go test -update writes it")
	require.Equal(t, string(want), text)
}
