// Package migrations holds the schema's history. A file is never edited after it has been merged.
package migrations

import "embed"

// FS has every migration: NNN_what.up.sql and NNN_what.down.sql.
//
//go:embed *.sql
var FS embed.FS
