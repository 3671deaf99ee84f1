package store_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/event"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/eventlog/internal/audit"
	"github.com/robson/robson/services/eventlog/internal/store"
	"github.com/robson/robson/services/eventlog/internal/store/storetest"
)

// TestStore_Verify_begins_again_with_everything: where the first part has more streams than are kept in memory, and the log
// is looked at in smaller ones, receipts are held against the events all the same. Once they were not.
func TestStore_Verify_begins_again_with_everything(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		sql  string
		kind audit.Kind
	}{
		"whole":             {"", 0},
		"a receipt is gone": {remove("commands", "first_position = 2"), audit.ReceiptMismatch},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &evidence{bench: setup(t, store.Config{Verify: store.VerifyLimits{StreamsMax: 1}})}
			e.log = storetest.NewLog(e.super, uuid.New(), time.Date(2026, 1, 20, 0, 0, 0, 0, time.UTC))
			for _, low := range []byte{0, 3} { // Alike in three parts, apart in six.
				account := uuid.UUID{0: 1, 15: low}
				_, err := e.log.Append(t.Context(), storetest.Command{Events: []storetest.Event{{
					Stream: event.StreamKey{Kind: event.KindAccount, ID: account}, Payload: &eventv1.ExchangeConnected{AccountId: account.String(), ConnectionId: "1"},
				}}})
				require.NoError(t, err)
			}
			if test.sql != "" {
				e.tamper(t, test.sql)
			}
			verdict := e.verify(t, e.log.Tenant, store.VerifyParams{})
			if test.sql != "" {
				require.NotNil(t, verdict.Breach)
				require.Equal(t, test.kind, verdict.Breach.Kind)
				return
			}
			require.Nil(t, verdict.Breach)
			require.EqualValues(t, 2, verdict.Receipts)
			require.EqualValues(t, 2, verdict.Streams)
		})
	}
}
