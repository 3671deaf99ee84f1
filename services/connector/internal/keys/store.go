package keys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/services/connector/internal/venue"
)

// Accounts tells the fingerprint of the key that stands for an account now.
type Accounts interface {
	// KeyFingerprint is the account's api_key_fingerprint, as the log has it.
	KeyFingerprint(ctx context.Context, tenant, account uuid.UUID) (string, error)
}

// Config says where keys are. Its zero value holds none.
type Config struct {
	// Dir is the directory of files; empty: none.
	Dir string
	// ReadableByOthers lets files in that everybody on the machine may read, with a warning: for a directory that is closed
	// itself and shown to the process by other means. Otherwise such a key is refused.
	ReadableByOthers bool
	// Environ are variables that hold keys, in the form of os.Environ. Whoever gives them takes them out of the process's
	// environment first, before it starts a child.
	Environ []string
	// LookEvery is how often the directory is looked at, at most. Default 1 s.
	LookEvery time.Duration
	// TrustFor is how long an account's fingerprint, once read, is taken for its present one. A key that does not fit has it
	// read anew at once. Default 5 s.
	TrustFor time.Duration
}

func (c Config) withDefaults() (Config, error) {
	if c.LookEvery < 0 || c.TrustFor < 0 {
		return c, fmt.Errorf("keys config: LookEvery %s and TrustFor %s must not be negative", c.LookEvery, c.TrustFor)
	}
	if c.LookEvery == 0 {
		c.LookEvery = time.Second
	}
	if c.TrustFor == 0 {
		c.TrustFor = 5 * time.Second
	}
	return c, nil
}

// Store holds keys. It is safe for concurrent use.
type Store struct {
	log      *slog.Logger
	clock    clock.Clock
	accounts Accounts
	config   Config
	folder   folder
	meters   *metrics

	mu      sync.Mutex
	looked  time.Time
	mark    string
	fixed   map[owner][]held // of the environment
	files   map[owner][]held
	trusted map[owner]trust
	// told is what was last complained of, by account, so that it is told once.
	told map[owner]string
}

// trust is a fingerprint, and when it was read.
type trust struct {
	fingerprint string
	at          time.Time
}

