package private

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// launchesMax bounds the attempts to start: the free port may be taken by another, and a server that was killed
	// leaves children that need a moment to notice.
	launchesMax = 3
	launchPause = 300 * time.Millisecond
	// logTail is how much of the log is read for its last line.
	logTail = 4096
)

// launch starts the server and waits until it answers.
func launch(ctx context.Context, cfg Config, p place, who account, bin Binaries) (*Server, error) {
	password, err := p.readPassword()
	if err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		s, err := launchOnce(ctx, cfg, p, who, bin, password)
		if err == nil {
			return s, nil
		}
		if attempt == launchesMax || ctx.Err() != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(launchPause):
		}
	}
}

func launchOnce(ctx context.Context, cfg Config, p place, who account, bin Binaries, password string) (*Server, error) {
	port := cfg.Port
	if port == 0 {
		free, err := freePort(ctx)
		if err != nil {
			return nil, err
		}
		port = free
	}
	socketDir, err := p.makeSocketDir(who)
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(p.log(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	defer func() { _ = log.Close() }() // the server has its own copy
	// Not CommandContext: the server outlives the call that started it.
	cmd := exec.Command(filepath.Join(bin.Dir, "postgres"), arguments(cfg, p, port, socketDir)...) //nolint:gosec,noctx // G204: the machine's own PostgreSQL.
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = p.dir, environment(), log, log
	who.run(cmd)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start postgres: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended stands in its log
		close(ended)
	}()
	s := &Server{
		cfg: cfg, place: p, pid: cmd.Process.Pid, port: port, password: password,
		ended: ended, forget: func() {},
	}
	if err := s.await(ctx); err != nil {
		return nil, errors.Join(err, s.stop(context.WithoutCancel(ctx)))
	}
	return s, nil
}

// await returns when the server answers, has ended, or time is up.
func (s *Server) await(ctx context.Context) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		err := s.place.answers(ctx, s.port, s.password)
		if err == nil {
			return nil
		}
		select {
		case <-s.ended:
			return fmt.Errorf("postgres ended while starting: %s", s.place.lastWord())
		case <-ctx.Done():
			return fmt.Errorf("postgres does not answer: %w: %s", errors.Join(ctx.Err(), err), s.place.lastWord())
		case <-tick.C:
		}
	}
}

// makeSocketDir makes the directory for the Unix socket, for the server's user alone.
func (p place) makeSocketDir(who account) (string, error) {
	dir := p.socketDir()
	if dir == "" {
		return "", nil
	}
	return dir, who.mkdir(dir)
}

// arguments are the server's settings. They stand on the command line and not in the cluster, so that every start
// has those of the program that starts it. The socket's directory is always set: Debian's build has one compiled in
// that only its postgres user may write to.
func arguments(cfg Config, p place, port int, socketDir string) []string {
	onOff := "on"
	if cfg.LoseDataOnPowerFailure {
		onOff = "off"
	}
	args := []string{"-D", p.data()}
	for _, setting := range [][2]string{
		{"listen_addresses", "127.0.0.1"},
		{"port", strconv.Itoa(port)},
		{"unix_socket_directories", socketDir},
		{"unix_socket_permissions", "0700"},
		{"password_encryption", "scram-sha-256"},
		{"cluster_name", "robson"},
		{"max_connections", strconv.Itoa(cfg.ConnsMax)},
		{"shared_buffers", strconv.Itoa(cfg.SharedBuffersMB) + "MB"},
		{"max_wal_size", "4GB"},
		{"checkpoint_timeout", "15min"},
		{"wal_level", "replica"},
		{"fsync", onOff},
		{"full_page_writes", onOff},
		{"synchronous_commit", "on"},
		{"timezone", "UTC"},
		{"log_timezone", "UTC"},
		{"logging_collector", "off"},
		{"log_destination", "stderr"},
		{"log_line_prefix", "%m [%p] %q%a@%d "},
	} {
		args = append(args, "-c", setting[0]+"="+setting[1])
	}
	return args
}

// lastWord is what the server's log says last that tells why it ended.
func (p place) lastWord() string {
	f, err := os.Open(p.log())
	if err != nil {
		return "no log: " + err.Error()
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return "no log: " + err.Error()
	}
	buf := make([]byte, logTail)
	n, err := f.ReadAt(buf, max(0, info.Size()-logTail))
	if n == 0 {
		return fmt.Sprintf("nothing in %s (%v)", p.log(), err)
	}
	return fmt.Sprintf("%s (see %s)", cause(string(buf[:n])), p.log())
}

// cause is the last line that names a failure, else the last line.
func cause(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	for _, line := range slices.Backward(lines) {
		if strings.Contains(line, "FATAL:") || strings.Contains(line, "PANIC:") {
			return line
		}
	}
	return lines[len(lines)-1]
}
