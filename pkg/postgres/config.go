package postgres

import (
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Config says how a service reaches its database. The zero value of every field but URL works.
type Config struct {
	// URL is a libpq URL or keyword string. Its password never appears in an error.
	URL string
	// Role is the database role the service acts as, e.g. robson_eventlog. The login role must be a member of it.
	// Empty acts as the login role.
	Role string
	// Application is shown in pg_stat_activity. Default "robson".
	Application string

	// ConnsMax bounds the pool. Default 8.
	ConnsMax int
	// ConnsMin are kept open when idle. Default 0.
	ConnsMin int

	// ByIndex keeps the planner from scanning whole tables where an index will do. Plans of prepared statements are kept,
	// and a table that is small or unknown when one is made looks best scanned, however large it then grows.
	ByIndex bool
	// PlanOnce has a prepared statement planned when it first runs, and never for the values it gets. It is for a service
	// whose statements have one good plan each and run often (ADR-0028).
	PlanOnce bool

	// ConnectTimeout bounds the making of one connection. Default 5 s.
	ConnectTimeout time.Duration
	// LockTimeout bounds the wait for any one lock, so that a busy tenant is an answer and not a queue. Default 2 s.
	LockTimeout time.Duration
	// StatementTimeout bounds one statement. Default 30 s.
	StatementTimeout time.Duration
	// IdleInTransactionTimeout ends a session that holds a transaction and says nothing: a peer that hangs must not
	// hold a tenant. Default 10 s.
	IdleInTransactionTimeout time.Duration
	// TCPUserTimeout is how long the server waits for a silent peer to acknowledge data. Default 10 s.
	TCPUserTimeout time.Duration
}

const (
	connsMaxDefault                 = 8
	connsMaxLimit                   = 1000
	connectTimeoutDefault           = 5 * time.Second
	lockTimeoutDefault              = 2 * time.Second
	statementTimeoutDefault         = 30 * time.Second
	idleInTransactionTimeoutDefault = 10 * time.Second
	tcpUserTimeoutDefault           = 10 * time.Second
)

// roleName is what an unquoted identifier may be. `role` travels as a setting's value, which needs no quoting; the
// rule is here so that a slip in a configuration is told by name and not by the server.
var roleName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

// ForService returns a copy with what a service of Robson's has where nothing was chosen: the role robson_<name>, the
// application robson-<name>, and its most connections.
func (c Config) ForService(name string, connsMax int) Config {
	if c.Role == "" {
		c.Role = "robson_" + name
	}
	if c.Application == "" {
		c.Application = "robson-" + name
	}
	if c.ConnsMax == 0 {
		c.ConnsMax = connsMax
	}
	return c
}

// withDefaults returns a copy in which every unset field has its default.
func (c Config) withDefaults() Config {
	if c.Application == "" {
		c.Application = "robson"
	}
	if c.ConnsMax == 0 {
		c.ConnsMax = connsMaxDefault
	}
	setDefault(&c.ConnectTimeout, connectTimeoutDefault)
	setDefault(&c.LockTimeout, lockTimeoutDefault)
	setDefault(&c.StatementTimeout, statementTimeoutDefault)
	setDefault(&c.IdleInTransactionTimeout, idleInTransactionTimeoutDefault)
	setDefault(&c.TCPUserTimeout, tcpUserTimeoutDefault)
	return c
}

func setDefault(d *time.Duration, to time.Duration) {
	if *d == 0 {
		*d = to
	}
}

// validate tells what is wrong with a defaulted configuration, by the field's name.
func (c Config) validate() error {
	if c.URL == "" {
		return fmt.Errorf("postgres config: URL is empty")
	}
	if c.Role != "" && !roleName.MatchString(c.Role) {
		return fmt.Errorf("postgres config: Role %q is not a role name", c.Role)
	}
	if c.ConnsMax < 1 || c.ConnsMax > connsMaxLimit {
		return fmt.Errorf("postgres config: ConnsMax %d is not in 1..%d", c.ConnsMax, connsMaxLimit)
	}
	if c.ConnsMin < 0 || c.ConnsMin > c.ConnsMax {
		return fmt.Errorf("postgres config: ConnsMin %d is not in 0..ConnsMax %d", c.ConnsMin, c.ConnsMax)
	}
	for _, f := range []struct {
		name  string
		value time.Duration
	}{
		{"ConnectTimeout", c.ConnectTimeout},
		{"LockTimeout", c.LockTimeout},
		{"StatementTimeout", c.StatementTimeout},
		{"IdleInTransactionTimeout", c.IdleInTransactionTimeout},
		{"TCPUserTimeout", c.TCPUserTimeout},
	} {
		// PostgreSQL counts in whole milliseconds and takes zero for "no limit".
		if f.value < time.Millisecond {
			return fmt.Errorf("postgres config: %s %s is under a millisecond", f.name, f.value)
		}
	}
	if c.LockTimeout > c.StatementTimeout {
		return fmt.Errorf("postgres config: LockTimeout %s is over StatementTimeout %s and would never be reached", c.LockTimeout, c.StatementTimeout)
	}
	return nil
}

// poolConfig is the configuration as pgx takes it. All session settings go with the startup message: they cost no
// round trip, and RESET returns to them.
func (c Config) poolConfig() (*pgxpool.Config, error) {
	pc, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return nil, fmt.Errorf("postgres config: URL: %w", err) // pgx redacts the password
	}
	pc.MaxConns = int32(c.ConnsMax)
	pc.MinConns = int32(c.ConnsMin)
	pc.ConnConfig.ConnectTimeout = c.ConnectTimeout
	pc.ConnConfig.Tracer = queryTracer{}
	params := pc.ConnConfig.RuntimeParams
	params["application_name"] = c.Application
	params["timezone"] = "UTC"
	params["search_path"] = "public"
	params["default_transaction_isolation"] = "read committed"
	params["lock_timeout"] = milliseconds(c.LockTimeout)
	params["statement_timeout"] = milliseconds(c.StatementTimeout)
	params["idle_in_transaction_session_timeout"] = milliseconds(c.IdleInTransactionTimeout)
	if c.ByIndex {
		params["enable_seqscan"] = "off"
		params["jit"] = "off" // it goes by the cost, to which a scan that cannot be avoided then adds ten billions
	}
	if c.PlanOnce {
		params["plan_cache_mode"] = "force_generic_plan"
	}
	params["tcp_user_timeout"] = milliseconds(c.TCPUserTimeout)
	if c.Role != "" {
		params["role"] = c.Role
	}
	return pc, nil
}

func milliseconds(d time.Duration) string {
	return strconv.FormatInt(d.Milliseconds(), 10)
}
