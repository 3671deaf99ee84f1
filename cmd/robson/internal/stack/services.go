package stack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"

	"github.com/robson/robson/cmd/robson/internal/client"
	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/services/command"
	"github.com/robson/robson/services/connector"
	"github.com/robson/robson/services/eventlog"
	"github.com/robson/robson/services/projector"
	"github.com/robson/robson/services/replayer"
	"github.com/robson/robson/services/snapshotter"
)

// paperDir is the paper venue's own place in a data directory: an outside world, which all connectors share.
const paperDir = "paper"

// Settings are what it takes to run any one service; each takes of it what it uses.
type Settings struct {
	// Listener takes the service's calls. Serve closes it, whatever comes.
	Listener net.Listener
	// DatabaseURL is the PostgreSQL of eventlog, projector, snapshotter and replayer. Its login must be allowed to act by their
	// roles (robson_eventlog and so on); the other services have no database.
	DatabaseURL string
	// TokenFile says whom tokens stand for.
	TokenFile string
	// ServiceToken is what the service presents to the others.
	ServiceToken string
	// Addresses of the services, by name.
	Addresses map[string]string
	// DataDir is where the connector keeps the paper venue.
	DataDir string
	// Connector is what the connector alone is told.
	Connector ConnectorSettings

	Logger *slog.Logger
	Clock  clock.Clock
}

// ConnectorSettings are the connector's own. The zero value works.
type ConnectorSettings struct {
	// ExchangeInfoFile lists more symbols for the paper venue, as Binance's /api/v3/exchangeInfo does; empty: only its own.
	ExchangeInfoFile string
	// Executor, Follower and Reconcile bound its waits.
	Executor  connector.ExecutorConfig
	Follower  connector.FollowerConfig
	Reconcile connector.ReconcileConfig
	// Binance is what it serves beside the paper venue; the zero value: nothing.
	Binance connector.BinanceConfig
}

// Serve runs one service until the context ends, then lets it finish what it has begun. A plain end is no error.
func Serve(ctx context.Context, name string, s Settings) error {
	database := postgres.Config{URL: s.DatabaseURL}
	switch name {
	case eventlog.Name:
		return eventlog.Run(ctx, s.Logger, s.Clock, eventlog.Config{Listener: s.Listener, TokenFile: s.TokenFile, Database: database})
	case projector.Name:
		return projector.Run(ctx, s.Logger, s.Clock, projector.Config{
			Listener: s.Listener, TokenFile: s.TokenFile, ServiceToken: s.ServiceToken, EventlogAddress: s.Addresses[client.Eventlog], Database: database,
		})
	case snapshotter.Name:
		return snapshotter.Run(ctx, s.Logger, s.Clock, snapshotter.Config{
			Listener: s.Listener, TokenFile: s.TokenFile, ServiceToken: s.ServiceToken, EventlogAddress: s.Addresses[client.Eventlog], Database: database,
		})
	case replayer.Name:
		return replayer.Run(ctx, s.Logger, s.Clock, replayer.Config{
			Listener: s.Listener, TokenFile: s.TokenFile, ServiceToken: s.ServiceToken, EventlogAddress: s.Addresses[client.Eventlog], Database: database,
		})
	case connector.Name:
		return connector.Run(ctx, s.Logger, s.Clock, connector.Config{
			Listener: s.Listener, TokenFile: s.TokenFile, ServiceToken: s.ServiceToken,
			EventlogAddress: s.Addresses[client.Eventlog], ProjectorAddress: s.Addresses[client.Projector],
			DataDir: filepath.Join(s.DataDir, paperDir), ExchangeInfoFile: s.Connector.ExchangeInfoFile,
			Executor: s.Connector.Executor, Follower: s.Connector.Follower, Reconcile: s.Connector.Reconcile, Binance: s.Connector.Binance,
		})
	case command.Name:
		return command.Run(ctx, s.Logger, s.Clock, command.Config{
			Listener: s.Listener, TokenFile: s.TokenFile, ServiceToken: s.ServiceToken,
			EventlogAddress: s.Addresses[client.Eventlog], ProjectorAddress: s.Addresses[client.Projector], ConnectorAddress: s.Addresses[client.Connector],
		})
	default:
		return errors.Join(fmt.Errorf("there is no service %q", name), s.Listener.Close())
	}
}

// HasDatabase says whether a service keeps or reads tables.
func HasDatabase(name string) bool {
	return name == eventlog.Name || name == projector.Name || name == snapshotter.Name || name == replayer.Name
}

// CallsOthers says whether a service presents a token of its own to others.
func CallsOthers(name string) bool {
	return name != eventlog.Name && slices.Contains(startOrder, name)
}
