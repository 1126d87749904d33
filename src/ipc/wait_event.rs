//! Wait events: what a process waits for, by PostgreSQL's classes and names where it has them.
//!
//! One table; number, class and name come from it. The number is what stands in a process's slot.

use shmem_layout::wait_stats;

macro_rules! wait_events {
    ($($number:literal $constant:ident $class:literal $name:literal $doc:literal;)*) => {
        impl WaitEvent {
            $(#[doc = $doc] pub const $constant: Self = Self($number);)*

            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self($number)),*];
        }

        const NAMES: &[(u8, &str, &str)] = &[$(($number, $class, $name)),*];
    };
}

/// One wait event; never the zero that stands for a process that runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WaitEvent(u8);

wait_events! {
    1 MAIN_LOOP "Activity" "MainLoop" "The main loop of an auxiliary process.";
    2 CLIENT_READ "Client" "ClientRead" "A client's next message.";
    3 CLIENT_WRITE "Client" "ClientWrite" "Room to send to a client.";
    4 LWLOCK "LWLock" "LWLock" "An LWLock without an event of its own.";
    5 CONDITION_VARIABLE "IPC" "ConditionVariable" "A condition variable without an event of its own.";
    6 SEMAPHORE "IPC" "Semaphore" "A permit of a semaphore.";
    7 BARRIER "IPC" "Barrier" "The other members of a barrier.";
    8 MESSAGE_QUEUE_SEND "IPC" "MessageQueueSend" "Room in a message queue.";
    9 MESSAGE_QUEUE_RECEIVE "IPC" "MessageQueueReceive" "Bytes in a message queue.";
    10 MESSAGE_QUEUE_ATTACH "IPC" "MessageQueueInternal" "The other side of a message queue.";
    11 STOP_POINT "Extension" "StopPoint" "A supervisor that stopped this process at a stop point.";
    12 LATCH "IPC" "Latch" "The own latch, without an event that says more.";
    13 CHECKPOINTER_MAIN "Activity" "CheckpointerMain" "The checkpointer's main loop.";
    14 BGWRITER_MAIN "Activity" "BgwriterMain" "The background writer's main loop.";
    15 WAL_WRITER_MAIN "Activity" "WalWriterMain" "The WAL writer's main loop.";
    16 AUTOVACUUM_MAIN "Activity" "AutovacuumMain" "The autovacuum launcher's main loop.";
    17 ARCHIVER_MAIN "Activity" "ArchiverMain" "The archiver's main loop.";
    18 STATISTICS_MAIN "Activity" "PgStatMain" "The statistics process's main loop.";
    19 LOGGER_MAIN "Activity" "SysLoggerMain" "The logger's main loop.";
    20 SPARE_ACCEPT "Activity" "SpareAccept" "A client for a spare backend.";
    21 PG_SLEEP "Timeout" "PgSleep" "pg_sleep and its kin.";
    22 METRICS_MAIN "Activity" "MetricsMain" "The metrics process's main loop.";
    23 BACKGROUND_WORKER_STARTUP "IPC" "BgworkerStartup" "The start of a background worker.";
    24 BACKGROUND_WORKER_SHUTDOWN "IPC" "BgworkerShutdown" "The end of a background worker.";
    25 WAL_FLUSH "IPC" "WalFlush" "Another process's flush of the log.";
    26 WAL_WRITE "IO" "WalWrite" "A write to a segment of the log.";
    27 WAL_SYNC "IO" "WalSync" "A sync of a segment of the log.";
    28 WAL_INIT "IO" "WalInitWrite" "A new segment of the log, being filled with zeroes.";
    29 WAL_INSERT "IPC" "WalInsert" "Insertions of others into the log, to be over.";
    30 COMMIT_DELAY "Timeout" "CommitDelay" "commit_delay before a flush of the log.";
    31 LOCK_RELATION "Lock" "relation" "A lock on a relation.";
    32 LOCK_EXTEND "Lock" "extend" "To extend a relation.";
    33 LOCK_PAGE "Lock" "page" "A lock on a page of a relation.";
    34 LOCK_TUPLE "Lock" "tuple" "A lock on a tuple.";
    35 LOCK_TRANSACTION "Lock" "transactionid" "A transaction to end.";
    36 LOCK_OBJECT "Lock" "object" "A lock on an object that is no relation.";
    37 LOCK_USER "Lock" "userlock" "A user lock.";
    38 LOCK_ADVISORY "Lock" "advisory" "An advisory lock.";
    39 LOCK_MANAGER "LWLock" "LockManager" "A partition of the lock table.";
    40 TRANSACTION_MAP "LWLock" "XactSLRU" "Pages of the transaction map.";
    41 BUFFER_CONTENT "LWLock" "BufferContent" "Access to the content of a page in the buffer pool.";
    42 BUFFER_MAPPING "LWLock" "BufferMapping" "A part of the table that says which page is in which buffer.";
    43 BUFFER_IO "IPC" "BufferIo" "Another process's I/O of a buffer.";
    44 BUFFER_PIN "BufferPin" "BufferPin" "Sole use of a buffer.";
    45 DATA_FILE_READ "IO" "DataFileRead" "A read of a relation's file.";
    46 DATA_FILE_WRITE "IO" "DataFileWrite" "A write to a relation's file.";
    47 DATA_FILE_EXTEND "IO" "DataFileExtend" "A relation's file, to be made longer.";
    48 DATA_FILE_SYNC "IO" "DataFileSync" "A relation's file, to reach the disk.";
    49 DATA_FILE_TRUNCATE "IO" "DataFileTruncate" "A relation's file, to be cut off.";
    50 EXTEND "Lock" "extend" "Another process that makes the same relation longer.";
    51 SYNC_TABLE "LWLock" "CheckpointerComm" "The table of files that are to be synced.";
    52 CHECKPOINT_WRITE_DELAY "Timeout" "CheckpointWriteDelay" "Between the writes of a checkpoint that is spread.";
    53 SERIALIZABLE "LWLock" "SerializableXactHash" "The tables of serializable transactions.";
    54 TWO_PHASE_STATE "LWLock" "TwoPhaseState" "The places of prepared transactions.";
    55 CHECKPOINT_START "IPC" "CheckpointStart" "A checkpoint to start.";
    56 CHECKPOINT_DONE "IPC" "CheckpointDone" "A checkpoint to complete.";
    57 BGWRITER_HIBERNATE "Activity" "BgwriterHibernate" "Something to do for the background writer.";
    58 ARCHIVE_COMMAND "IPC" "ArchiveCommand" "archive_command to complete.";
}

const _: () = assert!(NAMES.len() < wait_stats::EVENTS);

impl WaitEvent {
    /// The event of a number in shared memory; `None` for zero and unknown ones.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.get((number as usize).checked_sub(1)?).copied()
    }

    /// Number in shared memory; also its place in the statistics.
    pub const fn number(self) -> u32 {
        self.0 as u32
    }

    /// `wait_event_type`.
    pub fn class(self) -> &'static str {
        NAMES[self.0 as usize - 1].1
    }

    /// `wait_event`.
    pub fn name(self) -> &'static str {
        NAMES[self.0 as usize - 1].2
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_places_in_the_table() {
        for (i, (number, ..)) in NAMES.iter().enumerate() {
            assert_eq!(usize::from(*number), i + 1);
            assert_eq!(
                WaitEvent::from_number(u32::from(*number)).map(WaitEvent::number),
                Some(u32::from(*number))
            );
        }
        assert_eq!(WaitEvent::from_number(0), None);
        assert_eq!(WaitEvent::from_number(NAMES.len() as u32 + 1), None);
    }
}
