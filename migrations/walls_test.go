package migrations_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/pkg/testkit"
)

// notOfTenants are the tables that hold nothing of any tenant, and why.
var notOfTenants = map[string]string{
	"schema_migrations": "which version the schema is at: the migrations' own, and no serving role may even read it",
}

// beyondTenants are the policies that do not compare with the tenants that a transaction named, and why.
var beyondTenants = map[string]string{
	"tenant_log.eventlog_all":    "naming the tenants there are needs all heads; it must be asked for by '*', with which no other row is seen",
	"tenant_log.snapshotter_all": "likewise",
	"tenant_log.replayer_all":    "likewise",
}

// changes says what the roles beside eventlog's may change, by table; the projections are under the name "state".
var changes = map[string]map[string][]string{
	"robson_projector": {},
	"robson_snapshotter": {
		"snapshots":     {"INSERT", "UPDATE", "DELETE"},
		"snapshots_due": {"INSERT", "UPDATE", "DELETE"},
		"tenant_log":    {"UPDATE"},
	},
	"robson_replayer": {
		"state":         {"INSERT", "UPDATE", "DELETE"},
		"tenant_log":    {"UPDATE"},
		"replay_runs":   {"INSERT", "UPDATE", "DELETE"},
		"snapshots":     {"UPDATE"},
		"snapshots_due": {"INSERT"},
	},
}

// headColumns are those of tenant_log that a role beside eventlog's may change.
var headColumns = map[string][]string{
	"robson_snapshotter": {"snapshot_at_workflow_end", "snapshot_every_events", "snapshot_every_seconds"},
	"robson_replayer":    {"epoch", "generation", "rules_version"},
}

// snapshotColumns are those of a snapshot that may change: whether it was told, and what was found of it. Its state is what it is.
var snapshotColumns = map[string][]string{
	"robson_snapshotter": {"told_at", "unfit", "verified_at"},
	"robson_replayer":    {"unfit", "verified_at"},
}

// texts reads a query for one text a row.
func texts(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) []string {
	t.Helper()
	rows, err := pool.Query(t.Context(), sql, args...)
	require.NoError(t, err)
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return found
}

// tables are the tables of the schema, partitions included where wanted.
func tables(t *testing.T, pool *pgxpool.Pool, partitions bool) []string {
	t.Helper()
	return texts(t, pool, `
select relname from pg_class
where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and (not relispartition or $1)
order by relname`, partitions)
}

// roles are the roles that serve: those that a policy is for. The cluster may have others that are not this schema's.
func roles(t *testing.T, pool *pgxpool.Pool) []string {
	t.Helper()
	found := texts(t, pool, `select distinct role::regrole::text from pg_policy, unnest(polroles) as role order by 1`)
	require.Subset(t, found, []string{"robson_eventlog", "robson_projector"})
	return found
}

// TestCatalogue_tenant_is_first_in_every_key: in every table, and in every index, unique or not.
func TestCatalogue_tenant_is_first_in_every_key(t *testing.T) {
	t.Parallel()
	pool := testkit.Database(t).Pool(t, "")
	all := tables(t, pool, true)
	require.Greater(t, len(all), 25)
	for _, table := range all {
		if notOfTenants[table] != "" {
			continue
		}
		keys := texts(t, pool, `select contype::text from pg_constraint where conrelid = $1::regclass and contype = 'p'`, table)
		require.Len(t, keys, 1, "%s needs a primary key", table)
		indexes := texts(t, pool, `
select i.indexrelid::regclass || ' begins with ' || coalesce(a.attname, 'an expression')
from pg_index as i left join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
where i.indrelid = $1::regclass`, table)
		require.NotEmpty(t, indexes)
		for _, index := range indexes {
			require.True(t, strings.HasSuffix(index, " begins with tenant_id"), index)
		}
		nullable := texts(t, pool, `select attname::text from pg_attribute where attrelid = $1::regclass and attname = 'tenant_id' and attnotnull and atttypid = 'uuid'::regtype`, table)
		require.Len(t, nullable, 1, "%s: tenant_id must be a uuid and never null", table)
	}
	views := texts(t, pool, `select relname::text from pg_class where relnamespace = 'public'::regnamespace and relkind in ('v', 'm', 'f', 'S')`)
	require.Empty(t, views, "views, foreign tables and sequences get round the policies, or tell of other tenants' pace")
	constraints := texts(t, pool, `select conname::text from pg_constraint where connamespace = 'public'::regnamespace and contype in ('f', 'x')`)
	require.Empty(t, constraints, "a foreign key or an exclusion would tell of rows that the policies hide")
}

