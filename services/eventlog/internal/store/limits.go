package store

import "fmt"

// ReadLimits bound reads. The zero value of each field gets its default.
type ReadLimits struct {
	// PageBytesMax is the most bytes of a page: payloads as they are stored, and their envelopes. The page is cut there and
	// says where to go on; it always has one event. Default 3 MiB, since a client of gRPC takes 4 MiB by default.
	PageBytesMax int
	// DescendantsMax is the most events that may follow from a command and still be asked for; default 10 000.
	DescendantsMax int
	// WindowMax is how many positions a filtered subscription looks through at a time; default 5 000.
	WindowMax int
}

func (l ReadLimits) withDefaults() (ReadLimits, error) {
	for _, field := range []struct {
		name  string
		value *int
		def   int
	}{
		{"PageBytesMax", &l.PageBytesMax, 3 << 20},
		{"DescendantsMax", &l.DescendantsMax, 10_000},
		{"WindowMax", &l.WindowMax, 5_000},
	} {
		if *field.value == 0 {
			*field.value = field.def
		}
		if *field.value < 1 {
			return l, fmt.Errorf("eventlog reads: %s %d must be above zero", field.name, *field.value)
		}
	}
	return l, nil
}

const (
	// PageSizeDefault is the size of a page whose caller names none, PageSizeMax that of the largest. The contract says
	// the same.
	PageSizeDefault = 100
	PageSizeMax     = 1000
)

// pageSize brings an asked size into its bounds.
func pageSize(asked int) int {
	if asked <= 0 {
		return PageSizeDefault
	}
	return min(asked, PageSizeMax)
}
