package rpc

import (
	"context"
	"errors"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/robson/robson/pkg/fault"
)

// ErrorDomain is the domain of every ErrorInfo.
const ErrorDomain = "robson"

// codeOf is the one table of kinds and codes.
var codeOf = map[fault.Kind]codes.Code{
	fault.Invalid: codes.InvalidArgument, fault.NotFound: codes.NotFound, fault.Conflict: codes.Aborted, fault.Duplicate: codes.AlreadyExists,
	fault.Stale: codes.DeadlineExceeded, fault.Refused: codes.FailedPrecondition, fault.Denied: codes.PermissionDenied,
	fault.Unauthenticated: codes.Unauthenticated, fault.Unavailable: codes.Unavailable, fault.Exhausted: codes.ResourceExhausted, fault.Corrupt: codes.DataLoss,
}

// kindOf is the same table, read the other way.
var kindOf = func() map[codes.Code]fault.Kind {
	kinds := make(map[codes.Code]fault.Kind, len(codeOf))
	for kind, code := range codeOf {
		kinds[code] = kind
	}
	return kinds
}()

// Status turns an error into what goes over the wire. An error without a kind becomes INTERNAL without its text: what
// nobody thought of is not for strangers to read.
func Status(err error) *status.Status {
	if err == nil {
		return nil
	}
	e := fault.As(err)
	if e == nil || e.Kind == fault.Unknown {
		return plainStatus(err)
	}
	st := status.New(codeOf[e.Kind], err.Error())
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: e.Reason, Domain: ErrorDomain, Metadata: e.Metadata}}
	if len(e.Fields) > 0 {
		bad := &errdetails.BadRequest{}
		for _, f := range e.Fields {
			bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{Field: f.Path, Description: f.Description})
		}
		details = append(details, bad)
	}
	if e.RetryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(e.RetryAfter)})
	}
	with, detailErr := st.WithDetails(details...)
	if detailErr != nil {
		return st
	}
	return with
}

// plainStatus is the status of an error without a kind: a status made elsewhere, an ended context, or something unknown.
func plainStatus(err error) *status.Status {
	switch {
	case errors.Is(err, context.Canceled):
		return status.New(codes.Canceled, "the call was canceled")
	case errors.Is(err, context.DeadlineExceeded):
		return status.New(codes.DeadlineExceeded, "the deadline was reached")
	}
	var made interface{ GRPCStatus() *status.Status }
	if errors.As(err, &made) && made.GRPCStatus().Code() == codes.Unimplemented {
		return made.GRPCStatus()
	}
	return status.New(codes.Internal, "internal error; the service's log has it under the call's trace id")
}

// FromStatus rebuilds the fault from what came over the wire, so that fault.Is reads alike on both sides. An error that is
// no status is given back as it is.
func FromStatus(err error) error {
	if err == nil {
		return nil
	}
	st, ok := status.FromError(err)
	if !ok {
		return err
	}
	return &remoteError{status: st, fault: FaultOf(st)}
}

// FaultOf reads a status as a fault; its kind is Unknown for codes that stand for none.
func FaultOf(st *status.Status) *fault.Error {
	e := fault.New(kindOf[st.Code()], "", "%s", st.Message())
	for _, detail := range st.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			e.Reason, e.Metadata = d.GetReason(), d.GetMetadata()
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				e.Fields = append(e.Fields, fault.Field{Path: v.GetField(), Description: v.GetDescription()})
			}
		case *errdetails.RetryInfo:
			e.RetryAfter = d.GetRetryDelay().AsDuration()
		}
	}
	return e
}

// remoteError is a failure that another service told: a fault to those who branch, a status to those who ask gRPC.
type remoteError struct {
	status *status.Status
	fault  *fault.Error
}

// Error is the message alone; the code is for programs.
func (e *remoteError) Error() string { return e.status.Message() }

// Unwrap gives the fault.
func (e *remoteError) Unwrap() error { return e.fault }

// GRPCStatus gives the status.
func (e *remoteError) GRPCStatus() *status.Status { return e.status }

// RetryAfter is the delay that an error asks for; 0 if it asks for none.
func RetryAfter(err error) time.Duration {
	if e := fault.As(err); e != nil {
		return e.RetryAfter
	}
	return 0
}
