// Package venue says what the connector asks of a trading venue, shaped by what Binance really does.
//
// A venue is an outside world. It answers late, twice or never; it forgets client order ids once an order is
// no longer open, so that sending one again buys again; its order and trade ids are unique only within a symbol;
// its queries may lag behind its matching engine; its user stream has no replay. Every implementation keeps to
// these rules, the paper venue too, so that what works on paper works for real.
//
// Three kinds of answer to an order or a cancel matter, and nothing else does (see errors.go): it was done, it was
// definitely not done (*RejectedError, *RateLimitedError), or nobody knows (*UncertainError). The last is never taken for the second.
package venue
