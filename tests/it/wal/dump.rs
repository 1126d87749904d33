//! `tuskd waldump` on a log's files.

use std::process::{Command, Output};

use tuskd::os::file::Files;
use tuskd::wal::SyncMethod;

use super::wal_world::{Before, Folder, Style, WalWorld, compose};
use crate::harness::{Seed, Test, tests};

/// The tests of this module.
pub const TESTS: &[Test] = tests![waldump_shows_records_and_where_they_end];

fn waldump(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tuskd"));
    command.arg("waldump").args(args).output().expect("the binary runs")
}

fn waldump_shows_records_and_where_they_end() {
    let folder = Folder::new("dump");
    let style = Style { method: SyncMethod::OpenDatasync, with_ring: false, depth: 0 };
    let world = WalWorld::new(&folder.0, style, Files::new());
    let me = world.join();
    world.begin(me, Before::default(), &mut Seed::current().rng());
    let mut session = world.session(me, None);
    let mut places = Vec::new();
    for count in 1..=3 {
        places.push(session.log(&mut compose(5, count)).unwrap_or_else(|e| panic!("{e}")));
    }
    session.flush(places[2].end).unwrap_or_else(|e| panic!("{e}"));
    let segment = folder.0.join("000000010000000000000001");
    let path = segment.to_str().expect("ASCII");
    let output = waldump(&[path]);
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text.lines().count(), 4, "{text}");
    assert!(text.starts_with("rmgr: XLOG "), "{text}");
    let second = places[1].start.to_string();
    let output = waldump(&["--json", "--start", &second, "--limit", "1", path]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((json["lsn"].as_str(), json["xid"].as_u64()), (Some(second.as_str()), Some(5)));
    // A bit of the third record.
    let mut bytes = std::fs::read(&segment).expect("readable");
    bytes[places[2].start.offset_in_segment() as usize + 9] ^= 1;
    std::fs::write(&segment, bytes).expect("writable");
    let output = waldump(&[path]);
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stdout).lines().count()), (Some(1), 3));
    let expected = format!(
        "tuskd waldump: error: no more records: the record has a wrong checksum at {}\n",
        places[1].end
    );
    assert_eq!(String::from_utf8_lossy(&output.stderr), expected);
    assert_eq!(waldump(&["--end", "nonsense", path]).status.code(), Some(1));
    assert_eq!(waldump(&["nonsense"]).status.code(), Some(1));
}
