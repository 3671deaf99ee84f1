package cli

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/robson/robson/cmd/robson/internal/client"
	"github.com/robson/robson/cmd/robson/internal/screen"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// reconcileCommand holds an account's book against its venue's.
func reconcileCommand(app *App) *cobra.Command {
	request := &connectorv1.ReconcileRequest{}
	cmd := &cobra.Command{
		Use: "reconcile", Short: "Hold an account's book against its venue's, now", Args: noArgs,
		Long: "Lists the venue's orders and trades from where the run before ended, takes in as facts what the log lacks, and reports what no\n" +
			"fact explains. Orders and trades made by hand are reported, never touched. While anything of the account stays open, the exit\n" +
			"status is 6; what somebody has looked into is closed by --resolve. Each account is reconciled by itself at the start, every\n" +
			"hour and after a gap: `robson reconciliations list` shows the runs, `robson discrepancies list` what is open.",
		Example: indent("robson reconcile --account-id 6f0c1c1e-...\nrobson reconcile --account-id 6f0c1c1e-... --resolve 0d9f-..."),
		RunE: func(cmd *cobra.Command, _ []string) error {
			app.typed["account_id"], app.typed["resolve"] = "--account-id", "--resolve"
			for _, id := range request.GetResolve() {
				if _, err := uuid.Parse(id); err != nil {
					return usagef("--resolve: %q is no UUID", id)
				}
			}
			ctx, stop := app.signaled(cmd.Context())
			defer stop()
			conn, err := app.service(client.Connector)
			if err != nil {
				return err
			}
			response, err := connectorv1.NewReconciliationServiceClient(conn).Reconcile(ctx, request)
			if err != nil {
				return err
			}
			if err := app.printReconciliation(response.GetReport()); err != nil {
				return err
			}
			if n := response.GetReport().GetUnresolved(); n > 0 {
				return openError{n}
			}
			return nil
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&request.AccountId, "account-id", "", "the account (`UUID`)")
	cmd.Flags().StringSliceVar(&request.Resolve, "resolve", nil, "close a discrepancy (`UUID`) that was looked into; may be repeated")
	_ = cmd.MarkFlagRequired("account-id")
	return cmd
}

// openError is an account whose book is not the venue's: an outcome, told on standard output already.
type openError struct{ open int32 }

func (e openError) Error() string {
	return "the book is not the venue's: " + counted(int(e.open), "discrepancies") + " open"
}

func (a *App) printReconciliation(r *connectorv1.ReconciliationReport) error {
	if a.json() {
		return screen.JSON(a.out, r)
	}
	status := screen.EnumText(r.GetStatus().Descriptor(), protoreflect.EnumNumber(r.GetStatus()))
	fmt.Fprintf(a.out, "%s: run %s, %s to %s, %d ms\n%s and %s looked at, %s left to the next run; %s closed, %d open\n\n",
		status, r.GetRunId(), r.GetWindowFrom().AsTime().Format(time.RFC3339), r.GetWindowTo().AsTime().Format(time.RFC3339), r.GetDurationMs(),
		counted(int(r.GetOrdersChecked()), "orders"), counted(int(r.GetFillsChecked()), "trades"), counted(int(r.GetOrdersSkipped()), "orders"),
		counted(len(r.GetResolvedIds()), "discrepancies"), r.GetUnresolved())
	covered := screen.NewTable(screen.Text("SYMBOL"), screen.Text("TRADES"), screen.Text("FROM"), screen.Text("TO"), screen.Text("ORDERS"), screen.Text("FROM"), screen.Text("TO"))
	for _, s := range r.GetSymbols() {
		number := func(n int64) string { return strconv.FormatInt(n, 10) }
		covered.Add(s.GetSymbol(), number(int64(s.GetTrades())), number(s.GetFromTradeId()), number(s.GetToTradeId()),
			number(int64(s.GetOrders())), number(s.GetFromOrderId()), number(s.GetToOrderId()))
	}
	covered.Write(a.out)
	if len(r.GetNotes()) > 0 {
		fmt.Fprintln(a.out)
	}
	for _, note := range r.GetNotes() {
		fmt.Fprintf(a.out, "not looked at: %s\n", note)
	}
	if len(r.GetDifferences())+len(r.GetOpenBefore()) == 0 {
		return nil
	}
	fmt.Fprintln(a.out)
	table := screen.NewTable(screen.Text("KIND"), screen.Text("ABOUT"), screen.Text("OURS"), screen.Text("THE VENUE'S"), screen.Text("DONE"), screen.Text("DISCREPANCY"))
	add := func(d *connectorv1.Difference, done string) {
		table.Add(screen.EnumText(d.GetKind().Descriptor(), protoreflect.EnumNumber(d.GetKind())), d.GetEntity(),
			pairs(d.GetExpected()), pairs(d.GetActual()), done, d.GetDiscrepancyId())
	}
	for _, d := range r.GetDifferences() {
		done := "open"
		if d.GetResolution() == eventv1.Resolution_RESOLUTION_AUTO_REPAIRED {
			done = "took in " + strings.Join(d.GetFacts(), ", ")
		}
		add(d, done)
	}
	for _, d := range r.GetOpenBefore() {
		add(d, "still open")
	}
	table.Write(a.out)
	return nil
}

// pairs writes evidence in one line, by name.
func pairs(evidence map[string]string) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(evidence)) {
		out = append(out, name+"="+evidence[name])
	}
	return strings.Join(out, " ")
}
