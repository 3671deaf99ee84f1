package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/robson/robson/cmd/robson/internal/client"
	"github.com/robson/robson/pkg/fault"
)

// errorDocument is how an error is told to a program: one document, on standard error.
type errorDocument struct {
	Error errorBody `json:"error"`
}

type errorBody struct {
	// Kind is one of pkg/fault's, by which the exit status is chosen; unknown for what has none.
	Kind string `json:"kind"`
	// Reason is what a program would branch on, e.g. STRATEGY_DISABLED; empty where there is none.
	Reason  string `json:"reason"`
	Message string `json:"message"`
	// Fields are what is wrong with the line or the request, by the names that one types.
	Fields []errorField `json:"fields"`
	// Metadata and RetryAfter are what the service said beside; absent where it said none.
	Metadata   map[string]string `json:"metadata,omitempty"`
	RetryAfter string            `json:"retry_after,omitempty"`
	ExitStatus int               `json:"exit_status"`
}

type errorField struct {
	Field       string `json:"field"`
	Description string `json:"description"`
}

// asksJSON says whether a line asks for JSON, also one that could not be read to its end.
func asksJSON(line []string) bool {
	for i, word := range line {
		switch word {
		case "--output=json", "-o=json", "-ojson":
			return true
		case "--output", "-o":
			if slices.Contains(line[i+1:min(i+2, len(line))], formatJSON) {
				return true
			}
		}
	}
	return false
}

// printErrorJSON tells an error to a program.
func (a *App) printErrorJSON(err error) {
	body := errorBody{Kind: kindOf(err), Reason: fault.ReasonOf(err), Message: err.Error(), Fields: []errorField{}, ExitStatus: exitCode(err)}
	if e := fault.As(err); e != nil {
		for _, f := range e.Fields {
			body.Fields = append(body.Fields, errorField{Field: a.typedName(f.Path), Description: f.Description})
		}
		body.Metadata = e.Metadata
		if e.RetryAfter > 0 {
			body.RetryAfter = e.RetryAfter.String()
		}
	}
	data, failed := json.Marshal(errorDocument{Error: body})
	if failed != nil {
		fmt.Fprintf(a.err, "error: %s\n", err) // texts can always be written; were it otherwise, better this than nothing
		return
	}
	fmt.Fprintf(a.err, "%s\n", data)
}

// kindOf is an error's kind; those of the command line itself have one too.
func kindOf(err error) string {
	var usage usageError
	var refused refusedError
	var broken brokenError
	switch {
	case errors.As(err, &usage), errors.Is(err, client.ErrNoToken):
		return fault.Invalid.String()
	case errors.As(err, &refused):
		return fault.Refused.String()
	case errors.As(err, &broken):
		return fault.Corrupt.String()
	default:
		return fault.KindOf(err).String()
	}
}
