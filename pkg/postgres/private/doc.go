// Package private runs a PostgreSQL server of one's own, for `robson up`, the demo and tests.
//
// It uses the machine's PostgreSQL programs, else fetches some, and otherwise says in one line what to install. It
// runs as root, by handing the server to an unprivileged user, and as an ordinary user.
//
// # The directory
//
//	<dir>/lock          held (flock) by the process that owns the server
//	<dir>/password      of the superuser "robson", mode 0600
//	<dir>/data          the cluster; belongs to the user the server runs as
//	<dir>/run           the Unix socket, mode 0700
//	<dir>/postgres.log  what the server says
//
// As root, where the server's user cannot reach <dir> (a checkout below /root, say), <dir> becomes a symbolic link
// to a directory below /var/lib/robson.
//
// # What it never does
//
// It never deletes, empties or re-initialises a directory that holds a cluster. A cluster is made in a directory
// beside its place and moved there when it is whole; what a killed initdb left behind is the only thing removed.
//
// # States
//
//	absent or empty --initdb, rename--> cluster --postgres--> serving --Stop--> cluster
//	                                                |
//	                     owner killed: the server lives on; the next Start finds
//	                     postmaster.pid and adopts it, or waits for it to end
//
// A server outlives an owner that is killed: it has a session of its own, so that a Ctrl-C meant for Robson does not
// reach it before Robson's own services have ended.
package private
