//! The log with one process: what is inserted and flushed is read back, whatever its size and wherever it lies.

use std::cell::{Cell, RefCell};
use std::io;
use std::path::PathBuf;
use std::rc::Rc;

use shmem_layout::ProcessId;

use super::lsn::{BLOCK, BLOCK_HEADER, SEGMENT, USABLE};
use super::record::PAGE;
use super::*;
use crate::ipc::slots::SlotTable;
use crate::ipc::{Ipc, Proc};
use crate::os::file::{Files, Operation, Watcher};
use crate::os::uring::{self, Ring};
use crate::report::{Severity, SqlState};
use crate::shmem::{HugePages, Plan, Segment};
use crate::sync::Ordering::SeqCst;

const PROCESSES: usize = 4;
const RING: usize = 1 << 20;

/// Shared memory and a folder for a log.
struct World {
    segment: &'static Segment,
    ipc: &'static Ipc<'static>,
    folder: PathBuf,
    ids: RefCell<Vec<ProcessId>>,
}

impl World {
    fn new(name: &str) -> Self {
        Self::with_ring(name, RING)
    }

    fn with_ring(name: &str, ring: usize) -> Self {
        let folder = std::env::temp_dir().join(format!("tuskd-wal-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir(&folder).unwrap();
        let (segment, ipc, ids) = Self::memory(ring);
        Self { segment, ipc, folder, ids }
    }

    fn memory(ring: usize) -> (&'static Segment, &'static Ipc<'static>, RefCell<Vec<ProcessId>>) {
        let specs = [Ipc::region_specs(PROCESSES), Wal::region_specs(PROCESSES, ring)].concat();
        let segment = Segment::create(&Plan::new(&specs).unwrap(), HugePages::Off, None).unwrap();
        let segment: &'static Segment = Box::leak(Box::new(segment));
        let ipc: &'static Ipc<'static> = Box::leak(Box::new(Ipc::open(segment).unwrap()));
        let mut table = SlotTable::new(ipc.slots());
        let ids = (0..PROCESSES).map(|_| table.claim(1).unwrap()).collect();
        (segment, ipc, RefCell::new(ids))
    }

    /// The same folder after a crash.
    fn restarted(self) -> Self {
        let folder = self.folder.clone();
        std::mem::forget(self);
        let (segment, ipc, ids) = Self::memory(RING);
        Self { segment, ipc, folder, ids }
    }

    fn proc(&self) -> &'static Proc<'static> {
        let id = self.ids.borrow_mut().remove(0);
        Box::leak(Box::new(self.ipc.proc(id)))
    }

    fn wal(&self, files: Files) -> &'static Wal<'static> {
        Box::leak(Box::new(Wal::open(self.segment, &self.folder, files).unwrap()))
    }

    fn session(&self, method: SyncMethod) -> WalSession<'static, 'static> {
        self.session_of(self.wal(Files::new()), method)
    }

    fn session_of(&self, wal: &'static Wal<'static>, method: SyncMethod) -> WalSession<'static, 'static> {
        let ring = uring::probe().is_full().then(|| Ring::new(8).unwrap());
        WalSession::new(wal, self.proc(), Box::new(FileSink::new(method, ring)), FlushSettings::default())
    }

    fn reader(&self) -> WalReader {
        WalReader::new(&self.folder, Timeline(1), Lsn::FIRST)
    }

    /// Main data of all records but the log's own, and why there are no more.
    fn contents(&self) -> (Vec<Vec<u8>>, Stop) {
        let mut reader = self.reader();
        let mut contents = Vec::new();
        while let Some(record) = reader.next().unwrap() {
            if record.rmgr() != RmgrId::WAL {
                contents.push(record.main().to_vec());
            }
        }
        (contents, reader.stop().unwrap())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn first_start() -> Beginning {
    Beginning {
        timeline: Timeline(1),
        incarnation: Incarnation(77),
        before: None,
        redo: Lsn::FIRST,
        full_pages: true,
    }
}

fn record(data: &[u8]) -> RecordBuilder {
    let mut builder = RecordBuilder::new();
    builder.begin(RmgrId(9), 1, 5);
    builder.main(data);
    builder
}

fn data(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + seed * 13) as u8).collect()
}

#[test]
fn every_method_writes_what_is_read() {
    for method in [SyncMethod::ALL.as_slice(), &[SyncMethod::None]].concat() {
        let world = World::new(&format!("method-{}", method.name()));
        let mut session = world.session(method);
        session.begin(&first_start()).unwrap();
        let sizes = [0, 1, 7, 8, 100, USABLE as usize - 24, USABLE as usize, 20_000, 300_000];
        let mut expected = Vec::new();
        for (i, size) in sizes.into_iter().enumerate() {
            expected.push(data(size, i));
            let place = session.log(&mut record(&expected[i])).unwrap();
            if i % 2 == 0 {
                session.flush(place.end).unwrap();
                assert!(session.wal().durable() >= place.end);
            }
        }
        session.flush_copied().unwrap();
        assert_eq!(session.wal().durable(), session.wal().inserted());
        let (contents, stop) = world.contents();
        assert!(contents == expected, "{method:?}");
        assert_eq!(stop, Stop { at: session.wal().inserted(), reason: StopReason::EndOfLog });
    }
}

#[test]
fn records_longer_than_the_ring_go_through() {
    let world = World::with_ring("long", MIN_RING);
    let mut session = world.session(SyncMethod::IoUringDsync);
    session.begin(&first_start()).unwrap();
    let expected: Vec<_> = [10, 400_000, 10, 65_000, 17 << 20, 3].map(|size| data(size, size)).into();
    for bytes in &expected {
        session.log(&mut record(bytes)).unwrap();
    }
    session.flush_copied().unwrap();
    assert!(world.contents().0 == expected);
}

#[test]
fn reading_begins_at_any_block() {
    let world = World::new("any-block");
    let mut session = world.session(SyncMethod::OpenDatasync);
    session.begin(&first_start()).unwrap();
    let mut starts = Vec::new();
    for i in 0..60 {
        starts.push(session.log(&mut record(&data(i * 311, i))).unwrap().start);
    }
    let end = session.flush_copied().unwrap();
    for block in (Lsn::FIRST.bytes()..end.bytes()).step_by(BLOCK as usize) {
        let mut reader = WalReader::new(&world.folder, Timeline(1), Lsn::new(block));
        let first = loop {
            match reader.next().unwrap() {
                Some(record) if record.rmgr() == RmgrId::WAL => {}
                Some(record) => break Some(record.start),
                None => break None,
            }
        };
        assert_eq!(first, starts.iter().copied().find(|start| start.bytes() > block), "from {block:#x}");
    }
    let mut reader = WalReader::new(&world.folder, Timeline(1), starts[30]);
    assert_eq!(reader.next().unwrap().map(|record| record.start), Some(starts[30]));
}

#[test]
fn what_is_lost_ends_the_log_with_its_reason() {
    let world = World::new("reasons");
    let mut session = world.session(SyncMethod::Fdatasync);
    session.begin(&first_start()).unwrap();
    let small = session.log(&mut record(&data(100, 1))).unwrap();
    let long = session.log(&mut record(&data(20_000, 2))).unwrap();
    session.log(&mut record(&data(50, 3))).unwrap();
    session.flush_copied().unwrap();
    let path = world.folder.join("000000010000000000000001");
    let whole = std::fs::read(&path).unwrap();
    let offset = |lsn: Lsn| lsn.offset_in_segment() as usize;
    let second_block = Lsn::new(Lsn::FIRST.bytes() + BLOCK);
    let cases: [(&str, usize, Vec<u8>, Lsn, StopReason); 6] = [
        (
            "a flipped bit",
            offset(small.start) + 30,
            vec![whole[offset(small.start) + 30] ^ 1],
            small.start,
            StopReason::BadCrc,
        ),
        ("no length", offset(small.start), vec![0; 8], small.start, StopReason::EndOfLog),
        ("a length", offset(small.start), vec![5, 0, 0, 0], small.start, StopReason::BadLength(5)),
        ("filler of nobody", offset(small.start), vec![8, 0, 0, 128], small.start, StopReason::BadFiller),
        (
            "a block never written",
            offset(second_block),
            vec![0; BLOCK as usize],
            long.start,
            StopReason::Torn { block: second_block, why: BadBlock::Empty },
        ),
        (
            "a block of another place",
            offset(second_block),
            whole[..BLOCK as usize].to_vec(),
            long.start,
            StopReason::Torn { block: second_block, why: BadBlock::Elsewhere(Lsn::FIRST) },
        ),
    ];
    for (what, at, bytes, stops_at, reason) in cases {
        let mut broken = whole.clone();
        broken[at..at + bytes.len()].copy_from_slice(&bytes);
        std::fs::write(&path, broken).unwrap();
        assert_eq!(world.contents().1, Stop { at: stops_at, reason }, "{what}");
    }
    std::fs::write(&path, &whole[..BLOCK as usize]).unwrap();
    let torn = StopReason::Torn { block: second_block, why: BadBlock::Missing };
    assert_eq!(world.contents().1, Stop { at: long.start, reason: torn });
    std::fs::remove_file(&path).unwrap();
    let missing = StopReason::Block { block: Lsn::FIRST, why: BadBlock::Missing };
    assert_eq!(world.contents().1, Stop { at: Lsn::FIRST, reason: missing });
}

/// Every bit of a log flipped in turn: what is read is a prefix of what was written, never anything else.
#[test]
fn no_flipped_bit_is_believed() {
    let world = World::new("bits");
    let mut session = world.session(SyncMethod::None);
    session.begin(&first_start()).unwrap();
    let expected: Vec<_> = (0..20).map(|i| data(i * 60, i)).collect();
    for bytes in &expected {
        session.log(&mut record(bytes)).unwrap();
    }
    let end = session.flush_copied().unwrap();
    let path = world.folder.join("000000010000000000000001");
    let whole = std::fs::read(&path).unwrap();
    for bit in (0..end.offset_in_segment() as usize * 8).step_by(101) {
        let mut broken = whole[..3 * BLOCK as usize].to_vec();
        broken[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, broken).unwrap();
        let (contents, _) = world.contents();
        assert!(expected.starts_with(&contents), "bit {bit}");
    }
}

#[test]
fn a_start_continues_the_chain() {
    let mut world = World::new("chain");
    let mut expected = Vec::new();
    let mut before = None;
    for start in 0..5_u64 {
        let mut session = world.session(SyncMethod::OpenDatasync);
        let beginning = Beginning { incarnation: Incarnation(start + 1), before, ..first_start() };
        session.begin(&beginning).unwrap();
        for i in 0..start as usize * 3 {
            expected.push(data(i * 1000, i + start as usize));
            session.log(&mut record(&expected[expected.len() - 1])).unwrap();
        }
        session.flush_copied().unwrap();
        // What was never flushed, but reached the disk in part: the next start's log goes over it.
        let lost = session.log(&mut record(&data(30_000, 9))).unwrap();
        let mut sink = FileSink::new(SyncMethod::None, None);
        sink.write(session.wal(), lost.start.align_down(512), Lsn::new(lost.start.bytes() + 20_000)).unwrap();
        let mut reader = world.reader();
        while reader.next().unwrap().is_some() {}
        assert_eq!(reader.incarnation(), Some(beginning.incarnation));
        assert_eq!(reader.end(), lost.start.position().unwrap().end_lsn(), "{:?}", reader.stop());
        before = Some((reader.end(), beginning.incarnation));
        world = world.restarted();
        assert!(world.contents().0 == expected, "after start {start}");
    }
}

/// Blocks that an incarnation lost behind its end must not come back as the log of a later one, nor may a start that names
/// another end be followed.
#[test]
fn stale_blocks_are_not_followed() {
    let world = World::new("stale");
    let mut session = world.session(SyncMethod::OpenDatasync);
    session.begin(&first_start()).unwrap();
    let kept = session.log(&mut record(b"kept")).unwrap();
    for i in 0..10 {
        session.log(&mut record(&data(4000, i))).unwrap();
    }
    session.flush_copied().unwrap();
    // As if the log had ended behind "kept": the records behind it are still there, and valid, for the old incarnation.
    let world = world.restarted();
    let mut session = world.session(SyncMethod::OpenDatasync);
    let before = Some((kept.end, Incarnation(77)));
    session.begin(&Beginning { incarnation: Incarnation(78), before, ..first_start() }).unwrap();
    session.log(&mut record(b"new")).unwrap();
    session.flush_copied().unwrap();
    let start = kept.end.align_up(BLOCK);
    let mut reader = WalReader::of_incarnation(&world.folder, Timeline(1), start, Incarnation(78));
    assert_eq!(reader.next().unwrap().map(|r| r.rmgr()), Some(RmgrId::WAL));
    assert_eq!(reader.next().unwrap().map(|r| r.main().to_vec()), Some(b"new".to_vec()));
    assert!(reader.next().unwrap().is_none());
    assert_eq!(reader.stop().unwrap().at, session.wal().inserted());
    // From the beginning the old incarnation goes on to where the new one stands, which claims another end: not followed.
    let (contents, stop) = world.contents();
    assert_eq!(contents[0], b"kept");
    assert!(contents.iter().all(|c| c != b"new"), "{stop:?}");
}

#[test]
fn a_checkpoint_makes_records_be_composed_again() {
    let world = World::new("epoch");
    let mut session = world.session(SyncMethod::OpenDatasync);
    session.begin(&first_start()).unwrap();
    let mut other = world.session_of(session.wal(), SyncMethod::OpenDatasync);
    let epoch = session.wal().epoch();
    let mut builder = record(b"composed for the old epoch");
    builder.for_epoch(epoch);
    let room = session.prepare(PAGE).unwrap();
    let redo = other.begin_checkpoint().unwrap();
    let Inserted::Recompose(epoch) = session.insert(&mut builder, &room) else { panic!("it is over") };
    assert_eq!(epoch.redo, redo.start);
    let mut builder = record(b"composed for the new one");
    builder.for_epoch(epoch);
    let Inserted::At(_) = session.insert(&mut builder, &room) else { panic!("it is the present one") };
    session.flush_copied().unwrap();
    assert_eq!(world.contents().0, [b"composed for the new one".to_vec()]);
    session.wal().set_full_pages(false);
    let Inserted::Recompose(epoch) = session.insert(&mut builder, &room) else { panic!("it is over") };
    assert!(!epoch.full_pages);
}

#[test]
fn a_commit_in_progress_holds_a_checkpoint() {
    let world = World::new("commit");
    let mut session = world.session(SyncMethod::OpenDatasync);
    session.begin(&first_start()).unwrap();
    session.begin_commit();
    let place = session.log(&mut record(b"commit")).unwrap();
    let reservations = session.wal().reservations();
    assert!(!reservations.is_over_below(place.end.position().unwrap()));
    session.end_commit();
    assert!(reservations.is_over_below(place.end.position().unwrap()));
}

#[test]
fn padding_and_switches_are_passed_over() {
    let world = World::new("pad");
    let mut session = world.session(SyncMethod::OpenDatasync);
    session.begin(&first_start()).unwrap();
    let place = session.log(&mut record(b"before")).unwrap();
    let end = session.pad(place.end.position().unwrap(), 512).expect("nobody else inserts");
    assert!(end.end_lsn().bytes().is_multiple_of(512));
    assert_eq!(session.pad(place.end.position().unwrap(), 512), None, "that is not the end any more");
    session.log(&mut record(b"between")).unwrap();
    let last = session.switch_segment().unwrap();
    assert_eq!(last.segment().number(), 1);
    assert_eq!(session.wal().inserted(), Lsn::new(2 * SEGMENT));
    assert_eq!(session.switch_segment().unwrap(), Lsn::new(2 * SEGMENT), "nothing to switch");
    let place = session.log(&mut record(b"behind")).unwrap();
    assert_eq!(place.start, Lsn::new(2 * SEGMENT + BLOCK_HEADER));
    session.flush(place.end).unwrap();
    assert_eq!(world.contents().0, [&b"before"[..], b"between", b"behind"]);
}

#[test]
fn segments_are_made_ahead_recycled_and_removed() {
    let world = World::new("segments");
    let mut session = world.session(SyncMethod::OpenDatasync);
    session.begin(&first_start()).unwrap();
    for _ in 0..6 {
        session.log(&mut record(b"x")).unwrap();
        session.switch_segment().unwrap();
    }
    while session.make_ahead(1).unwrap() {}
    let numbers = || -> Vec<u64> {
        let segments = segments::segments_of(&world.folder, Timeline(1)).unwrap();
        segments.into_iter().map(SegmentNumber::number).collect()
    };
    assert_eq!(numbers(), [1, 2, 3, 4, 5, 6, 7, 8]);
    let keep_from = Lsn::new(6 * SEGMENT);
    let kept = "000000010000000000000002";
    let retired = session.retire_segments(keep_from, 3, |name| name != kept).unwrap();
    assert_eq!(retired, segments::Retired { removed: 2, recycled: 2 });
    assert_eq!(numbers(), [2, 6, 7, 8, 9, 10]);
    // A recycled segment's old blocks are no log.
    let mut reader = WalReader::new(&world.folder, Timeline(1), Lsn::new(9 * SEGMENT));
    assert!(reader.next().unwrap().is_none());
    let StopReason::Block { why: BadBlock::Elsewhere(_), .. } = reader.stop().unwrap().reason else {
        panic!("{:?}", reader.stop())
    };
    for _ in 0..3 {
        session.log(&mut record(b"y")).unwrap();
        session.switch_segment().unwrap();
    }
    assert_eq!(session.wal().inserted(), Lsn::new(10 * SEGMENT));
}

/// Fails operations of one kind with an error, while it is told to.
struct Faults {
    kind: &'static str,
    errno: Cell<i32>,
}

impl Watcher for Faults {
    fn begin(&self, operation: &Operation<'_>) -> io::Result<u64> {
        let kind = match operation {
            Operation::Write { path, .. } if path.to_string_lossy().contains("xlogtemp") => "fill",
            Operation::Write { .. } => "write",
            Operation::Sync(_) => "sync",
            _ => "",
        };
        if kind == self.kind && self.errno.get() != 0 {
            return Err(io::Error::from_raw_os_error(self.errno.get()));
        }
        Ok(0)
    }

    fn end(&self, _: u64, _: &Operation<'_>) -> io::Result<()> {
        Ok(())
    }
}

/// The disk is full when a segment is to be made: an error before anything was inserted, and the log goes on when there is
/// space again.
#[test]
fn a_full_disk_loses_nothing() {
    let world = World::new("full");
    let faults = Rc::new(Faults { kind: "fill", errno: Cell::new(0) });
    let wal = world.wal(Files::watched(faults.clone()));
    let mut session = world.session_of(wal, SyncMethod::Fdatasync);
    session.begin(&first_start()).unwrap();
    faults.errno.set(libc::ENOSPC);
    let mut expected = Vec::new();
    let error = loop {
        let bytes = data(100_000, expected.len());
        match session.log(&mut record(&bytes)) {
            Ok(place) => {
                session.flush(place.end).unwrap();
                expected.push(bytes);
            }
            Err(error) => break error,
        }
    };
    assert_eq!((error.severity, error.sqlstate), (Severity::Error, SqlState::DISK_FULL));
    let pid = std::process::id();
    assert_eq!(
        error.message,
        format!("could not write to file \"pg_wal/xlogtemp.{pid}\": No space left on device")
    );
    assert!(!world.folder.join(format!("xlogtemp.{pid}")).exists());
    faults.errno.set(0);
    expected.push(data(100_000, 99));
    let place = session.log(&mut record(&expected[expected.len() - 1])).unwrap();
    session.flush(place.end).unwrap();
    assert!(world.contents().0 == expected);
}

#[test]
fn a_failed_write_or_sync_breaks_the_log_for_good() {
    for (kind, message) in [
        ("write", "could not write to log file \"000000010000000000000001\" at offset "),
        ("sync", "could not fsync file \"pg_wal/000000010000000000000001\": Input/output error"),
    ] {
        let world = World::new(&format!("broken-{kind}"));
        let faults = Rc::new(Faults { kind, errno: Cell::new(0) });
        let wal = world.wal(Files::watched(faults.clone()));
        let mut session = world.session_of(wal, SyncMethod::Fdatasync);
        session.begin(&first_start()).unwrap();
        let durable = wal.durable();
        let place = session.log(&mut record(b"x")).unwrap();
        faults.errno.set(libc::EIO);
        let error = session.flush(place.end).unwrap_err();
        assert_eq!((error.severity, error.sqlstate), (Severity::Panic, SqlState::IO_ERROR));
        assert!(error.message.starts_with(message), "{}", error.message);
        // That it would work now proves nothing about what was to be written then.
        faults.errno.set(0);
        assert_eq!(session.flush(place.end).unwrap_err().severity, Severity::Panic);
        let mut other = world.session_of(wal, SyncMethod::Fdatasync);
        assert_eq!(other.flush(place.end).unwrap_err().severity, Severity::Panic);
        assert_eq!(wal.durable(), durable);
    }
}

#[test]
fn a_process_does_not_wait_for_its_own_large_record() {
    let world = World::new("large");
    let mut session = world.session(SyncMethod::OpenDatasync);
    session.begin(&first_start()).unwrap();
    let room = session.prepare(RING / 2).unwrap();
    session.prepare(100).expect("a small one beside it");
    let Err(error) = session.prepare(RING / 2) else { panic!("it has one") };
    assert_eq!(error.sqlstate, SqlState::INTERNAL_ERROR);
    drop(room);
    session.prepare(RING / 2).unwrap();
}

#[test]
fn what_was_not_inserted_is_not_flushed() {
    let world = World::new("beyond");
    let mut session = world.session(SyncMethod::OpenDatasync);
    session.begin(&first_start()).unwrap();
    let beyond = Lsn::new(session.wal().inserted().bytes() + 8);
    let error = session.flush(beyond).unwrap_err();
    assert_eq!(error.severity, Severity::Error);
    assert!(error.message.starts_with(&format!("xlog flush request {beyond} is not satisfied")));
}

/// A leader, and one with a flight, die; the next one who flushes gets by.
#[test]
fn a_flight_of_the_dead_is_flown_again() {
    let world = World::new("orphan");
    let mut session = world.session(SyncMethod::OpenDatasync);
    session.begin(&first_start()).unwrap();
    let wal = session.wal();
    let (dead, leader) = (world.proc(), world.proc());
    let place = session.log(&mut record(b"taken by the dead")).unwrap();
    assert!(wal.flights().try_lead(dead.id()));
    wal.flights().take(dead.id(), place.end);
    assert!(wal.flights().try_lead(leader.id()));
    wal.clean_up_dead(session.me, dead.id());
    wal.clean_up_dead(session.me, leader.id());
    let place = session.log(&mut record(b"behind it")).unwrap();
    session.flush(place.end).unwrap();
    assert_eq!(wal.shared.adopted.load(SeqCst), 1);
    assert_eq!(world.contents().0, [&b"taken by the dead"[..], b"behind it"]);
}

#[test]
fn who_completes_a_segment_marks_it() {
    let world = World::new("marks");
    let status = ArchiveStatus::new(&world.folder);
    std::fs::create_dir(world.folder.join(archive_status::FOLDER)).unwrap();
    let mut session = world.session(SyncMethod::Fdatasync);
    session.wal().set_archiving(true);
    let archiver = world.proc();
    session.wal().set_archiver(archiver.id());
    session.begin(&first_start()).unwrap();
    let first = session.wal().inserted().segment().file_name(Timeline(1));
    let place = session.log(&mut record(b"one")).unwrap();
    session.flush(place.end).unwrap();
    assert_eq!(session.wal().completed_at_us(), None);
    assert!(status.waiting(9).unwrap().is_empty() && !archiver.latch().is_set());
    session.switch_segment().unwrap();
    assert_eq!(status.waiting(9).unwrap(), std::slice::from_ref(&first));
    assert!(archiver.latch().is_set() && session.wal().completed_at_us().is_some());
    // Nothing more until the next one is complete; and it is not removed while it waits.
    let keep_from = session.wal().inserted();
    let retired = session.retire_segments(keep_from, 0, |name| status.is_archived(name)).unwrap();
    assert_eq!(retired, segments::Retired::default());
    status.set_done(&first).unwrap();
    let retired = session.retire_segments(keep_from, 0, |name| status.is_archived(name)).unwrap();
    assert_eq!((retired.removed, status.done_file(&first).exists()), (1, false));
}
