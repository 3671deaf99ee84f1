package server

import (
	"context"
	"encoding/hex"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"github.com/robson/robson/pkg/identity"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/projector/internal/store"
)

// Exporter is what AuditService needs of the store: of one snapshot, the head of the log, then every row ordered by
// table and key.
type Exporter interface {
	Export(ctx context.Context, tenant uuid.UUID, p store.ExportParams, header func(store.Head) error, row func(store.ExportedRow) error) error
}

// Audit serves AuditService.
type Audit struct {
	projectorv1.UnimplementedAuditServiceServer

	exporter Exporter
}

// NewAudit makes the server.
func NewAudit(exporter Exporter) *Audit { return &Audit{exporter: exporter} }

// ExportState implements projectorv1.AuditServiceServer.
func (a *Audit) ExportState(r *projectorv1.ExportStateRequest, stream grpc.ServerStreamingServer[projectorv1.ExportStateResponse]) error {
	header := func(h store.Head) error {
		return stream.Send(&projectorv1.ExportStateResponse{Message: &projectorv1.ExportStateResponse_Header{
			Header: &projectorv1.ExportHeader{Position: h.Position, Hash: hex.EncodeToString(h.Hash)},
		}})
	}
	row := func(r store.ExportedRow) error {
		return stream.Send(&projectorv1.ExportStateResponse{Message: &projectorv1.ExportStateResponse_Row{
			Row: &projectorv1.ExportRow{Table: r.Table, Key: r.Key, Json: r.JSON},
		}})
	}
	params := store.ExportParams{Tables: r.GetTables(), Least: r.GetMinPosition()}
	return a.exporter.Export(stream.Context(), identity.Tenant(stream.Context()), params, header, row) //nolint:wrapcheck // The store says what it was doing.
}
