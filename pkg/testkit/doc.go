// Package testkit gives tests a real PostgreSQL, market data and a logger.
//
// # The server
//
// All test processes of a user share one private server. The first one that needs it starts a keeper: the test
// binary once more, as a process of its own that runs the server and stops it when nobody has used it for a while.
// Users hold a shared lock on a file for as long as they live, so that a killed one is not waited for; a killed
// keeper's server is adopted by the next.
//
//	<tmp>/robson-test-<uid>/users     locked (shared) by test processes, tried (exclusive) by the keeper
//	<tmp>/robson-test-<uid>/url       where the server answers, mode 0600
//	<tmp>/robson-test-<uid>/failure   why the last keeper could not start it
//	<tmp>/robson-test-<uid>/pg<N>     the server's own directory, by major version
//
// ROBSON_TEST_DATABASE_URL names another server to use instead, as a superuser.
//
// # The databases
//
// The schema is migrated once for each state of the migrations, into a template. Each call of Database copies it,
// which takes some tens of milliseconds, and drops the copy when the test ends.
package testkit
