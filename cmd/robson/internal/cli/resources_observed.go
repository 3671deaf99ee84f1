package cli

import (
	"github.com/robson/robson/cmd/robson/internal/screen"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// observedResources are the rows of what our own services and the lines to the venues tell.
func observedResources() []resource {
	return []resource{
		{
			use: "lines", short: "Lines to the venues, and how it goes there", example: "robson lines list --connected=false",
			list: "ListConnectorStates", listRequest: message[projectorv1.ListConnectorStatesRequest](), listResponse: message[projectorv1.ListConnectorStatesResponse](), rows: "connector_states",
			filters: []string{"account_id", "connected"},
			columns: []screen.Column{
				screen.Col("account_id", "ACCOUNT"), screen.Col("channel", "LINE"), screen.Col("connected", "UP"), screen.Num("reconnect_count", "RECONNECTS"), screen.Num("clock_offset_ms", "CLOCK MS"),
				screen.Num("failed_count", "FAILED"), screen.Num("uncertain_count", "UNKNOWN"), screen.Col("last_error", "LAST ERROR"), screen.Col("blocked_until", "BLOCKED UNTIL (UTC)"), screen.Col("updated_at", "UPDATED (UTC)"),
			},
		},
		{
			use: "margin", many: "margin accounts", short: "Isolated margin accounts, as the venue last judged them", example: "robson margin list --status margin_call",
			list: "ListMarginStates", listRequest: message[projectorv1.ListMarginStatesRequest](), listResponse: message[projectorv1.ListMarginStatesResponse](), rows: "margin_states",
			keys:    []string{"account_id!", "symbol!"},
			filters: []string{"account_id", "symbol", "statuses"},
			columns: []screen.Column{
				screen.Col("account_id", "ACCOUNT"), screen.Col("symbol", "SYMBOL"), screen.Col("status", "STATUS"), screen.Dec("margin_level", "LEVEL"), screen.Dec("borrowed", "BORROWED"), screen.Dec("interest", "INTEREST"),
				screen.Dec("index_price", "INDEX"), screen.Dec("liquidate_price", "LIQUIDATED AT"), screen.Col("sampled_at", "SAMPLED (UTC)"),
			},
		},
		{
			use: "reconciliations", many: "reconciliation runs", short: "Comparisons with the venues, and what they found", example: "robson reconciliations list --completed",
			list: "ListReconciliationRuns", listRequest: message[projectorv1.ListReconciliationRunsRequest](), listResponse: message[projectorv1.ListReconciliationRunsResponse](), rows: "reconciliation_runs",
			keys:    []string{"run_id!"},
			filters: []string{"account_id", "completed"},
			columns: []screen.Column{
				screen.Col("run_id", "RUN"), screen.Col("account_id", "ACCOUNT"), screen.Col("trigger", "BECAUSE OF"), screen.Col("status", "STATUS"), screen.Num("raised", "RAISED"), screen.Num("resolved", "RESOLVED"), screen.Num("unresolved", "UNRESOLVED"),
				screen.Num("duration_ms", "MS"), screen.Col("completed_at", "COMPLETED (UTC)"),
			},
		},
		{
			use: "rebuilds", short: "Rebuilds of state that were switched to", example: "robson rebuilds list",
			list: "ListReplayRuns", listRequest: message[projectorv1.ListReplayRunsRequest](), listResponse: message[projectorv1.ListReplayRunsResponse](), rows: "replay_runs",
			keys: []string{"run_id!"},
			columns: []screen.Column{
				screen.Col("run_id", "RUN"), screen.Col("scope", "SCOPE"), screen.Num("from_position", "FROM"), screen.Num("to_position", "TO"), screen.Num("events_applied", "EVENTS"), screen.Num("rows", "ROWS"), screen.Num("rows_changed", "CHANGED"),
				screen.Col("identical", "IDENTICAL"), screen.Col("rebuilt_at", "REBUILT (UTC)"),
			},
		},
	}
}
