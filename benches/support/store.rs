//! A data directory with a store over it, in one process; what is leaked lives as long as the process.
use std::path::{Path, PathBuf};
use std::time::Duration;

use tuskd::access::bootstrap::{Bootstrap, bootstrap, new_incarnation};
use tuskd::access::control_file::ControlFile;
use tuskd::access::engine::{LOG_FOLDER, StoreSettings};
use tuskd::access::managers::managers;
use tuskd::access::read_ahead::ReadAhead;
use tuskd::access::recovery::Recovery;
use tuskd::access::{Engine, EngineSize, Store, StoreSession, map_files};
use tuskd::os::file::Files;
use tuskd::storage::files::SEGMENT_BLOCKS;
use tuskd::txn::serializable::Granularity;
use tuskd::wal::{Beginning, FlushSettings, Incarnation, SyncMethod, WalReader};

use super::world::World;
use shmem_layout::ProcessId;
use tuskd::shmem::RegionSpec;

/// A data directory, as `init` leaves it; removed with this value.
pub struct DataDirectory(pub PathBuf);

impl DataDirectory {
    /// A new one.
    pub fn new(name: &str) -> Self {
        Self::at(std::env::temp_dir().join(format!("tuskd-bench-{name}-{}", std::process::id())))
    }

    /// A new one in this place.
    pub fn at(path: PathBuf) -> Self {
        let _ = std::fs::remove_dir_all(&path);
        for folder in
            [LOG_FOLDER, "pg_wal/archive_status", map_files::FOLDER, "base/5", "global", "pg_twophase"]
        {
            std::fs::create_dir_all(path.join(folder)).expect("a new folder");
        }
        let now = Duration::from_secs(1_700_000_000);
        let how = Bootstrap { sync_method: SyncMethod::Fdatasync, sync: false, now };
        bootstrap(&path, &how).expect("the disk has room");
        Self(path)
    }
}

impl Drop for DataDirectory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Fresh shared memory over a data directory.
pub struct Opened {
    /// Its shared memory.
    pub world: World,
    engine: &'static Engine<'static>,
}

impl Opened {
    /// With so many pages in the pool, for at most four processes.
    pub fn new(directory: &Path, buffers: usize) -> Self {
        Self::with(directory, buffers, 4, &[])
    }

    /// The same for so many processes, with regions of the bench's own.
    pub fn with(directory: &Path, buffers: usize, processes: usize, more: &[RegionSpec]) -> Self {
        let size = EngineSize {
            processes,
            prepared: 0,
            buffers,
            wal_buffers: 64 << 20,
            map_pages: 4096,
            locks_per_transaction: 64,
            reads_per_transaction: 64,
        };
        let specs = [Engine::region_specs(size), more.to_vec()].concat();
        let world = World::new(processes, &specs);
        let engine = Engine::open(world.segment(), directory.to_owned(), Files::new()).expect("just planned");
        Self { world, engine: Box::leak(Box::new(engine)) }
    }

    /// The store of another process; the log has not begun before [`recover`].
    pub fn store(&mut self) -> &'static Store<'static> {
        let id = self.world.claim();
        self.store_of(id, SyncMethod::Fdatasync)
    }

    /// The same of the calling process, which is to have this slot.
    pub fn store_of(&self, id: ProcessId, sync_method: SyncMethod) -> &'static Store<'static> {
        let settings = StoreSettings {
            sync_method,
            flush: FlushSettings::default(),
            files: Files::new(),
            max_open: 100,
            segment_blocks: SEGMENT_BLOCKS,
        };
        Box::leak(Box::new(Store::new(self.engine, self.world.enter(id), &settings)))
    }
}

/// What a start does: redo, then a log of its own. How many records were replayed.
pub fn recover(store: &'static Store<'static>) -> u64 {
    let directory = store.engine.data_directory();
    let control = ControlFile::read(directory, &Files::new()).expect("a control file");
    let copy = control.checkpoint_copy;
    let folder = directory.join(LOG_FOLDER);
    let mut recovery = Recovery::new(store, managers(), &copy);
    let reader = WalReader::of_incarnation(&folder, copy.timeline, copy.redo, copy.incarnation);
    let mut ahead = ReadAhead::new(reader, &store.storage);
    while let Some(record) = ahead.next().expect("a log") {
        recovery.replay(&record).expect("redo");
    }
    let changes = recovery.changes();
    recovery.finish().expect("no page is missing");
    let reader = ahead.reader();
    let beginning = Beginning {
        timeline: copy.timeline,
        incarnation: new_incarnation().expect("random bytes"),
        before: Some((reader.end(), reader.incarnation().unwrap_or(Incarnation(0)))),
        redo: copy.redo,
        full_pages: true,
    };
    store.log.with(|log| log.begin(&beginning)).expect("a log begins");
    store.engine.checkpoints.set_running();
    changes
}

/// A session in database 5.
pub fn session(store: &'static Store<'static>) -> StoreSession<'static, 'static> {
    StoreSession::new(store, 5, Granularity { tuples_per_page: 2, reads_per_relation: 32 })
}
