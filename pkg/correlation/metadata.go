package correlation

import (
	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
	"google.golang.org/grpc/metadata"

	"github.com/robson/robson/pkg/fault"
)

// Read takes the ids that a caller sent. A malformed one is Invalid, naming the metadata key.
func Read(md metadata.MD) (IDs, error) {
	var ids IDs
	for header, into := range map[string]*uuid.UUID{HeaderTrace: &ids.Trace, HeaderCommand: &ids.Command, HeaderWorkflow: &ids.Workflow} {
		text, err := single(md, header)
		if err != nil {
			return IDs{}, err
		}
		if text == "" {
			continue
		}
		id, err := uuid.Parse(text)
		if err != nil || id == uuid.Nil {
			return IDs{}, fault.InvalidField("metadata "+header, "must be a UUID other than zero, found %q", text)
		}
		*into = id
	}
	text, err := single(md, HeaderCausation)
	if err != nil {
		return IDs{}, err
	}
	if text != "" {
		if _, err := ulid.ParseStrict(text); err != nil {
			return IDs{}, fault.InvalidField("metadata "+HeaderCausation, "must be an event id (26-character ULID), found %q", text)
		}
	}
	ids.Causation = text
	ids.CommandGiven = ids.Command != uuid.Nil
	return ids, nil
}

// single gives the one value of a key; several are Invalid, since it would be a guess which one is meant.
func single(md metadata.MD, header string) (string, error) {
	values := md.Get(header)
	switch len(values) {
	case 0:
		return "", nil
	case 1:
		return values[0], nil
	default:
		return "", fault.InvalidField("metadata "+header, "must be given once, found %d times", len(values))
	}
}

// Pairs are the ids as metadata pairs, those that are set.
func (ids IDs) Pairs() []string {
	var pairs []string
	for header, id := range map[string]uuid.UUID{HeaderTrace: ids.Trace, HeaderCommand: ids.Command, HeaderWorkflow: ids.Workflow} {
		if id != uuid.Nil {
			pairs = append(pairs, header, id.String())
		}
	}
	if ids.Causation != "" {
		pairs = append(pairs, HeaderCausation, ids.Causation)
	}
	return pairs
}
