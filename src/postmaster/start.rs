//! From the command line to the first incarnation: settings, locks, sockets, the logger, shared memory.

use std::cell::RefCell;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use jiff::Timestamp;
use shmem_layout::{AutovacuumBoard, AutovacuumPlace, SlotIndex, WorkerSlot};

use super::background_workers::WorkerList;
use super::children::Source;
use super::listen::{self, Addresses, Listening};
use super::lock_files::{PidFileGuard, check_data_dir, check_version, lock_instance, was_used};
use super::log_pipe::{LogPipe, RunningLogger};
use super::options_file;
use super::server_loop::{End, Incarnation};
use super::state::State;
use crate::access::Engine;
use crate::access::control_file::ControlFile;
use crate::config::{self, Reader, Settings, Start};
use crate::ipc::Ipc;
use crate::ipc::wait_set::{Choice, IoMethod};
use crate::log::{LineNumbers, Log, LogContext, Output};
use crate::os::code;
use crate::os::epoll::{Epoll, Interest};
use crate::os::eventfd::EventFd;
use crate::os::file::Files;
use crate::os::pidfd::PidFd;
use crate::os::process;
use crate::os::proctitle::ProcessTitle;
use crate::os::sd_notify::Notifier;
use crate::os::signal::{self, Signal, SignalFd, SignalSet};
use crate::process::access::Access;
use crate::process::activity::{Activities, Activity};
use crate::process::archiver::{ArchiverRecord, ArchiverStatistics};
use crate::process::autovacuum::board::Board;
use crate::process::cancel_keys::{CancelKeyRecord, CancelKeys};
use crate::process::connections::{ConnectionPlace, Connections};
use crate::process::kinds::Kind;
use crate::process::quit_messages;
use crate::process::server::{Listener, Server};
use crate::process::settings::log_config;
use crate::process::spare_count::SpareCount;
use crate::process::store::{engine_size, show_sizes};
use crate::process::title::{CAPACITY, Title};
use crate::process::workers::{BackgroundWorker, WorkerFunction, Workers};
use crate::report::{self, Report, ReportExt, Severity, SqlState};
use crate::shmem::{HugePages, Plan, RegionSpec, Segment};
use crate::sync::{Monotonic, Ordering};
use crate::wal::SyncMethod;

/// Slots beside those of sessions: auxiliary processes, spares, dead ends, those whose I/O is not over yet.
const SLOTS_BESIDE_SESSIONS: usize = 64;

/// How the server is started.
#[derive(Clone, Default, Debug)]
pub struct Options {
    /// The data directory.
    pub data_dir: PathBuf,
    /// Settings from the command line, `-c name=value`, in order.
    pub settings: Vec<(String, String)>,
    /// Whether somebody sits in front of it: say how to connect.
    pub foreground_messages: bool,
    /// The program as it was called, and its arguments, for `postmaster.opts`; no program: no file.
    pub program: String,
    /// See `program`.
    pub arguments: Vec<String>,
    /// Background workers that are there from the start.
    pub workers: Vec<BackgroundWorker>,
    /// Functions that background workers can run.
    pub worker_functions: Vec<WorkerFunction>,
}

/// What outlives an incarnation.
pub struct Postmaster {
    pub(super) settings: Settings,
    pub(super) epoll: Epoll,
    /// `None` in children.
    pub(super) signalfd: Option<SignalFd>,
    pub(super) log: Log,
    lines: LineNumbers,
    started: Timestamp,
    pid_file: Option<PidFileGuard>,
    pub(super) title: Option<ProcessTitle>,
    watches_listeners: bool,
    pub(super) access: Access,
    /// Encoded once, for all children.
    quit_messages: [Vec<u8>; 3],
    notifier: Notifier,
    next_watchdog: Option<Monotonic>,
    pub(super) logger: Option<RunningLogger>,
    pub(super) log_pipe: Option<LogPipe>,
    pub(super) workers: WorkerList,
    worker_functions: Vec<WorkerFunction>,
    fastest_sync: SyncMethod,
}

/// What a child has of the postmaster's own memory.
pub(super) struct Inheritance<'p> {
    pub title: Title,
    pub settings: &'p mut Settings,
    pub log: &'p mut Log,
    pub access: &'p mut Access,
    pub quit_messages: &'p [Vec<u8>; 3],
}

