//! Advisory locks as statements take them, and who blocks whom.

use std::time::Duration;

use shmem_layout::SlotIndex;

use super::super::context::ProcessContext;
use super::host::Backend;
use crate::config;
use crate::ipc::{Interrupts, Proc};
use crate::report::{Report, Result, SqlState};
use crate::sql::host::Host;
use crate::sql::store::{AdvisoryKey, AdvisoryLock};
use crate::sync::{Monotonic, Ordering};
use crate::txn::Xid;
use crate::txn::locks::{LockError, LockMode, LockTag, OwnerIndex, Scope, Wait, Watcher};

fn tag_of(database: u32, key: AdvisoryKey) -> LockTag {
    match key {
        AdvisoryKey::One(key) => LockTag::Advisory { database, key },
        AdvisoryKey::Two(first, second) => LockTag::AdvisoryPair { database, first, second },
    }
}

fn mode_of(shared: bool) -> LockMode {
    if shared { LockMode::Share } else { LockMode::Exclusive }
}

/// What a session does while it waits for a lock.
struct Waiting<'w, 's> {
    ctx: &'w ProcessContext<'s>,
    tag: LockTag,
    mode: LockMode,
    began: Monotonic,
    /// It was told that the wait is long.
    was_told: bool,
}

impl Waiting<'_, '_> {
    fn told(&self, what: &str) -> Report {
        let waited = Monotonic::now().saturating_since(self.began);
        let (ms, us) = (waited.as_millis(), waited.subsec_micros() % 1000);
        let pid = self.ctx.me.slot().pid.load(Ordering::Relaxed);
        let (mode, tag) = (self.mode.name(), self.tag);
        Report::log(format!("process {pid} {what} {mode} on {tag} after {ms}.{us:03} ms"))
    }

    /// Holders and queue, as `log_lock_waits` has them.
    fn queue(&self) -> String {
        let rows = self.ctx.server.engine.locks.rows(self.ctx.me);
        let mut ours: Vec<_> = rows.into_iter().filter(|row| row.tag == self.tag).collect();
        ours.sort_by_key(|row| std::cmp::Reverse(row.waited));
        let pids = |granted: bool| {
            let of = ours.iter().filter(|row| row.granted == granted);
            of.map(|row| row.pid.to_string()).collect::<Vec<_>>()
        };
        let holders = pids(true);
        let noun = if holders.len() == 1 { "Process" } else { "Processes" };
        format!("{noun} holding the lock: {}. Wait queue: {}.", holders.join(", "), pids(false).join(", "))
    }
}

impl Watcher for Waiting<'_, '_> {
    fn interrupted(&mut self, me: &Proc<'_>) -> bool {
        let ends = Interrupts::CANCEL | Interrupts::TERMINATE;
        !me.pending_interrupts().intersection(ends).is_empty()
    }

    fn still_waiting(&mut self) {
        if self.ctx.settings.get(config::LOG_LOCK_WAITS) {
            self.was_told = true;
            self.ctx.log(&self.told("still waiting for").with_detail(self.queue()));
        }
    }

    fn is_running(&self, xid: u64) -> bool {
        let fate = Xid::new(xid).map(|xid| self.ctx.kept_store().transactions.fate(xid));
        matches!(fate, Some(Ok(fate)) if fate.is_open())
    }
}

impl Backend<'_, '_, '_> {
    /// Takes a lock; whether it was got. A lock that is not waited for is no error.
    pub fn take_advisory(&mut self, lock: AdvisoryLock) -> Result<bool> {
        let (tag, mode) = (tag_of(self.state.work.database(), lock.key), mode_of(lock.shared));
        let scope = match lock.session {
            true => Scope::Session,
            false => Scope::Transaction(self.state.work.depth().max(1)),
        };
        let session = self.state.work.begin(self.ctx);
        match session.locks.acquire(self.ctx.me, tag, mode, scope, None) {
            Ok(()) => Ok(true),
            Err(LockError::WouldBlock) if lock.wait => self.wait_for(tag, mode, scope).map(|()| true),
            Err(LockError::WouldBlock) => Ok(false),
            Err(error) => Err(self.lock_error(error)),
        }
    }

    fn wait_for(&mut self, tag: LockTag, mode: LockMode, scope: Scope) -> Result<()> {
        let activity = self.ctx.title.activity().to_owned();
        self.ctx.title.set_activity(&format!("{activity} waiting"));
        let now = Monotonic::now();
        let millis = |key| Duration::from_millis(self.ctx.settings.millis(key).max(0) as u64);
        let lock_timeout = Some(millis(config::LOCK_TIMEOUT)).filter(|timeout| !timeout.is_zero());
        let deadlines = [self.state.statement_deadline, self.state.transaction_deadline];
        let left = deadlines.into_iter().flatten().map(|deadline| deadline.saturating_since(now));
        let lock_timeout = lock_timeout.into_iter().chain(left).min();
        let deadlock_timeout = millis(config::DEADLOCK_TIMEOUT);
        let mut watcher = Waiting { ctx: self.ctx, tag, mode, began: now, was_told: false };
        let mut wait = Wait { lock_timeout, deadlock_timeout, watcher: &mut watcher };
        let session = self.state.work.begin(self.ctx);
        let result = session.locks.acquire(self.ctx.me, tag, mode, scope, Some(&mut wait));
        if watcher.was_told && result.is_ok() {
            self.ctx.log(&watcher.told("acquired"));
        }
        self.ctx.title.set_activity(&activity);
        result.map_err(|error| self.lock_error(error))
    }

    /// What the client is told.
    fn lock_error(&mut self, error: LockError) -> Box<Report> {
        if matches!(error, LockError::TimedOut)
            && let Err(report) = self.check_deadlines()
        {
            // Another time was over first.
            return report;
        }
        let canceled = || Report::error(SqlState::QUERY_CANCELED, "canceling statement due to user request");
        if matches!(error, LockError::GivenUp) {
            return self.check_interrupts().err().unwrap_or_else(canceled);
        }
        let not_available = || Report::error(SqlState::LOCK_NOT_AVAILABLE, "could not obtain lock");
        let query_of = |pid: u32| {
            let slot = self.pid_slot(pid as i32)?;
            Some(self.ctx.server.activities.read(slot).query)
        };
        error.into_report(canceled, not_available, &query_of)
    }

    /// Gives a session's lock back; whether it was held.
    pub fn give_back_advisory(&mut self, key: AdvisoryKey, shared: bool) -> bool {
        let tag = tag_of(self.state.work.database(), key);
        let me = self.ctx.me;
        let session = self.state.work.session();
        session.is_some_and(|session| session.locks.release(me, tag, mode_of(shared), Scope::Session))
    }

    /// Processes that keep another from a lock.
    pub fn blockers(&self, pid: i32) -> Vec<i32> {
        let Some(slot) = self.pid_slot(pid) else { return Vec::new() };
        let (me, locks) = (self.ctx.me, self.ctx.server.engine.locks);
        let slots = self.ctx.server.ipc.slots();
        let pid_of = |owner: OwnerIndex| {
            let slot = SlotIndex::new(owner.index()).and_then(|slot| slots.get(slot.index()));
            // A prepared transaction has no process.
            slot.map_or(0, |slot| slot.pid.load(Ordering::Relaxed) as i32)
        };
        locks.blockers_of(me, OwnerIndex::of_process(slot)).into_iter().map(pid_of).collect()
    }
}
