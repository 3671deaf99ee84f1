// Package telemetry sets up traces, metrics and logs once for a process.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"go.opentelemetry.io/otel/trace"
)

// endpointVariable is where OpenTelemetry's own convention says where spans go. Unset: spans have ids, since those stand on
// events, and nothing is recorded of them.
const endpointVariable = "OTEL_EXPORTER_OTLP_ENDPOINT"

// Config are a process's telemetry settings; the zero value works.
type Config struct {
	// Service is the name that spans and logs carry; default robson.
	Service string
	// LogWriter is where logs go; default standard error.
	LogWriter io.Writer
	// LogJSON writes logs as JSON instead of text.
	LogJSON bool
	// LogLevel is the least level that is written; default info.
	LogLevel slog.Level
}

// Telemetry is what a process uses.
type Telemetry struct {
	Logger *slog.Logger
	// Registry has the metrics, for an HTTP handler.
	Registry *prometheus.Registry

	shutdown []func(context.Context) error
}

// Setup installs the process's tracer and meter providers. Shut down with Shutdown, so that no span is lost.
func Setup(ctx context.Context, cfg Config) (*Telemetry, error) {
	if cfg.Service == "" {
		cfg.Service = "robson"
	}
	if cfg.LogWriter == nil {
		cfg.LogWriter = os.Stderr
	}
	t := &Telemetry{Logger: newLogger(cfg), Registry: prometheus.NewRegistry()}
	about, err := resource.Merge(resource.Default(), resource.NewSchemaless(semconv.ServiceName(cfg.Service)))
	if err != nil {
		return nil, fmt.Errorf("describe the process: %w", err)
	}
	if err := t.traces(ctx, about); err != nil {
		return nil, err
	}
	if err := t.metrics(about); err != nil {
		return nil, errors.Join(err, t.Shutdown(ctx))
	}
	return t, nil
}

// traces installs the tracer provider.
func (t *Telemetry) traces(ctx context.Context, about *resource.Resource) error {
	options := []sdktrace.TracerProviderOption{sdktrace.WithResource(about), sdktrace.WithSampler(sdktrace.NeverSample())}
	if os.Getenv(endpointVariable) != "" {
		exporter, err := otlptracegrpc.New(ctx)
		if err != nil {
			return fmt.Errorf("export spans to %s: %w", os.Getenv(endpointVariable), err)
		}
		// Whoever calls may record nothing itself, like a command line that exports no spans: what it starts is recorded here.
		options = append(options, sdktrace.WithBatcher(exporter), sdktrace.WithSampler(sdktrace.AlwaysSample()))
	}
	provider := sdktrace.NewTracerProvider(options...)
	otel.SetTracerProvider(provider)
	t.shutdown = append(t.shutdown, provider.Shutdown)
	return nil
}

// metrics installs the meter provider.
func (t *Telemetry) metrics(about *resource.Resource) error {
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(t.Registry))
	if err != nil {
		return fmt.Errorf("export metrics: %w", err)
	}
	t.Registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	provider := metric.NewMeterProvider(metric.WithReader(exporter), metric.WithResource(about))
	otel.SetMeterProvider(provider)
	t.shutdown = append(t.shutdown, provider.Shutdown)
	return nil
}

// Shutdown sends what is left and gives everything back.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	var errs []error
	for _, stop := range t.shutdown {
		errs = append(errs, stop(ctx))
	}
	t.shutdown = nil
	return errors.Join(errs...)
}

// newLogger writes logs that carry the trace id of their context.
func newLogger(cfg Config) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.LogLevel}
	var handler slog.Handler = slog.NewTextHandler(cfg.LogWriter, options)
	if cfg.LogJSON {
		handler = slog.NewJSONHandler(cfg.LogWriter, options)
	}
	return slog.New(traced{handler})
}

// traced adds the trace id of the context to each record.
type traced struct{ slog.Handler }

// Handle implements slog.Handler.
func (h traced) Handle(ctx context.Context, r slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.HasTraceID() {
		r.AddAttrs(slog.String("trace_id", span.TraceID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h traced) WithAttrs(attrs []slog.Attr) slog.Handler { return traced{h.Handler.WithAttrs(attrs)} }

// WithGroup implements slog.Handler.
func (h traced) WithGroup(name string) slog.Handler { return traced{h.Handler.WithGroup(name)} }
