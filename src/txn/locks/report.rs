//! Lock errors as clients read them.

use super::deadlock::Deadlock;
use super::session::LockError;
use crate::report::{Report, ReportExt, SqlState};

impl LockError {
    /// The report. `given_up` makes that of a wait which the watcher ended, `not_available` that of a lock which was not
    /// to be waited for, `query_of` tells what a process runs, for the log.
    pub fn into_report(
        self,
        given_up: impl FnOnce() -> Box<Report>,
        not_available: impl FnOnce() -> Box<Report>,
        query_of: &dyn Fn(u32) -> Option<String>,
    ) -> Box<Report> {
        match self {
            Self::GivenUp => given_up(),
            Self::WouldBlock => not_available(),
            Self::OutOfMemory => out_of_shared_memory(),
            Self::TimedOut => {
                Report::error(SqlState::LOCK_NOT_AVAILABLE, "canceling statement due to lock timeout")
            }
            Self::Deadlock(deadlock) => deadlock_detected(&deadlock, query_of),
        }
    }
}

/// The lock table is full.
pub fn out_of_shared_memory() -> Box<Report> {
    Report::error(SqlState::OUT_OF_MEMORY, "out of shared memory")
        .with_hint("You might need to increase \"max_locks_per_transaction\".")
}

/// A lock that was not to be waited for; `object` as in `relation "x"`.
pub fn could_not_obtain(object: &str) -> Box<Report> {
    Report::error(SqlState::LOCK_NOT_AVAILABLE, format!("could not obtain lock on {object}"))
}

fn deadlock_detected(deadlock: &Deadlock, query_of: &dyn Fn(u32) -> Option<String>) -> Box<Report> {
    let detail = deadlock.to_string();
    let mut detail_log = detail.clone();
    for link in &deadlock.links {
        let query = query_of(link.pid).unwrap_or_else(|| "<insufficient privilege>".to_string());
        detail_log.push_str(&format!("\nProcess {}: {query}", link.pid));
    }
    Report::error(SqlState::DEADLOCK_DETECTED, "deadlock detected")
        .with_detail(detail)
        .with_detail_log(detail_log)
        .with_hint("See server log for query details.")
}

#[cfg(test)]
mod tests {
    use super::super::deadlock::{Awaited, Link};
    use super::super::{LockMode, LockTag, OwnerIndex};
    use super::*;

    #[test]
    fn a_deadlock_reads_as_postgresqls() {
        let relation = LockTag::Relation { database: 5, relation: 16384 };
        let link = |pid, awaited, blocker| Link { pid, waiter: OwnerIndex::new(pid), awaited, blocker };
        let deadlock = Deadlock {
            links: vec![
                link(11, Awaited::Transaction((7 << 32) + 742), 12),
                link(12, Awaited::Lock(relation, LockMode::AccessExclusive), 11),
            ],
        };
        let report = LockError::Deadlock(deadlock).into_report(
            || unreachable!("not given up"),
            || unreachable!("it was waited for"),
            &|pid| (pid == 11).then(|| "update t set a = 1;".to_string()),
        );
        assert_eq!((report.sqlstate.code(), &*report.message), ("40P01", "deadlock detected"));
        let detail = "Process 11 waits for ShareLock on transaction 742; blocked by process 12.\n\
                      Process 12 waits for AccessExclusiveLock on relation 16384 of database 5; blocked by process 11.";
        assert_eq!(report.detail.as_deref(), Some(detail));
        let log = format!("{detail}\nProcess 11: update t set a = 1;\nProcess 12: <insufficient privilege>");
        assert_eq!(report.detail_log.as_deref(), Some(&*log));
        assert_eq!(report.hint.as_deref(), Some("See server log for query details."));
    }
}
