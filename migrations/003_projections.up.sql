-- The projections: the fold of the log, changed in the transaction that appends. tenant_id is first in every key,
-- so that the schema can be distributed by tenant. No foreign keys between projections and no checks on values:
-- facts are recorded in whatever shape and order they come. last_position is the position of the event that last
-- changed the row; updated_at is that event's ingested_at. fillfactor leaves room for HOT updates;
-- fills are written once.
--
-- numeric(38,18) holds what an event may carry. What is summed, multiplied or divided is numeric(76,18): no number
-- of events, however odd their amounts, makes it overflow, so that no fact is refused by a column.

CREATE TABLE tenants_current (
    tenant_id uuid NOT NULL,
    name text NOT NULL,
    plan text,
    last_event_id uuid NOT NULL,
    last_position bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT tenants_current_pkey PRIMARY KEY (tenant_id)
) WITH (fillfactor = 70);
COMMENT ON TABLE tenants_current IS 'A tenant.';

CREATE TABLE accounts_current (
    tenant_id uuid NOT NULL,
    account_id uuid NOT NULL,
    exchange text NOT NULL,
    environment text NOT NULL,
    product text NOT NULL,
    label text NOT NULL,
    quote_asset text NOT NULL,
    margin_symbol text,
    api_key_fingerprint text NOT NULL,
    permissions text[] NOT NULL,
    version integer NOT NULL,
    last_event_id uuid NOT NULL,
    last_position bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT accounts_current_pkey PRIMARY KEY (tenant_id, account_id)
) WITH (fillfactor = 70);
COMMENT ON TABLE accounts_current IS 'A venue account of a tenant, as last registered.';

CREATE TABLE api_keys_current (
    tenant_id uuid NOT NULL,
    api_key_fingerprint text NOT NULL,
    account_id uuid NOT NULL,
    last_event_id uuid NOT NULL,
    last_position bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT api_keys_current_pkey PRIMARY KEY (tenant_id, api_key_fingerprint)
) WITH (fillfactor = 70);
COMMENT ON TABLE api_keys_current IS 'Which account a key''s fingerprint stands for.';

CREATE TABLE strategy_state_current (
    tenant_id uuid NOT NULL,
    strategy_id uuid NOT NULL,
    account_id uuid NOT NULL,
    strategy_name text NOT NULL,
    strategy_type text NOT NULL,
    detector_config jsonb NOT NULL,
    risk_percent numeric(38,18) NOT NULL,
    max_exposure numeric(38,18),
    daily_loss_limit numeric(38,18),
    max_drawdown numeric(38,18),
    max_open_positions integer,
    trailing_mode text NOT NULL,
    stop_min_pct numeric(38,18) NOT NULL,
    stop_max_pct numeric(38,18) NOT NULL,
    version integer NOT NULL,
    is_enabled boolean NOT NULL,
    enabled_at timestamptz,
    disabled_at timestamptz,
    disabled_reason text,
    open_positions integer NOT NULL,
    closed_positions integer NOT NULL,
    winning_positions integer NOT NULL,
    win_rate numeric(76,18) NOT NULL,
    total_pnl numeric(76,18) NOT NULL,
    total_signals integer NOT NULL,
    last_event_id uuid NOT NULL,
    last_position bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT strategy_state_current_pkey PRIMARY KEY (tenant_id, strategy_id)
) WITH (fillfactor = 70);
COMMENT ON TABLE strategy_state_current IS 'A strategy, its settings and its results.';

CREATE TABLE signals_current (
    tenant_id uuid NOT NULL,
    signal_id uuid NOT NULL,
    position_id uuid,
    strategy_id uuid,
    symbol text NOT NULL,
    side text NOT NULL,
    entry_price numeric(38,18) NOT NULL,
    stop_loss numeric(38,18) NOT NULL,
    detector text NOT NULL,
    status text NOT NULL,
    rejection_reason text,
    decision_id uuid,
    detected_at timestamptz NOT NULL,
    expires_at timestamptz,
    last_event_id uuid NOT NULL,
    last_position bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT signals_current_pkey PRIMARY KEY (tenant_id, signal_id)
) WITH (fillfactor = 70);
COMMENT ON TABLE signals_current IS 'A signal and what became of it.';

