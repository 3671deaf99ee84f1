package private

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// ownerVariable makes the test binary a process that starts a server, says its URL, and waits to be killed.
const ownerVariable = "ROBSON_TEST_OWNER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(ownerVariable); dir != "" {
		own(dir)
	}
	goleak.VerifyTestMain(m)
}

func own(dir string) {
	s, err := Start(context.Background(), testConfig(dir))
	if err != nil {
		_, _ = io.WriteString(os.Stdout, err.Error()+"\n")
		os.Exit(1)
	}
	_, _ = io.WriteString(os.Stdout, s.URL("postgres")+"\n")
	select {}
}

func testConfig(dir string) Config {
	return Config{Dir: dir, LoseDataOnPowerFailure: true, SharedBuffersMB: 16, ConnsMax: 20}
}

// reachable is a temporary directory that any user can pass through, unlike t.TempDir as root.
func reachable(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "robson-pg-") //nolint:usetesting // t.TempDir is closed to the server's user.
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "pg")
}

func start(t *testing.T, dir string) *Server {
	t.Helper()
	s, err := Start(t.Context(), testConfig(dir))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop(context.WithoutCancel(t.Context()))) })
	return s
}

func query[T any](t *testing.T, url, sql string) T {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	if before, last, found := strings.Cut(sql, "; "); found {
		_, err := conn.Exec(t.Context(), before)
		require.NoError(t, err)
		sql = last
	}
	rows, err := conn.Query(t.Context(), sql)
	require.NoError(t, err)
	v, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	require.NoError(t, err)
	return v
}

func TestServer(t *testing.T) {
	t.Parallel()

	t.Run("keeps its data over a restart", func(t *testing.T) {
		t.Parallel()
		dir := reachable(t)
		s := start(t, dir)
		require.False(t, s.Adopted())
		require.NoError(t, s.EnsureDatabase(t.Context(), "robson"))
		require.NoError(t, s.EnsureDatabase(t.Context(), "robson"), "there already")
		require.Equal(t, 7, query[int](t, s.URL("robson"), "create table kept as select 7 as n; select n from kept"))
		require.NoError(t, s.Stop(t.Context()))
		require.NoError(t, s.Stop(t.Context()), "a second stop does nothing")
		<-s.Ended()

		again := start(t, dir)
		require.False(t, again.Adopted())
		require.Equal(t, 7, query[int](t, again.URL("robson"), "select n from kept"))
		require.Equal(t, "UTC", query[string](t, again.URL("robson"), "show timezone"))
	})

	t.Run("is durable unless told otherwise", func(t *testing.T) {
		t.Parallel()
		s, err := Start(t.Context(), Config{Dir: reachable(t), SharedBuffersMB: 16})
		require.NoError(t, err)
		require.Equal(t, "on", query[string](t, s.URL("postgres"), "show fsync"))
		require.Equal(t, "on", query[string](t, s.URL("postgres"), "show full_page_writes"))
		require.NoError(t, s.Stop(t.Context()))
	})

	t.Run("wants the password", func(t *testing.T) {
		t.Parallel()
		s := start(t, reachable(t))
		wrong := strings.Replace(s.URL("postgres"), s.password, "wrong", 1)
		_, err := pgx.Connect(t.Context(), wrong)
		require.ErrorContains(t, err, "28P01")
		info, err := os.Stat(s.place.password())
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	})

	t.Run("serves one owner at a time", func(t *testing.T) {
		t.Parallel()
		dir := reachable(t)
		start(t, dir)
		_, err := Start(t.Context(), testConfig(dir))
		require.ErrorIs(t, err, ErrInUse)
		require.ErrorContains(t, err, strconv.Itoa(os.Getpid()))
	})

	t.Run("is stopped the quick way by who has no time", func(t *testing.T) {
		t.Parallel()
		s := start(t, reachable(t))
		conn, err := pgx.Connect(t.Context(), s.URL("postgres"))
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, s.Stop(ctx))
		require.False(t, alive(s.pid))
		require.Error(t, conn.Ping(t.Context()))
	})

	t.Run("tells when the server ends by itself", func(t *testing.T) {
		t.Parallel()
		s := start(t, reachable(t))
		require.NoError(t, syscall.Kill(s.pid, syscall.SIGQUIT))
		<-s.Ended()
	})

	t.Run("says why the server does not start", func(t *testing.T) {
		t.Parallel()
		var lc net.ListenConfig
		l, err := lc.Listen(t.Context(), "tcp4", "127.0.0.1:0")
		require.NoError(t, err)
		defer func() { require.NoError(t, l.Close()) }()
		cfg := testConfig(reachable(t))
		cfg.Port = l.Addr().(*net.TCPAddr).Port
		_, err = Start(t.Context(), cfg)
		require.ErrorContains(t, err, "could not create any TCP/IP sockets")
	})
}

