//! Transaction blocks: what `BEGIN`, `COMMIT` and their kin do, and what an error leaves.
//!
//! Every statement runs in a transaction, which the host is told of. Outside a block it ends with the statement; an
//! implicit block lasts to the end of a query string with several statements, or to the next Sync.

use crate::report::{Report, Result, SqlState};
use crate::sql::host::{Host, Scope, TransactionEvent};
use crate::sql::parse::statement::Modes;

/// What the session is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Block {
    /// No block.
    #[default]
    None,
    /// One that nobody asked for.
    Implicit,
    /// One that `BEGIN` began.
    Explicit,
    /// The same, after an error: only its end is accepted.
    Failed,
}

/// The session's transaction.
#[derive(Debug, Default)]
pub struct Transaction {
    block: Block,
    running: bool,
    /// When it began, in microseconds since 2000-01-01.
    pub start: i64,
    savepoints: Vec<String>,
    /// After an error: whether the innermost level was rolled back already.
    innermost_aborted: bool,
    queries: u64,
}

impl Transaction {
    /// The byte of ReadyForQuery.
    pub fn status(&self) -> u8 {
        match self.block {
            Block::None | Block::Implicit => b'I',
            Block::Explicit => b'T',
            Block::Failed => b'E',
        }
    }

    /// Whether only the block's end is accepted.
    pub fn has_failed(&self) -> bool {
        self.block == Block::Failed
    }

    /// Whether a transaction is under way.
    pub fn is_running(&self) -> bool {
        self.running
    }

    /// A statement is about to run.
    pub fn begin_if_needed(&mut self, host: &mut dyn Host, now: i64) {
        if !self.running {
            host.transaction(TransactionEvent::Begin);
            self.running = true;
            self.start = now;
            self.queries = 0;
        }
    }

    /// The statements to come belong together.
    pub fn begin_implicit(&mut self) {
        if self.block == Block::None {
            self.block = Block::Implicit;
        }
    }

    /// A query ran, after which the isolation level stays as it is.
    pub fn note_query(&mut self) {
        self.queries += 1;
    }

    /// The statement outside a block, or the implicit block, is over. Whether the transaction ended.
    ///
    /// # Errors
    /// It could not be committed, and is rolled back.
    pub fn finish(&mut self, host: &mut dyn Host) -> Result<bool> {
        if matches!(self.block, Block::Explicit | Block::Failed) || !self.running {
            return Ok(false);
        }
        self.end(host, TransactionEvent::Commit)?;
        Ok(true)
    }

    /// An error happened. Whether the transaction ended.
    pub fn fail(&mut self, host: &mut dyn Host) -> bool {
        match self.block {
            Block::Failed => false,
            Block::Explicit => {
                self.abort_innermost(host);
                self.block = Block::Failed;
                false
            }
            Block::None | Block::Implicit => {
                let was_running = self.running;
                // Only a commit can fail.
                let _ = self.end(host, TransactionEvent::Abort);
                was_running
            }
        }
    }

    fn abort_innermost(&mut self, host: &mut dyn Host) {
        let event =
            if self.savepoints.is_empty() { TransactionEvent::Abort } else { TransactionEvent::AbortNested };
        host.transaction(event);
        self.innermost_aborted = true;
    }

    /// Ends the transaction with all its levels. If it cannot be committed, it is rolled back.
    fn end(&mut self, host: &mut dyn Host, event: TransactionEvent) -> Result<()> {
        self.end_by(host, event, |host| host.commit())
    }

    /// The same, with another way to commit.
    fn end_by(
        &mut self,
        host: &mut dyn Host,
        event: TransactionEvent,
        commit: impl FnOnce(&mut dyn Host) -> Result<()>,
    ) -> Result<()> {
        let committed = match event {
            TransactionEvent::Commit if self.running && !self.innermost_aborted => commit(host),
            _ => Ok(()),
        };
        let event = if committed.is_err() { TransactionEvent::Abort } else { event };
        let nested = match event {
            TransactionEvent::Commit => TransactionEvent::CommitNested,
            _ => TransactionEvent::AbortNested,
        };
        let mut levels = self.savepoints.len();
        let mut outermost_left = self.running;
        if std::mem::take(&mut self.innermost_aborted) {
            if levels > 0 {
                levels -= 1;
            } else {
                outermost_left = false;
            }
        }
        for _ in 0..levels {
            host.transaction(nested);
        }
        if outermost_left {
            host.transaction(event);
        }
        self.savepoints.clear();
        self.block = Block::None;
        self.running = false;
        committed
    }

    /// `BEGIN`.
    pub fn begin(&mut self, host: &mut dyn Host, modes: &Modes) -> Result<()> {
        if self.block == Block::Explicit {
            host.notice(Report::warning(
                SqlState::ACTIVE_SQL_TRANSACTION,
                "there is already a transaction in progress",
            ));
        }
        self.block = Block::Explicit;
        self.set_modes(host, modes)
    }

    /// The characteristics of this transaction.
    pub fn set_modes(&self, host: &mut dyn Host, modes: &Modes) -> Result<()> {
        if modes.isolation.is_some() && self.queries > 0 {
            return Err(Report::error(
                SqlState::ACTIVE_SQL_TRANSACTION,
                "SET TRANSACTION ISOLATION LEVEL must be called before any query",
            ));
        }
        for (name, value) in mode_settings(modes) {
            host.set(&format!("transaction_{name}"), Some(value), Scope::Local)?;
        }
        Ok(())
    }