// New reads the keys that are there. A directory that cannot be read and a variable that is no key are errors; a file that is no
// key is told in the log, and by the first request that needs it.
func New(log *slog.Logger, clk clock.Clock, accounts Accounts, config Config) (*Store, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	fixed, err := parseEnvironment(config.Environ)
	if err != nil {
		return nil, err
	}
	config.Environ = nil
	meters, err := newMetrics()
	if err != nil {
		return nil, err
	}
	s := &Store{
		log: log, clock: clk, accounts: accounts, config: config, meters: meters,
		folder: folder{config.Dir, config.ReadableByOthers},
		fixed:  fixed, files: map[owner][]held{}, trusted: map[owner]trust{}, told: map[owner]string{},
	}
	if config.Dir != "" {
		if err := s.look(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Close overwrites all keys.
func (s *Store) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	wipe(s.fixed)
	wipe(s.files)
	clear(s.fixed)
	clear(s.files)
}

func wipe(all map[owner][]held) {
	for _, list := range all {
		for _, h := range list {
			if h.key != nil {
				h.key.wipe()
			}
		}
	}
}

// look reads the directory again if anything in it has changed.
func (s *Store) look() error {
	s.looked = s.clock.Now()
	names, mark, err := s.folder.list()
	if err != nil || mark == s.mark && s.mark != "" {
		return err
	}
	files := map[owner][]held{}
	for _, name := range names {
		who, ok := ownerOf(name)
		if !ok {
			s.log.Warn("no account's key", "name", name)
			continue
		}
		found := s.folder.read(name)
		switch {
		case found.err != nil:
			s.log.Error("key cannot be used", "tenant_id", who.tenant, "account_id", who.account, "where", found.where, "error", found.err)
		case s.folder.exposed(name):
			s.log.Warn("key can be read by others: close it (chmod o-rwx)", "tenant_id", who.tenant, "account_id", who.account, "where", found.where)
		}
		files[who] = append(files[who], found)
	}
	wipe(s.files)
	s.files, s.mark = files, mark
	s.log.Info("keys read", "accounts", len(files), "dir", s.folder.path)
	return nil
}

// Get gives a copy of the key that stands for an account now. fault.Refused with KEY_MISSING, KEY_UNREADABLE or KEY_NOT_CURRENT
// where there is none; nothing was sent then, and errors.Is(err, venue.ErrNotSent).
func (s *Store) Get(ctx context.Context, account venue.AccountKey) (*Key, error) {
	tenant, id, found := strings.Cut(string(account), "/")
	who, ok := parseOwner(tenant, id, found)
	if !ok {
		return nil, fault.Wrap(venue.ErrNotSent, fault.Invalid, "ACCOUNT_KEY", "account %q is not named by tenant and account", account)
	}
	if len(s.find(ctx, who)) == 0 {
		return nil, s.refuse(ctx, who, "KEY_MISSING", s.missing(who))
	}
	current, fresh, err := s.fingerprint(ctx, who, false)
	if err != nil {
		return nil, err
	}
	key := s.current(who, current)
	if key == nil && !fresh {
		if current, _, err = s.fingerprint(ctx, who, true); err != nil {
			return nil, err
		}
		key = s.current(who, current)
	}
	if key == nil {
		reason, text := s.unfit(who, current)
		return nil, s.refuse(ctx, who, reason, text)
	}
	s.fits(ctx, who)
	return key, nil
}

// find gives all that is held for an account, looking at the directory again where that is due.
func (s *Store) find(ctx context.Context, who owner) []held {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.config.Dir != "" && s.clock.Now().Sub(s.looked) >= s.config.LookEvery {
		if err := s.look(); err != nil {
			s.log.ErrorContext(ctx, "keys not read again; those that were read stay", "error", err)
		}
	}
	return slices.Concat(s.fixed[who], s.files[who])
}

// current gives a copy of the account's key of that fingerprint, nil if there is none. A copy: what is held may be overwritten
// at any time.
func (s *Store) current(who owner, fingerprint string) *Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range slices.Concat(s.fixed[who], s.files[who]) {
		if h.key != nil && h.key.fingerprint == fingerprint {
			return &Key{kind: h.key.kind, apiKey: slices.Clone(h.key.apiKey), secret: slices.Clone(h.key.secret), fingerprint: fingerprint}
		}
	}
	return nil
}

// fingerprint is the account's, as last read, or read anew; fresh says which.
func (s *Store) fingerprint(ctx context.Context, who owner, anew bool) (fingerprint string, fresh bool, err error) {
	s.mu.Lock()
	known, found := s.trusted[who]
	s.mu.Unlock()
	if found && !anew && s.clock.Now().Sub(known.at) < s.config.TrustFor {
		return known.fingerprint, false, nil
	}
	at := s.clock.Now()
	fingerprint, err = s.accounts.KeyFingerprint(ctx, who.tenant, who.account)
	if err != nil {
		kind := fault.KindOf(err)
		if kind == fault.Unknown {
			kind = fault.Unavailable
		}
		return "", false, fault.Wrap(errors.Join(venue.ErrNotSent, err), kind, "KEY_UNCHECKED", "find out which key stands for account %s", who.account)
	}
	s.mu.Lock()
	s.trusted[who] = trust{fingerprint, at}
	s.mu.Unlock()
	return fingerprint, true, nil
}

func (s *Store) missing(who owner) string {
	text := fmt.Sprintf("there is no API key for account %s of tenant %s here: ", who.account, who.tenant)
	if s.config.Dir == "" {
		return text + "--keys-dir names a directory of keys"
	}
	return text + fmt.Sprintf("it belongs into %s/%s_%s", s.config.Dir, who.tenant, who.account)
}

// unfit says why none of an account's keys is used.
func (s *Store) unfit(who owner, current string) (reason, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []string
	reason = "KEY_UNREADABLE"
	for _, h := range slices.Concat(s.fixed[who], s.files[who]) {
		if h.key == nil {
			found = append(found, fmt.Sprintf("%s cannot be used: %v", h.where, h.err))
			continue
		}
		reason = "KEY_NOT_CURRENT"
		found = append(found, fmt.Sprintf("%s holds %s", h.where, h.key.fingerprint))
	}
	return reason, fmt.Sprintf("the API key of account %s is %s; %s", who.account, current, strings.Join(found, "; "))
}

// refuse counts a request that has no key, and tells the log once for each cause.
func (s *Store) refuse(ctx context.Context, who owner, reason, text string) error {
	s.meters.refused(ctx, reason)
	s.mu.Lock()
	news := s.told[who] != text
	s.told[who] = text
	s.mu.Unlock()
	if news {
		s.log.ErrorContext(ctx, "no key for an account", "tenant_id", who.tenant, "account_id", who.account, "reason", reason, "found", text)
	}
	return fault.Wrap(venue.ErrNotSent, fault.Refused, reason, "%s", text)
}

// fits takes back what was complained of.
func (s *Store) fits(ctx context.Context, who owner) {
	s.mu.Lock()
	_, told := s.told[who]
	delete(s.told, who)
	s.mu.Unlock()
	if told {
		s.log.InfoContext(ctx, "the account has its key", "tenant_id", who.tenant, "account_id", who.account)
	}
}