// killedOwner starts a server in another process and kills that process, not the server.
func killedOwner(t *testing.T, dir string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), ownerVariable+"="+dir)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	buf := make([]byte, 1024)
	n, err := out.Read(buf)
	require.NoError(t, err)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	t.Cleanup(func() {
		p := place{dir: dir}
		if pm, found, err := p.postmaster(); err == nil && found && p.serves(context.WithoutCancel(t.Context()), pm.pid) {
			_ = syscall.Kill(pm.pid, syscall.SIGQUIT) // the test failed before it stopped the server
		}
	})
	url := string(bytes.TrimSpace(buf[:n]))
	require.Contains(t, url, "postgres://")
	return url
}

func TestServer_LeftBehind(t *testing.T) {
	t.Parallel()

	t.Run("is adopted with what it holds", func(t *testing.T) {
		t.Parallel()
		dir := reachable(t)
		url := killedOwner(t, dir)
		require.Equal(t, 8, query[int](t, url, "create table kept as select 8 as n; select n from kept"))
		s := start(t, dir)
		require.True(t, s.Adopted())
		require.Equal(t, url, s.URL("postgres"))
		require.Equal(t, 8, query[int](t, s.URL("postgres"), "select n from kept"))
		require.NoError(t, s.Stop(t.Context()))
		require.False(t, alive(s.pid))
		again := start(t, dir)
		require.False(t, again.Adopted())
	})

	t.Run("is stopped on demand", func(t *testing.T) {
		t.Parallel()
		dir := reachable(t)
		stopped, err := StopLeftBehind(t.Context(), testConfig(dir))
		require.NoError(t, err)
		require.False(t, stopped, "no directory")
		killedOwner(t, dir)
		pm, found, err := place{dir: dir}.postmaster()
		require.NoError(t, err)
		require.True(t, found)
		stopped, err = StopLeftBehind(t.Context(), testConfig(dir))
		require.NoError(t, err)
		require.True(t, stopped)
		require.False(t, alive(pm.pid))
		stopped, err = StopLeftBehind(t.Context(), testConfig(dir))
		require.NoError(t, err)
		require.False(t, stopped, "nothing to stop")
		start(t, dir)
		_, err = StopLeftBehind(t.Context(), testConfig(dir))
		require.ErrorIs(t, err, ErrInUse)
	})

	t.Run("is waited for while it stops", func(t *testing.T) {
		t.Parallel()
		dir := reachable(t)
		url := killedOwner(t, dir)
		conn, err := pgx.Connect(t.Context(), url)
		require.NoError(t, err)
		p := place{dir: dir}
		pm, found, err := p.postmaster()
		require.NoError(t, err)
		require.True(t, found)
		require.NoError(t, syscall.Kill(pm.pid, syscall.SIGTERM), "smart shutdown: it waits for our session")
		done := make(chan *Server)
		go func() {
			defer close(done)
			s, err := Start(t.Context(), testConfig(dir))
			if err == nil {
				done <- s
			}
		}()
		require.NoError(t, conn.Close(t.Context()))
		s := <-done
		require.NotNil(t, s)
		require.NotEqual(t, pm.pid, s.pid)
		require.NoError(t, s.Stop(t.Context()))
	})

	t.Run("is followed after a crash of its own", func(t *testing.T) {
		t.Parallel()
		dir := reachable(t)
		url := killedOwner(t, dir)
		require.Equal(t, 9, query[int](t, url, "create table kept as select 9 as n; select n from kept"))
		pm, found, err := place{dir: dir}.postmaster()
		require.NoError(t, err)
		require.True(t, found)
		require.NoError(t, syscall.Kill(pm.pid, syscall.SIGKILL))
		s := start(t, dir)
		require.False(t, s.Adopted())
		require.Equal(t, 9, query[int](t, s.URL("postgres"), "select n from kept"))
	})

	t.Run("is not confused with a process that has its old id", func(t *testing.T) {
		t.Parallel()
		dir := reachable(t)
		s := start(t, dir)
		require.NoError(t, s.Stop(t.Context()))
		stale := strconv.Itoa(os.Getpid()) + "\n" + s.place.data() + "\n1\n5432\n\n127.0.0.1\n\nready   \n"
		require.NoError(t, os.WriteFile(filepath.Join(s.place.data(), "postmaster.pid"), []byte(stale), 0o600))
		require.False(t, start(t, dir).Adopted())
	})
}

