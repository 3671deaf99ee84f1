package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/robson/robson/pkg/fault"
)

// Reasons of the faults that this package makes.
const (
	ReasonUnavailable      = "DATABASE_UNAVAILABLE"
	ReasonLockTimeout      = "DATABASE_LOCK_TIMEOUT"
	ReasonStatementTimeout = "DATABASE_STATEMENT_TIMEOUT"
	ReasonSerialization    = "DATABASE_SERIALIZATION"
	ReasonCommitUncertain  = "COMMIT_UNCERTAIN"
	ReasonDuplicateRow     = "DUPLICATE_ROW"
	ReasonConstraint       = "CONSTRAINT"
	ReasonPartitionMissing = "PARTITION_MISSING"
	ReasonValue            = "VALUE_NOT_STORABLE"
	ReasonPrivilege        = "DATABASE_PRIVILEGE"
	ReasonRowNotFound      = "ROW_NOT_FOUND"
	ReasonDataCorrupted    = "DATABASE_CORRUPTED"
)

// retryAfter is the delay that is advised where the database is away or busy.
const retryAfter = 200 * time.Millisecond

// SQLSTATE codes and classes that somebody branches on; see PostgreSQL's appendix A.
const (
	stateSerializationFailure = "40001"
	stateDeadlockDetected     = "40P01"
	stateLockNotAvailable     = "55P03"
	stateQueryCanceled        = "57014"
	stateUniqueViolation      = "23505"
	stateExclusionViolation   = "23P01"
	stateCheckViolation       = "23514"
	stateInsufficientPriv     = "42501"
	stateReadOnlyTransaction  = "25006"
	stateIdleInTransaction    = "25P03"

	classConnection    = "08"
	classData          = "22"
	classIntegrity     = "23"
	classResources     = "53"
	classOperator      = "57"
	classSystem        = "58"
	classDataCorrupted = "XX"
)

// Constraint says what the violation of a named constraint means to the domain.
type Constraint struct {
	// Name of the constraint or unique index.
	Name string
	// Kind and Reason of the fault that it becomes.
	Kind   fault.Kind
	Reason string
	// Message tells the caller, who does not know the schema.
	Message string
}

// Fault gives a driver's error its kind, by SQLSTATE and constraint name and never by text. The cause stays in the
// chain. What has a kind keeps it; a context's end and what nobody branches on are returned as they are, so that
// no error is ever swallowed.
func Fault(err error, constraints ...Constraint) error {
	if err == nil || fault.As(err) != nil {
		return err
	}
	var pgErr *pgconn.PgError
	switch {
	case errors.As(err, &pgErr):
		return fromServer(err, pgErr, constraints)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, pgx.ErrNoRows):
		return fault.Wrap(err, fault.NotFound, ReasonRowNotFound, "no such row")
	case isConnection(err):
		return unavailable(err, ReasonUnavailable, "the database cannot be reached")
	default:
		return err
	}
}

func fromServer(err error, pgErr *pgconn.PgError, constraints []Constraint) error {
	if pgErr.ConstraintName != "" {
		for _, c := range constraints {
			if c.Name == pgErr.ConstraintName {
				return fault.Wrap(err, c.Kind, c.Reason, "%s", c.Message)
			}
		}
	}
	switch pgErr.Code {
	case stateSerializationFailure, stateDeadlockDetected:
		return unavailable(err, ReasonSerialization, "the transaction lost against another")
	case stateLockNotAvailable:
		return unavailable(err, ReasonLockTimeout, "what it needs is locked by another")
	case stateQueryCanceled:
		return unavailable(err, ReasonStatementTimeout, "the database took too long")
	case stateIdleInTransaction:
		return unavailable(err, ReasonUnavailable, "the transaction was left idle for too long")
	case stateReadOnlyTransaction:
		return unavailable(err, ReasonUnavailable, "the database is read-only")
	case stateUniqueViolation, stateExclusionViolation:
		return fault.Wrap(err, fault.Duplicate, ReasonDuplicateRow, "it exists already")
	case stateCheckViolation:
		// A row that no partition takes is told as a check without a name.
		if pgErr.ConstraintName == "" {
			return unavailable(err, ReasonPartitionMissing, "the month has no partition")
		}
	case stateInsufficientPriv:
		return fault.Wrap(err, fault.Denied, ReasonPrivilege, "the database does not allow it")
	}
	if len(pgErr.Code) < len(classData) {
		return err
	}
	switch pgErr.Code[:2] {
	case classConnection, classResources, classOperator, classSystem:
		return unavailable(err, ReasonUnavailable, "the database is unavailable")
	case classData:
		return fault.Wrap(err, fault.Invalid, ReasonValue, "a value cannot be stored")
	case classIntegrity:
		return fault.Wrap(err, fault.Invalid, ReasonConstraint, "a constraint does not hold")
	case classDataCorrupted:
		return fault.Wrap(err, fault.Corrupt, ReasonDataCorrupted, "the database reports damage")
	default:
		return err
	}
}

func unavailable(err error, reason, message string) error {
	return fault.Wrap(err, fault.Unavailable, reason, "%s", message).WithRetryAfter(retryAfter)
}

// isConnection says whether the way to the server failed.
func isConnection(err error) bool {
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, pgconn.ErrConnClosed) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// IsCommitUncertain says whether a transaction may have been committed although it ended with an error: the way to
// the server broke at COMMIT. Only asking the database tells.
func IsCommitUncertain(err error) bool {
	return fault.ReasonOf(err) == ReasonCommitUncertain
}

// isRetryable says whether the server rolled the transaction back for no fault of its own, so that it may run again.
func isRetryable(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && (pgErr.Code == stateSerializationFailure || pgErr.Code == stateDeadlockDetected)
}

// isUncertain judges an error of a COMMIT that was begun on a living connection. It is certain only if the server
// said that it rolled back. A server that ended the session (severity FATAL) may have committed first. pgconn's
// SafeToRetry is no help: when the answer to what was sent does not come, it says "conn closed, safe to retry".
func isUncertain(err error) bool {
	if errors.Is(err, pgx.ErrTxCommitRollback) || errors.Is(err, pgx.ErrTxClosed) {
		return false
	}
	var pgErr *pgconn.PgError
	return !errors.As(err, &pgErr) || pgErr.SeverityUnlocalized != "ERROR"
}
