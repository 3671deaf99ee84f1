package stack

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/robson/robson/pkg/clock"
)

// healthPause is how often a service that does not serve yet is asked again.
const healthPause = 20 * time.Millisecond

// Healthy returns once the service at an address says that it serves, or with the last answer when the context ends.
func Healthy(ctx context.Context, address string) error {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("connect to %s: %w", address, err)
	}
	defer func() { _ = conn.Close() }() // a connection that only asked
	for {
		answer, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{}, grpc.WaitForReady(true))
		if err == nil && answer.GetStatus() == healthv1.HealthCheckResponse_SERVING {
			return nil
		}
		if sleepErr := clock.Sleep(ctx, clock.System(), healthPause); sleepErr != nil {
			if err == nil {
				return fmt.Errorf("the service at %s says that it is %s", address, answer.GetStatus())
			}
			return fmt.Errorf("no service answers at %s: %s", address, status.Convert(err).Message())
		}
	}
}
