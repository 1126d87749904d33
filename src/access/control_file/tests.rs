//! The control file: what is written, what comes back, and what is refused.

use std::path::PathBuf;

use super::*;
use crate::wal::Incarnation;

fn example() -> ControlFile {
    ControlFile {
        system_identifier: 0x1234_5678_9ABC_DEF0,
        state: DbState::InProduction,
        time: 1_700_000_000,
        checkpoint: Lsn::new(0x0102_0028),
        checkpoint_copy: CheckPoint::first(Lsn::new(0x0101_0028), Incarnation(99), 1_699_999_999),
        min_recovery_point: Lsn::INVALID,
        min_recovery_timeline: Timeline(0),
        backup_start: Lsn::INVALID,
        backup_end: Lsn::INVALID,
        backup_end_required: false,
        unlogged_lsn: Lsn::new(1000),
        settings: StandbySettings { max_connections: 42, ..StandbySettings::default() },
        sync_method: SyncMethod::OpenDatasync,
        mock_nonce: [7; 32],
    }
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("tuskd-control-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(folder.join("global")).expect("a temporary folder");
    folder
}

/// The bytes with `value` at `at`, and the checksum that belongs to them.
fn changed(at: usize, value: &[u8]) -> [u8; USED] {
    let mut bytes = example().encode();
    bytes[at..at + value.len()].copy_from_slice(value);
    let crc = crc32c::crc32c(&bytes[..CRC_AT]);
    bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

#[test]
fn it_comes_back_from_the_disk() {
    let folder = folder("back");
    let (files, mut control) = (Files::new(), example());
    control.create(&folder, &files).unwrap();
    assert_eq!(ControlFile::read(&folder, &files), Ok(control.clone()));
    control.state = DbState::ShutDown;
    control.checkpoint = Lsn::new(0x0200_0028);
    control.write(&folder, &files).unwrap();
    assert_eq!(ControlFile::read(&folder, &files), Ok(control));
    assert_eq!(std::fs::metadata(folder.join(PATH)).unwrap().len(), FILE as u64);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_cannot_be_used_is_refused_in_postgresqls_words() {
    let incompatible = "database files are incompatible with server";
    let was = |name: &str, found: u32, here: u32| {
        format!(
            "The database cluster was initialized with {name} {found}, but the server was compiled with {name} {here}."
        )
    };
    let swapped = CONTROL_VERSION.swap_bytes();
    let mixed = format!(
        "The database cluster was initialized with PG_CONTROL_VERSION {} (0x{swapped:08x}), but the server was compiled \
         with PG_CONTROL_VERSION 18001 (0x00004651).",
        swapped as i32
    );
    for (at, value, detail) in [
        (8, 1800_u32.to_le_bytes(), was("PG_CONTROL_VERSION", 1800, CONTROL_VERSION)),
        (8, CONTROL_VERSION.to_be_bytes(), mixed),
        (12, 5_u32.to_le_bytes(), was("CATALOG_VERSION_NO", 5, CATALOG_VERSION)),
        (
            16,
            0x0403_0201_u32.to_ne_bytes(),
            "The database cluster was initialized on a machine of another byte order.".to_owned(),
        ),
        (24, 16_384_u32.to_le_bytes(), was("BLCKSZ", 16_384, 8192)),
        (36, (1_u32 << 20).to_le_bytes(), was("XLOG_SEG_SIZE", 1 << 20, 16 << 20)),
    ] {
        let report = ControlFile::decode(&changed(at, &value)).unwrap_err();
        assert_eq!((report.message.as_str(), report.detail), (incompatible, Some(detail)));
    }
}

#[test]
fn each_damaged_byte_is_noticed() {
    let bytes = example().encode();
    for at in 0..USED {
        let mut damaged = bytes;
        damaged[at] ^= 0x10;
        let report = ControlFile::decode(&damaged).unwrap_err();
        // The version is looked at before the checksum.
        let expected = if (8..12).contains(&at) {
            "database files are incompatible with server"
        } else {
            "incorrect checksum in control file"
        };
        assert_eq!(report.message, expected, "byte {at}");
    }
    let report = ControlFile::decode(&changed(44, &[9])).unwrap_err();
    assert_eq!(report.message, "control file contains invalid data");
}

#[test]
fn half_a_file_and_none_are_told_apart() {
    let folder = folder("half");
    let files = Files::new();
    let report = ControlFile::read(&folder, &files).unwrap_err();
    assert_eq!(report.message, "could not open file \"global/pg_control\": No such file or directory");
    assert!(report.detail.is_some_and(|detail| detail.contains("had no storage yet")));
    example().create(&folder, &files).unwrap();
    let bytes = std::fs::read(folder.join(PATH)).unwrap();
    for (len, expected) in [
        (0, "could not read file \"global/pg_control\": read 0 of 8192"),
        (600, "could not read file \"global/pg_control\": read 600 of 8192"),
    ] {
        std::fs::write(folder.join(PATH), &bytes[..len]).unwrap();
        assert_eq!(ControlFile::read(&folder, &files).unwrap_err().message, expected);
    }
    let longer = [bytes, vec![0; 5]].concat();
    std::fs::write(folder.join(PATH), longer).unwrap();
    let report = ControlFile::read(&folder, &files).unwrap_err();
    assert_eq!(report.message, "file \"global/pg_control\" is longer than 8192 bytes");
    std::fs::remove_dir_all(folder).unwrap();
}

/// A reader sees one state or the other, never a mixture: whatever changes lies in one sector.
#[test]
fn what_is_written_fits_a_sector() {
    assert!(example().encode()[..CRC_AT].iter().rev().take_while(|byte| **byte == 0).count() > 32);
}
