//! Checks of the processes that others ask the postmaster for.

use std::collections::BTreeSet;
use std::fs;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tuskd::auth::password::PasswordSettings;
use tuskd::auth::roles::{PATH, RoleOptions, RolesFile};
use tuskd::ipc::Ipc;
use tuskd::ipc::stop_points::{Action, StopPoint};
use tuskd::shmem::Segment;

use super::Stage;
use crate::versus::client::{Came, Client};
use crate::versus::server::{Server, title};

/// The server's shared memory: the postmaster's memfd.
fn attach(server: &Server) -> Result<Segment> {
    let text = fs::read_to_string(server.data_dir.join("postmaster.pid"))?;
    let fd = text.lines().nth(6).and_then(|line| line.split_whitespace().next()).context("no line 7")?;
    let path = format!("/proc/{}/fd/{fd}", server.pid());
    let memfd = fs::OpenOptions::new().read(true).write(true).open(path)?;
    Ok(Segment::attach(memfd.into())?)
}

fn workers(server: &Server) -> Vec<(i32, String)> {
    let children = server.children().into_iter();
    children.filter(|(_, title)| title.contains("autovacuum worker process")).collect()
}

/// Workers are held up by a stop point, since without tables they are gone before anybody sees them.
pub fn autovacuum_workers(stage: &Stage) -> Result<()> {
    let server = stage.server(&["autovacuum_naptime=1", "autovacuum_max_workers=1"])?;
    let segment = attach(&server)?;
    let ipc = Ipc::open(&segment)?;
    let points = ipc.stop_points();
    let mut seen = BTreeSet::new();
    // Whoever comes while nobody is held up is not seen, so a database may need a second round.
    for _ in 0..8 {
        if seen.len() == 2 {
            break;
        }
        points.arm(StopPoint::AutovacuumWorkerStarted, Action::Pause, None, 0);
        server.wait_until("a worker", |server| {
            workers(server)
                .iter()
                .any(|(_, title)| title.ends_with("   postgres") || title.ends_with("   template1"))
        })?;
        // Those of a naptime would have come by then.
        sleep(Duration::from_millis(1200));
        let found = workers(&server);
        ensure!(found.len() == 1, "autovacuum_max_workers is 1, but there are {found:?}");
        seen.extend(found.iter().map(|(_, title)| title.trim_end().to_owned()));
        let held = found[0].0;
        points.release(StopPoint::AutovacuumWorkerStarted);
        server.wait_until("the worker's end", |_| title(held).is_empty())?;
    }
    let wanted =
        ["postgres", "template1"].map(|name| format!("postgres: autovacuum worker process   {name}"));
    ensure!(seen == wanted.iter().cloned().collect(), "the workers' titles were {seen:?}");
    Ok(())
}

pub fn launcher_asks(stage: &Stage) -> Result<()> {
    let server = stage.server(&["autovacuum_naptime=1", "log_min_messages=debug1"])?;
    let segment = attach(&server)?;
    let ipc = Ipc::open(&segment)?;
    ipc.stop_points().arm(StopPoint::AutovacuumWorkerStarted, Action::Pause, None, 0);
    server.wait_until("a worker", |server| !workers(server).is_empty())?;
    // The list is that of the postmaster's children: the launcher has forked nobody.
    let launcher = server.child("autovacuum launcher").context("no launcher")?;
    let of_launcher = fs::read_to_string(format!("/proc/{launcher}/task/{launcher}/children"))?;
    ensure!(of_launcher.trim().is_empty(), "the launcher has children: {of_launcher}");
    ipc.stop_points().release(StopPoint::AutovacuumWorkerStarted);
    server.wait_for_log("DEBUG:  autovacuum: processing database \"postgres\"")
}

pub fn reserved(stage: &Stage) -> Result<()> {
    let server = stage.server(&["max_connections=4", "superuser_reserved_connections=2"])?;
    let path = server.data_dir.join(PATH);
    let owner = fs::metadata(&path)?;
    let mut roles = RolesFile::read(&server.data_dir).map_err(|report| anyhow::anyhow!(report.message))?;
    let options = RoleOptions { login: Some(true), ..RoleOptions::default() };
    let made = roles.create("ordinary", options, &PasswordSettings::default());
    made.and_then(|_| roles.write(&server.data_dir)).map_err(|report| anyhow::anyhow!(report.message))?;
    use std::os::unix::fs::MetadataExt;
    std::os::unix::fs::chown(&path, Some(owner.uid()), Some(owner.gid()))?;
    let mut sessions = Vec::new();
    for number in 0..3 {
        let mut client = Client::open(&server.socket())?;
        let came = client.greet("ordinary")?;
        ensure!((came == Came::Ready) == (number < 2), "session {number}: {:?}", client.told);
        sessions.push(client);
    }
    let told = sessions[2].told.last().context("refused without a word")?;
    let message = "remaining connection slots are reserved for roles with the SUPERUSER attribute";
    ensure!(told.sqlstate == "53300" && told.message == message, "{told:?}");
    Client::of(&server).map(drop)
}