/// Runs the server until it stops.
pub fn run(options: Options) -> ExitCode {
    let title = ProcessTitle::init(CAPACITY);
    let emergency = Log::new(log_config(&Settings::default()), Output::Stderr);
    let lines = LineNumbers::default();
    match start(options, title) {
        Ok(code) => code,
        Err(reports) => {
            let pid = process::pid().as_raw_nonzero().get() as u32;
            for report in &reports {
                emergency.emit(report, &LogContext::new(pid, "postmaster", Timestamp::now(), &lines));
            }
            ExitCode::FAILURE
        }
    }
}

/// Settings, or everything that is to be said about why there are none.
fn read_settings(options: &Options) -> Result<(Settings, Vec<Report>), Vec<Report>> {
    let environment: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    Settings::start(&Start {
        data_directory: Some(&options.data_dir),
        options: &options.settings,
        environment: &environment,
    })
}

fn start(options: Options, title: ProcessTitle) -> Result<ExitCode, Vec<Report>> {
    let (settings, notes) = read_settings(&options)?;
    start_with(&options, settings, &notes, title).map_err(|report| vec![*report])
}

fn start_with(
    options: &Options,
    mut settings: Settings,
    notes: &[Report],
    title: ProcessTitle,
) -> report::Result<ExitCode> {
    let data_dir = std::path::absolute(&options.data_dir).map_err(|e| fatal_io("data directory", &e))?;
    std::env::set_current_dir(&data_dir).map_err(|e| fatal_io("data directory", &e))?;
    check_data_dir(&data_dir)?;
    check_version(&data_dir, settings.get(config::SERVER_VERSION))?;
    let read_control = || ControlFile::read(Path::new(""), &Files::new());
    if !was_used(&data_dir) {
        // Before anything is changed; beside a server that runs, that is what is to be said first.
        read_control()?;
    }
    let lock = lock_instance(&data_dir)?;
    let fastest_sync = read_control()?.sync_method;
    let is_chosen = !settings.is_default(config::WAL_SYNC_METHOD);
    settings.set_computed(config::WAL_SYNC_METHOD, fastest_sync.name())?;
    settings.set_computed(config::DATA_CHECKSUMS, "on")?;
    // The postmaster has two for each child.
    process::raise_descriptor_limit();
    let started = Timestamp::now();
    let port = settings.get(config::PORT) as u16;
    let socket_dirs = config::directories(settings.get(config::UNIX_SOCKET_DIRECTORIES)).unwrap_or_default();
    let first_dir = socket_dirs.first().cloned().unwrap_or_default();
    let (pid_file, was_left) =
        PidFileGuard::create(&data_dir, process::pid(), started.as_second(), port, &first_dir)?;
    write_options(options, &data_dir)?;
    let postmaster_signals =
        SignalSet::from([Signal::HUP, Signal::INT, Signal::TERM, Signal::QUIT, Signal::USR1]);
    signal::block(&postmaster_signals);
    let signalfd = signal::signalfd(&postmaster_signals).map_err(|e| fatal_io("signalfd", &e))?;
    let epoll = Epoll::new().map_err(|e| fatal_io("epoll", &e))?;
    epoll
        .add(signalfd.as_fd(), Source::Signals.to_word(), Interest::IN)
        .map_err(|e| fatal_io("epoll", &e))?;
    for ignored in [Signal::PIPE, Signal::ALARM, Signal::TTIN, Signal::TTOU, Signal::XFSZ, Signal::USR2] {
        let _ = signal::ignore(ignored);
    }
    // A child's end is told by its pidfd; a signal for it too would wake the postmaster twice. Ignored explicitly, as it may
    // have been by who started this program, it would leave no exit status.
    let _ = signal::default(Signal::CHILD);
    let log = Log::new(log_config(&settings), Output::Stderr);
    let mut postmaster = Postmaster {
        settings,
        epoll,
        signalfd: Some(signalfd),
        log,
        lines: LineNumbers::default(),
        started,
        pid_file: Some(pid_file),
        title: Some(title),
        watches_listeners: false,
        access: Access::default(),
        quit_messages: quit_messages(),
        notifier: Notifier::from_env().unwrap_or_else(|_| Notifier::silent()),
        next_watchdog: None,
        logger: None,
        log_pipe: None,
        workers: WorkerList::default(),
        worker_functions: options.worker_functions.clone(),
        fastest_sync,
    };
    // Before the first fork, so that every child has it.
    if postmaster.settings.get(config::HUGE_PAGES) != "off" {
        let moved = code::move_to_huge_pages();
        let text = match moved {
            Ok(bytes) => format!("{} kB of program code in huge pages", bytes / 1024),
            Err(error) => format!("program code stays in ordinary pages: {error}"),
        };
        postmaster.log(&Report::new(Severity::Debug1, SqlState::SUCCESSFUL_COMPLETION, text));
    }
    postmaster.start_logger(&data_dir)?;
    notes.iter().for_each(|note| postmaster.log(note));
    postmaster.log(&Report::log(format!("starting {}", report::VERSION)));
    if was_left {
        postmaster.log(&Report::log("another server might be running; trying to start server anyway"));
    }
    let access = Access::load(&postmaster.settings, |note| postmaster.log(note))?;
    postmaster.access = access;
    postmaster.register_workers(options.workers.clone());
    let listening = postmaster.listen(&data_dir, port, &socket_dirs)?;
    let io_method = choose_io_method(&postmaster.settings)?;
    postmaster.log(&Report::log(format!("I/O method: {io_method}")));
    let method = postmaster.settings.get(config::WAL_SYNC_METHOD);
    let why = if is_chosen { "as configured" } else { "the fastest when this data directory was made" };
    postmaster.log(&Report::log(format!("WAL sync method: {method}, {why}")));
    let listeners = RefCell::new(listening.listeners);
    let code = postmaster.run(&data_dir, lock, &listeners, io_method)?;
    postmaster.log(&Report::log("database system is shut down"));
    for listener in listeners.take() {
        if let Some(path) = &listener.path {
            let _ = std::fs::remove_file(path);
        }
    }
    listening.locks.into_iter().for_each(super::lock_files::SocketLock::remove);
    if let Some(pid_file) = postmaster.pid_file.take() {
        pid_file.remove();
    }
    Ok(ExitCode::from(code))
}