// TestCatalogue_rows_are_walled_off: row-level security is on, forced for owners too, and every policy goes by the tenants
// that the transaction named.
func TestCatalogue_rows_are_walled_off(t *testing.T) {
	t.Parallel()
	pool := testkit.Database(t).Pool(t, "")
	open := texts(t, pool, `
select relname::text from pg_class
where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not (relrowsecurity and relforcerowsecurity)`)
	for _, table := range open {
		require.NotEmpty(t, notOfTenants[table], "%s: row-level security must be enabled and forced", table)
	}
	rows, err := pool.Query(t.Context(), `
select tablename || '.' || policyname, roles::text[], cmd, coalesce(qual, ''), coalesce(with_check, '') from pg_policies where schemaname = 'public'`)
	require.NoError(t, err)
	type policy struct {
		Name       string
		Roles      []string
		Cmd        string
		Qual, Adds string
	}
	policies, err := pgx.CollectRows(rows, pgx.RowToStructByPos[policy])
	require.NoError(t, err)
	require.NotEmpty(t, policies)
	const compares = "(tenant_id = ANY (( SELECT robson_tenants() AS robson_tenants)::uuid[]))"
	for _, p := range policies {
		require.NotContains(t, p.Roles, "public", p.Name)
		if beyondTenants[p.Name] != "" {
			require.Equal(t, "SELECT", p.Cmd, p.Name)
			continue
		}
		require.Equal(t, compares, p.Qual, p.Name)
		require.Contains(t, []string{"", compares}, p.Adds, "%s: what is added must be of the tenants named", p.Name)
	}
	partitions := texts(t, pool, `
select c.relname::text from pg_class as c join pg_policy as p on p.polrelid = c.oid where c.relispartition`)
	require.Empty(t, partitions, "a partition is reached by its parent only")
}

// TestCatalogue_roles_have_the_least: the roles that serve own nothing, are nobody else, and have no right to change
// history, nor any right at all on a partition.
func TestCatalogue_roles_have_the_least(t *testing.T) {
	t.Parallel()
	pool := testkit.Database(t).Pool(t, "")
	var all []string
	for _, role := range roles(t, pool) {
		powers := texts(t, pool, `
select rolname::text from pg_roles
where rolname = $1 and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication or rolcanlogin)`, role)
		require.Empty(t, powers, "%s: no login, no power", role)
		memberships := texts(t, pool, `select roleid::regrole::text from pg_auth_members where member = $1::regrole`, role)
		require.Empty(t, memberships, "%s must be nobody else", role)
		owned := texts(t, pool, `
select relname::text from pg_class where relowner = $1::regrole
union all select proname from pg_proc where proowner = $1::regrole
union all select nspname from pg_namespace where nspowner = $1::regrole`, role)
		require.Empty(t, owned, "%s must own nothing", role)
		schemas := texts(t, pool, `select nspname::text from pg_namespace where nspname !~ '^pg_(temp|toast)' and has_schema_privilege($1, oid, 'CREATE')`, role)
		require.Empty(t, schemas, "%s must make nothing", role)
		all = append(all, texts(t, pool, `
select $1 || ' may ' || p.privilege || ' on ' || c.relname || case when c.relispartition then ', a partition' else '' end
from pg_class as c cross join unnest(array['INSERT', 'SELECT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) as p (privilege)
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
  and (has_table_privilege($1, c.oid, p.privilege)
    or p.privilege not in ('DELETE', 'TRUNCATE', 'TRIGGER') and has_any_column_privilege($1, c.oid, p.privilege))`, role)...)
	}
	require.NotEmpty(t, all)
	for _, right := range all {
		require.NotContains(t, right, "a partition")
		require.NotContains(t, right, "schema_migrations")
		for _, power := range []string{"TRUNCATE", "REFERENCES", "TRIGGER"} {
			require.NotContains(t, right, " may "+power)
		}
		for _, table := range []string{"event_log", "commands"} {
			require.NotEqual(t, right, "robson_eventlog may UPDATE on "+table)
			require.False(t, strings.HasSuffix(right, "on "+table) && (strings.Contains(right, "UPDATE") || strings.Contains(right, "DELETE")), right)
		}
		var role, power, table string
		_, err := fmt.Sscanf(right, "%s may %s on %s", &role, &power, &table)
		require.NoError(t, err, right)
		if role == "robson_eventlog" {
			require.True(t, power != "DELETE" || table == "leases", "%s: a lease is given back; nothing else ends", right)
			continue
		}
		if strings.HasSuffix(table, "_current") || table == "fills" {
			table = "state"
		}
		require.True(t, power == "SELECT" || slices.Contains(changes[role][table], power), right)
	}
	for role, columns := range headColumns {
		require.Equal(t, columns, texts(t, pool, `
select column_name::text from information_schema.column_privileges
where grantee = $1 and table_name = 'tenant_log' and privilege_type = 'UPDATE' order by 1`, role))
	}
	for role, columns := range snapshotColumns {
		require.Equal(t, columns, texts(t, pool, `
select column_name::text from information_schema.column_privileges
where grantee = $1 and table_name = 'snapshots' and privilege_type = 'UPDATE' order by 1`, role))
	}
}

