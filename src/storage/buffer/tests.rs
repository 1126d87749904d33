//! The pool in one process: pages in and out, errors, rings, checkpoints. Several processes: `tests/it/storage`.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::Ordering;

use shmem_layout::BufferDescriptor;

use super::*;
use crate::ipc::slots::SlotTable;
use crate::ipc::{Ipc, Proc};
use crate::os::file::{Files, Operation, Watcher};
use crate::report::{Report, Result, Severity, SqlState};
use crate::shmem::{HugePages, Plan, Segment};
use crate::storage::files::FileSettings;
use crate::storage::ids::{BlockNumber, BufferTag, Fork, PAGE_SIZE, RelFile, RelFork};
use crate::storage::session::{LogBarrier, NoLog, StorageSession};

/// A pool in a segment of its own, and a data directory.
pub struct TestPool {
    pool: &'static BufferPool<'static>,
    ipc: &'static Ipc<'static>,
    slots: RefCell<SlotTable<'static>>,
    pub folder: PathBuf,
}

pub const FORK: RelFork =
    RelFork { file: RelFile { tablespace: 1663, database: 5, relation: 16384 }, fork: Fork::Main };

pub fn tag(block: u32) -> BufferTag {
    FORK.block(BlockNumber::new(block).unwrap())
}

impl TestPool {
    pub fn new(buffers: usize) -> Self {
        let specs = [Ipc::region_specs(8), BufferPool::region_specs(buffers, 8)].concat();
        let segment = Segment::create(&Plan::new(&specs).unwrap(), HugePages::Off, None).unwrap();
        let segment: &'static Segment = Box::leak(Box::new(segment));
        let ipc: &'static Ipc<'static> = Box::leak(Box::new(Ipc::open(segment).unwrap()));
        let pool: &'static BufferPool<'static> = Box::leak(Box::new(BufferPool::open(segment).unwrap()));
        let folder = std::env::temp_dir().join(format!("tuskd-pool-{:016x}", segment.instance()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("base/5")).unwrap();
        Self { pool, ipc, slots: RefCell::new(SlotTable::new(ipc.slots())), folder }
    }

    pub fn descriptor(&self) -> &'static BufferDescriptor {
        &self.pool.mapping.descriptors[0]
    }

    /// A process of its own, as far as the pool can tell.
    pub fn process(&self) -> &'static Proc<'static> {
        let id = self.slots.borrow_mut().claim(1).unwrap();
        let me = Box::leak(Box::new(self.ipc.proc(id)));
        me.slot().phase.store(shmem_layout::Phase::Running as u32, Ordering::Release);
        me
    }

    pub fn settings(&self, files: Files) -> FileSettings {
        FileSettings { data_directory: self.folder.clone(), files, max_open: 3, segment_blocks: 64 }
    }

    pub fn session(&self) -> StorageSession<'static> {
        self.session_with(Box::new(NoLog), Files::new())
    }

    pub fn session_with(&self, log: Box<dyn LogBarrier>, files: Files) -> StorageSession<'static> {
        StorageSession::new(self.pool, self.process(), log, self.settings(files))
    }
}