// TestPlace_giveUp: a directory is free at once, though a program that was just being started still has a copy of the lock's file.
func TestPlace_giveUp(t *testing.T) {
	t.Parallel()
	p := place{dir: filepath.Dir(reachable(t))}
	lock, err := p.take()
	require.NoError(t, err)
	inherited, err := syscall.Dup(int(lock.Fd()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, syscall.Close(inherited)) })
	_, err = p.take()
	require.ErrorIs(t, err, ErrInUse)
	require.NoError(t, giveUp(lock))
	again, err := p.take()
	require.NoError(t, err)
	require.NoError(t, giveUp(again))
}

func TestServer_AsOrdinaryUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("runs this package's tests as nobody, which takes root; the tests already run as an ordinary user")
	}
	dir := filepath.Dir(reachable(t))
	require.NoError(t, os.Chmod(dir, 0o777))
	binary := filepath.Join(dir, "private.test")
	text, err := os.ReadFile(os.Args[0])
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(binary, text, 0o755))
	const nobody = 65534
	cmd := exec.CommandContext(t.Context(), binary, "-test.run", "^(TestServer|TestServer_LeftBehind)$/(keeps|adopted)", "-test.count=1")
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}

func TestStart_Refuses(t *testing.T) {
	t.Parallel()
	write := func(t *testing.T, path, text string) {
		t.Helper()
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	untouched := func(t *testing.T, path, text string) {
		t.Helper()
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, text, string(got))
	}

	t.Run("a cluster of another major version", func(t *testing.T) {
		t.Parallel()
		dir := reachable(t)
		version := filepath.Join(dir, "data", "PG_VERSION")
		write(t, filepath.Join(dir, "lock"), "")
		write(t, version, "9\n")
		_, err := Start(t.Context(), testConfig(dir))
		require.ErrorIs(t, err, ErrForeignVersion)
		require.ErrorContains(t, err, "apt-get install postgresql-9")
		untouched(t, version, "9\n")
	})
	t.Run("a version file that is none", func(t *testing.T) {
		t.Parallel()
		dir := reachable(t)
		write(t, filepath.Join(dir, "lock"), "")
		write(t, filepath.Join(dir, "data", "PG_VERSION"), "fifteen\n")
		_, err := Start(t.Context(), testConfig(dir))
		require.ErrorContains(t, err, "PG_VERSION")
	})
	t.Run("a directory with something else in it", func(t *testing.T) {
		t.Parallel()
		dir := reachable(t)
		letter := filepath.Join(dir, "letter.txt")
		write(t, letter, "dear")
		_, err := Start(t.Context(), testConfig(dir))
		require.ErrorContains(t, err, "was not made by robson")
		untouched(t, letter, "dear")
	})
	t.Run("a data directory with something else in it", func(t *testing.T) {
		t.Parallel()
		dir := reachable(t)
		write(t, filepath.Join(dir, "lock"), "")
		letter := filepath.Join(dir, "data", "letter.txt")
		write(t, letter, "dear")
		_, err := Start(t.Context(), testConfig(dir))
		require.ErrorContains(t, err, "holds no PostgreSQL cluster")
		untouched(t, letter, "dear")
	})
	t.Run("a cluster given as the directory", func(t *testing.T) {
		t.Parallel()
		dir := reachable(t)
		write(t, filepath.Join(dir, "PG_VERSION"), "15\n")
		_, err := Start(t.Context(), testConfig(dir))
		require.ErrorContains(t, err, "is itself a PostgreSQL cluster")
	})
	t.Run("a cluster without its password", func(t *testing.T) {
		t.Parallel()
		dir := reachable(t)
		s := start(t, dir)
		require.NoError(t, s.Stop(t.Context()))
		require.NoError(t, os.Remove(s.place.password()))
		_, err := Start(t.Context(), testConfig(dir))
		require.ErrorContains(t, err, "password")
		require.FileExists(t, filepath.Join(s.place.data(), "PG_VERSION"))
	})
	t.Run("a bad configuration", func(t *testing.T) {
		t.Parallel()
		for name, cfg := range map[string]Config{
			"Dir is empty":    {},
			"is not absolute": {Dir: "here"},
			"Port":            {Dir: "/x", Port: 70000},
			"ConnsMax":        {Dir: "/x", ConnsMax: -1},
			"SharedBuffersMB": {Dir: "/x", SharedBuffersMB: -1},
			"timeout":         {Dir: "/x", StopTimeout: -time.Second},
		} {
			_, err := Start(t.Context(), cfg)
			require.ErrorContains(t, err, name)
		}
	})
}

