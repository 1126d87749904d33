//! Background workers that write through the store, and note outside of the database what was acknowledged to them: what a
//! client's session would do.

use std::fs::File;
use std::io::Write;

use tuskd::access::checkpoints::Request;
use tuskd::access::message::{self, Message};
use tuskd::access::{Store, StoreSession};
use tuskd::ipc::{Interrupts, WaitEvent};
use tuskd::process::ProcessContext;
use tuskd::process::background_worker::Worker;
use tuskd::process::context::NextWait;
use tuskd::process::workers::{BackgroundWorker, Restart, WorkerFunction};
use tuskd::report::Report;
use tuskd::sync::Monotonic;
use tuskd::txn::serializable::Granularity;
use tuskd::txn::session::{CommitOptions, Isolation};
use tuskd::txn::{Fate, Xid};
use tuskd::wal::Lsn;

/// What was acknowledged: lines `C xid` and `A xid`, in the data directory.
pub const ACKNOWLEDGED: &str = "acknowledged";

/// When every transaction ends, in microseconds since 2000-01-01.
const TIME: i64 = 1_250_000;

/// PostgreSQL's defaults.
const GRANULARITY: Granularity = Granularity { tuples_per_page: 2, reads_per_relation: 32 };

/// The functions.
pub const FUNCTIONS: [WorkerFunction; 4] = [
    WorkerFunction { name: "leaver", main: leaver },
    WorkerFunction { name: "committer", main: committer },
    WorkerFunction { name: "asynchronous", main: asynchronous },
    WorkerFunction { name: "requester", main: requester },
];

/// The workers of a scenario `FUNCTION:ARGUMENT[:COUNT]`.
pub fn workers(scenario: &str) -> Option<Vec<BackgroundWorker>> {
    let mut words = scenario.split(':');
    let function = FUNCTIONS.iter().find(|function| Some(function.name) == words.clone().next())?;
    let argument = words.nth(1)?.parse().expect("a number");
    let count = words.next().map_or(1, |count| count.parse().expect("a number"));
    let worker = |number: usize| BackgroundWorker {
        argument,
        restart: Restart::AfterSeconds(1),
        ..BackgroundWorker::new(format!("{} {number}", function.name), function.name)
    };
    Some((0..count).map(worker).collect())
}

fn say(ctx: &ProcessContext<'_>, text: &str) {
    ctx.log(&Report::log(format!("writer: {text}")));
}

/// Whether everything that was acknowledged is as it was said to be.
fn verify(ctx: &ProcessContext<'_>, store: &Store<'_>) {
    let text = std::fs::read_to_string(ACKNOWLEDGED).unwrap_or_default();
    // The last line may be half-written by one who was killed.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut wrong = Vec::new();
    for line in whole.lines() {
        let (what, number) = line.split_once(' ').expect("two words");
        let xid = Xid::new(number.parse().expect("a number")).expect("an id");
        let fate = store.transactions.fate(xid).expect("the map is readable");
        let is_committed = matches!(fate, Fate::Committed(_) | Fate::CommittedLongAgo);
        let is_right = if what == "C" { is_committed } else { fate == Fate::Aborted };
        // An id that ended must not be given out again.
        if !is_right || xid >= store.engine.words.next_xid() {
            wrong.push(format!("{line}: {fate:?}"));
        }
    }
    if wrong.is_empty() {
        say(ctx, &format!("verified {} ends", whole.lines().count()));
    } else {
        say(ctx, &format!("WRONG: {wrong:?}, next {}", store.engine.words.next_xid()));
    }
}

fn acknowledge(file: &mut File, what: &str, xid: Xid) {
    // One write: several workers append.
    file.write_all(format!("{what} {xid}\n").as_bytes()).expect("writable");
}

