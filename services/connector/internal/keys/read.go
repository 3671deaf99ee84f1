package keys

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"
)

// Limits of what is read.
const (
	fileMax    = 16 << 10
	entriesMax = 20_000
)

// The files of a key that is a directory.
const (
	nameAPIKey     = "api_key"
	nameSecret     = "secret"
	namePrivateKey = "private_key"
)

// variablePrefix begins the names of variables that hold keys.
const variablePrefix = "ROBSON_KEY_"

// owner is whose key it is.
type owner struct{ tenant, account uuid.UUID }

// held is what was found under one name: a key, or why it is none.
type held struct {
	// where is the file, directory or variable, for messages.
	where string
	key   *Key
	err   error
}

// ownerOf reads the name of a file or directory.
func ownerOf(name string) (owner, bool) {
	name, _, _ = strings.Cut(name, ".")
	tenant, account, found := strings.Cut(name, "_")
	return parseOwner(tenant, account, found)
}

func parseOwner(tenant, account string, found bool) (owner, bool) {
	t, errT := uuid.Parse(tenant)
	a, errA := uuid.Parse(account)
	return owner{t, a}, found && errT == nil && errA == nil
}

// parseEnvironment reads variables. One that names no account is an error: it was meant for something.
func parseEnvironment(environ []string) (map[owner][]held, error) {
	out := map[owner][]held{}
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		parts := strings.SplitN(strings.TrimPrefix(name, variablePrefix), "_", 3)
		if len(parts) < 2 {
			parts = append(parts, "")
		}
		who, ok := parseOwner(parts[0], parts[1], true)
		if !ok {
			return nil, fmt.Errorf("variable %s: it must be named %s<tenant>_<account>, by ids without dashes", name, variablePrefix)
		}
		key, err := parseText([]byte(value))
		if err != nil {
			return nil, fmt.Errorf("variable %s: %w", name, err)
		}
		out[who] = append(out[who], held{where: "variable " + name, key: key})
	}
	return out, nil
}

// folder is a directory of keys.
type folder struct {
	path string
	// readableByOthers lets keys in that everybody on the machine may read.
	readableByOthers bool
}

// list gives the names in the directory that may be keys, in order, and a mark that changes when any of them does.
func (d folder) list() (names []string, mark string, err error) {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return nil, "", fmt.Errorf("read keys: %w", err)
	}
	if len(entries) > entriesMax {
		return nil, "", fmt.Errorf("read keys: %s holds %d entries, more than %d", d.path, len(entries), entriesMax)
	}
	var signs strings.Builder
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		names = append(names, entry.Name())
		for _, inside := range []string{"", nameAPIKey, nameSecret, namePrivateKey} {
			info, err := os.Stat(filepath.Join(d.path, entry.Name(), inside))
			if err != nil {
				continue // reading it says so
			}
			fmt.Fprintf(&signs, "%s/%s %d %d %o\n", entry.Name(), inside, info.Size(), info.ModTime().UnixNano(), info.Mode())
			if !info.IsDir() && inside == "" {
				break
			}
		}
	}
	return names, signs.String(), nil
}

// read reads the key of one name.
func (d folder) read(name string) held {
	path := filepath.Join(d.path, name)
	out := held{where: path}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		out.err = err
	case info.IsDir():
		out.key, out.err = d.readDirectory(path)
	default:
		var text []byte
		if text, out.err = d.readFile(path); out.err == nil {
			out.key, out.err = parseText(text)
		}
		clear(text)
	}
	return out
}

func (d folder) readDirectory(path string) (*Key, error) {
	apiKey, err := d.readFile(filepath.Join(path, nameAPIKey))
	if err != nil {
		return nil, err
	}
	secret, errSecret := d.readFile(filepath.Join(path, nameSecret))
	private, errPrivate := d.readFile(filepath.Join(path, namePrivateKey))
	defer clear(secret)
	defer clear(private)
	switch {
	case errSecret == nil && errPrivate == nil:
		return nil, fmt.Errorf("it holds both %s and %s: one signs", nameSecret, namePrivateKey)
	case errSecret == nil && errors.Is(errPrivate, fs.ErrNotExist):
		if bytes.HasPrefix(secret, []byte("-----BEGIN")) {
			return nil, fmt.Errorf("%s holds a private key: name it %s", nameSecret, namePrivateKey)
		}
		return parse(apiKey, secret)
	case errPrivate == nil && errors.Is(errSecret, fs.ErrNotExist):
		if !bytes.HasPrefix(private, []byte("-----BEGIN")) {
			return nil, fmt.Errorf("%s must be in PEM", namePrivateKey)
		}
		return parse(apiKey, private)
	case errors.Is(errSecret, fs.ErrNotExist):
		if errors.Is(errPrivate, fs.ErrNotExist) {
			return nil, fmt.Errorf("it holds neither %s nor %s", nameSecret, namePrivateKey)
		}
		return nil, errPrivate
	default:
		return nil, errSecret
	}
}

// othersMay are the permissions that nobody but owner and group may have to a key. The group may: Kubernetes gives secrets to
// processes by it.
const othersMay fs.FileMode = 0o007

// readFile reads a file of a key, if it is closed to others. What is checked is the file that was opened.
func (d folder) readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file", path)
	}
	if open := info.Mode().Perm() & othersMay; open != 0 && !d.readableByOthers {
		return nil, fmt.Errorf("%s has permissions %04o: it must be closed to others (chmod o-rwx)", path, info.Mode().Perm())
	}
	text := make([]byte, 0, fileMax+1)
	text, err = readAll(io.LimitReader(file, fileMax+1), text)
	if err != nil {
		clear(text)
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(text) > fileMax {
		clear(text)
		return nil, fmt.Errorf("%s has more than %d bytes", path, fileMax)
	}
	return text, nil
}

// readAll reads into what is there, so that no copy of a secret is left behind by growing.
func readAll(r io.Reader, into []byte) ([]byte, error) {
	for {
		n, err := r.Read(into[len(into):cap(into)])
		into = into[:len(into)+n]
		switch {
		case errors.Is(err, io.EOF):
			return into, nil
		case err != nil:
			return into, err
		case len(into) == cap(into):
			return into, nil
		}
	}
}

// exposed says whether others may read what a name stands for.
func (d folder) exposed(name string) bool {
	for _, inside := range []string{"", nameAPIKey, nameSecret, namePrivateKey} {
		info, err := os.Stat(filepath.Join(d.path, name, inside))
		if err == nil && info.Mode().IsRegular() && info.Mode().Perm()&othersMay != 0 {
			return true
		}
	}
	return false
}