fn write_options(options: &Options, data_dir: &Path) -> report::Result<()> {
    if options.program.is_empty() {
        return Ok(());
    }
    options_file::write(data_dir, &options.program, &options.arguments).map_err(|error| {
        Report::fatal(SqlState::IO_ERROR, format!("could not create file \"postmaster.opts\": {error}"))
    })
}

fn fatal_io(what: &str, error: &std::io::Error) -> Box<Report> {
    Report::fatal(SqlState::SYSTEM_ERROR, format!("could not use {what}: {error}"))
}

fn too_many_processes(sessions: usize, autovacuum_workers: usize, workers: usize) -> Box<Report> {
    let most = SlotIndex::MAX_SLOTS - SLOTS_BESIDE_SESSIONS;
    let text = "too many server processes configured";
    Report::fatal(SqlState::INVALID_PARAMETER_VALUE, text).with_detail(format!(
        "\"max_connections\" ({sessions}) plus \"autovacuum_worker_slots\" ({autovacuum_workers}) plus \
         \"max_worker_processes\" ({workers}) must be at most {most}."
    ))
}

fn choose_io_method(settings: &Settings) -> report::Result<Choice> {
    let method = match settings.get(config::IO_METHOD) {
        "sync" => IoMethod::Sync,
        "io_uring" => IoMethod::IoUring,
        _ => IoMethod::Auto,
    };
    method.choose().map_err(|e| Report::fatal(SqlState::FEATURE_NOT_SUPPORTED, e.to_string()))
}

impl Postmaster {
    pub(super) fn log(&self, report: &Report) {
        let pid = process::pid().as_raw_nonzero().get() as u32;
        self.log.emit(report, &LogContext::new(pid, "postmaster", self.started, &self.lines));
    }

    fn register_workers(&mut self, registered: Vec<BackgroundWorker>) {
        let mut workers = WorkerList::default();
        workers.register(registered, &self.settings, |report| self.log(report));
        self.workers = workers;
    }

    pub(super) fn forget_workers_of_a_crash(&mut self) {
        let mut workers = std::mem::take(&mut self.workers);
        workers.start_over(|report| self.log(report));
        self.workers = workers;
    }

    pub(super) fn set_status(&mut self, status: &str) {
        let written = self.pid_file.as_mut().map(|file| file.set_status(status));
        if let Some(Err(report)) = written {
            self.log(&report);
        }
        let _ = match status {
            "stopping" => self.notifier.stopping(),
            _ => self.notifier.ready(),
        };
    }

