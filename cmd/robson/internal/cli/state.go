package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/robson/robson/cmd/robson/internal/client"
	"github.com/robson/robson/cmd/robson/internal/screen"
	"github.com/robson/robson/pkg/fault"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

const (
	stateService = "/robson.projector.v1.StateService/"
	// pageSize is how many rows one call asks for; --limit bounds the whole answer.
	pageSize = 200
	// limitDefault is how many rows or events an answer has where the line does not say.
	limitDefault = 100
)

// resourceCommands make `robson <resource> list|get` of each.
func resourceCommands(app *App) []*cobra.Command {
	var out []*cobra.Command
	for _, r := range resources() {
		out = append(out, r.command(app))
	}
	return out
}

// command makes `robson <resource> list|get`.
func (r resource) command(app *App) *cobra.Command {
	parent := parentCommand(r.use, r.short, r.listCommand(app))
	switch {
	case r.get != "":
		parent.AddCommand(r.getCommand(app))
	case len(r.keys) > 0:
		parent.AddCommand(r.pickCommand(app))
	}
	return parent
}

// minPositionFlag lets a reader wait for what it has just written.
func minPositionFlag(cmd *cobra.Command, position *int64) {
	cmd.Flags().Int64Var(position, "min-position", 0, "wait until the state holds at least up to this log position")
}

// limitFlag bounds an answer.
func limitFlag(cmd *cobra.Command, limit *int) {
	cmd.Flags().IntVar(limit, "limit", limitDefault, "at most so many")
}

// checkLimit refuses a bound that asks for nothing.
func checkLimit(limit int) error {
	if limit < 1 {
		return usagef("--limit: must be at least 1, found %d", limit)
	}
	return nil
}

// listCommand lists rows page by page until the limit.
func (r resource) listCommand(app *App) *cobra.Command {
	limit, minPosition, watching := 0, int64(0), false
	filters := newFieldFlags(r.listRequest().ProtoReflect().Descriptor(), r.filters)
	cmd := &cobra.Command{
		Use: "list", Short: "List " + r.rowsText(), Args: noArgs, Example: indent(r.example),
		RunE: func(cmd *cobra.Command, _ []string) error {
			request := r.listRequest()
			if err := filters.apply(cmd.Flags(), request, app.typed); err != nil {
				return err
			}
			if err := checkLimit(limit); err != nil {
				return err
			}
			if watching {
				return r.runWatch(cmd.Context(), app, request, limit, false)
			}
			app.typed["min_position"] = "--min-position"
			setInt(request, "min_position", minPosition)
			return r.runList(cmd.Context(), app, request, limit)
		},
	}
	cmd.Flags().SortFlags = false
	filters.register(cmd.Flags())
	limitFlag(cmd, &limit)
	minPositionFlag(cmd, &minPosition)
	r.watchFlag(cmd, &watching)
	return cmd
}

// runList pages and prints.
func (r resource) runList(ctx context.Context, app *App, request proto.Message, limit int) error {
	all, rows, err := r.read(ctx, app, request, limit)
	if err != nil {
		return err
	}
	if app.json() {
		return screen.JSON(app.out, all)
	}
	if len(rows) == 0 {
		fmt.Fprintf(app.out, "no %s\n", r.rowsText())
		return nil
	}
	screen.Rows(app.out, r.columns, rows)
	more := ""
	if screen.FieldText(all.ProtoReflect(), "next_page_token") != "" {
		more = "; there are more: raise --limit"
	}
	fmt.Fprintf(app.err, "%s, true at position %d%s\n", counted(len(rows), r.rowsText()), asOf(all), more)
	return nil
}

// read asks for pages until the limit and gives them as one answer, true at the position of its last page.
func (r resource) read(ctx context.Context, app *App, request proto.Message, limit int) (proto.Message, []proto.Message, error) {
	conn, err := app.service(client.Projector)
	if err != nil {
		return nil, nil, err
	}
	all := r.listResponse()
	var rows []proto.Message
	for len(rows) < limit {
		setInt(request, "page_size", int64(min(pageSize, limit-len(rows))))
		page := r.listResponse()
		if err := conn.Invoke(ctx, stateService+r.list, request, page); err != nil {
			return nil, nil, err
		}
		proto.Merge(all, page)
		rows = append(rows, listField(page, r.rows)...)
		token := screen.FieldText(page.ProtoReflect(), "next_page_token")
		setText(all, "next_page_token", token)
		setInt(all, "as_of", asOf(page))
		if token == "" {
			break
		}
		setText(request, "page_token", token)
	}
	return all, rows, nil
}