// TestCatalogue_functions_cannot_be_led_astray: what runs as the owner names the schemas it looks into, the temporary one
// last, and is for the roles that need it.
func TestCatalogue_functions_cannot_be_led_astray(t *testing.T) {
	t.Parallel()
	pool := testkit.Database(t).Pool(t, "")
	settings := texts(t, pool, `
select proname || ': ' || coalesce(array_to_string(proconfig, ' '), '') from pg_proc
where pronamespace = 'public'::regnamespace and (prosecdef or proname in ('make_append_only', 'create_month_partitions'))`)
	require.Len(t, settings, 4)
	for _, setting := range settings {
		require.Contains(t, setting, "search_path=pg_catalog, public, pg_temp")
	}
	for _, role := range append(roles(t, pool), "public") {
		mighty := texts(t, pool, `
select proname::text from pg_proc where pronamespace = 'public'::regnamespace and has_function_privilege($1, oid, 'EXECUTE') and proname <> 'robson_tenants'
order by 1`, role)
		if role == "robson_eventlog" {
			require.Equal(t, []string{"check_partition_coverage", "create_event_log_partitions", "create_snapshot_partitions", "next_seq"}, mighty)
			continue
		}
		if role == "robson_snapshotter" || role == "robson_replayer" {
			require.Equal(t, []string{"robson_cluster"}, mighty)
			continue
		}
		require.Empty(t, mighty, role)
	}
}

// valueOf is a value for a column of a type, in SQL. A type or a check that is new must be taught here.
func valueOf(column, kind string) (string, bool) {
	byName := map[string]string{"actor_type": "'cli'", "kind": "'rebuild'", "scope": "'account'", "status": "'done'", "trigger": "'count'", "tenant_id": "$1::uuid"}
	byType := map[string]string{
		"uuid": "gen_random_uuid()", "text": "gen_random_uuid()::text", "bigint": "7", "integer": "7", "boolean": "true", "numeric": "7", "timestamptz": "now()",
		"bytea": "sha256('x')", "json": "'{}'", "jsonb": "'{}'", "text[]": "'{}'", "uuid[]": "'{}'",
	}
	if value, known := byName[column]; known {
		return value, true
	}
	value, known := byType[kind]
	return value, known
}

// insertInto is the statement that inserts a row of tenant $1 into a table.
func insertInto(t *testing.T, pool *pgxpool.Pool, table string) string {
	t.Helper()
	columns := texts(t, pool, `
select a.attname || ' ' || case format_type(a.atttypid, null) when 'timestamp with time zone' then 'timestamptz' else format_type(a.atttypid, null) end
from pg_attribute as a where a.attrelid = $1::regclass and a.attnum > 0 and not a.attisdropped order by a.attnum`, table)
	names, values := make([]string, len(columns)), make([]string, len(columns))
	for i, column := range columns {
		name, kind, _ := strings.Cut(column, " ")
		value, known := valueOf(name, kind)
		require.True(t, known, "%s.%s is a %s", table, name, kind)
		names[i], values[i] = name, value
	}
	return fmt.Sprintf("insert into %s (%s) values (%s)", table, strings.Join(names, ", "), strings.Join(values, ", "))
}