    /// Polls the listening sockets, or leaves them to the spares.
    pub(super) fn watch_listeners(&mut self, server: &Server<'_>, watch: bool) {
        if watch == self.watches_listeners {
            return;
        }
        self.watches_listeners = watch;
        for (index, listener) in server.listeners.borrow().iter().enumerate() {
            let _ = if watch {
                let word = Source::Listener(index).to_word();
                self.epoll.add(listener.fd.as_fd(), word, Interest::IN)
            } else {
                self.epoll.remove(listener.fd.as_fd())
            };
        }
    }

    /// When something is due although nothing happens.
    pub(super) fn next_deadline(&self) -> Option<Monotonic> {
        self.next_watchdog
    }

    /// Tells systemd that the loop goes round, twice per period of its watchdog.
    pub(super) fn tend_watchdog(&mut self) {
        let Some(period) = self.notifier.watchdog_timeout() else { return };
        let now = Monotonic::now();
        if self.next_watchdog.is_none_or(|due| now >= due) {
            let _ = self.notifier.watchdog();
            self.next_watchdog = Some(now.saturating_add(period / 2));
        }
    }

    pub(super) fn archives(&self) -> bool {
        self.settings.get(config::ARCHIVE_MODE) != "off"
    }

    pub(super) fn reload(&mut self) {
        let _ = self.notifier.reloading();
        let notes = self.settings.reload(Reader::Postmaster);
        notes.iter().for_each(|note| self.log(note));
        self.log.reload(log_config(&self.settings));
        let notes = self.access.reload(&self.settings);
        notes.iter().for_each(|note| self.log(note));
        self.signal_logger(Signal::HUP);
        let _ = self.notifier.ready();
    }