// getCommand shows one row whole, by its id.
func (r resource) getCommand(app *App) *cobra.Command {
	minPosition, watching := int64(0), false
	idField := string(r.getRequest().ProtoReflect().Descriptor().Fields().ByNumber(1).Name())
	cmd := &cobra.Command{
		Use: "get " + strings.ToUpper(idField), Short: "Show one whole", Args: oneArg(strings.ToUpper(idField)),
		RunE: func(cmd *cobra.Command, args []string) error {
			conn, err := app.service(client.Projector)
			if err != nil {
				return err
			}
			app.typed[idField], app.typed["min_position"] = strings.ToUpper(idField), "--min-position"
			request, response := r.getRequest(), r.getResponse()
			setText(request, idField, args[0])
			if watching {
				return r.runWatch(cmd.Context(), app, request, 1, true)
			}
			setInt(request, "min_position", minPosition)
			if err := conn.Invoke(cmd.Context(), stateService+r.get, request, response); err != nil {
				return err
			}
			if app.json() {
				return screen.JSON(app.out, response)
			}
			row := response.ProtoReflect().Descriptor().Fields().ByNumber(1)
			screen.Fields(app.out, response.ProtoReflect().Get(row).Message().Interface())
			fmt.Fprintf(app.err, "true at position %d\n", asOf(response))
			return nil
		},
	}
	minPositionFlag(cmd, &minPosition)
	r.watchFlag(cmd, &watching)
	return cmd
}

// pickCommand shows one row whole that is named by several ids, of which the list's filters choose it.
func (r resource) pickCommand(app *App) *cobra.Command {
	minPosition, watching := int64(0), false
	var names, required []string
	for _, key := range r.keys {
		name, needed := strings.CutSuffix(key, "!")
		names = append(names, name)
		if needed && len(names) > 1 {
			required = append(required, strings.ReplaceAll(name, "_", "-"))
		}
	}
	argument := strings.ToUpper(names[0])
	flags := newFieldFlags(r.listRequest().ProtoReflect().Descriptor(), names[1:])
	cmd := &cobra.Command{
		Use: "get " + argument, Short: "Show one whole", Args: oneArg(argument),
		RunE: func(cmd *cobra.Command, args []string) error {
			request := r.listRequest()
			if strategy := request.ProtoReflect().Descriptor().Fields().ByName("strategy_id"); strategy != nil {
				// The account's own row is that of no strategy.
				setText(request, "strategy_id", uuid.Nil.String())
			}
			if err := flags.apply(cmd.Flags(), request, app.typed); err != nil {
				return err
			}
			app.typed[names[0]], app.typed["min_position"] = argument, "--min-position"
			setText(request, names[0], args[0])
			if watching {
				return r.runWatch(cmd.Context(), app, request, 1, true)
			}
			setInt(request, "min_position", minPosition)
			return r.runPick(cmd.Context(), app, request)
		},
	}
	flags.register(cmd.Flags())
	requireFlags(cmd, required...)
	minPositionFlag(cmd, &minPosition)
	r.watchFlag(cmd, &watching)
	return cmd
}

// runPick prints the one row that the filters leave.
func (r resource) runPick(ctx context.Context, app *App, request proto.Message) error {
	all, rows, err := r.read(ctx, app, request, 1)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return fault.New(fault.NotFound, "NO_SUCH_ROW", "there is no such row; see robson %s list", r.use)
	}
	if app.json() {
		return screen.JSON(app.out, rows[0])
	}
	screen.Fields(app.out, rows[0])
	fmt.Fprintf(app.err, "true at position %d\n", asOf(all))
	return nil
}

// tenantGetCommand shows the tenant of the call.
func tenantGetCommand(app *App) *cobra.Command {
	return &cobra.Command{
		Use: "get", Short: "Show the tenant that your token is for", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			conn, err := app.service(client.Projector)
			if err != nil {
				return err
			}
			response, err := projectorv1.NewStateServiceClient(conn).GetTenant(cmd.Context(), &projectorv1.GetTenantRequest{})
			if err != nil {
				return err
			}
			if app.json() {
				return screen.JSON(app.out, response)
			}
			screen.Fields(app.out, response.GetTenant())
			return nil
		},
	}
}

// counted is a number of things, whose word is the plural.
func counted(n int, things string) string {
	if n != 1 {
		return fmt.Sprintf("%d %s", n, things)
	}
	one, isRegular := strings.CutSuffix(things, "s")
	if stem, y := strings.CutSuffix(things, "ies"); y {
		one, isRegular = stem+"y", true
	}
	if !isRegular {
		one = things
	}
	return "1 " + one
}

// listField gives the messages of a repeated field.
func listField(m proto.Message, name string) []proto.Message {
	list := m.ProtoReflect().Get(m.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(name))).List()
	rows := make([]proto.Message, list.Len())
	for i := range rows {
		rows[i] = list.Get(i).Message().Interface()
	}
	return rows
}

func setText(m proto.Message, name, value string) {
	m.ProtoReflect().Set(m.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(name)), protoreflect.ValueOfString(value))
}

func setInt(m proto.Message, name string, value int64) {
	f := m.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(name))
	if f.Kind() == protoreflect.Int32Kind {
		m.ProtoReflect().Set(f, protoreflect.ValueOfInt32(int32(value)))
		return
	}
	m.ProtoReflect().Set(f, protoreflect.ValueOfInt64(value))
}

// asOf is the position that an answer is true at.
func asOf(m proto.Message) int64 {
	return m.ProtoReflect().Get(m.ProtoReflect().Descriptor().Fields().ByName("as_of")).Int()
}

func setBool(m proto.Message, name string, value bool) {
	m.ProtoReflect().Set(m.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(name)), protoreflect.ValueOfBool(value))
}