// walls is a database with a row of two tenants in every table.
type walls struct {
	db      *testkit.DB
	super   *pgxpool.Pool
	tables  []string
	a, b    uuid.UUID
	inserts map[string]string
}

func newWalls(t *testing.T) *walls {
	t.Helper()
	db := testkit.Database(t)
	w := &walls{db: db, super: db.Pool(t, ""), a: uuid.New(), b: uuid.New(), inserts: map[string]string{}}
	for _, table := range tables(t, w.super, false) {
		if notOfTenants[table] != "" {
			continue
		}
		w.tables = append(w.tables, table)
		w.inserts[table] = insertInto(t, w.super, table)
		for _, tenant := range []uuid.UUID{w.a, w.b} {
			_, err := w.super.Exec(t.Context(), w.inserts[table], tenant)
			require.NoError(t, err, table)
		}
	}
	require.Greater(t, len(w.tables), 15)
	return w
}

// as runs something as a role that named tenants; nil: it named none at all. What it does is taken back.
func (w *walls) as(t *testing.T, pool *pgxpool.Pool, tenants *string, do func(tx pgx.Tx)) {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(context.WithoutCancel(t.Context()))) }()
	if tenants != nil {
		_, err = tx.Exec(t.Context(), "select set_config('robson.tenants', $1, true)", *tenants)
		require.NoError(t, err)
	}
	do(tx)
}

// may says whether a role has a right on a table.
func (w *walls) may(t *testing.T, role, table, right string) bool {
	t.Helper()
	var may bool
	require.NoError(t, w.super.QueryRow(t.Context(), "select has_table_privilege($1, $2, $3)", role, table, right).Scan(&may))
	return may
}

// requireRefused holds an error to the server's refusal: a privilege that is lacking, a policy, or the append-only trigger.
func requireRefused(t *testing.T, err error, codes ...string) {
	t.Helper()
	require.Error(t, err)
	code, _, _ := postgres.SQLState(err)
	require.Contains(t, codes, code, "%v", err)
}

const (
	insufficientPrivilege = "42501" // a policy's refusal, too
	restrictViolation     = "23001" // the append-only trigger
)

// TestRows_are_seen_by_who_named_their_tenant holds law 9 in the database: as each role, in each table.
func TestRows_are_seen_by_who_named_their_tenant(t *testing.T) {
	t.Parallel()
	w := newWalls(t)
	none, star, a, both := "", "*", w.a.String(), w.a.String()+","+w.b.String()
	for _, role := range roles(t, w.super) {
		pool := w.db.Pool(t, role)
		for _, table := range w.tables {
			for _, test := range []struct {
				name    string
				tenants *string
				sees    []uuid.UUID
			}{
				{"nobody", nil, nil},
				{"none", &none, nil},
				{"all", &star, nil},
				{"one", &a, []uuid.UUID{w.a}},
				{"both", &both, []uuid.UUID{w.a, w.b}},
			} {
				w.as(t, pool, test.tenants, func(tx pgx.Tx) {
					rows, err := tx.Query(t.Context(), "select distinct tenant_id from "+table)
					require.NoError(t, err)
					found, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
					if !w.may(t, role, table, "SELECT") {
						requireRefused(t, err, insufficientPrivilege)
						return
					}
					require.NoError(t, err)
					sees := test.sees
					if test.tenants == &star && table == "tenant_log" && role != "robson_projector" {
						sees = []uuid.UUID{w.a, w.b} // See beyondTenants.
					}
					require.ElementsMatch(t, sees, found, "%s, having named %s, in %s", role, test.name, table)
				})
			}
		}
	}
}

