package connector

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/robson/robson/pkg/rpc"
	"github.com/robson/robson/services/connector/internal/executor"
	"github.com/robson/robson/services/connector/internal/follower"
	"github.com/robson/robson/services/connector/internal/ledger"
	"github.com/robson/robson/services/connector/internal/paper"
	"github.com/robson/robson/services/connector/internal/reconcile"
	"github.com/robson/robson/services/connector/internal/server"
	"github.com/robson/robson/services/connector/internal/venue"
)

// What can be set of the parts; the zero values work.
type (
	// ExecutorConfig bounds waits for a venue's answers.
	ExecutorConfig = executor.Config
	// FollowerConfig bounds the waits of what follows accounts.
	FollowerConfig = follower.Config
	// ReconcileConfig says when accounts are held against their venues.
	ReconcileConfig = reconcile.Config
	// LedgerConfig bounds what goes to the log at a time.
	LedgerConfig = ledger.Config
	// CallConfig holds the limits of calls.
	CallConfig = server.Config
	// PaperConfig are the paper venue's settings; its Dir is Config.DataDir.
	PaperConfig = paper.Config
)

// Config is what the service needs to run. Every field but the first six works as zero.
type Config struct {
	// Listener takes the calls. Run closes it.
	Listener net.Listener
	// TokenFile says whom tokens stand for; it is read again when it changes.
	TokenFile string
	// ServiceToken is what the service shows to eventlog and projector.
	ServiceToken string
	// EventlogAddress and ProjectorAddress say where they are. They need not be there yet when the service starts.
	EventlogAddress, ProjectorAddress string
	// DataDir is the paper venue's own directory, shared by all connectors that are to share the venue.
	DataDir string
	// ExchangeInfoFile is a document as Binance's /api/v3/exchangeInfo gives it: the paper venue lists its symbols, by
	// its rules, besides the built-in BTCUSDT and ETHUSDT. Empty: only those.
	ExchangeInfoFile string
	// Binance is what is served beside the paper venue.
	Binance BinanceConfig
	// Server holds deadlines and sizes of calls.
	Server    rpc.ServerConfig
	Executor  ExecutorConfig
	Follower  FollowerConfig
	Reconcile ReconcileConfig
	Ledger    LedgerConfig
	Calls     CallConfig
	Paper     PaperConfig
}

// instruments reads the exchange info, if there is any.
func (c Config) instruments() ([]venue.Instrument, error) {
	if c.ExchangeInfoFile == "" {
		return nil, nil
	}
	document, err := os.ReadFile(c.ExchangeInfoFile)
	if err != nil {
		return nil, fmt.Errorf("read exchange info: %w", err)
	}
	list, odd, err := venue.ParseExchangeInfo(document)
	if err == nil && len(odd) > 0 { // whoever gives a file means all of it
		err = fmt.Errorf("%s: %w", c.ExchangeInfoFile, errors.Join(odd...))
	}
	return list, err
}
