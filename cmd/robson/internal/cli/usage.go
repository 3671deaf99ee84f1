package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// usageError is a command line that says what cannot be meant.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

// usagef makes a usage error.
func usagef(format string, args ...any) error {
	return usageError{text: fmt.Sprintf(format, args...)}
}

// parentCommand only holds other commands: alone it shows its help, with a word it does not know it says what it has.
func parentCommand(use, short string, children ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Args: cobra.ArbitraryArgs,
		// The flags belong to the command that was meant; which one that is comes first.
		FParseErrWhitelist:         cobra.FParseErrWhitelist{UnknownFlags: true},
		SuggestionsMinimumDistance: typosMax,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			if flag := strayFlag(cmd); flag != "" {
				return usagef("%q has no flag %s; see %s --help", cmd.CommandPath(), flag, cmd.CommandPath())
			}
			return cmd.Help()
		},
	}
	cmd.AddCommand(children...)
	return cmd
}

// lineAnnotation is where the root keeps the line that it was called with.
const lineAnnotation = "robson.line"

// strayFlag is the first flag of the line that a parent command let pass and that belongs to no command; empty if there is
// none.
func strayFlag(cmd *cobra.Command) string {
	for word := range strings.SplitSeq(cmd.Root().Annotations[lineAnnotation], "\x00") {
		name, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
		switch {
		case strings.HasPrefix(word, "--") && name != "" && cmd.Flags().Lookup(name) == nil,
			len(word) > 1 && word[0] == '-' && word[1] != '-' && cmd.Flags().ShorthandLookup(word[1:2]) == nil:
			return word
		}
	}
	return ""
}

// unknownCommand says what was probably meant, else what there is.
func unknownCommand(cmd *cobra.Command, word string) error {
	if near := cmd.SuggestionsFor(word); len(near) > 0 {
		return usagef("%q has no command %q: did you mean %s?", cmd.CommandPath(), word, strings.Join(near, " or "))
	}
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return usagef("%q has no command %q; it has %s", cmd.CommandPath(), word, strings.Join(names, ", "))
}

// noArgs is for commands that are all flags.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usagef("%q takes no argument, found %q; see %s --help", cmd.CommandPath(), args[0], cmd.CommandPath())
}

// oneArg is for commands about one thing.
func oneArg(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			return nil
		}
		return usagef("%q takes one argument, %s, found %d; see %s --help", cmd.CommandPath(), name, len(args), cmd.CommandPath())
	}
}

// oneArgAtMost is for commands about one thing, or about all.
func oneArgAtMost(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) <= 1 {
			return nil
		}
		return usagef("%q takes one argument at most, %s, found %d; see %s --help", cmd.CommandPath(), name, len(args), cmd.CommandPath())
	}
}

// missingFlags names every required flag that the line leaves out.
func missingFlags(cmd *cobra.Command) error {
	var missing []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Annotations[cobra.BashCompOneRequiredFlag] != nil && !f.Changed {
			missing = append(missing, "--"+f.Name)
		}
	})
	if len(missing) == 0 {
		return nil
	}
	return usagef("%q needs %s; see %s --help", cmd.CommandPath(), strings.Join(missing, ", "), cmd.CommandPath())
}

// requireFlags marks flags that a command cannot do without.
func requireFlags(cmd *cobra.Command, flags ...string) {
	for _, f := range flags {
		if err := cmd.MarkFlagRequired(f); err != nil {
			panic(err) // a table of commands names a flag that is none: a broken program
		}
	}
}

// flagError says which flag was probably meant, or what is wrong with its value.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "":
		if near := nearestFlag(cmd.Flags(), unknown.GetSpecifiedName()); near != "" {
			return usagef("%q has no flag --%s: did you mean --%s?", cmd.CommandPath(), unknown.GetSpecifiedName(), near)
		}
		return usagef("%q has no flag --%s; see %s --help", cmd.CommandPath(), unknown.GetSpecifiedName(), cmd.CommandPath())
	default:
		return usageError{valueFault(err)}
	}
}

// valueFault says what is wrong with a flag's value, in as few words as it takes.
func valueFault(err error) string {
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		return err.Error()
	}
	kind := map[string]string{"int": "whole number", "int64": "whole number", "bool": "true or false", "stringToString": "list of key=value"}[invalid.GetFlag().Value.Type()]
	if kind == "" {
		return fmt.Sprintf("--%s: %q does not fit: %s", invalid.GetFlag().Name, invalid.GetValue(), invalid.Unwrap())
	}
	return fmt.Sprintf("--%s: %q is no %s", invalid.GetFlag().Name, invalid.GetValue(), kind)
}

// typosMax is how many letters a word may differ by from what it is taken for.
const typosMax = 2

// nearestFlag is the flag that a misspelt one is taken for; empty if none is near.
func nearestFlag(flags *pflag.FlagSet, name string) string {
	best, least := "", typosMax+1
	flags.VisitAll(func(f *pflag.Flag) {
		distance := typos(name, f.Name)
		if strings.HasPrefix(f.Name, name) || strings.HasSuffix(f.Name, "-"+name) {
			distance = min(distance, 1)
		}
		if distance < least && !f.Hidden {
			best, least = f.Name, distance
		}
	})
	return best
}

// typos is the least number of letters to insert, delete or change to get from one word to the other.
func typos(from, to string) int {
	row := make([]int, len(to)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(from) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(to) {
			change := diagonal
			if from[i] != to[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(to)]
}