CREATE TABLE decisions_current (
    tenant_id uuid NOT NULL,
    decision_id uuid NOT NULL,
    position_id uuid NOT NULL,
    account_id uuid NOT NULL,
    signal_id uuid NOT NULL,
    strategy_id uuid,
    symbol text NOT NULL,
    side text NOT NULL,
    entry_price numeric(38,18) NOT NULL,
    technical_stop_price numeric(38,18) NOT NULL,
    technical_stop_distance numeric(38,18) NOT NULL,
    capital numeric(38,18) NOT NULL,
    risk_percent numeric(38,18) NOT NULL,
    max_risk_amount numeric(38,18) NOT NULL,
    raw_quantity numeric(38,18) NOT NULL,
    quantity numeric(38,18) NOT NULL,
    quantity_limit text NOT NULL,
    planned_risk numeric(38,18) NOT NULL,
    notional numeric(38,18) NOT NULL,
    step_size numeric(38,18) NOT NULL,
    status text NOT NULL,
    check_id uuid,
    checks jsonb NOT NULL,
    failed_checks jsonb NOT NULL,
    violation_reason text,
    exposure_before numeric(38,18),
    exposure_after numeric(38,18),
    budget_remaining numeric(38,18),
    decided_at timestamptz NOT NULL,
    last_event_id uuid NOT NULL,
    last_position bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT decisions_current_pkey PRIMARY KEY (tenant_id, decision_id)
) WITH (fillfactor = 70);
COMMENT ON TABLE decisions_current IS 'A decision: what was proposed and what the risk gates said.';

CREATE TABLE intents_current (
    tenant_id uuid NOT NULL,
    intent_id uuid NOT NULL,
    position_id uuid,
    account_id uuid NOT NULL,
    decision_id uuid,
    intent_type text NOT NULL,
    symbol text NOT NULL,
    side text NOT NULL,
    order_type text NOT NULL,
    time_in_force text,
    quantity numeric(38,18) NOT NULL,
    price numeric(38,18),
    stop_price numeric(38,18),
    client_order_id text NOT NULL,
    expires_at timestamptz,
    reason text NOT NULL,
    cancels_order_id uuid,
    status text NOT NULL,
    order_id uuid,
    attempts integer NOT NULL,
    ended boolean NOT NULL,
    end_reason text,
    last_event_id uuid NOT NULL,
    last_position bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT intents_current_pkey PRIMARY KEY (tenant_id, intent_id)
) WITH (fillfactor = 70);
COMMENT ON TABLE intents_current IS 'What we are going to do at the venue, and how far it is.';

CREATE TABLE orders_current (
    tenant_id uuid NOT NULL,
    order_id uuid NOT NULL,
    account_id uuid NOT NULL,
    position_id uuid,
    intent_id uuid,
    client_order_id text NOT NULL,
    exchange_order_id text,
    symbol text NOT NULL,
    side text NOT NULL,
    order_type text NOT NULL,
    time_in_force text,
    quantity numeric(38,18) NOT NULL,
    price numeric(38,18),
    stop_price numeric(38,18),
    reduce_intent text NOT NULL,
    attempt integer NOT NULL,
    product text NOT NULL,
    side_effect text,
    status text NOT NULL,
    known boolean NOT NULL,
    recovered boolean NOT NULL,
    needs_resolution boolean NOT NULL,
    filled_quantity numeric(76,18) NOT NULL,
    cum_quote numeric(76,18) NOT NULL,
    average_fill_price numeric(76,18),
    fees jsonb NOT NULL,
    fee_quote numeric(76,18) NOT NULL,
    unvalued_fees integer NOT NULL,
    base_fee numeric(76,18) NOT NULL,
    base_fee_cost numeric(76,18) NOT NULL,
    exchange_trade_ids text[] NOT NULL,
    rejected boolean NOT NULL,
    ended_by text,
    uncertain_place boolean NOT NULL,
    uncertain_cancel boolean NOT NULL,
    reject_stage text,
    reject_code integer,
    reject_reason text,
    expiry_reason text,
    canceled_by text,
    cancel_intent_ids uuid[] NOT NULL,
    submitted_at timestamptz,
    acked_at timestamptz,
    last_fill_at timestamptz,
    filled_at timestamptz,
    canceled_at timestamptz,
    expired_at timestamptz,
    rejected_at timestamptz,
    last_event_id uuid NOT NULL,
    last_position bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT orders_current_pkey PRIMARY KEY (tenant_id, order_id)
) WITH (fillfactor = 70);
COMMENT ON TABLE orders_current IS 'An order; status is a function of the set of facts, not of their order of arrival.';

