package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/robson/robson/cmd/robson/internal/client"
	"github.com/robson/robson/cmd/robson/internal/screen"
	"github.com/robson/robson/pkg/fault"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

const watchService = "/robson.projector.v1.WatchService/"

// initialMax is how many rows a watch may begin with.
const initialMax = 1000

// watchable is how a resource is watched.
type watchable struct {
	method   string
	request  func() proto.Message
	response func() proto.Message
	// key are the fields that name a row.
	key []string
	// byChange shows the newest change first; otherwise rows stand by their keys.
	byChange bool
}

// watchables are the resources that can be watched, by their names.
var watchables = map[string]watchable{
	"positions": {"WatchPositions", message[projectorv1.WatchPositionsRequest](), message[projectorv1.WatchPositionsResponse](), []string{"position_id"}, true},
	"orders":    {"WatchOrders", message[projectorv1.WatchOrdersRequest](), message[projectorv1.WatchOrdersResponse](), []string{"order_id"}, true},
	"balances":  {"WatchBalances", message[projectorv1.WatchBalancesRequest](), message[projectorv1.WatchBalancesResponse](), []string{"account_id", "wallet", "asset"}, false},
	"risk":      {"WatchRiskStates", message[projectorv1.WatchRiskStatesRequest](), message[projectorv1.WatchRiskStatesResponse](), []string{"account_id", "strategy_id"}, false},
}

// watchFlag adds --watch where the resource can be watched.
func (r resource) watchFlag(cmd *cobra.Command, on *bool) {
	if _, can := watchables[r.use]; can {
		cmd.Flags().BoolVar(on, "watch", false, "go on showing it as it changes, until Ctrl-C: on a terminal in place, elsewhere a line for each change")
	}
}

// watched is what a watch shows.
type watched struct {
	watchable
	app     *App
	columns []screen.Column
	// one says that a single row is meant, which must be there.
	one  bool
	many string

	rows   map[string]proto.Message
	point  protoreflect.Value // of the last synced; invalid before
	told   int64
	redraw *screen.Redraw
}

// runWatch shows the rows that a request of the resource asks for, and their changes, until the context ends. The watch asks by
// the same fields.
func (r resource) runWatch(ctx context.Context, app *App, asked proto.Message, limit int, one bool) error {
	ctx, stop := app.signaled(ctx)
	defer stop()
	conn, err := app.service(client.Projector)
	if err != nil {
		return err
	}
	w := &watched{watchable: watchables[r.use], app: app, columns: r.columns, one: one, many: r.rowsText(), rows: map[string]proto.Message{}}
	if app.out.Live() && !app.json() {
		w.redraw = screen.NewRedraw(app.out)
	}
	request := w.request()
	copyFields(request, asked)
	setInt(request, "initial_size", int64(min(limit, initialMax)))
	return app.follow(ctx, stream{
		open:  func(ctx context.Context) (bool, error) { return w.serve(ctx, conn, request) },
		place: func() string { return fmt.Sprintf("position %d", w.told) },
		broke: func() {
			if w.redraw != nil {
				w.redraw.Forget()
			}
		},
	})
}

// copyFields sets the fields that both messages have, as far as they are set.
func copyFields(to, from proto.Message) {
	fields := to.ProtoReflect().Descriptor().Fields()
	from.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if same := fields.ByName(f.Name()); same != nil {
			to.ProtoReflect().Set(same, v)
		}
		return true
	})
}

// serve opens a stream, after what was told already, and shows what it tells until it breaks.
func (w *watched) serve(ctx context.Context, conn grpc.ClientConnInterface, request proto.Message) (came bool, err error) {
	if w.point.IsValid() {
		request.ProtoReflect().Set(request.ProtoReflect().Descriptor().Fields().ByName("after"), w.point)
	}
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, watchService+w.method)
	if err != nil {
		return false, err
	}
	if err := stream.SendMsg(request); err != nil {
		return false, err
	}
	if err := stream.CloseSend(); err != nil {
		return false, err
	}
	for {
		response := w.response()
		if err := stream.RecvMsg(response); err != nil {
			return came, err
		}
		came = true
		if err := w.learn(response); err != nil {
			return came, err
		}
	}
}

// learn takes a message in and shows what it says.
func (w *watched) learn(response proto.Message) error {
	m := response.ProtoReflect()
	which := m.WhichOneof(m.Descriptor().Oneofs().ByName("message"))
	if which == nil {
		return nil // of a kind that is newer than this program
	}
	position := m.Get(m.Descriptor().Fields().ByName("position")).Int()
	if w.app.json() {
		if err := screen.JSONLine(w.app.out, response); err != nil {
			return err
		}
	}
	switch which.Name() {
	case "reset":
		w.rows = map[string]proto.Message{}
	case "row":
		row := m.Get(which).Message().Interface()
		w.rows[w.keyOf(row)] = row
		w.line(position, func(out io.Writer) { screen.RowLine(out, w.columns, row) })
	case "left":
		id := m.Get(which).String()
		if _, shown := w.rows[id]; shown {
			w.line(position, func(out io.Writer) { fmt.Fprintf(out, "%s left: it does not meet the conditions any more\n", id) })
		}
		delete(w.rows, id)
	case "synced":
		w.told = position
		synced := m.Get(which).Message()
		w.point = synced.Get(synced.Descriptor().Fields().ByName("point"))
		return w.show()
	}
	return nil
}

// line writes a change where lines stay.
func (w *watched) line(position int64, write func(out io.Writer)) {
	if w.redraw != nil || w.app.json() {
		return
	}
	fmt.Fprintf(w.app.out, "#%d  ", position)
	write(w.app.out)
}

// keyOf names a row.
func (w *watched) keyOf(row proto.Message) string {
	parts := make([]string, len(w.key))
	for i, name := range w.key {
		parts[i] = screen.FieldText(row.ProtoReflect(), name)
	}
	return strings.Join(parts, "|")
}

// show draws the rows on a terminal. One row that was asked for and is not there is an error.
func (w *watched) show() error {
	if w.one && len(w.rows) == 0 {
		return fault.New(fault.NotFound, "NO_SUCH_ROW", "there is no such row of %s", w.many)
	}
	if w.redraw == nil {
		return nil
	}
	rows := w.ordered()
	w.redraw.Show(func(out io.Writer) {
		switch {
		case w.one:
			screen.Fields(out, rows[0])
		case len(rows) == 0:
			fmt.Fprintf(out, "no %s\n", w.many)
		default:
			screen.Rows(out, w.columns, rows)
		}
		fmt.Fprintf(out, "true at position %d; Ctrl-C ends\n", w.told)
	})
	return nil
}

// ordered are the rows as they stand on the screen.
func (w *watched) ordered() []proto.Message {
	keys := slices.Sorted(maps.Keys(w.rows))
	if w.byChange {
		changed := func(key string) int64 {
			m := w.rows[key].ProtoReflect()
			return m.Get(m.Descriptor().Fields().ByName("last_position")).Int()
		}
		slices.SortStableFunc(keys, func(a, b string) int { return cmp.Compare(changed(b), changed(a)) })
	}
	rows := make([]proto.Message, len(keys))
	for i, key := range keys {
		rows[i] = w.rows[key]
	}
	return rows
}
