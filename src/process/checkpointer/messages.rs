//! What the log is told of checkpoints, in PostgreSQL's words.

use std::time::Duration;

use crate::access::checkpoint::Performed;
use crate::report::Report;

/// One is done. `distances`: bytes of log since the one before, and what is expected until the next.
pub fn complete(performed: &Performed, buffers: usize, distances: (f64, f64)) -> Report {
    let Performed { written, map_written, added, retired, synced, times, record, redo } = performed;
    let percent = written.written as f64 * 100.0 / buffers.max(1) as f64;
    let [write, sync, total] = times.map(seconds);
    let longest = seconds(Duration::from_nanos(synced.longest_ns));
    let average = seconds(Duration::from_nanos(synced.total_ns.checked_div(synced.files).unwrap_or(0)));
    let [distance, estimate] = [distances.0, distances.1].map(|bytes| (bytes / 1024.0) as u64);
    Report::log(format!(
        "checkpoint complete: wrote {} buffers ({percent:.1}%), wrote {map_written} SLRU buffers; {added} WAL file(s) added, \
         {} removed, {} recycled; write={write} s, sync={sync} s, total={total} s; sync files={}, longest={longest} s, \
         average={average} s; distance={distance} kB, estimate={estimate} kB; lsn={}, redo lsn={redo}",
        written.written, retired.removed, retired.recycled, synced.files, record.start
    ))
}

fn seconds(time: Duration) -> String {
    format!("{}.{:03}", time.as_secs(), time.subsec_millis())
}

/// They come because of the amount of log, and too close to each other.
pub fn too_frequent(elapsed: i64) -> Report {
    let seconds = if elapsed == 1 { "second" } else { "seconds" };
    Report::log(format!("checkpoints are occurring too frequently ({elapsed} {seconds} apart)"))
        .with_hint("Consider increasing the configuration parameter \"max_wal_size\".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::buffer::Written;
    use crate::storage::files::Synced;
    use crate::wal::segments::Retired;
    use crate::wal::{Lsn, Place};

    /// PostgreSQL 18's line for the same figures.
    #[test]
    fn the_line_is_postgresql_s() {
        let performed = Performed {
            written: Written { total: 470, written: 465 },
            map_written: 3,
            added: 1,
            retired: Retired { removed: 0, recycled: 2 },
            synced: Synced { files: 22, longest_ns: 8_000_000, total_ns: 66_000_000 },
            times: [13, 60, 118].map(Duration::from_millis),
            record: Place { start: Lsn::new(0x1D8_2F48), end: Lsn::new(0x1D8_3000) },
            redo: Lsn::new(0x1D8_2EF0),
        };
        let expected = "checkpoint complete: wrote 465 buffers (2.8%), wrote 3 SLRU buffers; 1 WAL file(s) added, \
                        0 removed, 2 recycled; write=0.013 s, sync=0.060 s, total=0.118 s; sync files=22, longest=0.008 s, \
                        average=0.003 s; distance=6367 kB, estimate=6368 kB; lsn=0/1D82F48, redo lsn=0/1D82EF0";
        assert_eq!(complete(&performed, 16_384, (6367.0 * 1024.0, 6368.9 * 1024.0)).message, expected);
    }

    #[test]
    fn one_second_is_one() {
        let expected = "checkpoints are occurring too frequently (1 second apart)";
        assert_eq!(too_frequent(1).message, expected);
    }
}
