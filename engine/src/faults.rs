//! Faults planted for the tests of the checker. Without the feature `planted-faults` every question is a constant
//! `false`, so nothing of them is in a release build.

/// A planted fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// An argument that arrives in a buffer of its own, because it is long and comes in pieces, loses its last byte.
    BigBulkLosesLastByte,
    /// SELECT of the last database is refused.
    SelectRefusesLastDatabase,
    /// Counting bits leaves out the last byte of strings longer than 28 bytes whose length is one more than a multiple of
    /// four.
    PopcountLosesOddByte,
    /// BITPOS looking for a clear bit in a range of all ones with a given end answers the position after the range.
    BitposClearBeyondRange,
    /// DECRBY lets the smallest integer be passed by one.
    DecrementPassesMinimum,
    /// BITFIELD OVERFLOW SAT of a signed integer stops one above its minimum.
    SaturationMissesMinimum,
    /// SET with XX keeps the expiry of the key.
    SetXxKeepsExpiry,
    /// While a dict grows, all entries of a chain go to the bucket of the first.
    RehashMisplacesChainTail,
    /// SCAN visits only the smaller table while entries move.
    ScanForgetsLargerTable,
    /// A key is over one millisecond too early.
    ExpiresOneMillisecondEarly,
    /// A value that fits the place of the old one leaves the old expiry in force.
    OverwriteInPlaceKeepsExpiry,
    /// A key that is renamed to one with an expiry takes that over if it has none of its own.
    RenameKeepsTargetExpiry,
    /// A run of one byte that LZF stored as a copy from one byte back ends in a zero byte.
    LzfRunEndsInZero,
    /// An RDB length of 64 is written in the six bits that end at 63.
    RdbLengthSixBits,
    /// RDB stores a deadline without its milliseconds.
    RdbDeadlineInSeconds,
    /// The AOF gets no SELECT when a command follows for a database with a smaller number.
    AofForgetsSelect,
    /// A hash that is loaded field by field stays a ziplist however long its fields are.
    LoadedHashStaysPacked,
    /// A list that is loaded loses its last node when it has three or more.
    LoadedListLosesNode,
    /// A skiplist's score of -0 is saved as 0.
    SavedZeroLosesSign,
    /// The digest of a sorted set forgets its scores.
    DigestForgetsScores,
    /// A sparse HyperLogLog that changes keeps the cardinality in its header as if it still held.
    HllKeepsStaleCardinality,
    /// A sparse HyperLogLog becomes dense when it would have as many bytes as are allowed.
    HllDenseOneByteEarly,
    /// PFMERGE leaves a sparse target sparse although a source is dense.
    HllMergeStaysSparse,
    /// A set becomes a table one member later than configured.
    IntsetOneEntryTooMany,
    /// An intset of wider integers loses the greatest when it becomes a table.
    SetConversionForgetsGreatest,
    /// SPOP of nearly all members keeps the table although only integers remain.
    SpopKeepsEncoding,
    /// SORT orders elements of equal numbers by their bytes from behind.
    SortTiesFromBehind,
    /// SORT takes a field's name of one byte for a part of the key.
    SortIgnoresShortFields,
    /// GEORADIUS with COUNT and no order takes the members that it finds first.
    GeoCountTakesAnyMembers,
    /// STOREDIST stores metres, whatever the unit.
    GeoStoresDistancesInMetres,
    /// GEORADIUS looks only at a place's own cell and its neighbours.
    GeoMissesBeyondPoles,
    /// Members of equal scores are ordered by length first.
    SkiplistTiesByLength,
    /// A member one byte longer than configured does not make a sorted set a skiplist.
    ZsetOneByteTooLong,
    /// Scores lose their fraction when a sorted set becomes a skiplist.
    ZsetConversionRoundsScores,
    /// ZUNIONSTORE and ZINTERSTORE take the scores of plain sets as 1 whatever their weight.
    SetsHaveNoWeight,
    /// A score range whose open end is 0 holds the scores of 0.
    OpenBoundCloses,
    /// Each link of a skiplist's third level or above counts one step too few.
    SkiplistLosesSteps,
    /// A hash becomes a table one field later than configured.
    HashOneFieldTooMany,
    /// A value one byte longer than configured does not make a hash a table.
    HashOneByteTooLong,
    /// A hash loses its last field when it becomes a table.
    HashConversionForgetsLast,
    /// A shorter value of a field in a table keeps the end of the one before, if it takes its place.
    HashShorterValueKeepsEnd,
    /// An integer of three bytes in a ziplist is read without its sign.
    ZiplistThreeBytesUnsigned,
    /// LREM from the tail passes over the element before one that it removes.
    ListRemovalPassesOver,
    /// Splitting a full node of a list behind an element loses the one behind it.
    QuicklistSplitLosesElement,
    /// A range that goes on in a list's next node begins there with the second element.
    QuicklistRangeSkips,
    /// An integer of thirteen bits in a listpack is read without its sign.
    ListpackThirteenBitsUnsigned,
    /// Fields of an entry after the first are taken for those of the node unseen.
    StreamComparesFirstField,
    /// XREVRANGE ends at an entry that was deleted.
    StreamBackwardStopsAtDeleted,
    /// Trimming leaves a node whose removal would leave just as many entries as are wanted.
    StreamTrimSparesNode,
    /// A node is full when it has as many entries as allowed, deleted ones counted.
    StreamNodeCountsDeleted,
    /// An id that follows another in the same millisecond goes on with the next millisecond after every fourth.
    StreamSequenceStartsAnew,
    /// An entry that becomes pending for another consumer stays among those of the one before.
    StreamPendingForTwo,
    /// XCLAIM with LASTID sets the last delivered id back.
    StreamClaimSetsBack,
    /// A last id without a sequence number is taken for the first of its milliseconds by XREVRANGE.
    StreamReverseEndWithoutSequence,
    /// RDB stores no more than one delivery of a pending entry.
    StreamSavesOneDelivery,
    /// What a script hands on is not wrapped in MULTI and EXEC.
    ScriptForgetsMulti,
    /// A script's SELECT holds for its client.
    ScriptKeepsDatabase,
    /// redis.pcall raises errors as redis.call does.
    ScriptPcallRaises,
    /// A table that a script returns and that begins with nil goes on behind it.
    ScriptTableSkipsFirstNil,
    /// A script that removed members by chance, or set a deadline from now, is handed on as it came.
    ScriptChanceIsRepeated,
    /// A script that is handed on as it came is given elements as they lie.
    ScriptGetsUnsortedElements,
    /// EVALSHA is handed on as it came although nobody there knows the script.
    ScriptNameIsNotExplained,
    /// DISCARD goes on to watch.
    TransactionDiscardKeepsWatch,
    /// RENAME does not touch the key that it takes away.
    TransactionOverlooksRenamedSource,
    /// A transaction of commands that only read is handed on.
    TransactionReadsArePropagated,
    /// PUBSUB NUMPAT counts a pattern of several clients once.
    PubsubNumpatCountsOnce,
    /// The clients that wait for a key are served last come, first served.
    BlockedServedLastFirst,
    /// A client is blocked for a second longer than it asked for.
    BlockedTimesOutLate,
    /// UNSUBSCRIBE counts the channels that are left and not the patterns.
    PubsubUnsubscribeForgetsPatterns,
    /// SMOVE to a set that has the member already tells of it nevertheless.
    NotifySmoveTellsOfNothing,
    /// Clients are served between the commands of a transaction.
    BlockedServedInsideTransaction,
    /// What BRPOPLPUSH stores when its client is served is not handed on.
    BlockedPushIsNotPropagated,
    /// A watched key whose deadline passes is no change until somebody looks at it.
    TransactionOverlooksDeadlines,
    /// A transaction is not spoiled by a command of wrong arity.
    TransactionForgetsWrongArity,
    /// Nobody is told of a list that served its last element.
    NotifyServedListVanishes,
    /// The removal of a destination that is over is handed on behind what a served client stores there, and so undoes it.
    PropagationExpiryComesLate,
    /// CLIENT UNBLOCK without a reason answers as with ERROR.
    ClientUnblockIsAnError,
    /// CLIENT KILL reaches the connection that sends it although SKIPME is not `no`.
    ClientKillReachesItself,
    /// Lines of MONITOR name the first database, whichever the client works in.
    ClientMonitorForgetsDatabase,
    /// Under `volatile-random` any key may be evicted.
    EvictionTakesAnyKey,
    /// An eviction is not handed on.
    EvictionIsNotPropagated,
    /// What the child of a rewrite did not get is not appended to its file.
    RewriteDropsRest,
    /// A rewritten file is renamed before what was appended to it is durable.
    RewriteForgetsSync,
    /// What waited to be written to the old file is written to the new one as well.
    RewriteWritesTwice,
    /// A rewrite's diff goes on in the database of the old file.
    RewriteForgetsSelect,
    /// Under `always` replies leave before the sync is answered.
    AofReleasesEarly,
    /// Under `everysec` a write that no other follows is never synced.
    AofForgetsLastSync,
    /// A write that fell short is not cut back.
    AofKeepsShortWrites,
    /// The name of a new append-only file is not made durable.
    AofForgetsDirectory,
    /// What a failed sync should have made durable is not synced again.
    AofForgivesSync,
    /// A file that ends inside a transaction is cut behind its last whole command, MULTI included.
    AofKeepsOpenMulti,
    /// A file that ends inside a command is loaded but not cut.
    AofGoesOnBehindTear,
    /// Commands of a transaction without its EXEC are run when the file is loaded.
    AofRunsOpenTransactions,
    /// SAVE is answered before the dump is written.
    SaveAnswersEarly,
    /// Changes that came during a background save count as saved when it ends.
    SaveForgetsChanges,
    /// MIGRATE with COPY removes what it copied.
    MigrateCopyRemoves,
    /// A key that the target refuses is removed if it is one of several.
    MigrateRemovesRefused,
    /// A connection that is kept is taken to have selected the database that was asked for, whether or not that went well.
    MigrateTrustsFailedSelect,
    /// MIGRATE connects once more although the first connection has answered for a key.
    MigrateStartsAnewInTheMiddle,
}

