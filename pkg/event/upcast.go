package event

import (
	"reflect"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// upcaster lifts a payload from one version of its shape to the next. It sees nothing but the payload: no clock, no state,
// no other event, so that stored bytes mean the same wherever and whenever they are read. Hashes and keys are of the stored
// bytes and know nothing of it.
type upcaster struct {
	// from is the shape that the older version was written in, and to the one that it becomes.
	from, to protoreflect.MessageType
	// plan is how the older shape was written.
	plan *plan
	lift func(proto.Message) proto.Message
}

// upcasters are, by type, the steps from version 1 to 2, from 2 to 3 and so on up to the one that is written today: as many
// as there are older versions. docs/howto/change-a-payload.md says how one comes to be.
var upcasters = map[Type][]upcaster{
	"EXCHANGE_STATE_UNCERTAIN": {upcast(uncertainV1)},
}

// upcast makes a step of a typed function. A payload of another type comes there only by a broken program.
func upcast[Old, New proto.Message](lift func(Old) New) upcaster {
	var before Old
	var after New
	from := before.ProtoReflect().Type()
	written := planOf(from.Descriptor())
	written.place(reflect.TypeFor[Old]().Elem())
	return upcaster{
		from: from, to: after.ProtoReflect().Type(), plan: written,
		lift: func(m proto.Message) proto.Message { return lift(m.(Old)) },
	}
}

// shape is what a version of a type was written in, and the steps from there to today's; known is false for a version that
// nobody has written, or that is still to come.
func (d *Descriptor) shape(version int32) (message protoreflect.MessageType, p *plan, steps []upcaster, known bool) {
	switch {
	case version == d.Version:
		return d.message, d.plan, nil, true
	case version < 1 || int(version) > len(d.older):
		return nil, nil, nil, false
	}
	steps = d.older[version-1:]
	return steps[0].from, steps[0].plan, steps, true
}

// venueRequests are the words that version 1 of EXCHANGE_STATE_UNCERTAIN was written with.
var venueRequests = map[string]eventv1.VenueRequest{
	"place":  eventv1.VenueRequest_VENUE_REQUEST_PLACE,
	"cancel": eventv1.VenueRequest_VENUE_REQUEST_CANCEL,
	"query":  eventv1.VenueRequest_VENUE_REQUEST_QUERY,
}

// uncertainV1 names the request, which was text: with another word than those that the fold knew nothing ever followed, and
// nothing does now.
func uncertainV1(old *eventv1.ExchangeStateUncertainV1) *eventv1.ExchangeStateUncertain {
	request, known := venueRequests[old.GetOperation()]
	if !known {
		request = eventv1.VenueRequest_VENUE_REQUEST_OTHER
	}
	return &eventv1.ExchangeStateUncertain{
		AccountId: old.GetAccountId(), RequestId: old.GetRequestId(), OrderId: old.GetOrderId(), ClientOrderId: old.GetClientOrderId(),
		HttpStatus: old.HttpStatus, ErrorCode: old.ErrorCode, Cause: old.GetCause(), RequestTimestamp: old.GetRequestTimestamp(),
		RecvWindowMs: old.GetRecvWindowMs(), Request: request,
	}
}
