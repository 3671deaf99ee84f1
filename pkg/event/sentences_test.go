package event_test

import "github.com/robson/robson/pkg/event"

// sentence is what docs/event-taxonomy.md says of a type and no contract can say: who appends it, and what it does to
// state.
type sentence struct{ by, does string }

// Who appends.
const (
	byCommand   = "command"
	byProcess   = "command, its process manager"
	byMonitor   = "command, its stop monitor"
	byConnector = "connector"
)

// sentences has one for each type.
var sentences = map[event.Type]sentence{
	"ORDER_SUBMITTED": {"connector, as the claim before it sends", "Adds the order to `orders_current`, taking in what quicker facts said of it, and names it in its position " +
		"by what it is for. Its intent becomes submitted. Only whose receipt is not a duplicate sends, once."},
	"ORDER_ACKED": {byConnector, "Sets the order's venue id, which never changes after, and the time. The status never goes back."},
	"FILL_RECEIVED": {byConnector, "Adds the trade to `fills`. If, and only if, it was not there, the sums of its order and of its position grow by it; " +
		"average prices and the order's status follow from the sums."},
	"ORDER_REJECTED": {byConnector, "Marks the order rejected, with code and reason. Told locally of an intent that was never sent, it ends the intent instead."},
	"ORDER_CANCELED": {byConnector, "Marks the order canceled, unless its fills make it filled. The fills stay, and what it still held of its position is free again."},
	"ORDER_EXPIRED":  {byConnector, "Marks the order expired, with the venue's reason, unless its fills make it filled. The fills stay."},

	"POSITION_OPENED": {byProcess + ", on the first entry fill", "Makes the position active under its technical stop, where the trailing stop starts. " +
		"What was bought, and at which price, is told by the fills alone."},
	"POSITION_CLOSED": {byProcess, "Ends the position with its result and frees its slot (account, symbol, side). The net P&L goes to the sums of account and strategy: " +
		"all time, and the UTC day and month of `closed_at`."},
	"POSITION_ARMED":        {byCommand, "Adds the position to `positions_current` as armed, and takes the slot of its account, symbol and side."},
	"POSITION_DISARMED":     {byCommand, "Closes an armed position without a trade and frees its slot."},
	"TRAILING_STOP_UPDATED": {byMonitor + "; command, when a user moves the stop", "Moves the position's stop in its favour, and notes the extreme and the price that moved it. Open risk shrinks with it."},
	"EXIT_TRIGGERED":        {byMonitor + " or its process manager; command, for a user", "Makes the position exiting, with the reason. There is at most one exit at a time."},

	"DECISION_PROPOSED": {byCommand, "Adds the decision to `decisions_current` as proposed, with every number it was made from, and ties it to its signal."},
	"INTENT_CREATED": {byCommand + " or its process manager", "Adds the intent to `intents_current` as pending. An entry makes its position entering; from here on the planned values count in " +
		"exposure, open risk and open positions."},

	"RISK_CHECK_PASSED": {byCommand, "Marks the decision approved, with every gate and what it saw. Halts whose day or month is over are forgotten."},
	"RISK_CHECK_FAILED": {byCommand, "Marks the decision rejected, with the gates that refused. Only where a limit of the account itself is breached are entries halted: " +
		"a trade that is too big says nothing about the account."},
	"RISK_LIMIT_EXCEEDED": {byCommand + ", on a panic or an operator's reset; its process manager", "Halts entries in `risk_state_current` until the period is over or an operator clears it, " +
		"or notes an alert. With `cleared_by` it lifts what was set."},

	"BALANCE_SAMPLED": {byConnector, "Sets the asset of the wallet in `balances_current`, unless a newer sample is there. The same amounts in a later sample are a new event."},
	"BALANCE_ADJUSTED": {byConnector, "Adds a deposit, withdrawal or transfer to the free balance, if the last sample is older: a newer one has it already. " +
		"Marks the account for a review of its capital, until its limits are set again. Never trading P&L."},

	"STRATEGY_REGISTERED": {byCommand, "Adds the strategy to `strategy_state_current`, disabled, and its limits to `risk_state_current`."},
	"STRATEGY_ENABLED":    {byCommand, "Enables the strategy and refreshes its settings: it may arm and open."},
	"STRATEGY_DISABLED":   {byCommand, "Disables the strategy, with the reason. Armed positions of it are then disarmed; open ones keep their stop."},
	"STRATEGY_UPDATED":    {byCommand, "Gives the strategy its next version's settings, for what comes. Nothing open changes."},

	"SIGNAL_DETECTED": {byCommand, "Adds the signal to `signals_current` as detected, and counts it for its strategy."},
	"TECHNICAL_STOP_ANALYZED": {byCommand, "Notes in `signals_current` where the chart puts the stop of a signal, by which method and from which levels; a decision on the signal keeps to it. " +
		"An armed position without a stop shows it until the entry is decided."},
	"SIGNAL_ACCEPTED": {byCommand, "Marks the signal accepted, with the decision that it led to."},
	"SIGNAL_REJECTED": {byCommand, "Marks the signal rejected, with the reason. A signal that did not even fit its position is known by this event alone."},
	"SIGNAL_EXPIRED":  {byCommand, "Marks a signal that nobody acted on in time as expired."},

	"EXCHANGE_CONNECTED":      {byConnector, "Marks the line (account and channel) connected in `connector_state_current`, with its connection and how far the clocks are apart, unless it went up or down later."},
	"EXCHANGE_DISCONNECTED":   {byConnector, "Marks the line disconnected, with the reason, whether it was planned and the venue's last event before. The end of another connection than the newest leaves the line up."},
	"EXCHANGE_REQUEST_FAILED": {byConnector, "Counts a request that the venue definitely did not carry out on the account's line `rest`, and shows the newest error. No secret and no signed address is in the message."},
	"EXCHANGE_STATE_UNCERTAIN": {byConnector, "Marks the order as needing resolution, as long as no acknowledgement, fill or end of it is recorded (for a cancel: no end). " +
		"Counts it on the account's line `rest`. Unknown never means rejected; the venue is asked, and nothing is sent again."},
	"EXCHANGE_RATE_LIMITED": {byConnector, "Notes on the account's line `rest` until when the venue wants no request; the latest time holds."},

	"MARGIN_TRANSFERRED": {byConnector, "Moves the amount between the balances of the two wallets, where their samples are older, and adds it to what was transferred in `margin_state_current`."},
	"MARGIN_BORROWED":    {byConnector, "Adds the amount to the loan in `margin_loans_current`."},
	"MARGIN_REPAID":      {byConnector, "Takes the principal off the loan, and adds the interest to what was paid."},
	"MARGIN_LEVEL_SAMPLED": {byConnector, "Sets how the venue judges the margin account in `margin_state_current`, unless a newer sample is there: its level, what is owed, and at which price it would be liquidated. " +
		"Level and ratio move with the market, so that only what is owed makes two reports of one sample contradict each other."},

	"RECONCILIATION_COMPLETED": {byConnector, "Completes the run in `reconciliation_runs_current` with what it covered, found and repaired, and closes the discrepancies in `resolved_ids`. " +
		"Counts that are less than what the log holds of the run are flagged."},
	"DISCREPANCY_DETECTED": {
		"eventlog, with the fact that does not fit or contradicts its first report; connector, for what it finds at the venue",
		"Adds the discrepancy to `discrepancies_current`, open unless it was repaired at once, and counts it for the run that raised it. A stale position goes to error.",
	},
	"SNAPSHOT_CREATED":   {"snapshotter", "Counts the snapshots of a scope in `snapshots_current`, and shows the newest: of which position, with which checksum. `as_of_seqs` is told of at most 64 streams. It stands in the tenant's stream, so that it never leads to another snapshot of its scope."},
	"PROJECTION_REBUILT": {"replayer", "Adds the rebuild to `replay_runs_current`: what was folded anew and switched to, and whether it was the same. A dry run and a comparison leave no event."},

	"TENANT_CREATED":      {byCommand + ", for a user who may operate", "Begins the tenant's log and adds the tenant to `tenants_current`."},
	"ACCOUNT_REGISTERED":  {byCommand, "Adds the account to `accounts_current`, its API key's fingerprint to `api_keys_current` and its limits to `risk_state_current`. Registered again with version + 1, it changes them."},
	"CREDENTIALS_ROTATED": {byCommand, "Puts another API key's fingerprint in the place of the account's in `accounts_current`; in `api_keys_current` the old one gives way. Never key material."},
}
