package telemetry_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"

	"github.com/robson/robson/pkg/telemetry"
)

// One test, since the providers are the process's.
func TestTelemetry(t *testing.T) {
	t.Parallel()
	var logs bytes.Buffer
	tel, err := telemetry.Setup(t.Context(), telemetry.Config{Service: "test", LogWriter: &logs, LogJSON: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tel.Shutdown(context.Background())) })

	ctx, span := otel.Tracer("test").Start(t.Context(), "step")
	require.True(t, span.SpanContext().HasTraceID(), "ids are made though spans go nowhere")
	tel.Logger.With("position", 7).InfoContext(ctx, "appended")
	span.End()
	require.Contains(t, logs.String(), span.SpanContext().TraceID().String())
	require.Contains(t, logs.String(), `"position":7`)

	counter, err := otel.Meter("test").Int64Counter("robson_test_total")
	require.NoError(t, err)
	counter.Add(ctx, 3)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	serving, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- tel.ServeAdmin(serving, listener) }()
	require.Contains(t, get(t, "http://"+listener.Addr().String()+"/metrics"), "robson_test_total")
	require.Empty(t, get(t, "http://"+listener.Addr().String()+"/healthz"))
	stop()
	require.NoError(t, <-done)
}

func get(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return string(body)
}
