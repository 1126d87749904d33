//! The first segment of a new data directory's log, with a shutdown's checkpoint in it, and the control file that names it.
//!
//! Written through the very code that writes the log of a server, over a segment of shared memory for this process alone.

use std::io;
use std::path::Path;

use super::checkpoint_record::{CHECKPOINT_SHUTDOWN, CheckPoint};
use super::control_file::{ControlFile, DbState, StandbySettings, new_system_identifier};
use super::engine::{Engine, EngineSize, LOG_FOLDER, Store, StoreSettings};
use crate::ipc::Ipc;
use crate::ipc::slots::SlotTable;
use crate::os::file::{Files, How};
use crate::report::{Report, Result, SqlState};
use crate::shmem::{HugePages, Plan, Segment};
use crate::storage::errors::failed_write;
use crate::storage::files::SEGMENT_BLOCKS;

use crate::wal::lsn::{SEGMENT, Timeline};
use crate::wal::{
    Beginning, FileSink, FlushSettings, Incarnation, Lsn, MIN_RING, RecordBuilder, RmgrId, SyncMethod, Wal,
    WalSession,
};

/// What a new data directory's log is to be like.
#[derive(Clone, Copy, Debug)]
pub struct Bootstrap {
    /// `wal_sync_method` where nobody chooses another.
    pub sync_method: SyncMethod,
    /// Whether everything is on disk before this succeeds.
    pub sync: bool,
    /// When, since 1970.
    pub now: std::time::Duration,
}

/// A random number of the kernel's.
///
/// # Errors
/// If it gives none.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        Report::error(SqlState::INTERNAL_ERROR, format!("could not generate random number: {error}"))
    })?;
    Ok(bytes)
}

/// A number for a start that no other has had.
///
/// # Errors
/// If the kernel gives no random bytes.
pub fn new_incarnation() -> Result<Incarnation> {
    Ok(Incarnation(u64::from_le_bytes(random()?).max(1)))
}

/// Makes log and control file. The folders are there, and empty.
///
/// # Errors
/// What writing files may end with; what was made until then is left to be taken away.
pub fn bootstrap(data_directory: &Path, how: &Bootstrap) -> Result<ControlFile> {
    let files = Files::new();
    let folder = data_directory.join(LOG_FOLDER);
    if !how.sync {
        allocate_first_segment(&folder, &files)?;
    }
    let seconds = how.now.as_secs();
    let (checkpoint, checkpoint_copy) = write_log(&folder, &files, how, seconds as i64)?;
    let control = ControlFile {
        system_identifier: new_system_identifier(seconds, how.now.subsec_micros(), std::process::id()),
        state: DbState::ShutDown,
        time: seconds as i64,
        checkpoint,
        checkpoint_copy,
        min_recovery_point: Lsn::INVALID,
        min_recovery_timeline: Timeline(0),
        backup_start: Lsn::INVALID,
        backup_end: Lsn::INVALID,
        backup_end_required: false,
        // As PostgreSQL's: those below have meanings of their own.
        unlogged_lsn: Lsn::new(1000),
        settings: StandbySettings::default(),
        sync_method: how.sync_method,
        mock_nonce: random()?,
    };
    control.create(data_directory, &files)?;
    Ok(control)
}

/// Space for the first segment without writing it, where nobody waits for a disk.
fn allocate_first_segment(folder: &Path, files: &Files) -> Result<()> {
    let name = Lsn::FIRST.segment().file_name(Timeline(1));
    let path = folder.join(&name);
    let shown = Path::new(LOG_FOLDER).join(&name);
    let file = files.open(&path, How::Create).map_err(|e| failed_write("create file", &shown, &e))?;
    match files.allocate(&file, SEGMENT) {
        // Then it is written like all others.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {
            drop(file);
            files.remove(&path).map_err(|e| failed_write("remove file", &shown, &e))
        }
        allocated => allocated.map_err(|e| failed_write("write to file", &shown, &e)),
    }
}

