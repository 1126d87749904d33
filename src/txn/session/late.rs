//! A commit that keeps its row locks until it is durable, as servers without early release do: what `benches/hot_row.rs`
//! measures ours against.
//!
//! The transaction looks as if it ran while its record is flushed already. A snapshot taken meanwhile, or a checkpoint, would
//! miss a commit that is in the log, so no server is built with this.

use super::TransactionSession;
use crate::report::{Report, Result};
use crate::txn::Lsn;
use crate::txn::log::{CommitLog, RecordKind};
use crate::txn::record::EndRecord;
use crate::txn::table::StateMap;

impl<M, L> TransactionSession<'_, '_, '_, M, L>
where
    M: StateMap<Error = Box<Report>>,
    L: CommitLog,
{
    /// Commits a read committed transaction without savepoints, and waits for that; `None`: it had no id.
    ///
    /// # Errors
    /// As [`TransactionSession::commit`].
    pub fn commit_with_late_release(&mut self, time: i64) -> Result<Option<Lsn>> {
        let (transactions, Some(xid)) = (self.transactions, self.top_xid()) else {
            self.finish();
            return Ok(None);
        };
        let bytes = EndRecord { xid, time, children: Vec::new(), actions: Vec::new() }.encode();
        self.log.prepare(bytes.len())?;
        transactions.map.pin(xid, transactions.owner())?;
        let section = transactions.me.critical_section();
        let lsn = self.log.insert(RecordKind::Commit, &bytes, &mut |_| ());
        drop(section);
        self.log.flush(lsn)?;
        let section = transactions.me.critical_section();
        transactions.mark_committing(xid);
        transactions.stamp(xid, lsn, true);
        drop(section);
        transactions.announce_end();
        transactions.forget();
        self.finish();
        Ok(Some(lsn))
    }
}
