-- The projections can be folded again from the log at any time; their indexes go with them.
DROP TABLE discrepancies_current;
DROP TABLE margin_loans_current;
DROP TABLE pnl_periods_current;
DROP TABLE risk_state_current;
DROP TABLE balances_current;
DROP TABLE position_slots_current;
DROP TABLE positions_current;
DROP TABLE fills;
DROP TABLE orders_current;
DROP TABLE intents_current;
DROP TABLE decisions_current;
DROP TABLE signals_current;
DROP TABLE strategy_state_current;
DROP TABLE api_keys_current;
DROP TABLE accounts_current;
DROP TABLE tenants_current;
