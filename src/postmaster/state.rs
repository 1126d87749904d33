//! The postmaster's states: one pure table from state and event to state and actions.
//!
//! The server loop turns what happens into [`Event`]s and performs the [`Action`]s; nothing here touches a process. Every
//! pair is spelled out, so that a new state or event does not compile until somebody has said what it means everywhere. A
//! snapshot test prints the whole table.
//!
//! PostgreSQL's names of the states are in [`State::name`]. Its `PM_STOP_BACKENDS` is the moment in which
//! [`Action::TerminateBackends`] is performed, and so no state of its own here.

/// Why the server is on its way down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// Asked to, when the last session had left.
    Smart,
    /// Asked to; sessions are ended.
    Fast,
    /// Asked to leave at once.
    Immediate,
    /// A child crashed: start over if that is allowed.
    Crash,
    /// A child crashed while the server was stopping anyway: no more checkpoint, and no new start.
    CrashWhileStopping,
    /// The startup process failed: starting over would only fail again.
    StartupFailed,
}

/// Whom the postmaster waits for on the way down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WaitingFor {
    /// Sessions and every process that may write WAL, but for the checkpointer.
    Backends,
    /// The shutdown checkpoint.
    ShutdownCheckpoint,
    /// The archiver and WAL senders, which still drain what the checkpoint wrote.
    Archival,
    /// The checkpointer's exit.
    Checkpointer,
    /// Dead-end children and whoever else is left, but for the logger.
    DeadEnd,
}

/// Where the postmaster is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Before the startup process was launched.
    Init,
    /// The startup process runs.
    Startup,
    /// It replays WAL and is not consistent yet; the checkpointer and background writer run.
    Recovery,
    /// It is consistent: read-only sessions are allowed, unless a smart stop waits for the last of them.
    HotStandby {
        /// A smart stop was asked for.
        draining: bool,
    },
    /// Normal running; sessions are allowed, unless a smart stop waits for the last of them.
    Run {
        /// A smart stop was asked for.
        draining: bool,
    },
    /// On the way down.
    Stopping {
        /// Why.
        why: Why,
        /// For whom.
        waiting_for: WaitingFor,
    },
    /// Nobody is left but the logger.
    NoChildren {
        /// Why.
        why: Why,
    },
}

/// What happens to the postmaster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// Shared memory is there: begin (also to begin again).
    Begin,
    /// PMSIGNAL: the startup process begins to replay, the checkpointer can work.
    RecoveryStarted,
    /// PMSIGNAL: the database is consistent.
    BeginHotStandby,
    /// The startup process ended with 0.
    StartupDone,
    /// The startup process ended otherwise.
    StartupFailed,
    /// SIGTERM.
    SmartRequest,
    /// SIGINT.
    FastRequest,
    /// SIGQUIT.
    ImmediateRequest,
    /// A child ended in a way that leaves shared memory in doubt.
    ChildCrashed,
    /// The last session has left.
    SessionsGone,
    /// Nobody is left of those that [`WaitingFor::Backends`] waits for.
    BackendsGone,
    /// PMSIGNAL: the shutdown checkpoint is written.
    CheckpointWritten,
    /// Archiver and WAL senders are gone.
    ArchivalGone,
    /// The checkpointer is gone.
    CheckpointerGone,
    /// Nobody is left but the logger.
    AllGone,
    /// Some children ignored SIGQUIT for five seconds.
    PatienceOver,
}

/// What the server loop is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Fork the startup process.
    LaunchStartup,
    /// Fork whatever the list of kinds wants in the new state.
    LaunchAuxiliaries,
    /// Write the line of `postmaster.pid` that says `ready`, tell systemd, log it.
    AnnounceReady,
    /// The same for a standby.
    AnnounceStandby,
    /// Log the request, `stopping` in `postmaster.pid`, tell systemd.
    AnnounceStop,
    /// Log that active transactions are aborted.
    LogAborting,
    /// SIGTERM to sessions and to the processes that write WAL, but not to the checkpointer.
    TerminateBackends,
    /// Ask the checkpointer for the shutdown checkpoint.
    RequestShutdownCheckpoint,
    /// Ask archiver and WAL senders to finish.
    StopArchival,
    /// Ask the checkpointer to exit.
    StopCheckpointer,
    /// SIGTERM to dead-end children.
    StopDeadEnds,
    /// SIGQUIT to everybody but the logger, and begin to count five seconds.
    QuitAll,
    /// SIGKILL to everybody but the logger.
    KillAll,
    /// Stop counting.
    ForgetPatience,
    /// Throw shared memory away and make it anew, then [`Event::Begin`]; or exit with 1 if `restart_after_crash` is off.
    Reinitialize,
    /// Exit with 0.
    Exit,
    /// Exit with 1 because startup failed.
    ExitStartupFailed,
    /// Exit with 1 because a child crashed while the server was stopping.
    ExitAbnormal,
}