CREATE TABLE fills (
    tenant_id uuid NOT NULL,
    account_id uuid NOT NULL,
    symbol text NOT NULL,
    exchange_order_id text NOT NULL,
    exchange_trade_id text NOT NULL,
    fill_id uuid NOT NULL,
    order_id uuid NOT NULL,
    position_id uuid,
    client_order_id text NOT NULL,
    side text NOT NULL,
    fill_price numeric(38,18) NOT NULL,
    fill_quantity numeric(38,18) NOT NULL,
    quote_quantity numeric(38,18) NOT NULL,
    fee numeric(38,18) NOT NULL,
    fee_asset text,
    fee_quote numeric(38,18),
    is_maker boolean NOT NULL,
    synthetic boolean NOT NULL,
    source text NOT NULL,
    filled_at timestamptz NOT NULL,
    last_event_id uuid NOT NULL,
    last_position bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT fills_pkey PRIMARY KEY (tenant_id, account_id, symbol, exchange_order_id, exchange_trade_id)
);
COMMENT ON TABLE fills IS 'A trade of ours; it counts once.';

CREATE TABLE positions_current (
    tenant_id uuid NOT NULL,
    position_id uuid NOT NULL,
    account_id uuid NOT NULL,
    strategy_id uuid,
    symbol text NOT NULL,
    side text NOT NULL,
    state text NOT NULL,
    capital numeric(38,18) NOT NULL,
    risk_percent numeric(38,18) NOT NULL,
    trailing_mode text NOT NULL,
    detector_config jsonb NOT NULL,
    entry_signal_id uuid,
    decision_id uuid,
    planned_entry_price numeric(38,18),
    planned_quantity numeric(38,18),
    planned_risk numeric(38,18),
    technical_stop_price numeric(38,18),
    technical_stop_distance numeric(38,18),
    trailing_stop_price numeric(38,18),
    favorable_extreme numeric(38,18),
    extreme_at timestamptz,
    current_price numeric(38,18),
    entry_order_id uuid,
    exit_order_id uuid,
    stop_loss_order_id uuid,
    entry_done boolean NOT NULL,
    entry_quantity numeric(76,18) NOT NULL,
    entry_cost numeric(76,18) NOT NULL,
    entry_price numeric(76,18),
    current_quantity numeric(76,18) NOT NULL,
    exit_quantity numeric(76,18) NOT NULL,
    exit_proceeds numeric(76,18) NOT NULL,
    exit_base_fee numeric(76,18) NOT NULL,
    exit_base_fee_cost numeric(76,18) NOT NULL,
    entry_base_fee numeric(76,18) NOT NULL,
    exit_price numeric(76,18),
    reserved_quantity numeric(76,18) NOT NULL,
    total_fees numeric(76,18) NOT NULL,
    unvalued_fees integer NOT NULL,
    exposure numeric(76,18) NOT NULL,
    open_risk numeric(76,18) NOT NULL,
    realized_pnl numeric(76,18),
    unrealized_pnl numeric(76,18) NOT NULL,
    net_pnl numeric(76,18),
    dust_quantity numeric(76,18),
    exit_reason text,
    disarm_reason text,
    exit_triggers integer NOT NULL,
    stop_event_id uuid,
    exit_order_ids uuid[] NOT NULL,
    armed_at timestamptz,
    entry_filled_at timestamptz,
    opened_at timestamptz,
    exiting_at timestamptz,
    closed_at timestamptz,
    last_event_id uuid NOT NULL,
    last_position bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT positions_current_pkey PRIMARY KEY (tenant_id, position_id)
) WITH (fillfactor = 70);
COMMENT ON TABLE positions_current IS 'A position.';

CREATE TABLE position_slots_current (
    tenant_id uuid NOT NULL,
    account_id uuid NOT NULL,
    symbol text NOT NULL,
    side text NOT NULL,
    position_id uuid,
    last_event_id uuid NOT NULL,
    last_position bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT position_slots_current_pkey PRIMARY KEY (tenant_id, account_id, symbol, side)
) WITH (fillfactor = 70);
COMMENT ON TABLE position_slots_current IS 'Which position holds an account''s symbol and side; one at a time.';

CREATE TABLE balances_current (
    tenant_id uuid NOT NULL,
    account_id uuid NOT NULL,
    wallet text NOT NULL,
    asset text NOT NULL,
    free numeric(76,18) NOT NULL,
    locked numeric(76,18) NOT NULL,
    total numeric(76,18) NOT NULL,
    borrowed numeric(76,18) NOT NULL,
    interest numeric(76,18) NOT NULL,
    sampled_at timestamptz NOT NULL,
    source text NOT NULL,
    last_event_id uuid NOT NULL,
    last_position bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT balances_current_pkey PRIMARY KEY (tenant_id, account_id, wallet, asset)
) WITH (fillfactor = 70);
COMMENT ON TABLE balances_current IS 'An asset of a wallet, as the venue last told.';

