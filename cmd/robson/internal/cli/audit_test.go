package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/robson/robson/cmd/robson/internal/cli"
	"github.com/robson/robson/pkg/fault"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

const headEvent = "01KAS0QJ5W0000000000000000"

var headHash = strings.Repeat("ab", 32)

// startLog answers for a log of 42 events.
func startLog(t *testing.T) *services {
	t.Helper()
	return start(t).
		answer("GetHead", &eventlogv1.GetHeadResponse{Position: 42, EventId: headEvent, Hash: headHash}).
		answer("GetEvent", &eventlogv1.GetEventResponse{Event: &eventv1.Event{TenantId: tenantID, Position: 42, EventId: headEvent, Hash: headHash}})
}

// verdict is a stream with two words on the way and an end.
func verdict(v *eventlogv1.VerifyVerdict) []any {
	progress := func(done int64) *eventlogv1.VerifyChainResponse {
		return &eventlogv1.VerifyChainResponse{Message: &eventlogv1.VerifyChainResponse_Progress{Progress: &eventlogv1.VerifyProgress{EventsDone: done, EventsTotal: 42, EventsPerSecond: 21}}}
	}
	return []any{progress(10), progress(40), &eventlogv1.VerifyChainResponse{Message: &eventlogv1.VerifyChainResponse_Verdict{Verdict: v}}}
}

var (
	wholeVerdict  = &eventlogv1.VerifyVerdict{Whole: true, EventsVerified: 42, StreamsVerified: 7, ReceiptsVerified: 1, Head: &eventlogv1.KnownHead{Position: 42, Hash: headHash}}
	brokenVerdict = &eventlogv1.VerifyVerdict{Breach: eventlogv1.Breach_BREACH_EVENT_ALTERED, FirstBadPosition: 9, Description: "its content is not what was hashed", EventsVerified: 8}
)

func TestVerify(t *testing.T) {
	t.Parallel()
	s := start(t).answer("VerifyChain", verdict(wholeVerdict), verdict(wholeVerdict), verdict(brokenVerdict), verdict(brokenVerdict))
	code, out, errOut := s.run("verify")
	require.Zero(t, code)
	require.Equal(t, "whole: 42 events, 7 streams, 1 receipt\nhead   position 42, 1970-01-01T00:00:00Z, hash "+headHash+"\n", out)
	require.Equal(t, " 23 %  10 of 42 events, 21 a second, 2s left\n 95 %  40 of 42 events, 21 a second, 1s left\n", errOut)

	code, out, errOut = s.run("verify", "-o", "json")
	require.Zero(t, code)
	require.Empty(t, errOut)
	var document map[string]any
	require.NoError(t, json.Unmarshal([]byte(out), &document))
	require.Equal(t, true, document["whole"])

	code, out, errOut = s.run("verify")
	require.Equal(t, 6, code)
	require.Contains(t, out, "BROKEN at position 9: event_altered\nits content is not what was hashed\n8 events before it")
	require.Contains(t, errOut, "error: the log is broken at position 9: its content is not what was hashed\n")

	code, out, _ = s.run("verify", "-o", "json")
	require.Equal(t, 6, code)
	require.NoError(t, json.Unmarshal([]byte(out), &document))
	require.Equal(t, "9", document["first_bad_position"])
}