impl Drop for TestPool {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Adds a page that says its number.
fn add_page(session: &StorageSession<'_>) -> u32 {
    let mut page = session.extend(FORK, ReadOptions::default()).unwrap();
    let block = page.pin().block().get();
    page.mark_dirty();
    page.page_mut().init(0);
    page.page_mut().insert(&block.to_le_bytes(), None).unwrap();
    block
}

fn number_on(pin: &PinnedBuffer<'_, '_>) -> u32 {
    let page = pin.lock_shared();
    u32::from_le_bytes(page.page().item(1).unwrap().bytes.try_into().unwrap())
}

fn error(result: Result<PinnedBuffer<'_, '_>>) -> Box<Report> {
    result.err().expect("an error")
}

#[test]
fn many_pages_go_through_few_buffers() {
    let pool = TestPool::new(16);
    let session = pool.session();
    session.files().create(FORK, false).unwrap();
    // More than a segment, and ten times the pool.
    for block in 0..160 {
        assert_eq!(add_page(&session), block);
    }
    for block in (0..160).chain((0..160).rev()) {
        assert_eq!(number_on(&session.read(tag(block)).unwrap()), block);
    }
    assert_eq!(session.pinned(), 0);
    assert_eq!(session.files().blocks(FORK).unwrap(), 160);
    for (name, blocks) in [("16384", 64), ("16384.1", 64), ("16384.2", 32)] {
        let length = std::fs::metadata(pool.folder.join("base/5").join(name)).unwrap().len();
        assert_eq!(length, blocks * PAGE_SIZE as u64, "{name}");
    }
    let totals = session.pool().totals();
    assert!(totals.reads >= 288 && totals.writes >= 144 && totals.evictions >= 300, "{totals:?}");
    assert_eq!(totals.extends, 160);
    let statuses = session.buffer_statuses();
    assert!(statuses.iter().all(|s| s.pins == 0 && s.tag.is_some()), "{statuses:?}");
}

#[test]
fn a_pin_keeps_a_page_and_more_than_there_are_is_an_error() {
    let pool = TestPool::new(16);
    let session = pool.session();
    session.files().create(FORK, false).unwrap();
    for _ in 0..20 {
        add_page(&session);
    }
    let pins: Vec<_> = (0..16).map(|block| session.read(tag(block)).unwrap()).collect();
    let report = error(session.read(tag(16)));
    assert_eq!(report.message, "no unpinned buffers available");
    let again = session.read(tag(3)).unwrap();
    assert_eq!(again.buffer_number(), pins[3].buffer_number());
    assert_eq!((session.pinned(), pins[3].try_lock_for_cleanup().is_none()), (16, true), "pinned twice");
    drop(again);
    drop(pins[3].try_lock_for_cleanup().expect("nobody else has it"));
    assert!(pins.iter().zip(0..).all(|(pin, block)| number_on(pin) == block));
    drop(pins);
    assert_eq!(number_on(&session.read(tag(16)).unwrap()), 16);
}

#[test]
fn another_process_s_pin_and_lock_are_seen() {
    let pool = TestPool::new(16);
    let (session, other) = (pool.session(), pool.session());
    session.files().create(FORK, false).unwrap();
    add_page(&session);
    let (pin, others) = (session.read(tag(0)).unwrap(), other.read(tag(0)).unwrap());
    assert!(pin.try_lock_for_cleanup().is_none());
    let page = pin.lock_shared();
    let also = others.try_lock_shared().unwrap();
    assert!(others.try_lock_exclusive().is_none());
    drop(also);
    drop(page.unlock());
    let mut page = others.try_lock_exclusive().unwrap();
    page.mark_dirty_at(7);
    assert_eq!(page.page().lsn(), 7);
    assert!(pin.try_lock_shared().is_none());
    drop((page, others));
    drop(pin.lock_for_cleanup().unwrap());
}

fn corrupt(pool: &TestPool, block: u64, offset: u64) {
    use std::os::unix::fs::FileExt;
    let path = pool.folder.join("base/5/16384");
    let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
    let (mut byte, at) = ([0], block * PAGE_SIZE as u64 + offset);
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
}

#[test]
fn a_corrupted_page_is_an_error_that_names_it_each_time() {
    let pool = TestPool::new(16);
    let session = pool.session();
    session.files().create(FORK, false).unwrap();
    (0..40).for_each(|_| {
        add_page(&session);
    });
    session.flush_relation(FORK.file).unwrap();
    session.discard_relation(FORK.file).unwrap();
    corrupt(&pool, 7, 5000);
    for _ in 0..2 {
        let report = error(session.read(tag(7)));
        assert_eq!(report.message, "invalid page in block 7 of relation \"base/5/16384\"");
        assert_eq!(report.sqlstate, SqlState::DATA_CORRUPTED);
    }
    // In a scan it is an error where it comes, and nowhere else.
    let mut scan = SequentialRead::new(&session, FORK, 0, 40, ReadOptions::default());
    for block in 0..40 {
        match scan.next_page() {
            Ok(pin) => assert_eq!(number_on(&pin.unwrap()), block),
            Err(report) => assert_eq!((block, report.sqlstate), (7, SqlState::DATA_CORRUPTED)),
        }
    }
    assert!(scan.next_page().unwrap().is_none());
    drop(scan);
    let report = error(session.read(tag(40)));
    let message = "could not read blocks 40..40 in file \"base/5/16384\": read only 0 of 8192 bytes";
    assert_eq!((report.sqlstate, report.message.as_str()), (SqlState::DATA_CORRUPTED, message));
    assert_eq!(session.pinned(), 0);
}

#[test]
fn a_file_that_is_not_there_is_an_error_that_names_it() {
    let pool = TestPool::new(16);
    let session = pool.session();
    let report = error(session.read(tag(0)));
    let message = "could not open file \"base/5/16384\": No such file or directory";
    assert_eq!((report.sqlstate, report.message.as_str()), (SqlState::UNDEFINED_FILE, message));
    assert!(!session.files().exists(FORK).unwrap());
    session.files().create(FORK, false).unwrap();
    assert!(session.files().exists(FORK).unwrap());
    let report = session.files().create(FORK, false).unwrap_err();
    let message = "could not create file \"base/5/16384\": File exists";
    assert_eq!((report.sqlstate, report.message.as_str()), (SqlState::DUPLICATE_FILE, message));
    session.files().create(FORK, true).unwrap();
}

/// Fails operations that it is told to fail, and notes writes and syncs.
#[derive(Default)]
struct Failing {
    fails: RefCell<Option<(&'static str, i32)>>,
    seen: RefCell<Vec<String>>,
}

impl Failing {
    fn set(&self, what: Option<(&'static str, i32)>) {
        *self.fails.borrow_mut() = what;
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

impl Watcher for Failing {
    fn begin(&self, operation: &Operation<'_>) -> std::io::Result<u64> {
        let text = match operation {
            Operation::Write { path, offset, .. } => {
                format!("write {} {}", name(path), offset / PAGE_SIZE as u64)
            }
            Operation::Read { path, offset, .. } => {
                format!("read {} {}", name(path), offset / PAGE_SIZE as u64)
            }
            Operation::Sync(path) => format!("sync {}", name(path)),
            Operation::SyncFolder(path) => format!("folder {}", name(path)),
            Operation::Remove(path) => format!("remove {}", name(path)),
            other => format!("{other:?}"),
        };
        let fails = self.fails.borrow().filter(|(what, _)| text.starts_with(what));
        self.seen.borrow_mut().push(text);
        fails.map_or(Ok(0), |(_, errno)| Err(std::io::Error::from_raw_os_error(errno)))
    }

    fn end(&self, _: u64, _: &Operation<'_>) -> std::io::Result<()> {
        Ok(())
    }
}

fn failing_pool() -> (TestPool, Rc<Failing>, StorageSession<'static>) {
    let (pool, failing) = (TestPool::new(16), Rc::new(Failing::default()));
    let session = pool.session_with(Box::new(NoLog), Files::watched(failing.clone()));
    session.files().create(FORK, false).unwrap();
    (pool, failing, session)
}

#[test]
fn a_full_disk_ends_an_extension_and_leaves_nothing_behind() {
    let (_pool, failing, session) = failing_pool();
    add_page(&session);
    failing.set(Some(("write 16384 1", libc::ENOSPC)));
    let report = session.extend(FORK, ReadOptions::default()).err().unwrap();
    assert_eq!(report.sqlstate, SqlState::DISK_FULL);
    assert_eq!(report.message, "could not extend file \"base/5/16384\": No space left on device");
    assert_eq!(report.hint.as_deref(), Some("Check free disk space."));
    assert_eq!((session.files().blocks(FORK).unwrap(), session.pinned()), (1, 0));
    failing.set(None);
    assert_eq!(add_page(&session), 1);
}

#[test]
fn a_failed_write_leaves_the_page_dirty_and_a_failed_read_leaves_it_out() {
    let (_pool, failing, session) = failing_pool();
    add_page(&session);
    failing.set(Some(("write", libc::EIO)));
    let report = session.flush_relation(FORK.file).unwrap_err();
    assert_eq!(report.message, "could not write blocks 0..0 in file \"base/5/16384\": Input/output error");
    assert_eq!(report.sqlstate, SqlState::IO_ERROR);
    assert_eq!(report.context.as_deref(), Some("writing block 0 of relation \"base/5/16384\""));
    assert!(session.read(tag(0)).unwrap().is_dirty());
    failing.set(None);
    session.flush_relation(FORK.file).unwrap();
    assert!(!session.read(tag(0)).unwrap().is_dirty());
    session.discard_relation(FORK.file).unwrap();
    failing.set(Some(("read", libc::EIO)));
    let report = error(session.read(tag(0)));
    assert_eq!(report.message, "could not read blocks 0..0 in file \"base/5/16384\": Input/output error");
    failing.set(None);
    assert_eq!(number_on(&session.read(tag(0)).unwrap()), 0);
}

#[test]
fn a_failed_sync_is_a_panic_for_ever() {
    let (pool, failing, session) = failing_pool();
    add_page(&session);
    failing.set(Some(("sync", libc::EIO)));
    let report = session.files().sync_all().unwrap_err();
    assert_eq!(report.severity, Severity::Panic);
    assert_eq!(report.message, "could not fsync file \"base/5/16384\": Input/output error");
    failing.set(None);
    assert_eq!(session.files().sync_all().unwrap_err().severity, Severity::Panic, "it is not tried again");
    assert_eq!(pool.session().files().sync_all().unwrap_err().severity, Severity::Panic, "nor by others");
}

#[test]
fn a_checkpoint_writes_what_is_dirty_in_order_and_syncs_it_once() {
    let (_pool, failing, session) = failing_pool();
    for _ in 0..10 {
        add_page(&session);
    }
    for block in [7, 2, 5] {
        session.read(tag(block)).unwrap().lock_exclusive().mark_dirty();
    }
    failing.seen.borrow_mut().clear();
    struct Count(Vec<(u64, u64)>);
    impl Pace for Count {
        fn wrote(&mut self, written: u64, total: u64) -> Result<()> {
            self.0.push((written, total));
            Ok(())
        }
    }
    let mut pace = Count(Vec::new());
    let written = session.checkpoint_write(false, &mut pace).unwrap();
    assert_eq!(written, Written { total: 10, written: 10 });
    assert_eq!((pace.0.len(), pace.0[9]), (10, (10, 10)));
    assert_eq!(session.files().sync_all().unwrap().files, 1);
    assert_eq!(session.files().sync_all().unwrap().files, 0);
    let expected: Vec<_> = (0..10).map(|block| format!("write 16384 {block}")).collect();
    assert_eq!(failing.seen.borrow()[..10], expected);
    assert_eq!(failing.seen.borrow()[10..], ["sync 16384", "folder 5"]);
    assert_eq!(session.checkpoint_write(false, &mut Unpaced).unwrap(), Written::default());
}

#[test]
fn unlogged_pages_are_written_at_shutdown_only() {
    let (_pool, _, session) = failing_pool();
    let options = || ReadOptions { is_permanent: false, ..ReadOptions::default() };
    session.extend(FORK, options()).unwrap().mark_dirty();
    assert_eq!(session.checkpoint_write(false, &mut Unpaced).unwrap().total, 0);
    assert_eq!(session.checkpoint_write(true, &mut Unpaced).unwrap().written, 1);
}

/// A log that notes what it was asked for.
#[derive(Clone, Default)]
struct Log(Rc<RefCell<(Vec<u64>, u64)>>);

impl LogBarrier for Log {
    fn flush_to(&mut self, lsn: u64) -> Result<()> {
        let mut log = self.0.borrow_mut();
        if lsn == 666 {
            return Err(Report::error(SqlState::IO_ERROR, "the log is broken"));
        }
        log.0.push(lsn);
        log.1 = log.1.max(lsn);
        Ok(())
    }

    fn is_durable(&self, lsn: u64) -> bool {
        self.0.borrow().1 >= lsn
    }
}

#[test]
fn no_page_is_written_before_its_log() {
    let (pool, log) = (TestPool::new(16), Log::default());
    let session = pool.session_with(Box::new(log.clone()), Files::new());
    session.files().create(FORK, false).unwrap();
    add_page(&session);
    session.read(tag(0)).unwrap().lock_exclusive().mark_dirty_at(500);
    session.flush_relation(FORK.file).unwrap();
    assert_eq!(log.0.borrow().0, [500]);
    session.read(tag(0)).unwrap().lock_exclusive().mark_dirty_at(666);
    let report = session.flush_relation(FORK.file).unwrap_err();
    assert_eq!(report.message, "the log is broken");
    assert!(session.read(tag(0)).unwrap().is_dirty());
    session.discard_relation(FORK.file).unwrap();
    let pin = session.read(tag(0)).unwrap();
    assert_eq!(pin.lock_shared().page().lsn(), 500, "what had no log is not in the file");
}

#[test]
fn a_bulk_read_uses_few_buffers_and_waits_for_no_log() {
    let (pool, log) = (TestPool::new(256), Log::default());
    let session = pool.session_with(Box::new(log.clone()), Files::new());
    session.files().create(FORK, false).unwrap();
    (0..300).for_each(|_| {
        add_page(&session);
    });
    session.checkpoint_write(false, &mut Unpaced).unwrap();
    session.discard_relation(FORK.file).unwrap();
    let mut ring = BufferRing::new(RingKind::BulkRead, 256);
    let flushes = log.0.borrow().0.len();
    let options = ReadOptions { ring: Some(&mut ring), is_permanent: true };
    let mut scan = SequentialRead::new(&session, FORK, 0, 300, options);
    let mut block = 0;
    while let Some(pin) = scan.next_page().unwrap() {
        assert_eq!(number_on(&pin), block);
        // Somebody sets a bit in each page that the scan passes by.
        pin.lock_exclusive().mark_dirty_at(1000 + u64::from(block));
        block += 1;
    }
    assert_eq!(block, 300);
    drop(scan);
    let used = session.buffer_statuses().iter().filter(|s| s.tag.is_some()).count();
    // Dirty ones leave the ring rather than have the log flushed for them; once all buffers are dirty there is no choice.
    assert!(used > 32, "{used} buffers");
    session.discard_relation(FORK.file).unwrap();
    let mut ring = BufferRing::new(RingKind::BulkRead, 256);
    let options = ReadOptions { ring: Some(&mut ring), is_permanent: true };
    let mut scan = SequentialRead::new(&session, FORK, 0, 200, options);
    while scan.next_page().unwrap().is_some() {}
    drop(scan);
    let used = session.buffer_statuses().iter().filter(|s| s.tag.is_some()).count();
    assert!(used <= 32, "{used} buffers for a scan of clean pages");
    assert!(log.0.borrow().0.len() >= flushes);
}

#[test]
fn a_scan_reads_many_pages_at_once_and_counts_each() {
    let (_pool, failing, session) = failing_pool();
    (0..60).for_each(|_| {
        add_page(&session);
    });
    session.flush_relation(FORK.file).unwrap();
    session.discard_relation(FORK.file).unwrap();
    failing.seen.borrow_mut().clear();
    let before = session.usage();
    let mut scan = SequentialRead::new(&session, FORK, 0, 60, ReadOptions::default());
    let mut block = 0;
    while let Some(pin) = scan.next_page().unwrap() {
        assert_eq!(number_on(&pin), block);
        block += 1;
    }
    drop(scan);
    let usage = session.usage().since(before);
    assert_eq!((block, usage.reads, usage.hits), (60, 60, 0));
    let reads = failing.seen.borrow().iter().filter(|s| s.starts_with("read")).count();
    assert!(reads <= 9, "{reads} calls for 60 pages");
}

#[test]
fn the_background_writer_cleans_what_the_hand_will_want() {
    let (_pool, _, session) = failing_pool();
    let mut writer = BackgroundWriter::default();
    (0..64).for_each(|_| {
        add_page(&session);
    });
    assert!(session.buffer_statuses().iter().all(|status| status.is_dirty));
    // Everything has been used since the hand came by; it will be wanted nevertheless.
    assert_eq!(writer.write_some(&session, 100, 2.0).unwrap(), 0);
    for hand in 0..16 {
        let descriptor = &session.pool().mapping.descriptors[hand];
        let _ = state::update(descriptor, |state| Some(state & !state::USAGE));
    }
    let mut writer = BackgroundWriter::default();
    assert_eq!(writer.write_some(&session, 3, 2.0).unwrap(), 3);
    assert_eq!(writer.write_some(&session, 100, 2.0).unwrap(), 13);
    assert_eq!(writer.write_some(&session, 100, 2.0).unwrap(), 0);
}

#[test]
fn a_relation_goes_with_its_pages_and_its_name_stays_until_the_checkpoint() {
    let (pool, failing, session) = failing_pool();
    let other = pool.session();
    (0..70).for_each(|_| {
        add_page(&session);
    });
    assert_eq!(other.files().blocks(FORK).unwrap(), 70, "the other has them open");
    let before = session.files().begin_checkpoint();
    session.discard_relation(FORK.file).unwrap();
    assert!(session.buffer_statuses().iter().all(|s| s.tag.is_none()));
    assert_eq!(session.files().remove(FORK.file, false), []);
    let (first, second) = (pool.folder.join("base/5/16384"), pool.folder.join("base/5/16384.1"));
    assert_eq!((std::fs::metadata(&first).unwrap().len(), second.exists()), (0, false));
    assert_eq!(session.files().end_checkpoint(before), []);
    assert!(first.exists(), "it began before");
    let after = other.files().begin_checkpoint();
    failing.seen.borrow_mut().clear();
    assert_eq!(session.files().sync_all().unwrap().files, 0, "there is nothing to be synced of it");
    assert_eq!(session.files().end_checkpoint(after), []);
    assert!(!first.exists());
    assert!(!other.files().exists(FORK).unwrap());
    session.files().create(FORK, false).unwrap();
    assert_eq!(add_page(&session), 0);
    assert_eq!(other.files().blocks(FORK).unwrap(), 1, "of the new one");
}

#[test]
fn a_relation_is_cut_off() {
    let (_pool, _, session) = failing_pool();
    (0..130).for_each(|_| {
        add_page(&session);
    });
    session.discard_from(FORK, 65).unwrap();
    session.files().truncate(FORK, 65).unwrap();
    assert_eq!(session.files().blocks(FORK).unwrap(), 65);
    assert_eq!(number_on(&session.read(tag(64)).unwrap()), 64);
    assert!(session.read(tag(65)).is_err());
    session.files().truncate(FORK, 100).unwrap();
    assert_eq!(session.files().blocks(FORK).unwrap(), 65);
    assert_eq!(add_page(&session), 65, "behind a read beyond the end");
    session.extend_to(FORK, 131).unwrap();
    assert!(session.files().blocks(FORK).unwrap() >= 131);
    assert!(session.read(tag(130)).unwrap().lock_shared().page().is_new());
}

#[test]
fn a_page_to_be_made_anew_is_not_read() {
    let (pool, failing, session) = failing_pool();
    add_page(&session);
    session.flush_relation(FORK.file).unwrap();
    session.discard_relation(FORK.file).unwrap();
    corrupt(&pool, 0, 100);
    failing.set(Some(("read", libc::EIO)));
    let mut page = session.read_to_init(tag(0), ReadOptions::default()).unwrap();
    assert!(page.page().is_new());
    page.mark_dirty();
    page.page_mut().init(8);
    drop(page);
    assert!(
        !session.read_to_init(tag(0), ReadOptions::default()).unwrap().page().is_new(),
        "as it is in the pool"
    );
}

#[test]
fn hints_are_set_under_a_shared_lock_and_leave_a_page_clean() {
    let (_pool, _, session) = failing_pool();
    add_page(&session);
    session.flush_relation(FORK.file).unwrap();
    let pin = session.read(tag(0)).unwrap();
    let (page, also) = (pin.lock_shared(), pin.lock_shared());
    page.set_hint(8184, 0x0100);
    also.set_hint(8184, 0x0001);
    assert_eq!(page.page().u16_at(8184) & 0x0101, 0x0101);
    drop((page, also));
    assert!(!pin.is_dirty());
}

#[test]
fn the_ledgers_end_is_an_error() {
    let pool = TestPool::new(512);
    let session = pool.session();
    session.files().create(FORK, false).unwrap();
    (0..128).for_each(|_| {
        add_page(&session);
    });
    let mut pins = Vec::new();
    let report = loop {
        match session.read(tag(pins.len() as u32)) {
            Ok(pin) => pins.push(pin),
            Err(report) => break report,
        }
    };
    assert_eq!((pins.len(), report.message.as_str()), (96, "too many buffers pinned at once"));
    drop(pins.pop());
    assert_eq!(number_on(&session.read(tag(127)).unwrap()), 127);
}
