// Package watch pushes the changes of a tenant's tables to whoever watches them.
//
// All watchers of a tenant share one feed. It listens to the tenant's log, collects what the events name, and looks: it reads,
// in one snapshot, the rows that these events may have changed, and puts them into the mailbox of each watcher as one group.
//
//	log --events--> feed: what they name --look--> group of rows, told up to P --> mailbox --> watcher --> receiver
//	                                                                              mailbox --> watcher --> receiver
//
// Why nothing is lost: the feed begins to listen after a head that it has read, before any watcher reads its first rows. What
// the first rows do not show happened after that, so its events come, and with them the group. Groups that a watcher's first
// rows cover are dropped. Whether the rows that events name are all the rows that they change is held by a property test over
// the fold.
//
// A group is told up to a position P: every change up to P has been told. Its rows are those of the snapshot, at P or later;
// one that is later comes again when its event has come.
//
// Each mailbox is bounded. Who does not empty it is sent away, and keeps nobody else waiting: the feed only ever puts, never
// waits. A feed that cannot go on ends its watchers with the reason; they come again, with the point that they were told.
package watch