/// Every fault that answers, files or what is handed on show.
pub const ALL: &[Fault] = &[
    Fault::BigBulkLosesLastByte,
    Fault::SelectRefusesLastDatabase,
    Fault::PopcountLosesOddByte,
    Fault::BitposClearBeyondRange,
    Fault::DecrementPassesMinimum,
    Fault::SaturationMissesMinimum,
    Fault::SetXxKeepsExpiry,
    Fault::RehashMisplacesChainTail,
    Fault::ScanForgetsLargerTable,
    Fault::ExpiresOneMillisecondEarly,
    Fault::OverwriteInPlaceKeepsExpiry,
    Fault::RenameKeepsTargetExpiry,
    Fault::LzfRunEndsInZero,
    Fault::RdbLengthSixBits,
    Fault::RdbDeadlineInSeconds,
    Fault::AofForgetsSelect,
    Fault::LoadedHashStaysPacked,
    Fault::LoadedListLosesNode,
    Fault::SavedZeroLosesSign,
    Fault::DigestForgetsScores,
    Fault::HllKeepsStaleCardinality,
    Fault::HllDenseOneByteEarly,
    Fault::HllMergeStaysSparse,
    Fault::IntsetOneEntryTooMany,
    Fault::SetConversionForgetsGreatest,
    Fault::SpopKeepsEncoding,
    Fault::GeoCountTakesAnyMembers,
    Fault::GeoStoresDistancesInMetres,
    Fault::GeoMissesBeyondPoles,
    Fault::SortTiesFromBehind,
    Fault::SortIgnoresShortFields,
    Fault::SkiplistTiesByLength,
    Fault::ZsetOneByteTooLong,
    Fault::ZsetConversionRoundsScores,
    Fault::OpenBoundCloses,
    Fault::SetsHaveNoWeight,
    Fault::SkiplistLosesSteps,
    Fault::HashOneFieldTooMany,
    Fault::HashOneByteTooLong,
    Fault::HashConversionForgetsLast,
    Fault::HashShorterValueKeepsEnd,
    Fault::ZiplistThreeBytesUnsigned,
    Fault::ListRemovalPassesOver,
    Fault::QuicklistSplitLosesElement,
    Fault::QuicklistRangeSkips,
    Fault::ListpackThirteenBitsUnsigned,
    Fault::StreamComparesFirstField,
    Fault::StreamBackwardStopsAtDeleted,
    Fault::StreamTrimSparesNode,
    Fault::StreamNodeCountsDeleted,
    Fault::StreamSequenceStartsAnew,
    Fault::StreamPendingForTwo,
    Fault::StreamClaimSetsBack,
    Fault::StreamReverseEndWithoutSequence,
    Fault::StreamSavesOneDelivery,
    Fault::ScriptForgetsMulti,
    Fault::ScriptKeepsDatabase,
    Fault::ScriptPcallRaises,
    Fault::ScriptTableSkipsFirstNil,
    Fault::ScriptChanceIsRepeated,
    Fault::ScriptGetsUnsortedElements,
    Fault::ScriptNameIsNotExplained,
    Fault::TransactionDiscardKeepsWatch,
    Fault::TransactionOverlooksRenamedSource,
    Fault::TransactionReadsArePropagated,
    Fault::PubsubNumpatCountsOnce,
    Fault::BlockedServedLastFirst,
    Fault::BlockedTimesOutLate,
    Fault::PubsubUnsubscribeForgetsPatterns,
    Fault::NotifySmoveTellsOfNothing,
    Fault::BlockedServedInsideTransaction,
    Fault::BlockedPushIsNotPropagated,
    Fault::TransactionOverlooksDeadlines,
    Fault::TransactionForgetsWrongArity,
    Fault::NotifyServedListVanishes,
    Fault::PropagationExpiryComesLate,
    Fault::ClientUnblockIsAnError,
    Fault::ClientKillReachesItself,
    Fault::ClientMonitorForgetsDatabase,
    Fault::EvictionTakesAnyKey,
    Fault::EvictionIsNotPropagated,
];

