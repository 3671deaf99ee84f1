package cli

import (
	"errors"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// environmentPrefix starts the variable of a setting: --data-dir is ROBSON_DATA_DIR.
const environmentPrefix = "ROBSON_"

// settingsOf marks a command whose own flags are settings too: where to listen, which database. What other commands are
// about (an account, a limit, a command id) is never taken from the environment, where it would be meant for another line.
const settingsOf = "settings"

// notFromEnvironment marks a flag of such a command that has no variable.
const notFromEnvironment = "no variable"

// variableOf is the variable that stands for a flag.
func variableOf(flag string) string {
	return environmentPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// withSettings marks the command's own flags as settings.
func withSettings(cmd *cobra.Command) *cobra.Command {
	cmd.Annotations = map[string]string{settingsOf: "own"}
	return cmd
}

// fromEnvironment gives each setting that the line leaves out its variable's value.
func fromEnvironment(cmd *cobra.Command) error {
	var errs []error
	take := func(flags *pflag.FlagSet) {
		flags.VisitAll(func(f *pflag.Flag) {
			value, set := os.LookupEnv(variableOf(f.Name))
			if f.Changed || !set || value == "" || f.Name == "help" || f.Name == "version" || f.Annotations[notFromEnvironment] != nil {
				return
			}
			if err := cmd.Flags().Set(f.Name, value); err != nil {
				errs = append(errs, usagef("%s: %s", variableOf(f.Name), valueFault(err)))
			}
		})
	}
	take(cmd.InheritedFlags())
	if cmd.Annotations[settingsOf] != "" || !cmd.HasParent() {
		take(cmd.LocalFlags())
	}
	return errors.Join(errs...)
}