impl State {
    /// PostgreSQL's name of it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Init => "PM_INIT",
            Self::Startup => "PM_STARTUP",
            Self::Recovery => "PM_RECOVERY",
            Self::HotStandby { .. } => "PM_HOT_STANDBY",
            Self::Run { .. } => "PM_RUN",
            Self::Stopping { waiting_for, .. } => match waiting_for {
                WaitingFor::Backends => "PM_WAIT_BACKENDS",
                WaitingFor::ShutdownCheckpoint => "PM_WAIT_XLOG_SHUTDOWN",
                WaitingFor::Archival => "PM_WAIT_XLOG_ARCHIVAL",
                WaitingFor::Checkpointer => "PM_WAIT_CHECKPOINTER",
                WaitingFor::DeadEnd => "PM_WAIT_DEAD_END",
            },
            Self::NoChildren { .. } => "PM_NO_CHILDREN",
        }
    }

    /// Whether a new session is let in.
    pub const fn accepts_connections(self) -> bool {
        matches!(self, Self::HotStandby { draining: false } | Self::Run { draining: false })
    }

    /// Whether connections are taken from the listening sockets, be it to tell them why not. Who waits for the last children
    /// makes no new ones, or clients that keep coming would keep the server from its end; after a crash they are served by
    /// the next start.
    pub const fn takes_connections(self) -> bool {
        !matches!(self, Self::Stopping { waiting_for: WaitingFor::DeadEnd, .. } | Self::NoChildren { .. })
    }
}

/// What `event` makes of `state`, and what is to be done, in this order.
pub const fn next(state: State, event: Event) -> (State, &'static [Action]) {
    match state {
        State::Init => from_init(event),
        State::Startup => from_startup(event),
        State::Recovery => from_recovery(event),
        State::HotStandby { draining } => from_hot_standby(draining, event),
        State::Run { draining } => from_run(draining, event),
        State::Stopping { why: why @ (Why::Smart | Why::Fast), waiting_for } => {
            from_orderly_stop(why, waiting_for, event)
        }
        State::Stopping {
            why: why @ (Why::Immediate | Why::Crash | Why::CrashWhileStopping | Why::StartupFailed),
            waiting_for,
        } => from_hard_stop(why, waiting_for, event),
        State::NoChildren { why } => from_no_children(why, event),
    }
}

const NOTHING: &[Action] = &[];

const fn stopping(why: Why, waiting_for: WaitingFor) -> State {
    State::Stopping { why, waiting_for }
}

const fn from_init(event: Event) -> (State, &'static [Action]) {
    use Event as E;
    match event {
        E::Begin => (State::Startup, &[Action::LaunchStartup]),
        E::SmartRequest | E::FastRequest | E::ImmediateRequest => {
            (State::NoChildren { why: Why::Immediate }, &[Action::AnnounceStop, Action::Exit])
        }
        E::RecoveryStarted
        | E::BeginHotStandby
        | E::StartupDone
        | E::StartupFailed
        | E::ChildCrashed
        | E::SessionsGone
        | E::BackendsGone
        | E::CheckpointWritten
        | E::ArchivalGone
        | E::CheckpointerGone
        | E::AllGone
        | E::PatienceOver => (State::Init, NOTHING),
    }
}

const fn from_startup(event: Event) -> (State, &'static [Action]) {
    use Event as E;
    match event {
        E::RecoveryStarted => (State::Recovery, &[Action::LaunchAuxiliaries]),
        E::StartupDone => (RUN, &[Action::LaunchAuxiliaries, Action::AnnounceReady]),
        E::StartupFailed => (stopping(Why::StartupFailed, WaitingFor::Backends), &[Action::QuitAll]),
        E::SmartRequest => stop_without_sessions(Why::Smart),
        E::FastRequest => stop_without_sessions(Why::Fast),
        E::ImmediateRequest => stop_at_once(),
        E::ChildCrashed => crash(),
        E::Begin
        | E::BeginHotStandby
        | E::SessionsGone
        | E::BackendsGone
        | E::CheckpointWritten
        | E::ArchivalGone
        | E::CheckpointerGone
        | E::AllGone
        | E::PatienceOver => (State::Startup, NOTHING),
    }
}

const RUN: State = State::Run { draining: false };

const fn stop_without_sessions(why: Why) -> (State, &'static [Action]) {
    (stopping(why, WaitingFor::Backends), &[Action::AnnounceStop, Action::TerminateBackends])
}

