package cli

import (
	"fmt"
	"io"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/robson/robson/cmd/robson/internal/screen"
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
	commandv1.Verdict_VERDICT_REFUSED:      "REFUSED by the risk gates; the decision is recorded",
	commandv1.Verdict_VERDICT_WOULD_ACCEPT: "dry run: would be accepted; nothing was written",
	commandv1.Verdict_VERDICT_WOULD_REFUSE: "dry run: would be REFUSED by the risk gates; nothing was written",
}

// refusal is the error of a command that the risk gates refuse; nil for all others.
func refusal(response proto.Message) error {
	typed, ok := response.(withOutcome)
	if !ok {
		return nil
	}
	switch typed.GetOutcome().GetVerdict() {
	case commandv1.Verdict_VERDICT_REFUSED, commandv1.Verdict_VERDICT_WOULD_REFUSE:
		refused := refusedError{}
		for _, c := range typed.GetOutcome().GetFailedChecks() {
			refused.gates = append(refused.gates, c.GetName())
		}
		return refused
	default:
		return nil
	}
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
	fmt.Fprintf(w, "%-12s  %s\n%-12s  %s\n", "command_id", outcome.GetCommandId(), "trace_id", outcome.GetTraceId())
	if n := outcome.GetConflicts(); n > 0 {
		fmt.Fprintf(w, "decided anew %s, because what it rested on had changed\n", counted(int(n), "times"))
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
			fmt.Fprintf(w, "%-12s  %s\n", f.Name(), value)
		}
	}
}

// protoValue is a message as a value of reflection.
func protoValue(m proto.Message) protoreflect.Value {
	return protoreflect.ValueOfMessage(m.ProtoReflect())
}

// messages is a list of typed messages as messages.
func messages[T proto.Message](list []T) []proto.Message {
	out := make([]proto.Message, len(list))
	for i, m := range list {
		out[i] = m
	}
	return out
}
