package cli

import (
	"fmt"
	"github.com/robson/robson/cmd/robson/internal/screen"
	"io"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
)

// withOutcome is a response of the command service.
type withOutcome interface {
	GetOutcome() *commandv1.Outcome
}

// withDecision is a response that carries the numbers of a decision.
type withDecision interface {
	GetDecision() *commandv1.Decision
}

// verdictText says what became of a command.
var verdictText = map[commandv1.Verdict]string{
	commandv1.Verdict_VERDICT_ACCEPTED:     "accepted",
	commandv1.Verdict_VERDICT_REFUSED:      "REFUSED by the risk gates (recorded)",
	commandv1.Verdict_VERDICT_WOULD_ACCEPT: "dry run: would be accepted; nothing was written",
	commandv1.Verdict_VERDICT_WOULD_REFUSE: "dry run: would be REFUSED; nothing was written",
}

// writeOutcome prints what became of a command: verdict, ids, numbers, refusing gates, events.
func writeOutcome(w io.Writer, response proto.Message) error {
	typed, ok := response.(withOutcome)
	if !ok || typed.GetOutcome() == nil {
		return fmt.Errorf("the answer %s carries no outcome", response.ProtoReflect().Descriptor().Name())
	}
	outcome := typed.GetOutcome()
	verdict := verdictText[outcome.GetVerdict()]
	if outcome.GetDuplicate() {
		verdict += " (already in the log: this is the first outcome)"
	}
	fmt.Fprintf(w, "%s\n", verdict)
	writeScalars(w, response)
	fmt.Fprintf(w, "command_id  %s\ntrace_id    %s\n", outcome.GetCommandId(), outcome.GetTraceId())
	if outcome.GetConflicts() > 0 {
		fmt.Fprintf(w, "decided anew %d times, because what it rested on had changed\n", outcome.GetConflicts())
	}
	if d, ok := response.(withDecision); ok && d.GetDecision() != nil {
		fmt.Fprintln(w)
		screen.Fields(w, withoutChecks(d.GetDecision()))
	}
	if len(outcome.GetFailedChecks()) > 0 {
		fmt.Fprintln(w, "\nrefused by:")
		screen.Rows(w, []screen.Column{screen.Col("name", "GATE"), screen.Dec("limit", "LIMIT"), screen.Dec("value", "VALUE"), screen.Col("message", "WHY")}, messages(outcome.GetFailedChecks()))
	}
	if len(outcome.GetEvents()) > 0 {
		fmt.Fprintln(w)
		screen.Rows(w, []screen.Column{screen.Num("position", "POSITION"), screen.Col("event_type", "EVENT"), screen.Col("stream_key", "STREAM"), screen.Num("seq", "SEQ"), screen.Col("event_id", "EVENT ID")}, messages(outcome.GetEvents()))
	}
	return nil
}

// withoutChecks leaves the gates out of a decision's numbers; those that refused are listed apart.
func withoutChecks(d *commandv1.Decision) proto.Message {
	short := proto.CloneOf(d)
	short.Checks = nil
	return short
}

// writeScalars prints the answer's own fields beside outcome and decision: the ids it made.
func writeScalars(w io.Writer, response proto.Message) {
	fields := response.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.Kind() == protoreflect.MessageKind {
			continue
		}
		if value := screen.FieldText(response.ProtoReflect(), string(f.Name())); value != "" && value != "false" {
			fmt.Fprintf(w, "%-10s  %s\n", f.Name(), value)
		}
	}
}

// messages is a list of typed messages as messages.
func messages[T proto.Message](list []T) []proto.Message {
	out := make([]proto.Message, len(list))
	for i, m := range list {
		out[i] = m
	}
	return out
}