func TestStart_AsRoot(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("takes root")
	}
	t.Run("hands the server to an unprivileged user", func(t *testing.T) {
		t.Parallel()
		s := start(t, reachable(t))
		owner, found, err := ownerOf(s.place.data())
		require.NoError(t, err)
		require.True(t, found)
		require.NotZero(t, owner.uid)
		process, _, err := ownerOf(filepath.Join("/proc", strconv.Itoa(s.pid)))
		require.NoError(t, err)
		require.Equal(t, owner.uid, process.uid)
	})
	t.Run("goes where the server's user can reach", func(t *testing.T) {
		t.Parallel()
		closed := t.TempDir() // below a directory of root's alone
		require.NoError(t, os.Chmod(closed, 0o700))
		dir := filepath.Join(closed, "pg")
		s := start(t, dir)
		require.True(t, strings.HasPrefix(s.place.dir, asideRoot), s.place.dir)
		t.Cleanup(func() { _ = os.RemoveAll(s.place.dir) })
		require.NoError(t, s.Stop(t.Context()))
		require.Equal(t, s.place.dir, start(t, dir).place.dir, "found again through the link")
	})
	t.Run("does not move what is there already", func(t *testing.T) {
		t.Parallel()
		closed := filepath.Join(t.TempDir(), "pg")
		require.NoError(t, os.MkdirAll(filepath.Join(closed, "data"), 0o700))
		require.NoError(t, os.Chmod(closed, 0o700))
		_, err := Start(t.Context(), testConfig(closed))
		require.ErrorContains(t, err, "cannot reach it")
	})
}

func TestPlace_SocketDir(t *testing.T) {
	t.Parallel()
	require.Equal(t, "/short/run", place{dir: "/short"}.socketDir())
	require.Empty(t, place{dir: "/" + strings.Repeat("x", 90)}.socketDir())
}

func TestSweep_RemovesOnlyUnfinishedClusters(t *testing.T) {
	t.Parallel()
	dir := reachable(t)
	left := filepath.Join(dir, unfinished+"123", "data")
	require.NoError(t, os.MkdirAll(left, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "lock"), nil, 0o600))
	s := start(t, dir)
	require.NoDirExists(t, filepath.Dir(left))
	require.DirExists(t, s.place.data())
}

func TestParsePostmaster(t *testing.T) {
	t.Parallel()
	pm, found, err := parsePostmaster("4711\n/data\n1\n5433\n/run\n127.0.0.1\n 1 2\nready   \n")
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, postmaster{pid: 4711, port: 5433, status: "ready"}, pm)
	pm, _, err = parsePostmaster("4711\n/data\n")
	require.NoError(t, err)
	require.Equal(t, postmaster{pid: 4711}, pm, "still being written")
	for _, text := range []string{"", "x\n", "-1\n", "1\n"} {
		_, _, err = parsePostmaster(text)
		require.Error(t, err)
	}
}

func TestAlive_ZombieIsDead(t *testing.T) {
	t.Parallel()
	require.True(t, alive(os.Getpid()))
	cmd := exec.CommandContext(t.Context(), "true")
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool { return !alive(cmd.Process.Pid) }, 5*time.Second, 5*time.Millisecond)
	require.NoError(t, cmd.Wait())
}
