package private

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// pollEvery is how often a server that we did not start, or that is starting, is looked at.
const pollEvery = 50 * time.Millisecond

// Server is a running private PostgreSQL. Its methods may be called from several goroutines.
type Server struct {
	cfg      Config
	place    place
	pid      int
	port     int
	password string
	adopted  bool
	lock     *os.File
	// ended is closed when the server process has ended.
	ended <-chan struct{}
	// forget ends the watch over an adopted server.
	forget context.CancelFunc
	once   sync.Once
}

// Start runs the server of cfg.Dir: it makes the cluster if there is none, adopts the server that a killed process
// left behind, or starts one. It returns when the server answers. ErrInUse, ErrNoBinaries and ErrForeignVersion are
// the errors that a person can do something about, and say what.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.StartTimeout)
	defer cancel()
	p, who, err := settle(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("private postgres: %w", err)
	}
	if p.dir != cfg.Dir {
		cfg.Logger.InfoContext(ctx, "private postgres lives elsewhere", "dir", cfg.Dir, "place", p.dir)
	}
	lock, err := p.take()
	if err != nil {
		return nil, fmt.Errorf("private postgres: %w", err)
	}
	s, err := open(ctx, cfg, p, who)
	if err != nil {
		_ = giveUp(lock)
		return nil, fmt.Errorf("private postgres in %s: %w", p.dir, err)
	}
	s.lock = lock
	return s, nil
}

// StopLeftBehind stops the server that a killed process left behind in cfg.Dir and says whether there was one. A
// server that a living process owns is ErrInUse.
func StopLeftBehind(ctx context.Context, cfg Config) (bool, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return false, err
	}
	if _, err := os.Stat(cfg.Dir); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	p, _, err := settle(cfg.Dir)
	if err != nil {
		return false, fmt.Errorf("private postgres: %w", err)
	}
	lock, err := p.take()
	if err != nil {
		return false, fmt.Errorf("private postgres: %w", err)
	}
	waiting, cancel := context.WithTimeout(ctx, cfg.StartTimeout)
	defer cancel()
	s, err := adopt(waiting, cfg, p)
	if s == nil {
		return false, errors.Join(err, giveUp(lock))
	}
	s.lock = lock
	return true, s.Stop(ctx)
}

// open makes the cluster where there is none, and adopts or launches its server.
func open(ctx context.Context, cfg Config, p place, who account) (*Server, error) {
	major, err := p.major()
	if err != nil {
		return nil, err
	}
	if major > 0 {
		s, err := adopt(ctx, cfg, p)
		if s != nil || err != nil {
			return s, err
		}
	}
	bin, err := binaries(ctx, cfg, major)
	if err != nil {
		return nil, err
	}
	if major == 0 {
		if err := p.create(ctx, bin, who, cfg); err != nil {
			return nil, err
		}
	}
	return launch(ctx, cfg, p, who, bin)
}

// binaries finds programs, and fetches some where there are none; a cluster of a version that cannot be fetched
// wants its own.
func binaries(ctx context.Context, cfg Config, major int) (Binaries, error) {
	bin, err := Find(ctx, major)
	if err == nil || os.Getenv(BinVariable) != "" || (major != 0 && major != fetchMajor) {
		return bin, err
	}
	cfg.Logger.InfoContext(ctx, "no PostgreSQL found, fetching one", "version", string(fetchVersion))
	fetched, fetchErr := Fetch(context.WithoutCancel(ctx)) // bounded by its own, longer limit
	if fetchErr != nil {
		return Binaries{}, fmt.Errorf("%w (and none could be fetched: %w)", err, fetchErr)
	}
	return fetched, nil
}

// URL is where a database of the server is reached, as its superuser. It holds the password: it is not for logs.
func (s *Server) URL(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, s.password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Adopted says that the server was left behind by another process and ran already.
func (s *Server) Adopted() bool { return s.adopted }

// Ended is closed when the server has ended, by Stop or otherwise.
func (s *Server) Ended() <-chan struct{} { return s.ended }

// LogFile is where the server writes what it has to say.
func (s *Server) LogFile() string { return s.place.log() }

// EnsureDatabase makes a database of the superuser's unless there is one.
func (s *Server) EnsureDatabase(ctx context.Context, name string) error {
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return fmt.Errorf("connect to make database: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var exists bool
	const databaseExists = `-- name: DatabaseExists
select exists (select from pg_database where datname = $1)`
	if err := conn.QueryRow(ctx, databaseExists, name).Scan(&exists); err != nil {
		return fmt.Errorf("look for database %s: %w", name, err)
	}
	if exists {
		return nil
	}
	if _, err := conn.Exec(ctx, "create database "+pgx.Identifier{name}.Sanitize()); err != nil {
		return fmt.Errorf("make database %s: %w", name, err)
	}
	return nil
}

// answers connects and asks for the data directory: the port of a dead server may be another's by now.
func (p place) answers(ctx context.Context, port int, password string) error {
	s := Server{port: port, password: password}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err //nolint:wrapcheck // judged, not shown, until time is up.
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var dir string
	if err := conn.QueryRow(ctx, "show data_directory").Scan(&dir); err != nil {
		return err //nolint:wrapcheck // as above.
	}
	if dir != p.data() {
		return errors.New("another server answers on port " + strconv.Itoa(port))
	}
	return nil
}
