package migrate

import (
	"context"
	"io/fs"

	"github.com/golang-migrate/migrate/v4"
)

// UpWith is Up with other migrations.
func UpWith(ctx context.Context, url string, files fs.FS) error {
	return run(ctx, url, files, "up", (*migrate.Migrate).Up)
}