    /// `COMMIT`; the command tag is that of what really happened.
    pub fn commit(&mut self, host: &mut dyn Host, chain: bool, now: i64) -> Result<&'static str> {
        let event = if self.has_failed() { TransactionEvent::Abort } else { TransactionEvent::Commit };
        self.end_block(host, event, chain, "COMMIT", now)?;
        Ok(if event == TransactionEvent::Commit { "COMMIT" } else { "ROLLBACK" })
    }

    /// `PREPARE TRANSACTION`. `false`: the transaction is rolled back, or there is no block to be prepared.
    ///
    /// # Errors
    /// It could not be prepared, and is rolled back.
    pub fn prepare(&mut self, host: &mut dyn Host, gid: &str) -> Result<bool> {
        if matches!(self.block, Block::None | Block::Implicit) {
            let message = "there is no transaction in progress";
            host.notice(Report::warning(SqlState::NO_ACTIVE_SQL_TRANSACTION, message));
        }
        match self.block {
            // The statement's own, which ends with it.
            Block::None => Ok(false),
            Block::Failed => self.end(host, TransactionEvent::Abort).map(|()| false),
            Block::Implicit | Block::Explicit => {
                let prepare = |host: &mut dyn Host| host.prepare_transaction(gid);
                self.end_by(host, TransactionEvent::Commit, prepare).map(|()| true)
            }
        }
    }

    /// `ROLLBACK`.
    pub fn rollback(&mut self, host: &mut dyn Host, chain: bool, now: i64) -> Result<()> {
        self.end_block(host, TransactionEvent::Abort, chain, "ROLLBACK", now)
    }

    fn end_block(
        &mut self,
        host: &mut dyn Host,
        event: TransactionEvent,
        chain: bool,
        command: &str,
        now: i64,
    ) -> Result<()> {
        if matches!(self.block, Block::None | Block::Implicit) {
            if chain {
                let message = format!("{command} AND CHAIN can only be used in transaction blocks");
                return Err(Report::error(SqlState::NO_ACTIVE_SQL_TRANSACTION, message));
            }
            host.notice(Report::warning(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                "there is no transaction in progress",
            ));
        }
        let kept: Vec<(&str, Option<String>)> = ["isolation", "read_only", "deferrable"]
            .into_iter()
            .map(|name| Ok((name, host.show(&format!("transaction_{name}"))?)))
            .collect::<Result<_>>()?;
        self.end(host, event)?;
        if chain {
            self.begin_if_needed(host, now);
            self.block = Block::Explicit;
            for (name, value) in kept {
                if let Some(value) = value {
                    host.set(&format!("transaction_{name}"), Some(&value), Scope::Local)?;
                }
            }
        }
        Ok(())
    }

    /// Refuses what makes no sense outside a block that was asked for.
    pub fn require_block(&self, what: &str) -> Result<()> {
        if matches!(self.block, Block::Explicit | Block::Failed) {
            return Ok(());
        }
        let message = format!("{what} can only be used in transaction blocks");
        Err(Report::error(SqlState::NO_ACTIVE_SQL_TRANSACTION, message))
    }

    /// Warns of what has no effect outside a block.
    pub fn warn_outside_block(&self, host: &mut dyn Host, what: &str) {
        if self.block == Block::None {
            let message = format!("{what} can only be used in transaction blocks");
            host.notice(Report::warning(SqlState::NO_ACTIVE_SQL_TRANSACTION, message));
        }
    }

    /// Refuses what must not be taken back.
    pub fn prevent_in_block(&self, what: &str) -> Result<()> {
        if self.block == Block::None {
            return Ok(());
        }
        let message = format!("{what} cannot run inside a transaction block");
        Err(Report::error(SqlState::ACTIVE_SQL_TRANSACTION, message))
    }

    /// `SAVEPOINT`.
    pub fn savepoint(&mut self, host: &mut dyn Host, name: &str) -> Result<()> {
        self.require_block("SAVEPOINT")?;
        host.transaction(TransactionEvent::BeginNested);
        self.savepoints.push(name.to_owned());
        Ok(())
    }

    fn find(&self, name: &str) -> Result<usize> {
        self.savepoints.iter().rposition(|savepoint| savepoint == name).ok_or_else(|| {
            let message = format!("savepoint \"{name}\" does not exist");
            Report::error(SqlState::INVALID_SAVEPOINT_SPECIFICATION, message)
        })
    }

    /// `RELEASE`.
    pub fn release(&mut self, host: &mut dyn Host, name: &str) -> Result<()> {
        self.require_block("RELEASE SAVEPOINT")?;
        let at = self.find(name)?;
        for _ in at..self.savepoints.len() {
            host.transaction(TransactionEvent::CommitNested);
        }
        self.savepoints.truncate(at);
        Ok(())
    }

    /// `ROLLBACK TO`: the savepoint stays.
    pub fn rollback_to(&mut self, host: &mut dyn Host, name: &str) -> Result<()> {
        self.require_block("ROLLBACK TO SAVEPOINT")?;
        let at = self.find(name)?;
        let done = usize::from(std::mem::take(&mut self.innermost_aborted));
        for _ in at + done..self.savepoints.len() {
            host.transaction(TransactionEvent::AbortNested);
        }
        self.savepoints.truncate(at + 1);
        host.transaction(TransactionEvent::BeginNested);
        self.block = Block::Explicit;
        Ok(())
    }
}

/// The settings' names behind their prefix, and the values that modes give.
pub fn mode_settings(modes: &Modes) -> impl Iterator<Item = (&'static str, &'static str)> {
    let on_off = |on: bool| if on { "on" } else { "off" };
    let isolation = modes.isolation.map(|level| ("isolation", level));
    let read_only = modes.read_only.map(|on| ("read_only", on_off(on)));
    let deferrable = modes.deferrable.map(|on| ("deferrable", on_off(on)));
    isolation.into_iter().chain(read_only).chain(deferrable)
}
