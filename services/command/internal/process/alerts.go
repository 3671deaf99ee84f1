package process

import (
	"maps"
	"slices"
	"sync"

	"github.com/google/uuid"
)

// alertsMax bounds how many faults of a tenant are told at a time; the process's own log has them all.
const alertsMax = 100

// Alerts are the faults that are being retried now, for people. It is safe for use by many goroutines.
type Alerts struct {
	mu   sync.Mutex
	text map[uuid.UUID]map[string]string
}

// Set tells a tenant of a fault, under the name of what it hinders, and says whether that is news. A fault of no tenant
// (Nil) is told to nobody.
func (a *Alerts) Set(tenant uuid.UUID, name, text string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.text == nil {
		a.text = map[uuid.UUID]map[string]string{}
	}
	of := a.text[tenant]
	if of == nil {
		of = map[string]string{}
		a.text[tenant] = of
	}
	_, known := of[name]
	if known || len(of) < alertsMax {
		of[name] = text
	}
	return !known
}

// Clear says that nothing hinders it any more.
func (a *Alerts) Clear(tenant uuid.UUID, name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.text[tenant], name)
}

// List tells a tenant's faults, in the order of their names.
func (a *Alerts) List(tenant uuid.UUID) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	of := a.text[tenant]
	list := make([]string, 0, len(of))
	for _, name := range slices.Sorted(maps.Keys(of)) {
		list = append(list, of[name])
	}
	return list
}