/// Those of saving, appending, rewriting and loading that only a crash, a failing disk or a child shows.
pub const DURABILITY: &[Fault] = &[
    Fault::RewriteDropsRest,
    Fault::RewriteForgetsSync,
    Fault::RewriteWritesTwice,
    Fault::RewriteForgetsSelect,
    Fault::AofReleasesEarly,
    Fault::AofForgetsLastSync,
    Fault::AofKeepsShortWrites,
    Fault::AofForgetsDirectory,
    Fault::AofForgivesSync,
    Fault::AofKeepsOpenMulti,
    Fault::AofGoesOnBehindTear,
    Fault::AofRunsOpenTransactions,
    Fault::SaveAnswersEarly,
    Fault::SaveForgetsChanges,
];

/// Those of handing keys over, which only another server shows.
pub const MOVING: &[Fault] = &[
    Fault::MigrateCopyRemoves,
    Fault::MigrateRemovesRefused,
    Fault::MigrateTrustsFailedSelect,
    Fault::MigrateStartsAnewInTheMiddle,
];

#[cfg(feature = "planted-faults")]
mod selected {
    use std::cell::Cell;

    use super::Fault;

    thread_local! {
        static SELECTED: Cell<Option<Fault>> = const { Cell::new(None) };
    }

    /// Chooses the fault of this thread's engines; `None`, the beginning, for none.
    pub fn select(fault: Option<Fault>) {
        SELECTED.set(fault);
    }

    /// Whether this fault is chosen.
    #[must_use]
    pub fn is(fault: Fault) -> bool {
        SELECTED.get() == Some(fault)
    }
}

#[cfg(feature = "planted-faults")]
pub use selected::{is, select};

/// Whether this fault is chosen: never, without the feature.
#[cfg(not(feature = "planted-faults"))]
#[must_use]
#[inline(always)]
pub const fn is(_fault: Fault) -> bool {
    false
}