// TestRows_are_written_by_who_named_their_tenant: nobody writes a row of another, makes one of it, changes or ends one.
func TestRows_are_written_by_who_named_their_tenant(t *testing.T) {
	t.Parallel()
	w := newWalls(t)
	a := w.a.String()
	for _, role := range roles(t, w.super) {
		pool := w.db.Pool(t, role)
		for _, table := range w.tables {
			insert := func(tenants *string, tenant uuid.UUID) (err error) {
				w.as(t, pool, tenants, func(tx pgx.Tx) { _, err = tx.Exec(t.Context(), w.inserts[table], tenant) })
				return err
			}
			requireRefused(t, insert(nil, w.b), insufficientPrivilege)
			requireRefused(t, insert(&a, w.b), insufficientPrivilege)
			fresh := uuid.New()
			own := fresh.String()
			if w.may(t, role, table, "INSERT") {
				require.NoError(t, insert(&own, fresh), "%s writes its own in %s", role, table)
			} else {
				requireRefused(t, insert(&own, fresh), insufficientPrivilege)
			}
			if w.may(t, role, table, "UPDATE") {
				w.as(t, pool, &a, func(tx pgx.Tx) {
					tag, err := tx.Exec(t.Context(), "update "+table+" set tenant_id = tenant_id where tenant_id = $1", w.b)
					require.NoError(t, err)
					require.Zero(t, tag.RowsAffected(), "%s of another tenant in %s", role, table)
					_, err = tx.Exec(t.Context(), "update "+table+" set tenant_id = $1", w.b)
					requireRefused(t, err, insufficientPrivilege)
				})
			}
			if w.may(t, role, table, "DELETE") {
				w.as(t, pool, &a, func(tx pgx.Tx) {
					tag, err := tx.Exec(t.Context(), "delete from "+table+" where tenant_id = $1", w.b)
					require.NoError(t, err)
					require.Zero(t, tag.RowsAffected())
				})
			}
		}
	}
}

// TestTenants_that_are_malformed_are_an_error and not everybody.
func TestTenants_that_are_malformed_are_an_error(t *testing.T) {
	t.Parallel()
	w := newWalls(t)
	pool := w.db.Pool(t, "robson_eventlog")
	for _, text := range []string{"x", "*,*", w.a.String() + ",*", "%", ",", w.a.String() + ";"} {
		w.as(t, pool, &text, func(tx pgx.Tx) {
			_, err := tx.Exec(t.Context(), "select from event_log")
			require.Error(t, err, text)
		})
	}
}

// TestHistory_is_refused_to_everybody holds law 10: no role that serves, and not the owner either, a superuser who has not
// taken the triggers off, changes an event: not by the parent, not by a partition, not by one that was detached, and in no
// replication role.
func TestHistory_is_refused_to_everybody(t *testing.T) {
	t.Parallel()
	w := newWalls(t)
	month := texts(t, w.super, `select tableoid::regclass::text from event_log limit 1`)[0]
	empty := texts(t, w.super, `
select inhrelid::regclass::text from pg_inherits where inhparent = 'event_log'::regclass and inhrelid <> $1::regclass order by 1`, month)
	require.NotEmpty(t, empty)
	both := w.a.String() + "," + w.b.String()
	hold := func(tables ...string) {
		for _, role := range append(roles(t, w.super), "") {
			pool := w.db.Pool(t, role)
			for _, table := range tables {
				for _, sql := range []string{
					"update " + table + " set actor_id = 'mallory'", "update only " + table + " set actor_id = 'mallory'", "update " + table + " set actor_id = actor_id where false",
					"delete from " + table, "delete from " + table + " where false", "truncate " + table, "truncate " + table + " cascade",
					"merge into " + table + " as e using (select 1) as x on true when matched then delete",
					"insert into " + table + " select * from " + table + " on conflict (tenant_id, position, ingested_at) do update set actor_id = 'mallory'",
				} {
					for _, replication := range []string{"origin", "replica", "local"} {
						if role != "" && replication != "origin" {
							continue // A right of superusers.
						}
						w.as(t, pool, &both, func(tx pgx.Tx) {
							if role == "" {
								_, err := tx.Exec(t.Context(), "select set_config('session_replication_role', $1, true)", replication)
								require.NoError(t, err)
							}
							_, err := tx.Exec(t.Context(), sql)
							if role == "" {
								requireRefused(t, err, restrictViolation)
							} else {
								requireRefused(t, err, insufficientPrivilege)
							}
						})
					}
				}
			}
		}
	}
	hold(append([]string{"event_log", month}, empty...)...)
	_, err := w.super.Exec(t.Context(), "alter table event_log detach partition "+month)
	require.NoError(t, err)
	hold(month)
	var made int
	require.NoError(t, w.super.QueryRow(t.Context(), "select create_month_partitions('event_log', now() + interval '2 years', 1)").Scan(&made))
	require.Equal(t, 2, made)
	later := texts(t, w.super, `select inhrelid::regclass::text from pg_inherits where inhparent = 'event_log'::regclass order by 1 desc limit 2`)
	hold(later...)
	require.False(t, slices.Contains(later, month))
	require.Len(t, texts(t, w.super, "select tenant_id::text from "+month), 2, "and nothing was changed")
}

