//! How a session waits for rows, relations and transactions that others have, while a statement touches tables.

use std::time::Duration;

use super::super::context::ProcessContext;
use super::host::transaction_timed_out;
use super::session::terminated;
use crate::catalog::Waiter;
use crate::config;
use crate::ipc::{Interrupts, Proc};
use crate::report::{Report, SqlState};
use crate::sync::{Monotonic, Ordering};
use crate::txn::Xid;
use crate::txn::locks::{LockError, Wait, Watcher};

/// See the module.
pub struct StatementWaiter<'w, 's> {
    ctx: &'w mut ProcessContext<'s>,
    statement_deadline: Option<Monotonic>,
    transaction_deadline: Option<Monotonic>,
    /// What the title says when nothing is waited for, while it says that something is.
    activity: Option<String>,
}

impl<'w, 's> StatementWaiter<'w, 's> {
    /// For a statement that is to be over by these times.
    pub fn new(
        ctx: &'w mut ProcessContext<'s>,
        statement_deadline: Option<Monotonic>,
        transaction_deadline: Option<Monotonic>,
    ) -> Self {
        Self { ctx, statement_deadline, transaction_deadline, activity: None }
    }

    fn millis(&self, key: config::Key<i64>) -> Duration {
        Duration::from_millis(self.ctx.settings.millis(key).max(0) as u64)
    }
}

impl Drop for StatementWaiter<'_, '_> {
    fn drop(&mut self) {
        if let Some(activity) = self.activity.take() {
            self.ctx.title.set_activity(&activity);
        }
    }
}

impl Waiter for StatementWaiter<'_, '_> {
    fn wait(&mut self) -> Option<Wait<'_>> {
        if self.activity.is_none() {
            let activity = self.ctx.title.activity().to_owned();
            self.ctx.title.set_activity(&format!("{activity} waiting"));
            self.activity = Some(activity);
        }
        let now = Monotonic::now();
        let lock_timeout = Some(self.millis(config::LOCK_TIMEOUT)).filter(|timeout| !timeout.is_zero());
        let deadlines = [self.statement_deadline, self.transaction_deadline];
        let left = deadlines.into_iter().flatten().map(|deadline| deadline.saturating_since(now));
        let lock_timeout = lock_timeout.into_iter().chain(left).min();
        let deadlock_timeout = self.millis(config::DEADLOCK_TIMEOUT);
        Some(Wait { lock_timeout, deadlock_timeout, watcher: self })
    }

    fn explain(&mut self, error: LockError) -> Box<Report> {
        let canceled = || Report::error(SqlState::QUERY_CANCELED, "canceling statement due to user request");
        let now = Monotonic::now();
        let is_over = |deadline: Option<Monotonic>| deadline.is_some_and(|deadline| now >= deadline);
        match error {
            LockError::TimedOut if is_over(self.transaction_deadline) => transaction_timed_out(),
            LockError::TimedOut if is_over(self.statement_deadline) => {
                Report::error(SqlState::QUERY_CANCELED, "canceling statement due to statement timeout")
            }
            LockError::GivenUp => {
                if self.ctx.me.pending_interrupts().contains(Interrupts::TERMINATE) {
                    return terminated();
                }
                self.ctx.me.take_interrupts(Interrupts::CANCEL);
                canceled()
            }
            error => {
                let not_available =
                    || Report::error(SqlState::LOCK_NOT_AVAILABLE, "could not obtain lock on row");
                let query_of = |pid: u32| {
                    let slots = self.ctx.server.ipc.slots().iter().enumerate();
                    let mut of_pid = slots.filter(|(_, slot)| slot.pid.load(Ordering::Acquire) == pid);
                    let (index, _) = of_pid.next()?;
                    let slot = shmem_layout::SlotIndex::new(index)?;
                    Some(self.ctx.server.activities.read(slot).query)
                };
                error.into_report(canceled, not_available, &query_of)
            }
        }
    }
}

impl Watcher for StatementWaiter<'_, '_> {
    fn interrupted(&mut self, me: &Proc<'_>) -> bool {
        let ends = Interrupts::CANCEL | Interrupts::TERMINATE;
        !me.pending_interrupts().intersection(ends).is_empty()
    }

    fn still_waiting(&mut self) {
        if self.ctx.settings.get(config::LOG_LOCK_WAITS) {
            let pid = self.ctx.me.slot().pid.load(Ordering::Relaxed);
            self.ctx.log(&Report::log(format!("process {pid} still waiting for a lock")));
        }
    }

    fn is_running(&self, xid: u64) -> bool {
        let fate = Xid::new(xid).map(|xid| self.ctx.kept_store().transactions.fate(xid));
        matches!(fate, Some(Ok(fate)) if fate.is_open())
    }
}