const fn stop_sessions() -> (State, &'static [Action]) {
    let actions = &[Action::AnnounceStop, Action::LogAborting, Action::TerminateBackends];
    (stopping(Why::Fast, WaitingFor::Backends), actions)
}

const fn stop_at_once() -> (State, &'static [Action]) {
    (stopping(Why::Immediate, WaitingFor::Backends), &[Action::AnnounceStop, Action::QuitAll])
}

const fn crash() -> (State, &'static [Action]) {
    (stopping(Why::Crash, WaitingFor::Backends), &[Action::QuitAll])
}

const fn from_recovery(event: Event) -> (State, &'static [Action]) {
    use Event as E;
    match event {
        E::BeginHotStandby => {
            let actions = &[Action::LaunchAuxiliaries, Action::AnnounceStandby];
            (State::HotStandby { draining: false }, actions)
        }
        E::StartupDone => (RUN, &[Action::LaunchAuxiliaries, Action::AnnounceReady]),
        E::StartupFailed => (stopping(Why::StartupFailed, WaitingFor::Backends), &[Action::QuitAll]),
        E::SmartRequest => stop_without_sessions(Why::Smart),
        E::FastRequest => stop_without_sessions(Why::Fast),
        E::ImmediateRequest => stop_at_once(),
        E::ChildCrashed => crash(),
        E::Begin
        | E::RecoveryStarted
        | E::SessionsGone
        | E::BackendsGone
        | E::CheckpointWritten
        | E::ArchivalGone
        | E::CheckpointerGone
        | E::AllGone
        | E::PatienceOver => (State::Recovery, NOTHING),
    }
}

const fn from_hot_standby(draining: bool, event: Event) -> (State, &'static [Action]) {
    use Event as E;
    match event {
        E::StartupDone => (State::Run { draining }, &[Action::LaunchAuxiliaries, Action::AnnounceReady]),
        E::StartupFailed => (stopping(Why::StartupFailed, WaitingFor::Backends), &[Action::QuitAll]),
        E::SmartRequest => match draining {
            true => (State::HotStandby { draining }, NOTHING),
            false => (State::HotStandby { draining: true }, &[Action::AnnounceStop]),
        },
        E::SessionsGone => match draining {
            true => (stopping(Why::Smart, WaitingFor::Backends), &[Action::TerminateBackends]),
            false => (State::HotStandby { draining }, NOTHING),
        },
        E::FastRequest => stop_sessions(),
        E::ImmediateRequest => stop_at_once(),
        E::ChildCrashed => crash(),
        E::Begin
        | E::RecoveryStarted
        | E::BeginHotStandby
        | E::BackendsGone
        | E::CheckpointWritten
        | E::ArchivalGone
        | E::CheckpointerGone
        | E::AllGone
        | E::PatienceOver => (State::HotStandby { draining }, NOTHING),
    }
}

const fn from_run(draining: bool, event: Event) -> (State, &'static [Action]) {
    use Event as E;
    match event {
        E::SmartRequest => match draining {
            true => (State::Run { draining }, NOTHING),
            false => (State::Run { draining: true }, &[Action::AnnounceStop]),
        },
        E::SessionsGone => match draining {
            true => (stopping(Why::Smart, WaitingFor::Backends), &[Action::TerminateBackends]),
            false => (State::Run { draining }, NOTHING),
        },
        E::FastRequest => stop_sessions(),
        E::ImmediateRequest => stop_at_once(),
        E::ChildCrashed => crash(),
        E::Begin
        | E::RecoveryStarted
        | E::BeginHotStandby
        | E::StartupDone
        | E::StartupFailed
        | E::BackendsGone
        | E::CheckpointWritten
        | E::ArchivalGone
        | E::CheckpointerGone
        | E::AllGone
        | E::PatienceOver => (State::Run { draining }, NOTHING),
    }
}

