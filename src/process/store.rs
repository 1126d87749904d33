//! The store as processes get it: how large its shared parts are, and how a process uses it, from settings.
//!
//! A [`Store`] is made by the process that needs one, when it does: an idle session has none.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use super::context::ProcessContext;
use crate::access::Store;
use crate::access::control_file::{StandbySettings, WalLevel};
use crate::access::engine::{EngineSize, StoreSettings};
use crate::config::{self, Settings};
use crate::os::file::Files;
use crate::os::uring::Ring;
use crate::report::{Report, Result, Severity, SqlState};
use crate::storage::files::SEGMENT_BLOCKS;
use crate::storage::ids::PAGE_SIZE;
use crate::wal::lsn::SEGMENT;
use crate::wal::{FlushSettings, MIN_RING, SyncMethod};

/// Bytes of log buffers that each process is to have, so that a record with some page images has room at once.
const RING_PER_PROCESS: usize = 40_000;

/// A flight has two pieces at most.
const WAL_RING_ENTRIES: u32 = 8;

/// How large the store's shared parts are, for so many process slots.
pub fn engine_size(settings: &Settings, processes: usize) -> EngineSize {
    let buffers = settings.get(config::SHARED_BUFFERS) as usize;
    let wal_buffers = match settings.bytes(config::WAL_BUFFERS) {
        // As PostgreSQL chooses, but room for everybody.
        ..0 => (buffers / 32 * PAGE_SIZE)
            .clamp(MIN_RING, SEGMENT as usize)
            .max(processes * 2 * RING_PER_PROCESS)
            .next_multiple_of(PAGE_SIZE),
        bytes => bytes as usize,
    };
    let map_pages = match settings.get(config::TRANSACTION_BUFFERS) {
        0 => (buffers / 128).clamp(64, 8192),
        pages => pages as usize,
    };
    EngineSize {
        processes,
        prepared: settings.get(config::MAX_PREPARED_TRANSACTIONS) as usize,
        buffers,
        wal_buffers,
        map_pages,
        locks_per_transaction: settings.get(config::MAX_LOCKS_PER_TRANSACTION) as usize,
        reads_per_transaction: settings.get(config::MAX_PRED_LOCKS_PER_TRANSACTION) as usize,
    }
}

/// Says in the settings which sizes were chosen where nobody chose any, so that `SHOW` tells them.
///
/// # Errors
/// As any setting.
pub fn show_sizes(settings: &mut Settings, size: EngineSize) -> Result<()> {
    if settings.is_default(config::WAL_BUFFERS) {
        settings.set_computed(config::WAL_BUFFERS, &(size.wal_buffers / PAGE_SIZE).to_string())?;
    }
    if settings.is_default(config::TRANSACTION_BUFFERS) {
        settings.set_computed(config::TRANSACTION_BUFFERS, &size.map_pages.to_string())?;
    }
    Ok(())
}

/// How a process makes the log durable: the setting, or where nobody set it, what `init` found to be fastest.
pub fn sync_method(settings: &Settings, fastest: SyncMethod) -> SyncMethod {
    if !settings.get(config::FSYNC) {
        return SyncMethod::None;
    }
    match settings.get(config::WAL_SYNC_METHOD) {
        _ if settings.is_default(config::WAL_SYNC_METHOD) => fastest,
        // A write that is its own sync of all attributes is no more than one of the data, where the length is fixed.
        "open_sync" => SyncMethod::OpenDatasync,
        name => SyncMethod::from_name(name).unwrap_or(fastest),
    }
}

/// When a process flushes.
pub fn flush_settings(settings: &Settings) -> FlushSettings {
    FlushSettings {
        depth: settings.get(config::WAL_FLUSH_DEPTH) as u64,
        commit_delay: Duration::from_micros(settings.get(config::COMMIT_DELAY) as u64),
        commit_siblings: settings.get(config::COMMIT_SIBLINGS) as usize,
        init_zero: settings.get(config::WAL_INIT_ZERO),
    }
}