/// One transaction with `bytes` of log, every seventh rolled back.
fn transact(
    store: &Store<'_>,
    session: &mut StoreSession<'_, '_>,
    file: &mut File,
    bytes: usize,
    synchronous: bool,
) {
    session.transaction.begin(Isolation::ReadCommitted, false);
    let xid = session.transaction.xid().expect("an id");
    let message = Message { is_transactional: true, prefix: "test", content: &vec![7; bytes] };
    let main = message.encode();
    store.log.log(message::RMGR, message::MESSAGE, xid.number(), &main).expect("room in the log");
    if xid.number().is_multiple_of(7) {
        session.transaction.abort(TIME).expect("an end");
        // A rollback is not made durable, and an id that nothing on disk names may be given out again.
        store.log.make_durable(store.engine.wal.inserted()).expect("the disk works");
        acknowledge(file, "A", xid);
    } else {
        let options = CommitOptions { synchronous, time: TIME, ..CommitOptions::default() };
        session.transaction.commit(options).expect("an end");
        acknowledge(file, "C", xid);
    }
}

/// Verifies, then commits as many transactions as its argument says, in thousands of bytes of log each; one stays open.
fn committer(worker: Worker<'_>) -> ! {
    write(worker, true, false)
}

/// The same; when it is told to leave it does, as if it had nothing to end.
fn leaver(worker: Worker<'_>) -> ! {
    write(worker, true, true)
}

/// The same without waiting for the disk.
fn asynchronous(worker: Worker<'_>) -> ! {
    write(worker, false, false)
}

fn write(worker: Worker<'_>, synchronous: bool, leaves: bool) -> ! {
    let count = worker.registration.argument;
    let ctx = worker.ctx;
    let store: &Store<'_> = Box::leak(Box::new(ctx.store()));
    let mut file = File::options().append(true).create(true).open(ACKNOWLEDGED).expect("writable");
    let mut session = StoreSession::new(store, 5, GRANULARITY);
    let (mut done, mut has_verified) = (0, false);
    ctx.run(WaitEvent::MAIN_LOOP, Interrupts::TERMINATE, move |ctx, wake| {
        if wake.interrupts.contains(Interrupts::TERMINATE) {
            if done == count && !leaves {
                session.transaction.abort(TIME).expect("an end");
            }
            return NextWait::Exit(0);
        }
        if !has_verified {
            has_verified = true;
            verify(ctx, store);
        }
        if done == count {
            return NextWait::Until(None);
        }
        done += 1;
        transact(store, &mut session, &mut file, 5000, synchronous);
        if done == count {
            say(ctx, &format!("wrote {count} transactions"));
            leave_one_open(store, &mut session, &mut file);
        }
        NextWait::Until(Some(Monotonic::now()))
    })
}

/// A transaction that whatever ends this process rolls back; that it has an id is on disk.
fn leave_one_open(store: &Store<'_>, session: &mut StoreSession<'_, '_>, file: &mut File) {
    session.transaction.begin(Isolation::ReadCommitted, false);
    let open = session.transaction.xid().expect("an id");
    store.log.make_durable(write_nothing(store, open.number())).expect("the disk works");
    acknowledge(file, "A", open);
}

/// A record that changes nothing.
fn write_nothing(store: &Store<'_>, xid: u64) -> Lsn {
    store.log.log(message::RMGR, message::MESSAGE, xid, &[0, 0, 0, 0, 0]).expect("room in the log").end
}

/// Asks for two checkpoints behind something new, and waits for them: the first even if there is nothing new, as the
/// second.
fn requester(worker: Worker<'_>) -> ! {
    let ctx = worker.ctx;
    ctx.set_running();
    let store = ctx.store();
    write_nothing(&store, 0);
    for request in [Request::IMMEDIATE.with(Request::FORCE), Request::IMMEDIATE] {
        let server = ctx.server;
        let result = server.engine.checkpoints.ask_and_wait(ctx.me, request, || server.postmaster_lives());
        match result {
            Ok(()) => say(&ctx, "checkpoint is done"),
            Err(report) => {
                let why = report.map_or("interrupted".into(), |report| report.message);
                say(&ctx, &format!("no checkpoint: {why}"));
            }
        }
    }
    ctx.exit(0)
}