// TestCommands_stay: no role that serves changes or ends a receipt.
func TestCommands_stay(t *testing.T) {
	t.Parallel()
	w := newWalls(t)
	both := w.a.String() + "," + w.b.String()
	for _, role := range roles(t, w.super) {
		pool := w.db.Pool(t, role)
		for _, sql := range []string{"update commands set event_count = 1", "delete from commands", "truncate commands"} {
			w.as(t, pool, &both, func(tx pgx.Tx) {
				_, err := tx.Exec(t.Context(), sql)
				requireRefused(t, err, insufficientPrivilege)
			})
		}
	}
}

// TestOwners_that_are_no_superusers_are_walled_off_too: row-level security is forced.
func TestOwners_that_are_no_superusers_are_walled_off_too(t *testing.T) {
	t.Parallel()
	w := newWalls(t)
	owner := "owner_" + strings.ReplaceAll(uuid.NewString(), "-", "_")
	run := func(sql string) {
		_, err := w.super.Exec(context.WithoutCancel(t.Context()), sql)
		require.NoError(t, err, sql)
	}
	run("create role " + owner)
	t.Cleanup(func() {
		run("reassign owned by " + owner + " to current_user")
		run("drop owned by " + owner)
		run("drop role " + owner)
	})
	run("grant all on schema public to " + owner)
	for _, table := range tables(t, w.super, true) {
		if notOfTenants[table] == "" {
			run("alter table " + table + " owner to " + owner)
		}
	}
	pool := w.db.Pool(t, owner)
	a := w.a.String()
	for _, table := range tables(t, w.super, true) {
		if notOfTenants[table] != "" {
			continue
		}
		w.as(t, pool, &a, func(tx pgx.Tx) {
			var count int
			require.NoError(t, tx.QueryRow(t.Context(), "select count(*) from "+table).Scan(&count))
			require.Zero(t, count, table)
		})
	}
	for _, sql := range []string{"update event_log set actor_id = 'mallory'", "delete from event_log", "truncate event_log"} {
		w.as(t, pool, &a, func(tx pgx.Tx) {
			_, err := tx.Exec(t.Context(), sql)
			requireRefused(t, err, restrictViolation)
		})
	}
}

// TestFunctions_do_not_look_into_the_temporary_schema: a role that makes a pg_class of its own leads nothing astray that
// runs as the owner.
func TestFunctions_do_not_look_into_the_temporary_schema(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t)
	super := db.Pool(t, "")
	before := tables(t, super, true)
	conn, err := db.Pool(t, "robson_eventlog").Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	_, err = conn.Exec(t.Context(), `
create temporary table pg_class as select 'event_log'::regclass::oid as oid, 'evil'::name as relname;
select set_config('search_path', 'pg_temp, public', false)`)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "select public.create_event_log_partitions(6)")
	require.NoError(t, err)
	made := slices.DeleteFunc(tables(t, super, true), func(name string) bool { return slices.Contains(before, name) })
	require.NotEmpty(t, made)
	for _, name := range made {
		require.True(t, strings.HasPrefix(name, "event_log_"), name)
		require.Len(t, texts(t, super, "select tgname::text from pg_trigger where tgrelid = $1::regclass and tgenabled = 'A'", name), 1, "%s is append-only", name)
	}
}