/// Smart and fast: a checkpoint at the end, archiving behind it.
const fn from_orderly_stop(why: Why, at: WaitingFor, event: Event) -> (State, &'static [Action]) {
    use Event as E;
    use WaitingFor as W;
    match (at, event) {
        (W::Backends, E::BackendsGone) => {
            (stopping(why, W::ShutdownCheckpoint), &[Action::RequestShutdownCheckpoint])
        }
        (W::ShutdownCheckpoint, E::CheckpointWritten) => {
            (stopping(why, W::Archival), &[Action::StopArchival])
        }
        (W::Archival, E::ArchivalGone) => (stopping(why, W::Checkpointer), &[Action::StopCheckpointer]),
        (W::Checkpointer, E::CheckpointerGone) => (stopping(why, W::DeadEnd), &[Action::StopDeadEnds]),
        (W::DeadEnd, E::AllGone) => (State::NoChildren { why }, &[Action::Exit]),
        (W::Backends, E::FastRequest) => match why {
            Why::Smart => stop_sessions(),
            Why::Fast | Why::Immediate | Why::Crash | Why::CrashWhileStopping | Why::StartupFailed => {
                (stopping(why, at), NOTHING)
            }
        },
        (_, E::ImmediateRequest) => stop_at_once(),
        (_, E::ChildCrashed | E::StartupFailed) => {
            (stopping(Why::CrashWhileStopping, W::Backends), &[Action::QuitAll])
        }
        (
            W::ShutdownCheckpoint | W::Archival | W::Checkpointer | W::DeadEnd,
            E::FastRequest | E::BackendsGone,
        )
        | (W::Backends | W::Archival | W::Checkpointer | W::DeadEnd, E::CheckpointWritten)
        | (W::Backends | W::ShutdownCheckpoint | W::Checkpointer | W::DeadEnd, E::ArchivalGone)
        | (W::Backends | W::ShutdownCheckpoint | W::Archival | W::DeadEnd, E::CheckpointerGone)
        | (W::Backends | W::ShutdownCheckpoint | W::Archival | W::Checkpointer, E::AllGone)
        | (
            _,
            E::Begin
            | E::RecoveryStarted
            | E::BeginHotStandby
            | E::StartupDone
            | E::SmartRequest
            | E::SessionsGone
            | E::PatienceOver,
        ) => (stopping(why, at), NOTHING),
    }
}

/// Immediate, crash, failed startup: everybody leaves by SIGQUIT, nothing is written.
const fn from_hard_stop(why: Why, at: WaitingFor, event: Event) -> (State, &'static [Action]) {
    use Event as E;
    use WaitingFor as W;
    match (at, event) {
        (W::Backends | W::ShutdownCheckpoint | W::Archival | W::Checkpointer, E::BackendsGone) => {
            (stopping(why, W::DeadEnd), &[Action::StopDeadEnds])
        }
        (W::DeadEnd, E::AllGone) => (State::NoChildren { why }, end_of(why)),
        (_, E::PatienceOver) => (stopping(why, at), &[Action::KillAll]),
        // Whoever asks for a stop now gets one when everybody is gone, instead of a new start.
        (_, E::SmartRequest | E::FastRequest) => match why {
            Why::Crash => (stopping(Why::CrashWhileStopping, at), &[Action::AnnounceStop]),
            Why::Smart | Why::Fast | Why::Immediate | Why::CrashWhileStopping | Why::StartupFailed => {
                (stopping(why, at), NOTHING)
            }
        },
        (_, E::ImmediateRequest) => match why {
            Why::Crash | Why::CrashWhileStopping => (stopping(Why::Immediate, at), &[Action::AnnounceStop]),
            Why::Smart | Why::Fast | Why::Immediate | Why::StartupFailed => (stopping(why, at), NOTHING),
        },
        (W::DeadEnd, E::BackendsGone)
        | (W::Backends | W::ShutdownCheckpoint | W::Archival | W::Checkpointer, E::AllGone)
        | (
            _,
            E::Begin
            | E::RecoveryStarted
            | E::BeginHotStandby
            | E::StartupDone
            | E::StartupFailed
            | E::ChildCrashed
            | E::SessionsGone
            | E::CheckpointWritten
            | E::ArchivalGone
            | E::CheckpointerGone,
        ) => (stopping(why, at), NOTHING),
    }
}

const fn end_of(why: Why) -> &'static [Action] {
    match why {
        Why::Smart | Why::Fast | Why::Immediate => &[Action::ForgetPatience, Action::Exit],
        Why::Crash => &[Action::ForgetPatience, Action::Reinitialize],
        Why::CrashWhileStopping => &[Action::ForgetPatience, Action::ExitAbnormal],
        Why::StartupFailed => &[Action::ForgetPatience, Action::ExitStartupFailed],
    }
}

const fn from_no_children(why: Why, event: Event) -> (State, &'static [Action]) {
    use Event as E;
    match (why, event) {
        (Why::Crash, E::Begin) => (State::Startup, &[Action::LaunchStartup]),
        (
            Why::Smart | Why::Fast | Why::Immediate | Why::CrashWhileStopping | Why::StartupFailed,
            E::Begin,
        )
        | (
            _,
            E::RecoveryStarted
            | E::BeginHotStandby
            | E::StartupDone
            | E::StartupFailed
            | E::SmartRequest
            | E::FastRequest
            | E::ImmediateRequest
            | E::ChildCrashed
            | E::SessionsGone
            | E::BackendsGone
            | E::CheckpointWritten
            | E::ArchivalGone
            | E::CheckpointerGone
            | E::AllGone
            | E::PatienceOver,
        ) => (State::NoChildren { why }, NOTHING),
    }
}

#[cfg(test)]
mod tests;