/// Where the checkpoint's record is, and what it says.
fn write_log(folder: &Path, files: &Files, how: &Bootstrap, time: i64) -> Result<(Lsn, CheckPoint)> {
    let failed = |e: &dyn std::fmt::Display| {
        Report::error(SqlState::OUT_OF_MEMORY, format!("could not set up shared memory: {e}"))
    };
    let mut specs = Ipc::region_specs(1);
    specs.extend(Wal::region_specs(1, MIN_RING));
    let plan = Plan::new(&specs).map_err(|e| failed(&e))?;
    let segment = Segment::create(&plan, HugePages::Off, None).map_err(|e| failed(&e))?;
    let ipc = Ipc::open(&segment).map_err(|e| failed(&e))?;
    let wal = Wal::open(&segment, folder, files.clone()).map_err(|e| failed(&e))?;
    let id = SlotTable::new(ipc.slots()).claim(1).ok_or_else(|| failed(&"no process slot"))?;
    let me = ipc.proc(id);
    let sync_method = if how.sync { SyncMethod::Fdatasync } else { SyncMethod::None };
    let sink = Box::new(FileSink::new(sync_method, None));
    let mut session = WalSession::new(&wal, &me, sink, FlushSettings::default());
    let incarnation = new_incarnation()?;
    session.begin(&Beginning {
        timeline: Timeline(1),
        incarnation,
        before: None,
        redo: Lsn::FIRST,
        full_pages: true,
    })?;
    let redo = session.begin_checkpoint()?.start;
    let checkpoint = CheckPoint::first(redo, incarnation, time);
    let mut record = RecordBuilder::new();
    record.begin(RmgrId::WAL, CHECKPOINT_SHUTDOWN, 0);
    record.main(&checkpoint.encode());
    let place = session.log(&mut record)?;
    session.flush(place.end)?;
    Ok((place.start, checkpoint))
}

/// Lends a store over shared memory that nobody else has: what a data directory needs before it has a server.
///
/// # Errors
/// If there is not enough memory; whatever the work ends with.
pub fn unshared<R>(
    data_directory: &Path,
    sync_method: SyncMethod,
    work: impl FnOnce(&Store<'_>) -> Result<R>,
) -> Result<R> {
    let failed = |e: &dyn std::fmt::Display| {
        Report::error(SqlState::OUT_OF_MEMORY, format!("could not set up shared memory: {e}"))
    };
    let size = EngineSize {
        processes: 1,
        prepared: 0,
        buffers: 1024,
        wal_buffers: MIN_RING,
        map_pages: 16,
        locks_per_transaction: 256,
        reads_per_transaction: 64,
    };
    let mut specs = Ipc::region_specs(1);
    specs.extend(Engine::region_specs(size));
    let plan = Plan::new(&specs).map_err(|e| failed(&e))?;
    let segment = Segment::create(&plan, HugePages::Off, None).map_err(|e| failed(&e))?;
    let ipc = Ipc::open(&segment).map_err(|e| failed(&e))?;
    let files = Files::new();
    let engine =
        Engine::open(&segment, data_directory.to_path_buf(), files.clone()).map_err(|e| failed(&e))?;
    let id = SlotTable::new(ipc.slots()).claim(1).ok_or_else(|| failed(&"no process slot"))?;
    let me = ipc.proc(id);
    let flush = FlushSettings::default();
    let settings = StoreSettings { sync_method, flush, files, max_open: 64, segment_blocks: SEGMENT_BLOCKS };
    let store = Store::new(&engine, &me, &settings);
    work(&store)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::wal::WalReader;

    #[test]
    fn a_new_log_begins_with_a_checkpoint_that_the_control_file_names() {
        for sync in [false, true] {
            let folder = std::env::temp_dir().join(format!("tuskd-bootstrap-{sync}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&folder);
            for name in [LOG_FOLDER, "global"] {
                std::fs::create_dir_all(folder.join(name)).unwrap();
            }
            let how =
                Bootstrap { sync_method: SyncMethod::Fsync, sync, now: Duration::from_secs(1_800_000_000) };
            let control = bootstrap(&folder, &how).unwrap();
            assert_eq!(ControlFile::read(&folder, &Files::new()), Ok(control.clone()));
            let mut reader = WalReader::of_incarnation(
                &folder.join(LOG_FOLDER),
                Timeline(1),
                control.checkpoint,
                control.checkpoint_copy.incarnation,
            );
            let record = reader.next().unwrap().expect("the checkpoint's record");
            assert_eq!((record.start, record.info()), (control.checkpoint, CHECKPOINT_SHUTDOWN));
            assert_eq!(CheckPoint::of(&record), Ok(Some(control.checkpoint_copy)));
            assert!(reader.next().unwrap().is_none());
            std::fs::remove_dir_all(folder).unwrap();
        }
    }
}
