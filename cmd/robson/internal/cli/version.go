package cli

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// stamp is the version that the linker writes into a release: -X <this package>.stamp=v1.2.3.
var stamp string

// develop is what a build calls itself that nobody has named.
const develop = "(devel)"

// version is the stamp, else what the Go tool knows of the source it built.
func version() string {
	if stamp != "" {
		return stamp
	}
	info, known := debug.ReadBuildInfo()
	if !known {
		return develop
	}
	revision, modified := "", ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				modified = "+changes"
			}
		}
	}
	if revision == "" {
		return info.Main.Version
	}
	return revision + modified
}

// versionCommand says what this binary is.
func versionCommand(app *App) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Say which Robson this is", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			if app.json() {
				return app.writeJSON(map[string]string{"version": version(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH})
			}
			fmt.Fprintf(app.out, "robson %s, %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}

// writeJSON prints an answer that no contract has a form for.
func (a *App) writeJSON(value any) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	fmt.Fprintf(a.out, "%s\n", data)
	return nil
}
