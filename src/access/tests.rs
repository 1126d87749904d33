//! A data directory and a segment for unit tests, and the tests of changes and their redo.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use shmem_layout::ProcessId;

use super::engine::{Engine, EngineSize, LOG_FOLDER, Store, StoreSettings};
use super::map_files;
use super::redo::{Redo, RedoPage};
use super::rmgr::{PAGES, ResourceManager, ResourceManagers};
use super::{BlockUse, Change};
use crate::ipc::slots::SlotTable;
use crate::ipc::{Ipc, Proc};
use crate::os::file::Files;
use crate::report::Result;
use crate::shmem::{HugePages, Plan, Segment};
use crate::storage::buffer::ReadOptions;
use crate::storage::files::SEGMENT_BLOCKS;
use crate::storage::ids::{BlockNumber, Fork, RelFile, RelFork};
use crate::txn::Xid;
use crate::wal::{
    Beginning, FlushSettings, Incarnation, Lsn, Record, RmgrId, SyncMethod, Timeline, WalReader,
};

/// Processes that a world has.
pub const PROCESSES: usize = 8;

/// Incarnation of a world's log.
pub const INCARNATION: Incarnation = Incarnation(0x1234_5678_9abc_def1);

/// A relation that tests may use.
pub const RELATION: RelFile =
    RelFile { tablespace: RelFile::DEFAULT_TABLESPACE, database: 5, relation: 1000 };

/// A segment and a data directory with an empty log; leaked, since it lives as long as its test. The directory goes with
/// this value.
pub struct World {
    /// The runtime.
    pub ipc: &'static Ipc<'static>,
    /// The shared parts.
    pub engine: &'static Engine<'static>,
    /// The data directory.
    pub folder: PathBuf,
    ids: Vec<ProcessId>,
}

impl World {
    /// A world with `buffers` pages of pool, whose log has begun.
    pub fn new(buffers: usize) -> Self {
        let folder = new_folder();
        for name in [LOG_FOLDER, map_files::FOLDER, "base/5", "global"] {
            std::fs::create_dir_all(folder.join(name)).expect("a temporary folder");
        }
        let world = Self::over(folder, buffers);
        world.engine.words.start_at(Xid::FIRST);
        let beginning = Beginning {
            timeline: Timeline(1),
            incarnation: INCARNATION,
            before: None,
            redo: Lsn::FIRST,
            full_pages: true,
        };
        world.store(0).log.with(|log| log.begin(&beginning)).expect("a log begins");
        world
    }

    /// A world over what this one's files are now, as after a crash: its log has not begun.
    pub fn crashed(&self) -> Self {
        let folder = new_folder();
        let copied =
            std::process::Command::new("cp").arg("-a").arg(self.folder.join(".")).arg(&folder).status();
        assert!(copied.expect("cp runs").success());
        Self::over(folder, self.engine.pool.len())
    }

    /// A world over a data directory, whose log has not begun.
    pub fn over(folder: PathBuf, buffers: usize) -> Self {
        let size = EngineSize {
            processes: PROCESSES,
            prepared: 4,
            buffers,
            wal_buffers: 4 << 20,
            map_pages: 16,
            locks_per_transaction: 64,
            reads_per_transaction: 64,
        };
        let mut specs = Ipc::region_specs(PROCESSES);
        specs.extend(Engine::region_specs(size));
        let plan = Plan::new(&specs).expect("the regions fit");
        let segment = Segment::create(&plan, HugePages::Off, None).unwrap_or_else(|e| panic!("{e}"));
        let segment: &'static Segment = Box::leak(Box::new(segment));
        let ipc: &'static Ipc<'static> = Box::leak(Box::new(Ipc::open(segment).expect("just made")));
        let mut table = SlotTable::new(ipc.slots());
        let ids: Vec<_> = (0..PROCESSES).map(|_| table.claim(1).expect("a free slot")).collect();
        for (i, slot) in ipc.slots().iter().enumerate() {
            slot.pid.store(100 + i as u32, Ordering::Relaxed);
        }
        let engine = Engine::open(segment, folder.clone(), Files::new()).unwrap_or_else(|e| panic!("{e}"));
        let engine: &'static Engine<'static> = Box::leak(Box::new(engine));
        Self { ipc, engine, folder, ids }
    }

    /// Process `index`.
    pub fn proc(&self, index: usize) -> &'static Proc<'static> {
        Box::leak(Box::new(self.ipc.proc(self.ids[index])))
    }

    /// The store of process `index`.
    pub fn store(&self, index: usize) -> Store<'static> {
        let settings = StoreSettings {
            sync_method: SyncMethod::Fdatasync,
            flush: FlushSettings::default(),
            files: Files::new(),
            max_open: 100,
            segment_blocks: SEGMENT_BLOCKS,
        };
        Store::new(self.engine, self.proc(index), &settings)
    }

    /// Another world, in which everything in this one's log has happened again.
    pub fn replayed(&self, managers: ResourceManagers<'_>) -> Self {
        let store = self.store(0);
        store.log.make_durable(store.engine.wal.inserted()).expect("the log is flushed");
        let world = Self::new(self.engine.pool.len());
        let target = world.store(0);
        let redo = Redo::new(&target.storage, managers);
        for_each_record(&self.folder, |record| redo.replay(record)).expect("redo");
        redo.missing().check().expect("no page is missing");
        world
    }
}

