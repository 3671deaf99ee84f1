package fact

import (
	"testing"

	"github.com/stretchr/testify/require"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/connector/internal/venue"
)

// TestUncertain_names_the_request: the fold marks an order by it, so a word that it does not know must not get there.
func TestUncertain_names_the_request(t *testing.T) {
	t.Parallel()
	for operation, want := range map[string]eventv1.VenueRequest{
		venue.OpPlace:      eventv1.VenueRequest_VENUE_REQUEST_PLACE,
		venue.OpCancel:     eventv1.VenueRequest_VENUE_REQUEST_CANCEL,
		venue.OpQuery:      eventv1.VenueRequest_VENUE_REQUEST_QUERY,
		venue.OpOpen:       eventv1.VenueRequest_VENUE_REQUEST_QUERY,
		venue.OpTrades:     eventv1.VenueRequest_VENUE_REQUEST_QUERY,
		venue.OpListTrades: eventv1.VenueRequest_VENUE_REQUEST_QUERY,
		venue.OpListOrders: eventv1.VenueRequest_VENUE_REQUEST_QUERY,
		venue.OpBalances:   eventv1.VenueRequest_VENUE_REQUEST_QUERY,
		"dance":            eventv1.VenueRequest_VENUE_REQUEST_OTHER,
	} {
		told, ok := Uncertain(Request{Operation: operation}, &venue.UncertainError{Operation: operation}).Payload.(*eventv1.ExchangeStateUncertain)
		require.True(t, ok)
		require.Equal(t, want, told.GetRequest(), operation)
	}
}