CREATE TABLE risk_state_current (
    tenant_id uuid NOT NULL,
    account_id uuid NOT NULL,
    strategy_id uuid NOT NULL,
    risk_percent_max numeric(38,18),
    max_exposure numeric(38,18),
    max_position_notional numeric(38,18),
    daily_loss_limit numeric(38,18),
    max_drawdown numeric(38,18),
    monthly_budget_percent numeric(38,18),
    capital_base numeric(38,18),
    max_open_positions integer,
    total_exposure numeric(76,18) NOT NULL,
    open_risk numeric(76,18) NOT NULL,
    open_positions integer NOT NULL,
    pnl_day text,
    daily_pnl numeric(76,18) NOT NULL,
    pnl_month text,
    monthly_pnl numeric(76,18) NOT NULL,
    total_pnl numeric(76,18) NOT NULL,
    peak_pnl numeric(76,18) NOT NULL,
    drawdown numeric(76,18) NOT NULL,
    is_violated boolean NOT NULL,
    violation_reason text,
    violated_at timestamptz,
    halts jsonb NOT NULL,
    alerts jsonb NOT NULL,
    calculated_at timestamptz,
    last_event_id uuid NOT NULL,
    last_position bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT risk_state_current_pkey PRIMARY KEY (tenant_id, account_id, strategy_id)
) WITH (fillfactor = 70);
COMMENT ON TABLE risk_state_current IS 'Limits and use of them, of an account (strategy_id zero) or a strategy.';

CREATE TABLE pnl_periods_current (
    tenant_id uuid NOT NULL,
    account_id uuid NOT NULL,
    strategy_id uuid NOT NULL,
    period text NOT NULL,
    net_pnl numeric(76,18) NOT NULL,
    fees numeric(76,18) NOT NULL,
    closed_positions integer NOT NULL,
    winning_positions integer NOT NULL,
    last_event_id uuid NOT NULL,
    last_position bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT pnl_periods_current_pkey PRIMARY KEY (tenant_id, account_id, strategy_id, period)
) WITH (fillfactor = 70);
COMMENT ON TABLE pnl_periods_current IS 'Net P&L of positions closed in a UTC day or month.';

CREATE TABLE margin_loans_current (
    tenant_id uuid NOT NULL,
    account_id uuid NOT NULL,
    symbol text NOT NULL,
    asset text NOT NULL,
    borrowed numeric(76,18) NOT NULL,
    interest_paid numeric(76,18) NOT NULL,
    last_event_id uuid NOT NULL,
    last_position bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT margin_loans_current_pkey PRIMARY KEY (tenant_id, account_id, symbol, asset)
) WITH (fillfactor = 70);
COMMENT ON TABLE margin_loans_current IS 'What is borrowed in an isolated margin account.';

CREATE TABLE discrepancies_current (
    tenant_id uuid NOT NULL,
    discrepancy_id uuid NOT NULL,
    account_id uuid NOT NULL,
    run_id uuid,
    kind text NOT NULL,
    entity text NOT NULL,
    order_id uuid,
    position_id uuid,
    expected jsonb NOT NULL,
    actual jsonb NOT NULL,
    severity text NOT NULL,
    resolution text NOT NULL,
    is_open boolean NOT NULL,
    detected_at timestamptz NOT NULL,
    last_event_id uuid NOT NULL,
    last_position bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT discrepancies_current_pkey PRIMARY KEY (tenant_id, discrepancy_id)
) WITH (fillfactor = 70);
COMMENT ON TABLE discrepancies_current IS 'What was reported and does not fit.';

-- What the services list by. The primary keys serve the rest.

CREATE INDEX orders_current_position_idx ON orders_current (tenant_id, position_id) WHERE position_id IS NOT NULL;
CREATE INDEX orders_current_unresolved_idx ON orders_current (tenant_id, account_id) WHERE needs_resolution;
CREATE INDEX intents_current_position_idx ON intents_current (tenant_id, position_id) WHERE position_id IS NOT NULL;
CREATE INDEX decisions_current_position_idx ON decisions_current (tenant_id, position_id);
CREATE INDEX signals_current_position_idx ON signals_current (tenant_id, position_id) WHERE position_id IS NOT NULL;
CREATE INDEX fills_order_idx ON fills (tenant_id, order_id);
CREATE INDEX fills_position_idx ON fills (tenant_id, position_id) WHERE position_id IS NOT NULL;
CREATE INDEX fills_fill_idx ON fills (tenant_id, fill_id);
CREATE INDEX positions_current_open_idx ON positions_current (tenant_id, account_id) WHERE state <> 'closed';
CREATE INDEX discrepancies_current_open_idx ON discrepancies_current (tenant_id, account_id) WHERE is_open;
