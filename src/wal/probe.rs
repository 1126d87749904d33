//! Which way of syncing is fastest here: what `init` asks once, to choose `wal_sync_method`.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::block::Incarnation;
use super::log::{Beginning, MIN_RING, Wal};
use super::lsn::{BLOCK, Lsn, Timeline};
use super::sink::{FileSink, Sink, SyncMethod};
use crate::os::file::{Files, How};
use crate::os::uring::Ring;
use crate::shmem::{HugePages, Plan, Segment};
use crate::sync::Monotonic;

/// How long each method is tried.
const TRIAL: Duration = Duration::from_millis(40);

/// Bytes of the scratch file, written over from its beginning again and again.
const FILE: u64 = 1 << 20;

/// What a flush of one block took with a method, on average; or why it failed.
#[derive(Debug)]
pub struct Trial {
    /// The method.
    pub method: SyncMethod,
    /// Time of a flush.
    pub result: io::Result<Duration>,
}

/// Tries every method in a scratch folder below `folder`, through the very code that flushes the log. `make_ring` gives a
/// ring where there are any.
///
/// # Errors
/// What keeps the scratch folder or memory from being made.
pub fn try_all(folder: &Path, make_ring: impl Fn() -> Option<Ring>) -> io::Result<Vec<Trial>> {
    let scratch = folder.join(format!("probe.{}", std::process::id()));
    std::fs::create_dir(&scratch)?;
    let tried = try_in(&scratch, make_ring);
    let _ = std::fs::remove_dir_all(&scratch);
    tried
}

fn try_in(scratch: &Path, make_ring: impl Fn() -> Option<Ring>) -> io::Result<Vec<Trial>> {
    let plan = Plan::new(&Wal::region_specs(1, MIN_RING)).map_err(io::Error::other)?;
    let segment = Segment::create(&plan, HugePages::Off, None).map_err(io::Error::other)?;
    let wal = Wal::open(&segment, scratch, Files::new()).map_err(io::Error::other)?;
    let beginning = Beginning {
        timeline: Timeline(1),
        incarnation: Incarnation(1),
        before: None,
        redo: Lsn::FIRST,
        full_pages: true,
    };
    wal.set_beginning(&beginning);
    let files = Files::new();
    let file = files.open(&wal.path_of(Lsn::FIRST.segment()), How::Create)?;
    files.write_all_at(&file, &vec![0; FILE as usize], 0)?;
    files.sync_all(&file)?;
    let time = |method| time(&wal, &mut FileSink::new(method, make_ring()));
    Ok(SyncMethod::ALL.map(|method| Trial { method, result: time(method) }).into())
}

fn time(wal: &Wal<'_>, sink: &mut FileSink) -> io::Result<Duration> {
    let started = Monotonic::now();
    let mut count = 0;
    loop {
        let start = Lsn::new(Lsn::FIRST.bytes() + u64::from(count) * BLOCK % FILE);
        let end = Lsn::new(start.bytes() + BLOCK);
        sink.write(wal, start, end).map_err(|failure| io::Error::from_raw_os_error(failure.errno))?;
        count += 1;
        let elapsed = Monotonic::now().saturating_since(started);
        if elapsed >= TRIAL {
            return Ok(elapsed / count);
        }
    }
}

/// The method to use: the fastest, but one whose flushes can overlap if it is nearly as fast.
pub fn choose(trials: &[Trial]) -> SyncMethod {
    let times = trials.iter().filter_map(|trial| Some((trial.method, *trial.result.as_ref().ok()?)));
    let Some((fastest, best)) = times.clone().min_by_key(|(_, time)| *time) else { return SyncMethod::Fsync };
    let is_near = |time: Duration| time <= best + best / 5;
    let overlaps = |method| matches!(method, SyncMethod::IoUringDsync | SyncMethod::OpenDatasync);
    let overlapping = times.filter(|(method, time)| overlaps(*method) && is_near(*time));
    overlapping.min_by_key(|(_, time)| *time).map_or(fastest, |(method, _)| method)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::uring;

    #[test]
    fn every_method_is_tried_and_nothing_is_left() {
        let folder = std::env::temp_dir().join(format!("tuskd-probe-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let trials = try_all(&folder, || uring::probe().is_full().then(|| Ring::new(8).unwrap())).unwrap();
        assert_eq!(trials.len(), 4);
        assert!(trials.iter().all(|trial| trial.result.is_ok()), "{trials:?}");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
        std::fs::remove_dir(&folder).unwrap();
    }

    #[test]
    fn overlapping_methods_win_when_nearly_as_fast() {
        let trials = |times: [Option<u64>; 4]| -> Vec<Trial> {
            let result = |time: Option<u64>| {
                time.map(Duration::from_micros).ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))
            };
            SyncMethod::ALL
                .into_iter()
                .zip(times)
                .map(|(method, time)| Trial { method, result: result(time) })
                .collect()
        };
        for (times, expected) in [
            ([Some(110), Some(115), Some(100), Some(200)], SyncMethod::IoUringDsync),
            ([Some(130), Some(110), Some(100), Some(200)], SyncMethod::OpenDatasync),
            ([Some(300), Some(300), Some(100), Some(200)], SyncMethod::Fdatasync),
            ([None, None, None, Some(200)], SyncMethod::Fsync),
            ([None; 4], SyncMethod::Fsync),
        ] {
            assert_eq!(choose(&trials(times)), expected, "{times:?}");
        }
    }
}