// TestVerify_against_kept_heads: what was exported comes back as it was.
func TestVerify_against_kept_heads(t *testing.T) {
	t.Parallel()
	s := startLog(t).answer("VerifyChain", verdict(wholeVerdict))
	file := filepath.Join(t.TempDir(), "head.json")
	code, out, errOut := s.run("head", "export", "--file", file)
	require.Zero(t, code, errOut)
	require.Equal(t, "the head of tenant "+tenantID+" at position 42 is in "+file+"\n", out)
	s.asked = nil
	code, _, errOut = s.run("verify", "--head", file, "--head", file, "--from", file, "--to", "50")
	require.Zero(t, code, errOut)
	known := &eventlogv1.KnownHead{Position: 42, EventId: headEvent, Hash: headHash}
	require.EqualExportedValues(t, &eventlogv1.VerifyChainRequest{After: known, ToPosition: 50, KnownHeads: []*eventlogv1.KnownHead{known, known}}, s.only().request)

	kept, err := os.ReadFile(file)
	require.NoError(t, err)
	code, out, _ = s.run("head", "export")
	require.Zero(t, code)
	require.Equal(t, string(kept), out)

	code, out, errOut = s.run("head", "export", "--file", file)
	require.Equal(t, 2, code)
	require.Empty(t, out)
	require.Contains(t, errOut, "never overwritten")
	again, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, kept, again)
	require.JSONEq(t, `{"tenant_id":"`+tenantID+`","position":42,"event_id":"`+headEvent+`","hash":"`+headHash+`","ingested_at":"1970-01-01T00:00:00Z"}`, string(kept))
}

func TestVerify_refuses_what_is_no_head(t *testing.T) {
	t.Parallel()
	s := startLog(t)
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	for want, path := range map[string]string{
		"no such file":         filepath.Join(dir, "nowhere"),
		"is no head of a log":  file("empty", "{}"),
		"unknown field":        file("other", `{"a":1}`),
		"head of tenant":       file("tenant", `{"tenant_id":"7e57ab1e-0000-4000-8000-000000000002","position":1,"hash":"x"}`),
		"is no head of a log ": file("long", strings.Repeat(" ", 5000)),
	} {
		for _, flag := range []string{"--head", "--from"} {
			code, out, errOut := s.run("verify", flag, path)
			require.Equal(t, 2, code, errOut)
			require.Empty(t, out)
			require.Contains(t, errOut, strings.TrimSpace(want))
			require.Contains(t, errOut, "error: "+flag)
		}
	}
	code, _, errOut := s.run("verify", "--to", "0")
	require.Equal(t, 2, code)
	require.Contains(t, errOut, "--to: must be at least 1")
	require.Empty(t, s.asked)
}

func TestVerify_that_fails(t *testing.T) {
	t.Parallel()
	s := start(t).answer("VerifyChain", fault.New(fault.Exhausted, "VERIFYING_ALREADY", "this log is being verified already"), []any{}, fault.InvalidField("to_position", "the log ends at 42"))
	code, _, errOut := s.run("verify")
	require.Equal(t, 5, code)
	require.Contains(t, errOut, "being verified already")
	code, _, errOut = s.run("verify")
	require.Equal(t, 1, code)
	require.Contains(t, errOut, "without a verdict")
	code, _, errOut = s.run("verify", "--to", "43")
	require.Equal(t, 2, code)
	require.Contains(t, errOut, "error: --to: the log ends at 42\n")
}

// TestVerify_that_is_broken_off, as by Ctrl-C.
func TestVerify_that_is_broken_off(t *testing.T) {
	t.Parallel()
	s := start(t).answer("VerifyChain", verdict(wholeVerdict))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errOut bytes.Buffer
	require.Equal(t, 1, cli.Run(ctx, []string{"--data-dir", s.dir, "verify"}, &out, &errOut))
	require.Empty(t, out.String())
	require.Equal(t, "error: the verification was broken off; nothing was changed\n", errOut.String())
}

func TestHeadExport_that_fails(t *testing.T) {
	t.Parallel()
	s := startLog(t)
	code, _, errOut := s.run("head", "export", "--file", filepath.Join(t.TempDir(), "no", "where"))
	require.Equal(t, 2, code)
	require.Contains(t, errOut, "--file: open")
	code, _, _ = s.run("head", "export", "--file=")
	require.Equal(t, 2, code)
	s.answer("GetHead", &eventlogv1.GetHeadResponse{Position: 42, EventId: headEvent, Hash: strings.Repeat("cd", 32)}, &eventlogv1.GetHeadResponse{})
	code, _, errOut = s.run("head", "export")
	require.Equal(t, 6, code)
	require.Contains(t, errOut, "see robson verify")
	code, _, errOut = s.run("head", "export")
	require.Equal(t, 1, code)
	require.Contains(t, errOut, "no event yet")
}