/// What the control file says of settings.
pub fn standby_settings(settings: &Settings) -> StandbySettings {
    StandbySettings {
        wal_level: WalLevel::from_name(settings.get(config::WAL_LEVEL)).unwrap_or(WalLevel::Replica),
        wal_log_hints: settings.get(config::WAL_LOG_HINTS),
        max_connections: settings.get(config::MAX_CONNECTIONS) as u32,
        max_worker_processes: settings.get(config::MAX_WORKER_PROCESSES) as u32,
        max_wal_senders: settings.get(config::MAX_WAL_SENDERS) as u32,
        max_prepared_transactions: settings.get(config::MAX_PREPARED_TRANSACTIONS) as u32,
        max_locks_per_transaction: settings.get(config::MAX_LOCKS_PER_TRANSACTION) as u32,
        track_commit_timestamp: settings.get(config::TRACK_COMMIT_TIMESTAMP),
    }
}

impl<'s> ProcessContext<'s> {
    /// A way to log, pages and transactions for this process. One per process, made when it is needed first.
    pub fn store(&self) -> Store<'s> {
        let mut settings = StoreSettings {
            sync_method: sync_method(self.settings, self.server.fastest_sync),
            flush: flush_settings(self.settings),
            files: Files::new(),
            max_open: self.settings.get(config::MAX_FILES_PER_PROCESS) as usize / 2,
            segment_blocks: SEGMENT_BLOCKS,
        };
        let ring = if settings.sync_method == SyncMethod::IoUringDsync { self.wal_ring() } else { None };
        if ring.is_none() && settings.sync_method == SyncMethod::IoUringDsync {
            settings.sync_method = SyncMethod::OpenDatasync;
        }
        Store::with_ring(&self.server.engine, self.me, &settings, ring)
    }

    /// The process's own store, made at the first call and kept for its life.
    pub fn kept_store(&self) -> &'s Store<'s> {
        if let Some(store) = self.store.get() {
            return store;
        }
        let store = &*Box::leak(Box::new(self.store()));
        self.store.set(Some(store));
        store
    }

    /// The same, if there is one.
    pub fn made_store(&self) -> Option<&'s Store<'s>> {
        self.store.get()
    }

    /// A ring for flushing the log, which keeps the process's pipe from hanging up while writes are on their way. Without
    /// one the log is flushed by calls that block.
    fn wal_ring(&self) -> Option<Ring> {
        // Who makes its store before its wait set has the lifeline still.
        let own = || self.lifeline.as_ref().and_then(|lifeline| lifeline.duplicate().ok());
        let made = match self.wal_lifeline.take().or_else(own) {
            None => Err(io::Error::other("the process has begun without one")),
            Some(mut lifeline) => Ring::new(WAL_RING_ENTRIES).and_then(|mut ring| {
                let lock = self.server.instance_lock.as_ref().map(AsFd::as_fd);
                lifeline.register(&mut ring, lock)?;
                Ok(ring)
            }),
        };
        made.inspect_err(|error| {
            let text = format!("no ring for flushing the write-ahead log, open_datasync is used: {error}");
            self.log(&Report::new(Severity::Debug1, SqlState::SUCCESSFUL_COMPLETION, text));
        })
        .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_follow_settings() {
        let settings = Settings::default();
        let size = engine_size(&settings, 188);
        assert_eq!((size.buffers, size.map_pages, size.prepared), (16_384, 128, 0));
        let room_for_everybody = (188_usize * 80_000).next_multiple_of(8192);
        assert_eq!(size.wal_buffers, room_for_everybody);
        let mut shown = Settings::default();
        show_sizes(&mut shown, size).expect("settings take it");
        assert_eq!(engine_size(&shown, 188), size, "a crash restart comes to the same");
        let texts =
            ["wal_buffers", "transaction_buffers"].map(|name| shown.show(name, true).expect("a setting").1);
        assert_eq!(texts, ["14688kB", "1MB"]);
        assert_eq!(engine_size(&settings, 10).wal_buffers, 4 << 20, "as PostgreSQL chooses");
    }

    #[test]
    fn nobody_s_choice_is_the_fastest() {
        let settings = Settings::default();
        assert_eq!(sync_method(&settings, SyncMethod::OpenDatasync), SyncMethod::OpenDatasync);
    }
}