/// A folder that is nobody else's: tests run beside each other in one process.
fn new_folder() -> PathBuf {
    let name = |number: u32| format!("tuskd-access-{}-{number}", std::process::id());
    let paths = (0..).map(|number| std::env::temp_dir().join(name(number)));
    paths.into_iter().find(|path| std::fs::create_dir(path).is_ok()).expect("some name is free")
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Reads a world's log, but for the log's own records.
pub fn for_each_record(folder: &Path, mut f: impl FnMut(&Record<'_>) -> Result<()>) -> Result<()> {
    let mut reader =
        WalReader::of_incarnation(&folder.join(LOG_FOLDER), Timeline(1), Lsn::FIRST, INCARNATION);
    while let Some(record) = reader.next()? {
        if record.rmgr() != RmgrId::WAL {
            f(&record)?;
        }
    }
    Ok(())
}

/// Writes the block's data at the offset that the main data names.
struct Poke;

const POKE: u8 = 0x10;
const INIT: u8 = 0x20;

impl ResourceManager for Poke {
    fn id(&self) -> RmgrId {
        PAGES
    }

    fn name(&self) -> &'static str {
        "Poke"
    }

    fn kind(&self, info: u8) -> Option<&'static str> {
        [(POKE, "POKE"), (INIT, "INIT")].iter().find(|(number, _)| *number == info).map(|(_, name)| *name)
    }

    fn redo(&self, redo: &Redo<'_, '_>, record: &Record<'_>) -> Result<()> {
        let RedoPage::Apply(mut page) = redo.block(record, 0)? else { return Ok(()) };
        if record.info() == INIT {
            page.page_mut().init(0);
        }
        let data = record.block(0).expect("just found").data;
        page.page_mut().slice_mut(usize::from(record.main()[0]) * 32, data.len()).copy_from_slice(data);
        page.mark_dirty_at(record.end.bytes());
        Ok(())
    }
}

const FORK: RelFork = RelFork { file: RELATION, fork: Fork::Main };

fn poke(store: &Store<'_>, info: u8, used: BlockUse, at: u8, data: &[u8]) -> Lsn {
    let mut page = if info == INIT {
        store.storage.extend(FORK, ReadOptions::default()).expect("extend")
    } else {
        store.storage.read(FORK.block(BlockNumber::ZERO)).expect("read").lock_exclusive()
    };
    let main = [at];
    let change = Change::new(PAGES, info, 0).block(0, &mut page, used, data).main(&main);
    let made = change.apply(&store.log, |pages| {
        let mut page = pages.page(0);
        if info == INIT {
            page.init(0);
        }
        page.slice_mut(usize::from(at) * 32, data.len()).copy_from_slice(data);
    });
    made.expect("room in the log")
}

fn content(store: &Store<'_>) -> Vec<u8> {
    let page = store.storage.read(FORK.block(BlockNumber::ZERO)).expect("read").lock_shared();
    let mut bytes = page.page().slice(0, 8192).to_vec();
    // The checksum is of the file's page.
    bytes[8..12].fill(0);
    bytes
}

#[test]
fn what_was_changed_is_changed_again() {
    let world = World::new(64);
    let store = world.store(1);
    store.storage.files().create(FORK, false).expect("a new file");
    poke(&store, INIT, BlockUse::Init, 40, b"first");
    poke(&store, POKE, BlockUse::Modify, 50, b"second");
    poke(&store, POKE, BlockUse::Modify, 40, b"third");
    let managers: [&dyn ResourceManager; 1] = [&Poke];
    let again = world.replayed(ResourceManagers::new(&managers));
    assert_eq!(content(&again.store(2)), content(&store));
}

/// The first change behind a checkpoint's redo position takes the page along, so redo from there needs no older page.
#[test]
fn behind_a_checkpoint_the_record_has_the_page() {
    let world = World::new(64);
    let store = world.store(1);
    store.storage.files().create(FORK, false).expect("a new file");
    poke(&store, INIT, BlockUse::Init, 40, b"first");
    let checkpoint = store.log.with(|log| log.begin_checkpoint()).expect("a redo position");
    poke(&store, POKE, BlockUse::Modify, 50, b"second");
    poke(&store, POKE, BlockUse::Modify, 60, b"third");
    store.log.make_durable(store.engine.wal.inserted()).expect("flush");
    let mut images = Vec::new();
    for_each_record(&world.folder, |record| {
        images.push((
            record.start >= checkpoint.start,
            record.block(0).and_then(|block| block.image_len()).is_some(),
        ));
        Ok(())
    })
    .expect("the log is readable");
    assert_eq!(images, [(false, false), (true, true), (true, false)]);
}

#[test]
fn a_page_that_never_came_is_told_at_the_end() {
    let world = World::new(64);
    let store = world.store(1);
    store.storage.files().create(FORK, false).expect("a new file");
    poke(&store, INIT, BlockUse::Init, 40, b"first");
    poke(&store, POKE, BlockUse::Modify, 50, b"second");
    store.log.make_durable(store.engine.wal.inserted()).expect("flush");
    let target = World::new(64);
    let target_store = target.store(0);
    let managers: [&dyn ResourceManager; 1] = [&Poke];
    let redo = Redo::new(&target_store.storage, ResourceManagers::new(&managers));
    for_each_record(&world.folder, |record| if record.info() == POKE { redo.replay(record) } else { Ok(()) })
        .expect("a missing page is no error yet");
    let report = redo.missing().check().expect_err("block 0 is missing");
    let expected =
        "WAL contains references to 1 invalid pages, the first being block 0 of relation \"base/5/1000\"";
    assert_eq!(report.message, expected);
    redo.missing().forget(RELATION);
    redo.missing().check().expect("explained");
}
