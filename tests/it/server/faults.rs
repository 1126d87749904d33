//! The server on disks that fill up, on damaged logs, and on data directories that it may not use.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt, chown, symlink};
use std::path::Path;

use rustix::process::Signal;
use tuskd::wal::Lsn;

use super::connections::{client::Client, limits::owner};
use super::durability::{Mount, in_order, is_refused, snapshot};
use super::store::{crash, wait_for};
use super::{TestServer, tuskd};
use crate::harness::{Skip, Test, tests};

/// The tests of this module.
pub const TESTS: &[Test] = tests![
    an_archive_without_space_delays_archiving_only: 120,
    a_mark_for_the_archiver_waits_for_space: 120,
    a_checkpoint_without_space_fails_and_the_next_does_not: 120,
    a_lost_control_file_is_a_panic,
    a_damaged_log_ends_there: 120,
    a_directory_that_may_not_be_used_is_left_as_it_is,
    a_directory_in_use_is_left_as_it_is,
];

const READY: &str = "database system is ready to accept connections";

fn session(server: &TestServer) -> Client {
    Client::session(server, &owner())
}

/// Some of the log is written, and its segment ends; its name.
fn switch(client: &mut Client) -> String {
    let name = client.value("select pg_walfile_name(pg_current_wal_insert_lsn())");
    client.query("select pg_logical_emit_message(false, 'a', 'b', true)");
    client.query("select pg_switch_wal()");
    name
}

/// The archive has room for one segment and a half. What does not fit is tried again until it does, in order; nothing of it is
/// removed meanwhile, and sessions notice nothing.
fn an_archive_without_space_delays_archiving_only() -> Result<(), Skip> {
    let Some(mount) = Mount::of_tmpfs("archive", "24m")? else { return Ok(()) };
    let to = mount.path.display().to_string();
    let server = TestServer::start(&format!(
        "archive_mode = on\narchive_command = 'cp %p {to}/%f'\nmin_wal_size = 32MB\nmax_wal_size = 32MB\n"
    ));
    let mut client = session(&server);
    let names: Vec<_> = (0..3).map(|_| switch(&mut client)).collect();
    server.wait_for_log("LOG:  archive command failed with exit code 1", 3);
    assert_eq!(client.value("select last_archived_wal from pg_stat_archiver"), names[0]);
    assert_eq!(client.value("select last_failed_wal from pg_stat_archiver"), names[1]);
    client.query("checkpoint");
    client.query("checkpoint");
    for name in &names[1..] {
        assert!(server.dir.join("pg_wal").join(name).exists(), "{name} is archived by nobody and gone");
    }
    assert!(mount.run(&["-o", "remount,size=200m"]), "a remount");
    // Somebody wakes the archiver.
    let last = switch(&mut client);
    wait_for(&mut client, "select last_archived_wal from pg_stat_archiver", &last);
    assert_eq!(client.value("select archived_count from pg_stat_archiver"), "4");
    for name in names.iter().chain([&last]) {
        assert_eq!(fs::metadata(mount.path.join(name)).expect("it is archived").len(), 16 << 20, "{name}");
    }
    Ok(())
}

/// A segment is complete while not even an empty file can be made for the archiver: it stays until its mark is made.
fn a_mark_for_the_archiver_waits_for_space() -> Result<(), Skip> {
    let Some(mount) = Mount::of_tmpfs("marks", "1m,nr_inodes=4")? else { return Ok(()) };
    let mut server = TestServer::init(
        "archive_mode = on\narchive_command = 'cp %p archive/%f'\nmin_wal_size = 32MB\nmax_wal_size = 32MB\n",
    );
    fs::create_dir(server.dir.join("archive")).expect("a new folder");
    let folder = server.dir.join("pg_wal/archive_status");
    fs::remove_dir(&folder).expect("it is empty");
    symlink(&mount.path, &folder).expect("a link");
    let full: Vec<_> = (0..8).map(|n| mount.path.join(format!("full{n}"))).collect();
    let made = full.iter().filter(|path| File::create(path).is_ok()).count();
    assert!(made < full.len(), "the file system has as many files as it can");
    server.launch();
    server.wait_for_log(READY, 1);
    let mut client = session(&server);
    let names: Vec<_> = (0..3).map(|_| switch(&mut client)).collect();
    client.query("checkpoint");
    client.query("checkpoint");
    for name in &names {
        assert!(server.dir.join("pg_wal").join(name).exists(), "{name} is archived by nobody and gone");
        assert!(!folder.join(format!("{name}.ready")).exists());
    }
    full.iter().for_each(|path| drop(fs::remove_file(path)));
    assert!(mount.run(&["-o", "remount,nr_inodes=100"]), "a remount");
    client.query("select pg_logical_emit_message(false, 'a', 'b', true)");
    client.query("checkpoint");
    let last = switch(&mut client);
    wait_for(&mut client, "select last_archived_wal from pg_stat_archiver", &last);
    for name in names {
        assert!(server.dir.join("archive").join(&name).exists(), "{name}: {}", server.log());
    }
    Ok(())
}

