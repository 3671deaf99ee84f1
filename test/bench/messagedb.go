package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// messageDatabase holds what message-db writes.
const messageDatabase = "robson_bench_messagedb"

// message-db takes a lock per category; its streams are as many as Robson's in the standard run.
const (
	messageCategories = 1000
	messageStreams    = 10
)

// messageParts are the folders of message-db's SQL in the order of its install script. Its role, its grants and its views
// for people are left out: a role would belong to the whole server, and writing needs none of them.
var messageParts = []string{"schema", "extensions", "tables", "types", "functions", "indexes"}

const messageWrite = `select write_message($1, $2, 'BalanceSampled', $3::text::jsonb)`

// messageDB is message-db in a database of its own, with the streams to write.
type messageDB struct {
	workerConns
	streams [][]messageStream
}

// messageStream is a stream, whose name begins with its category.
type messageStream struct {
	name    string
	account uuid.UUID
}

// openMessageDB makes the database from the package that is installed in a directory.
func openMessageDB(ctx context.Context, c *cluster, dir string) (*messageDB, error) {
	m := &messageDB{workerConns: workerConns{cluster: c, database: messageDatabase}, streams: make([][]messageStream, messageCategories)}
	for category := range m.streams {
		for range messageStreams {
			account := uuid.New()
			m.streams[category] = append(m.streams[category], messageStream{name: fmt.Sprintf("account%d-%s", category, account), account: account})
		}
	}
	if err := c.createEmpty(ctx, messageDatabase); err != nil {
		return nil, err
	}
	return m, m.install(ctx, filepath.Join(dir, "node_modules", "@eventide", "message-db", "database"))
}

// install runs message-db's SQL. Its functions look for each other on the search path, which is set for all who connect later.
func (m *messageDB) install(ctx context.Context, dir string) error {
	conn, err := m.cluster.connect(ctx, messageDatabase)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // nothing is under way
	path := "alter database " + pgx.Identifier{messageDatabase}.Sanitize() + " set search_path to message_store, public"
	for _, sql := range []string{path, "set search_path to message_store, public"} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	files, err := messageFiles(dir)
	if err != nil {
		return err
	}
	for _, file := range files {
		sql, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read message-db's SQL: %w", err)
		}
		if _, err := conn.Exec(ctx, string(sql)); err != nil {
			return fmt.Errorf("install message-db, %s: %w", filepath.Base(file), err)
		}
	}
	return nil
}

// messageFiles are the files of message-db's SQL in the order in which they run.
func messageFiles(dir string) ([]string, error) {
	var all []string
	for _, part := range messageParts {
		files, err := filepath.Glob(filepath.Join(dir, part, "*.sql"))
		if err != nil {
			return nil, fmt.Errorf("find message-db's SQL: %w", err)
		}
		if len(files) == 0 {
			return nil, fmt.Errorf("message-db has no SQL in %s: is it installed? (make bench-peers)", filepath.Join(dir, part))
		}
		all = append(all, files...)
	}
	return all, nil
}

// writers makes a call for each of n connections. A tenant of the chooser is a category, an account a stream of it.
func (m *messageDB) writers(ctx context.Context, n int, choose chooserMaker) ([]call, error) {
	calls := make([]call, n)
	for i := range calls {
		conn, err := m.connection(ctx, i)
		if err != nil {
			return nil, err
		}
		chance := newRand(uint64(i))
		calls[i] = m.write(conn, chance, choose(chance))
	}
	return calls, nil
}

// write appends one message and expects nothing of its stream.
func (m *messageDB) write(conn *pgx.Conn, chance *rand.Rand, choose chooser) call {
	return func(ctx context.Context) (int, error) {
		at, id := choose(), uuid.New()
		stream := m.streams[at.tenant][at.account]
		payload := samplePayload(stream.account, id, assets[chance.IntN(len(assets))], amount(chance))
		if _, err := conn.Exec(ctx, messageWrite, id.String(), stream.name, payload); err != nil {
			return 0, fmt.Errorf("write message: %w", err)
		}
		return 1, nil
	}
}
