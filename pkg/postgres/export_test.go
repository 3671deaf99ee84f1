package postgres

// Wait, QueryName and the constants are for the tests.
var (
	Wait      = wait
	QueryName = queryName
)

const BackoffMax = backoffMax
