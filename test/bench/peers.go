package main

import (
	"context"
	"path/filepath"
)

const (
	// peerCallers is how many append to a peer at a time, each on a connection of its own, as in the raw loads.
	peerCallers = rawClients
	// emmettProgram drives Emmett.
	emmettProgram = "emmett.mjs"
)

// peers are other event stores, each in a database of its own on the same PostgreSQL.
type peers struct {
	messages *messageDB
	// program, url and streams are what Emmett is driven with.
	program, url string
	streams      int
	// ofMessages and ofEmmett observe their databases.
	ofMessages, ofEmmett observer
}

// openPeers makes the peers' databases.
func (b *bench) openPeers(ctx context.Context) (*peers, error) {
	b.databases = append(b.databases, messageDatabase, emmettDatabase)
	b.peers = &peers{
		program: filepath.Join(b.cfg.peers, emmettProgram), url: b.cluster.databaseURL(emmettDatabase), streams: b.cfg.tenants * b.cfg.accounts,
	}
	var err error
	if b.peers.messages, err = openMessageDB(ctx, b.cluster, b.cfg.peers); err != nil {
		return nil, err
	}
	if err := b.cluster.createEmpty(ctx, emmettDatabase); err != nil {
		return nil, err
	}
	if b.peers.ofMessages, err = b.observe(ctx, messageDatabase); err != nil {
		return nil, err
	}
	b.peers.ofEmmett, err = b.observe(ctx, emmettDatabase)
	return b.peers, err
}

// peerLoads are appends of one event to the peers; none where they are not measured.
func (s *suite) peerLoads(ctx context.Context) ([]*load, error) {
	if s.peers == nil {
		return nil, nil
	}
	var loads []*load
	for _, l := range []struct {
		name, title string
		choose      chooserMaker
	}{
		{loadMessageSpread, "message-db, spread", uniform(messageCategories, messageStreams)},
		{loadMessageHot, "message-db, one hot stream", hot(place{})},
	} {
		if !s.cfg.only.MatchString(l.name) {
			continue
		}
		calls, err := s.peers.messages.writers(ctx, peerCallers, l.choose)
		if err != nil {
			return nil, err
		}
		loads = append(loads, s.closed(l.name, l.title, s.peers.ofMessages, calls))
	}
	for _, l := range []struct{ name, title, mode string }{
		{loadEmmett, "Emmett, no projection", emmettAppend},
		{loadEmmettInline, "Emmett, one projection in the append", emmettInline},
	} {
		if s.cfg.only.MatchString(l.name) {
			e := s.peers.emmett(l.mode)
			loads = append(loads, &load{name: l.name, title: l.title, callers: peerCallers, observer: s.peers.ofEmmett, prepare: e.prepare, run: e.run})
		}
	}
	return loads, nil
}

// emmett is Emmett in a mode.
func (p *peers) emmett(mode string) *emmett {
	return &emmett{program: p.program, url: p.url, streams: p.streams, mode: mode}
}

// close ends the connections.
func (p *peers) close(ctx context.Context) {
	if p.messages != nil {
		p.messages.close(ctx)
	}
}
