// Package postgres is how Robson's stores reach PostgreSQL: pools that act as a service's own database role, with
// every time-out set; transactions, begun, ended and retried in one place; exact decimals and uuids on the wire; and
// driver errors turned into the kinds of package fault.
package postgres