    /// In a child: what it takes over from the postmaster. What is the postmaster's alone is closed.
    ///
    /// Lent and not copied: each page of the postmaster's memory that a child writes to, and be it for counting a
    /// reference, costs it a fault and a copy.
    pub(super) fn leave_to_child(&mut self, kind: Kind) -> Inheritance<'_> {
        // Through them a child would hear, and could change, what its parent watches.
        self.epoll.close();
        self.signalfd = None;
        let cluster = self.settings.get(config::CLUSTER_NAME);
        let as_in_18 = self.settings.get(config::PROCESS_TITLE_STYLE) == "postgres18";
        let updates = self.settings.get(config::UPDATE_PROCESS_TITLE);
        let title = self.title.take().unwrap_or_else(|| ProcessTitle::init(CAPACITY));
        let title = Title::new(title, kind, cluster, as_in_18, updates);
        self.log_pipe = None;
        self.logger = None;
        let Self { settings, log, access, quit_messages, .. } = self;
        Inheritance { title, settings, log, access, quit_messages }
    }

    fn listen(
        &mut self,
        data_dir: &std::path::Path,
        port: u16,
        socket_dirs: &[String],
    ) -> report::Result<Listening> {
        let hosts = config::words(self.settings.get(config::LISTEN_ADDRESSES)).unwrap_or_default();
        let permissions = self.settings.get(config::UNIX_SOCKET_PERMISSIONS) as u32;
        let addresses = Addresses { hosts: &hosts, socket_dirs, port, permissions };
        let listening = listen::open(&addresses, data_dir, |report| self.log(report))?;
        if let Some(file) = &mut self.pid_file {
            file.set_listen_address(hosts.first().map_or("", String::as_str))?;
        }
        Ok(listening)
    }

    /// One incarnation after the other.
    fn run(
        &mut self,
        data_dir: &std::path::Path,
        lock: OwnedFd,
        listeners: &RefCell<Vec<Listener>>,
        io_method: Choice,
    ) -> report::Result<u8> {
        let sessions = self.settings.get(config::MAX_CONNECTIONS) as usize;
        let worker_functions = std::mem::take(&mut self.worker_functions);
        // The first call finds the way to the kernel's randomness, by a search through all symbols; children inherit it.
        let _ = getrandom::fill(&mut [0]);
        crate::sql::warm_up();
        let mut state = State::Init;
        let mut lock = Some(lock);
        loop {
            let segment = self.make_segment(sessions)?;
            let failed = |e: &dyn std::fmt::Display| {
                Report::fatal(SqlState::INTERNAL_ERROR, format!("could not set up shared memory: {e}"))
            };
            let ipc = Ipc::open(&segment).map_err(|e| failed(&e))?;
            let eventfd = EventFd::new().map_err(|e| failed(&e))?;
            let _ = self.epoll.add(eventfd.as_fd(), Source::Eventfd.to_word(), Interest::IN);
            let own_pid = process::pid();
            ipc.control().postmaster_pid.store(own_pid.as_raw_nonzero().get() as u32, Ordering::Relaxed);
            // Paths from the working directory, which is the data directory.
            let engine = Engine::open(&segment, PathBuf::new(), Files::new()).map_err(|e| failed(&e))?;
            engine.wal.set_archiving(self.archives());
            let server = Server {
                ipc: &ipc,
                engine,
                fastest_sync: self.fastest_sync,
                activities: Activities::new(segment.region("activities", 1).map_err(|e| failed(&e))?),
                cancel_keys: CancelKeys::new(segment.region("cancel keys", 1).map_err(|e| failed(&e))?),
                spares: &segment.region::<SpareCount>("spares", 1).map_err(|e| failed(&e))?[0],
                connections: Connections::new(segment.region("connections", 1).map_err(|e| failed(&e))?),
                workers: Workers::new(segment.region("background workers", 1).map_err(|e| failed(&e))?),
                worker_functions: &worker_functions,
                autovacuum: Board::new(
                    &segment.region("autovacuum", 1).map_err(|e| failed(&e))?[0],
                    segment.region("autovacuum workers", 1).map_err(|e| failed(&e))?,
                ),
                archiver: ArchiverStatistics::new(
                    &segment.region::<ArchiverRecord>("archiver", 1).map_err(|e| failed(&e))?[0],
                ),
                io_method,
                data_dir: data_dir.to_path_buf(),
                listeners,
                postmaster: PidFd::open(own_pid).ok(),
                instance_lock: lock.take(),
                postmaster_eventfd: &eventfd,
                started: self.started,
            };
            let (end, left) = Incarnation::new(self, &server, state).run();
            let _ = self.epoll.remove(eventfd.as_fd());
            state = left;
            lock = server.instance_lock;
            if let End::Exit(code) = end {
                return Ok(code);
            }
        }
    }

    fn make_segment(&mut self, sessions: usize) -> report::Result<Segment> {
        let workers = self.settings.get(config::MAX_WORKER_PROCESSES) as usize;
        let autovacuum_workers = self.settings.get(config::AUTOVACUUM_WORKER_SLOTS) as usize;
        let slots = sessions + workers + autovacuum_workers + SLOTS_BESIDE_SESSIONS;
        if slots > SlotIndex::MAX_SLOTS {
            return Err(too_many_processes(sessions, autovacuum_workers, workers));
        }
        let mut specs = Ipc::region_specs(slots);
        let size = engine_size(&self.settings, slots);
        show_sizes(&mut self.settings, size)?;
        specs.extend(Engine::region_specs(size));
        specs.push(RegionSpec::of::<Activity>("activities", 1, slots));
        specs.push(RegionSpec::of::<CancelKeyRecord>("cancel keys", 1, slots));
        specs.push(RegionSpec::of::<ConnectionPlace>("connections", 1, sessions));
        specs.push(RegionSpec::of::<WorkerSlot>("background workers", 1, workers));
        specs.push(RegionSpec::of::<AutovacuumBoard>("autovacuum", 1, 1));
        specs.push(RegionSpec::of::<AutovacuumPlace>("autovacuum workers", 1, autovacuum_workers));
        specs.push(RegionSpec::of::<SpareCount>("spares", 1, 1));
        specs.push(RegionSpec::of::<ArchiverRecord>("archiver", 1, 1));
        let huge_pages = match self.settings.get(config::HUGE_PAGES) {
            "on" => HugePages::On,
            "off" => HugePages::Off,
            _ => HugePages::Try,
        };
        let page_size =
            Some(self.settings.get(config::HUGE_PAGE_SIZE) as u64 * 1024).filter(|size| *size > 0);
        let made = Plan::new(&specs).and_then(|plan| Segment::create(&plan, huge_pages, page_size));
        let segment = made.map_err(|e| Report::fatal(SqlState::OUT_OF_MEMORY, e.to_string()))?;
        if let Some(file) = &mut self.pid_file {
            file.set_shared_memory(segment.fd().as_raw_fd(), segment.instance())?;
        }
        if let Ok(pages) = segment.page_report() {
            self.log(&Report::new(Severity::Log, SqlState::SUCCESSFUL_COMPLETION, pages.to_string()));
        }
        Ok(segment)
    }
}
