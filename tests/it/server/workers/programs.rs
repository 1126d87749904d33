//! Servers whose background workers are the tests' own: this binary, called with `--worker-server SCENARIO DIR`, runs the
//! library's server in DIR with the workers of a scenario. Production code has none of them.

use std::path::Path;
use std::process::ExitCode;

use tuskd::ipc::WaitEvent;
use tuskd::postmaster::{self, Options};
use tuskd::process::ProcessContext;
use tuskd::process::background_worker::Worker;
use tuskd::process::context::NextWait;
use tuskd::process::workers::{
    BackgroundWorker, Restart, StartMoment, WorkerFunction, WorkerHandle, WorkerStatus,
};
use tuskd::report::Report;

use crate::server::durability::programs as store_programs;

/// The argument by which this binary is such a server.
pub const ARGUMENT: &str = "--worker-server";

const FUNCTIONS: [WorkerFunction; 4] = [
    WorkerFunction { name: "idle", main: idle },
    WorkerFunction { name: "exit", main: exit },
    WorkerFunction { name: "supervisor", main: supervisor },
    WorkerFunction { name: "orphan", main: orphan },
];

/// Runs a server if this process was started to be one.
pub fn serve_if_asked() -> Option<ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [argument, scenario, dir] = &args[..] else { return None };
    (argument == ARGUMENT).then(|| {
        postmaster::run(Options {
            data_dir: Path::new(dir).to_owned(),
            workers: workers(scenario),
            worker_functions: [&FUNCTIONS[..], &store_programs::FUNCTIONS[..]].concat(),
            ..Options::default()
        })
    })
}

fn workers(scenario: &str) -> Vec<BackgroundWorker> {
    let idle = |name: &str, start, restart| BackgroundWorker {
        worker_type: format!("{name} type"),
        start,
        restart,
        ..BackgroundWorker::new(name, "idle")
    };
    let exit = |name: &str, code, restart| BackgroundWorker {
        argument: code,
        restart,
        ..BackgroundWorker::new(name, "exit")
    };
    if let Some(workers) = store_programs::workers(scenario) {
        return workers;
    }
    let hour = Restart::AfterSeconds(3600);
    match scenario {
        "moments" => vec![
            idle("late", StartMoment::RecoveryFinished, hour),
            idle("consistent", StartMoment::ConsistentState, hour),
            idle("early", StartMoment::PostmasterStart, hour),
        ],
        "ends" => vec![
            exit("done", 0, Restart::AfterSeconds(1)),
            exit("again", 1, Restart::AfterSeconds(1)),
            exit("once", 1, Restart::Never),
        ],
        "crash" => vec![
            idle("comes again", StartMoment::RecoveryFinished, hour),
            idle("does not", StartMoment::RecoveryFinished, Restart::Never),
        ],
        "unknown" => vec![BackgroundWorker::new("lost", "no such function")],
        "database" => vec![BackgroundWorker {
            wants_database: true,
            argument: 1,
            ..BackgroundWorker::new("reader", "idle")
        }],
        "orphan" => vec![BackgroundWorker::new("orphan", "orphan")],
        "supervisor" => vec![BackgroundWorker::new("supervisor", "supervisor")],
        other => panic!("no scenario {other}"),
    }
}

/// Waits until it is ended. With an argument it connects to a database first.
fn idle(worker: Worker<'_>) -> ! {
    let name = worker.registration.name.clone();
    if worker.registration.argument == 1 {
        let role = super::super::connections::limits::owner();
        if let Err(report) = worker.connect("postgres", &role) {
            worker.ctx.log(&report);
            worker.ctx.exit(1)
        }
    }
    worker.run(WaitEvent::MAIN_LOOP, move |ctx, wake| {
        if wake.reloaded {
            ctx.log(&Report::log(format!("{name} has read its settings again")));
        }
        NextWait::Until(None)
    })
}

/// Ends at once with its argument.
fn exit(worker: Worker<'_>) -> ! {
    worker.ctx.exit(worker.registration.argument as i32)
}

fn say(ctx: &ProcessContext<'_>, text: &str) {
    ctx.log(&Report::log(format!("supervisor: {text}")));
}

fn register(ctx: &ProcessContext<'_>, worker: BackgroundWorker) -> Option<WorkerHandle> {
    ctx.register_worker(worker).expect("a good registration")
}

/// Registers workers at run time, waits for them and ends them, and logs what it finds.
fn supervisor(worker: Worker<'_>) -> ! {
    let ctx = worker.ctx;
    ctx.set_running();
    let first = register(&ctx, BackgroundWorker::new("first", "idle")).expect("slots are free");
    let started = ctx.wait_for_worker_start(first);
    say(&ctx, &format!("started: {}", matches!(started, Ok(WorkerStatus::Running(pid)) if pid > 0)));
    ctx.end_worker(first);
    say(&ctx, &format!("ended: {:?}", ctx.wait_for_worker_end(first)));
    let restarting =
        BackgroundWorker { restart: Restart::AfterSeconds(3600), ..BackgroundWorker::new("done", "exit") };
    let done = register(&ctx, restarting).expect("slots are free");
    say(&ctx, &format!("done by itself: {:?}", ctx.wait_for_worker_end(done)));
    let mut all = Vec::new();
    while let Some(handle) = register(&ctx, BackgroundWorker::new("many", "idle")) {
        all.push(handle);
    }
    say(&ctx, &format!("free slots: {}", all.len()));
    let refused = BackgroundWorker {
        wants_database: true,
        start: StartMoment::PostmasterStart,
        ..BackgroundWorker::new("never", "idle")
    };
    say(&ctx, &format!("refused: {}", ctx.register_worker(refused).expect_err("too early").message));
    all.iter().for_each(|handle| ctx.end_worker(*handle));
    let ends: Vec<_> = all.iter().map(|handle| ctx.wait_for_worker_end(*handle)).collect();
    say(&ctx, &format!("all ended: {}", ends.iter().all(|end| *end == Ok(WorkerStatus::Stopped))));
    say(&ctx, &format!("slots again: {}", register(&ctx, BackgroundWorker::new("last", "exit")).is_some()));
    ctx.exit(0)
}

/// Waits for the end of a worker that only the postmaster's death ends.
fn orphan(worker: Worker<'_>) -> ! {
    let ctx = worker.ctx;
    ctx.set_running();
    let child = register(&ctx, BackgroundWorker::new("child", "idle")).expect("slots are free");
    say(&ctx, &format!("started: {}", ctx.wait_for_worker_start(child).is_ok()));
    say(&ctx, &format!("found: {:?}", ctx.wait_for_worker_end(child)));
    ctx.exit(1)
}
