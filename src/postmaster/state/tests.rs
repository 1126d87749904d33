//! The whole table as a snapshot, and what must hold of it whatever its rows.

use std::fmt::Write as _;

use super::*;

const WHYS: [Why; 6] =
    [Why::Smart, Why::Fast, Why::Immediate, Why::Crash, Why::CrashWhileStopping, Why::StartupFailed];

const EVENTS: [Event; 16] = [
    Event::Begin,
    Event::RecoveryStarted,
    Event::BeginHotStandby,
    Event::StartupDone,
    Event::StartupFailed,
    Event::SmartRequest,
    Event::FastRequest,
    Event::ImmediateRequest,
    Event::ChildCrashed,
    Event::SessionsGone,
    Event::BackendsGone,
    Event::CheckpointWritten,
    Event::ArchivalGone,
    Event::CheckpointerGone,
    Event::AllGone,
    Event::PatienceOver,
];

/// Every state that can be reached from the first one, in the order of discovery.
fn reachable() -> Vec<State> {
    let mut states = vec![State::Init];
    let mut at = 0;
    while at < states.len() {
        for event in EVENTS {
            let (to, _) = next(states[at], event);
            if !states.contains(&to) {
                states.push(to);
            }
        }
        at += 1;
    }
    states
}

#[test]
fn the_whole_table() {
    let mut table = String::new();
    for from in reachable() {
        writeln!(table, "{from:?} ({})", from.name()).unwrap();
        for event in EVENTS {
            let (to, actions) = next(from, event);
            if to != from || !actions.is_empty() {
                writeln!(table, "    {event:?} -> {to:?} {actions:?}").unwrap();
            }
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn from_everywhere_an_immediate_stop_ends() {
    for from in reachable() {
        let (mut state, _) = next(from, Event::ImmediateRequest);
        for event in [Event::BackendsGone, Event::AllGone] {
            (state, _) = next(state, event);
        }
        assert!(matches!(state, State::NoChildren { .. }), "{from:?} ends in {state:?}");
    }
}

#[test]
fn nobody_is_let_in_on_the_way_down() {
    for state in reachable() {
        let may = matches!(state, State::Run { draining: false } | State::HotStandby { draining: false });
        assert_eq!(state.accepts_connections(), may, "{state:?}");
    }
}

#[test]
fn a_checkpoint_is_asked_for_only_where_shared_memory_is_trusted() {
    for from in reachable() {
        for event in EVENTS {
            let (to, actions) = next(from, event);
            if actions.contains(&Action::RequestShutdownCheckpoint) {
                assert!(
                    matches!(to, State::Stopping { why: Why::Smart | Why::Fast, .. }),
                    "{from:?} {event:?}"
                );
            }
        }
    }
}

#[test]
fn only_a_crash_starts_over() {
    for why in WHYS {
        let from = State::Stopping { why, waiting_for: WaitingFor::DeadEnd };
        let (to, actions) = next(from, Event::AllGone);
        assert_eq!(to, State::NoChildren { why });
        assert_eq!(actions.contains(&Action::Reinitialize), why == Why::Crash, "{why:?}");
        assert_eq!(next(to, Event::Begin).0 == State::Startup, why == Why::Crash);
    }
}
