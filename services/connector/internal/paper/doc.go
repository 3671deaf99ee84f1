// Package paper is the paper venue as the connector uses it: one outside world, shared by every connector process that
// names the same data directory.
//
// One of the processes holds the directory's lock and runs the engine; it serves the others over a unix socket in the
// directory, which only its owner can open. When the holder ends, however it ends, the kernel gives the lock back and
// the next process that asks takes over from the journal. A request that was on its way to a holder that died has an
// unknown outcome, as on any venue; one that could not be handed over was not sent.
package paper