/// The transaction map has no room: whoever asked for the checkpoint is told, nobody else notices, and the next one with space
/// there is as good as any.
fn a_checkpoint_without_space_fails_and_the_next_does_not() -> Result<(), Skip> {
    let Some(mount) = Mount::of_tmpfs("map", "64k")? else { return Ok(()) };
    let mut server = TestServer::init("autovacuum = off\n");
    let (map, there) = (server.dir.join("pg_xact"), mount.path.join("pg_xact"));
    let copied = std::process::Command::new("cp").arg("-a").arg(&map).arg(&there).status();
    assert!(copied.expect("cp runs").success());
    fs::remove_dir_all(&map).expect("ours");
    symlink(&there, &map).expect("a link");
    server.launch();
    server.wait_for_log(READY, 1);
    let mut client = session(&server);
    let filler = mount.path.join("filler");
    let _ = fs::write(&filler, vec![1; 64 << 10]);
    let kept = client.value("select pg_current_xact_id()");
    let failed = client.query("checkpoint");
    let error = "ERROR XX000: checkpoint request failed";
    assert!(failed.iter().any(|line| line.starts_with(error)), "{failed:?}\n{}", server.log());
    let line = "ERROR:  could not write file \"pg_xact/w000000000000\": No space left on device";
    assert!(server.log().contains(line), "{}", server.log());
    let later = client.value("select pg_current_xact_id()");
    fs::remove_file(&filler).expect("ours");
    assert_eq!(client.query("checkpoint"), ["C CHECKPOINT", "Z I"]);
    let server = crash(server);
    let mut client = session(&server);
    for id in [kept, later] {
        assert_eq!(client.value(&format!("select pg_xact_status('{id}')")), "committed");
    }
    Ok(())
}

/// What the control file says cannot be known any more: the server starts over, which needs it too.
fn a_lost_control_file_is_a_panic() {
    let mut server = TestServer::start("");
    let mut client = session(&server);
    let committed = client.value("select pg_current_xact_id()");
    let (path, aside) = (server.dir.join("global/pg_control"), server.dir.join("aside"));
    fs::rename(&path, &aside).expect("it is there");
    client.send(|out| out.query("checkpoint"));
    assert_eq!(server.wait(), Some(1), "{}", server.log());
    in_order(
        &server.log(),
        &[
            "PANIC:  could not open file \"global/pg_control\": No such file or directory",
            "checkpointer process (PID ",
            "was terminated by signal 6: Aborted",
            "all server processes terminated; reinitializing",
            "FATAL:  could not open file \"global/pg_control\": No such file or directory",
        ],
    );
    fs::rename(&aside, &path).expect("nobody made another");
    server.launch();
    server.wait_for_log(READY, 2);
    let status = session(&server).value(&format!("select pg_xact_status('{committed}')"));
    assert_eq!(status, "committed");
}

