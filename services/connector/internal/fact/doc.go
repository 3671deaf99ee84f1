// Package fact turns what a venue reports into events. It is pure: the same report gives the same event, whoever brings
// it and by whichever way, so that the log can tell a second report of one happening from a second happening.
package fact
