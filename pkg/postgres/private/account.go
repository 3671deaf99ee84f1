package private

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the user that the server runs as.
type account struct {
	uid, gid uint32
	name     string
	// drop says that our process is root and must become this user for the server.
	drop bool
}

// chooseAccount picks the server's user. An ordinary user is its own. Root takes the owner of the cluster, if there
// is one: what `nobody` made before the package brought a `postgres` user stays with `nobody`. Else root takes
// `postgres`, else `nobody`.
func chooseAccount(data string) (account, error) {
	owner, owned, err := ownerOf(data)
	if err != nil {
		return account{}, err
	}
	euid := uint32(os.Geteuid())
	if euid != 0 {
		if owned && owner.uid != euid {
			return account{}, fmt.Errorf("%s belongs to %s: run as that user or as root", data, owner.name)
		}
		return account{uid: euid, gid: uint32(os.Getegid()), name: userName(euid)}, nil
	}
	if owned && owner.uid != 0 {
		owner.drop = true
		return owner, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if uidErr != nil || gidErr != nil {
			continue
		}
		return account{uid: uint32(uid), gid: uint32(gid), name: name, drop: true}, nil
	}
	return account{}, errors.New("PostgreSQL refuses to run as root, and there is neither a user postgres nor a user nobody to run it as")
}

func ownerOf(path string) (account, bool, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return account{}, false, nil
	}
	if err != nil {
		return account{}, false, fmt.Errorf("look at %s: %w", path, err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return account{}, false, fmt.Errorf("look at %s: no owner", path)
	}
	return account{uid: st.Uid, gid: st.Gid, name: userName(st.Uid)}, true, nil
}

func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "user " + id
}

// run makes a command run as the account, in a session of its own: a signal to our terminal does not reach it.
func (a account) run(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if a.drop {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
}

// own hands a path to the account.
func (a account) own(path string) error {
	if !a.drop {
		return nil
	}
	if err := os.Chown(path, int(a.uid), int(a.gid)); err != nil {
		return fmt.Errorf("hand %s to %s: %w", path, a.name, err)
	}
	return nil
}

// mkdir makes a directory that the account alone may enter.
func (a account) mkdir(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make directory: %w", err)
	}
	return a.own(path)
}

// reaches says whether the account may pass through every directory down to path. Only the plain mode bits count:
// where an access list would say otherwise, another place is taken, which works as well.
func (a account) reaches(path string) (bool, error) {
	if !a.drop {
		return true, nil
	}
	for dir := path; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue // we shall make it, open enough
		}
		if err != nil {
			return false, fmt.Errorf("look at %s: %w", dir, err)
		}
		if !a.enters(info) {
			return false, nil
		}
		if dir == filepath.Dir(dir) {
			return true, nil
		}
	}
}

func (a account) enters(info fs.FileInfo) bool {
	const ownerExec, groupExec, otherExec = 0o100, 0o010, 0o001
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return false
	case st.Uid == a.uid:
		return info.Mode()&ownerExec != 0
	case st.Gid == a.gid:
		return info.Mode()&groupExec != 0
	default:
		return info.Mode()&otherExec != 0
	}
}