/// The log is damaged behind a commit: that one is there, the next is not, nor does it come back behind what is written anew.
fn a_damaged_log_ends_there() {
    type Damage = fn(&Path, u64);
    let flip: Damage = |path, offset| {
        let file = File::options().read(true).write(true).open(path).expect("it is there");
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset + 30).expect("within the file");
        file.write_all_at(&[byte[0] ^ 4], offset + 30).expect("writable");
    };
    let cut: Damage = |path, offset| {
        let file = File::options().write(true).open(path).expect("it is there");
        file.set_len(offset + 30).expect("writable");
    };
    let remove: Damage = |path, _| fs::remove_file(path).expect("it is there");
    for (damage, says) in [
        (flip, "incorrect resource manager data checksum in record at "),
        (cut, "its segment is missing or too short"),
        (remove, "its segment is missing or too short"),
    ] {
        let mut server = TestServer::start("autovacuum = off\n");
        let mut client = session(&server);
        client.query("checkpoint");
        let kept = client.value("select pg_current_xact_id()");
        client.query("select pg_switch_wal()");
        let place: Lsn = client.value("select pg_current_wal_insert_lsn()").parse().expect("an LSN");
        let name = client.value(&format!("select pg_walfile_name('{}')", Lsn::new(place.bytes() + 1)));
        let lost = client.value("select pg_current_xact_id()");
        let also_lost = client.value("select pg_current_xact_id()");
        server.signal(Signal::QUIT);
        assert_eq!(server.wait(), Some(0));
        damage(&server.dir.join("pg_wal").join(&name), place.offset_in_segment().max(32));
        server.launch();
        server.wait_for_log(READY, 2);
        in_order(&server.log(), &["redo starts at ", says, "redo done at "]);
        for _ in 0..2 {
            let mut client = session(&server);
            assert_eq!(client.value(&format!("select pg_xact_status('{kept}')")), "committed");
            // Their ids are given out again, and this time rolled back.
            client.query("begin");
            let id = client.value("select pg_current_xact_id()");
            assert!([&lost, &also_lost].contains(&&id), "{id}, not {lost}: {}", server.log());
            client.query("rollback");
            client.query("select pg_logical_emit_message(false, 'a', 'b', true)");
            assert_eq!(client.value(&format!("select pg_xact_status('{id}')")), "aborted");
            drop(client);
            server = crash(server);
            assert_eq!(session(&server).value(&format!("select pg_xact_status('{id}')")), "aborted");
        }
    }
}

/// Each is a FATAL that says what is wrong, and then all is as it was, modes and the lock included.
fn a_directory_that_may_not_be_used_is_left_as_it_is() {
    let mut server = TestServer::init("");
    let dir = server.dir.clone();
    let version = dir.join("PG_VERSION");
    let not_valid = format!("FATAL:  \"{}\" is not a valid data directory", dir.display());
    let no_data = format!("DETAIL:  File \"{}\" does not contain valid data.", version.display());
    let other = "DETAIL:  The data directory was initialized by PostgreSQL version 17, which is not compatible with \
                 this version 18";
    for (content, expected) in [
        ("17\n", ["FATAL:  database files are incompatible with server", other]),
        ("x\n", [&not_valid, &no_data]),
        ("", [&not_valid, &no_data]),
    ] {
        fs::write(&version, content).expect("writable");
        is_refused(&mut server, &expected);
    }
    fs::write(&version, "18\n").expect("writable");
    let set_mode = |mode| fs::set_permissions(&dir, fs::Permissions::from_mode(mode)).expect("ours");
    let wrong_mode = format!("FATAL:  data directory \"{}\" has invalid permissions", dir.display());
    for mode in [0o777, 0o770, 0o755, 0o704] {
        set_mode(mode);
        is_refused(&mut server, &[&wrong_mode, "Permissions should be u=rwx (0700) or u=rwx,g=rx (0750)."]);
    }
    set_mode(0o700);
    if rustix::process::geteuid().is_root() {
        chown(&dir, Some(65_534), None).expect("root may");
        let wrong_owner = format!("FATAL:  data directory \"{}\" has wrong ownership", dir.display());
        is_refused(&mut server, &[&wrong_owner]);
        chown(&dir, Some(0), None).expect("root may");
    }
    server.launch();
    server.wait_for_log(READY, 1);
}

/// The server that has it goes on, and what the other one finds there stays as it is.
fn a_directory_in_use_is_left_as_it_is() {
    let server = TestServer::start("autovacuum = off\nbgwriter_delay = 10s\nwal_writer_delay = 10s\n");
    let mut client = session(&server);
    client.query("checkpoint");
    let before = snapshot(&server.dir);
    let port = format!("port={}", server.port + 1);
    let output = tuskd().args(["run", "-c", &port, "-D"]).arg(&server.dir).output().expect("tuskd runs");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    in_order(&text, &["FATAL:  lock file \"postmaster.pid\" already exists", "Is another postmaster (PID "]);
    assert!(snapshot(&server.dir) == before, "something is changed");
    assert_eq!(client.value("select 1"), "1");
}
