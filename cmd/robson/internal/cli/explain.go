package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/robson/robson/cmd/robson/internal/client"
	"github.com/robson/robson/cmd/robson/internal/explain"
	"github.com/robson/robson/pkg/fault"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// explainCommand is `robson explain`: why something is as it is.
func explainCommand(app *App) *cobra.Command {
	cmd := parentCommand("explain", "Why: the command, the decision, the causes, the venue's reports, the money",
		explainOne(app, explain.KindOrder, "An order, ours or not", "order_id", explain.Order),
		explainOne(app, explain.KindPosition, "A position, also one that the risk gates refused", "position_id", explain.Position),
		explainOne(app, explain.KindFill, "A trade", "fill_id", explain.Trade),
		explainBalance(app))
	cmd.Long = "Tells from the log alone why an order, a position, a trade or a balance is as it is: what began it and who asked for it, the\n" +
		"decision with its inputs and the risk limits that were in force then (not today's), the chain of causes, what the venue\n" +
		"reported, and what it did to the money. With --output json as one document; `go doc` of internal/explain describes it."
	return cmd
}

// explainOne explains what one id names.
func explainOne(app *App, kind, short, idField string, find func(context.Context, explain.Reader, string, int) (*explain.Explanation, error)) *cobra.Command {
	lines := 0
	argument := strings.ToUpper(idField)
	cmd := &cobra.Command{
		Use: kind + " " + argument, Short: short, Args: oneArg(argument), Example: indent("robson explain " + kind + " 6f0c1c1e-..."),
		RunE: func(cmd *cobra.Command, args []string) error {
			if lines < 1 {
				return usagef("--lines: must be at least 1, found %d", lines)
			}
			app.typed[idField] = argument
			reader, err := app.explainReader()
			if err != nil {
				return err
			}
			x, err := find(cmd.Context(), reader, args[0], lines)
			if err != nil {
				return err
			}
			return app.printExplanation(x)
		},
	}
	cmd.Flags().IntVar(&lines, "lines", explain.LinesDefault, "at most so many lines of the chain of causes")
	return cmd
}

// explainBalance explains an asset of a wallet.
func explainBalance(app *App) *cobra.Command {
	var p explain.BalanceParams
	cmd := &cobra.Command{
		Use: explain.KindBalance + " ACCOUNT_ID", Short: "A balance: samples, and what lies between them", Args: oneArg("ACCOUNT_ID"),
		Example: indent("robson explain balance 0f8fad5b-... --wallet spot --asset USDT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if p.SamplesMax < 1 {
				return usagef("--samples: must be at least 1, found %d", p.SamplesMax)
			}
			app.typed["account_id"], app.typed["wallet"], app.typed["asset"] = "ACCOUNT_ID", "--wallet", "--asset"
			reader, err := app.explainReader()
			if err != nil {
				return err
			}
			p.AccountID = args[0]
			x, err := explain.BalanceOf(cmd.Context(), reader, p)
			if err != nil {
				return err
			}
			return app.printExplanation(x)
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&p.Wallet, "wallet", "", "spot, or isolated:<symbol>")
	cmd.Flags().StringVar(&p.Asset, "asset", "", "e.g. USDT")
	cmd.Flags().IntVar(&p.SamplesMax, "samples", explain.SamplesDefault, "at most so many samples, the newest")
	requireFlags(cmd, "wallet", "asset")
	return cmd
}

// printExplanation prints an explanation for people, or as one document.
func (a *App) printExplanation(x *explain.Explanation) error {
	if !a.json() {
		explain.Write(a.out, x)
		return nil
	}
	data, err := json.MarshalIndent(x, "", "  ")
	if err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	_, err = fmt.Fprintf(a.out, "%s\n", data)
	return err
}

// rpcReader answers by the services' RPCs.
type rpcReader struct {
	log   eventlogv1.ReadServiceClient
	state projectorv1.StateServiceClient
}

// explainReader connects to the services that know.
func (a *App) explainReader() (*rpcReader, error) {
	log, err := a.service(client.Eventlog)
	if err != nil {
		return nil, err
	}
	state, err := a.service(client.Projector)
	if err != nil {
		return nil, err
	}
	return &rpcReader{log: eventlogv1.NewReadServiceClient(log), state: projectorv1.NewStateServiceClient(state)}, nil
}

// Query implements explain.Reader.
func (r *rpcReader) Query(ctx context.Context, filter *eventlogv1.EventFilter, direction eventlogv1.Direction, limit int) (explain.Found, error) {
	var found explain.Found
	token := ""
	for {
		size := int32(min(pageSize, limit-len(found.Events)))
		page, err := r.log.QueryEvents(ctx, &eventlogv1.QueryEventsRequest{Filter: filter, Direction: direction, PageSize: size, PageToken: token})
		if err != nil {
			return explain.Found{}, err
		}
		found.Events = append(found.Events, page.GetEvents()...)
		token, found.AsOf = page.GetNextPageToken(), page.GetAsOf()
		if found.More = token != ""; !found.More || len(found.Events) >= limit {
			return found, nil
		}
	}
}

// Event implements explain.Reader.
func (r *rpcReader) Event(ctx context.Context, id string) (*eventv1.Event, error) {
	response, err := r.log.GetEvent(ctx, &eventlogv1.GetEventRequest{EventId: id})
	return response.GetEvent(), err
}

// Digest implements explain.Reader.
func (r *rpcReader) Digest(ctx context.Context, commandID string) ([]byte, error) {
	response, err := r.log.GetCommand(ctx, &eventlogv1.GetCommandRequest{CommandId: commandID})
	return response.GetRequestDigest(), err
}

// Fill implements explain.Reader.
func (r *rpcReader) Fill(ctx context.Context, id string) (*projectorv1.Fill, error) {
	response, err := r.state.GetFill(ctx, &projectorv1.GetFillRequest{FillId: id})
	return response.GetFill(), err
}

// Balance implements explain.Reader.
func (r *rpcReader) Balance(ctx context.Context, accountID, wallet, asset string) (*projectorv1.Balance, error) {
	response, err := r.state.ListBalances(ctx, &projectorv1.ListBalancesRequest{AccountId: accountID, Wallet: wallet, Asset: asset, PageSize: 1})
	if err != nil {
		return nil, err
	}
	if len(response.GetBalances()) == 0 {
		return nil, fault.New(fault.NotFound, "NO_SUCH_ROW", "no balance of %s", asset)
	}
	return response.GetBalances()[0], nil
}
