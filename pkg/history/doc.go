// Package history reads a tenant's log out of PostgreSQL for folding: fast, in order, with bounded memory, and never less
// than was asked for.
//
//	reader, err := history.New(history.Config{})
//	state := &projection.Scratch{}
//	err = postgres.InTx(ctx, pool, readOnly, func(ctx context.Context, tx pgx.Tx) error {
//		_, err := reader.Each(ctx, tx, history.Scope{Tenant: tenant}, func(ev *projection.Event) error {
//			_, err := projection.Fold(state, *ev)
//			return err
//		})
//		return err
//	})
//
// Three goroutines share the work: one reads rows, one decodes them, and the caller's own folds. Between them go batches,
// of which there is a fixed number, so that a slow fold slows the reading down and nothing piles up.
//
//	rows -> reading -> batches -> decoding -> batches -> each (the caller's goroutine) -> back to reading
//
// Reading goes by windows of positions, one statement each: a statement that is given up is read to the end of its window
// only, and its connection stays usable. The log is append-only and its positions have no gaps, so windows need no
// common snapshot: what was read stays true, in every isolation level. The position after To is never looked at.
//
// Law 11: what cannot be decoded, what is missing, and with Verify what does not continue the hash chain, is Corrupt, names
// its position, and ends the reading; each has then seen every event before that position, and none after.
package history
