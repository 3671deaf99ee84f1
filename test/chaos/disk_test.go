package chaos_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
)

const (
	// diskBytes is how large the disk is: room for a new database and for the rounds.
	diskBytes = 512 << 20
	// diskRounds is how often it is filled.
	diskRounds = 4
	// slackMax is the most that is left free.
	slackMax = 2 << 20
)

// TestAFullDiskLosesNothing: PostgreSQL's disk is full for a while, under load; senders are told to come again, and when there is
// room everything is as they were told.
func TestAFullDiskLosesNothing(t *testing.T) {
	t.Parallel()
	if !*long {
		t.Skip("the long form fills a disk: make chaos")
	}
	seed := chosen(t)
	source := rand.New(rand.NewPCG(seed, 5))
	dir := smallDisk(t)
	r := newRig(t, dir, 2)
	tenants := newTenants(t, r, tenantsOfRounds, seed)
	audits := make([]*audit, len(tenants))
	for i, tenant := range tenants {
		audits[i] = newAudit(r, tenant, seed)
	}
	for round := range diskRounds {
		ctx := t.Context()
		load := startLoad(ctx, r.replicas, tenants, callMax, source.Uint64())
		within(ctx, some(source, *duration/10, *duration/2))
		ballast := filepath.Join(dir, "ballast")
		require.NoError(t, fill(ballast, source.Int64N(slackMax)))
		require.NoError(t, await(ctx, "somebody notices that the disk is full", readyMax, func() error {
			load.codes.mu.Lock()
			defer load.codes.mu.Unlock()
			if load.codes.counts[codes.Unavailable] == 0 {
				return errors.New("no call ended with UNAVAILABLE")
			}
			return nil
		}))
		within(ctx, some(source, *duration/10, *duration))
		require.NoError(t, os.Remove(ballast))
		require.NoError(t, r.revive(ctx))
		within(ctx, *duration/2)
		require.NoError(t, load.stop())
		for _, a := range audits {
			require.NoError(t, a.whole(ctx), "after the disk was full for the %d. time", round+1)
		}
		t.Logf("round %d: the disk was full; %v", round+1, load.codes.counts)
	}
	for _, a := range audits {
		require.NoError(t, a.proven(t.Context()))
	}
}

// smallDisk mounts one. Where that is not allowed there is no such test.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(workDir(t), "disk")
	require.NoError(t, os.Mkdir(dir, 0o755))
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0755", diskBytes)); err != nil {
		t.Skipf("a small disk cannot be mounted here (it takes root): %s", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, 0)) })
	return dir
}

// fill writes a file that takes all that is free but a little.
func fill(path string, slack int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	piece := make([]byte, 64<<10)
	var size int64
	for {
		n, err := f.Write(piece)
		size += int64(n)
		if errors.Is(err, syscall.ENOSPC) {
			break
		}
		if err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return errors.Join(f.Truncate(max(0, size-slack)), f.Close())
}
