//! Tables as statements use them: opened by their descriptors, read in batches, written row by row.
//!
//! Everything that touches the store goes through [`Access`], which [`StoreHost::with_tables`](super::store::StoreHost) hands
//! to a closure for as long as that runs. So nodes of a plan keep no borrow of the store between two rows: a scan keeps the
//! place where it goes on, and a [`RowBatch`] with copies of the rows that it has not given out yet.

mod batch;
mod index_scan;
mod open;
mod scan;
mod write;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::access::StoreSession;
use crate::access::relation_files::TransactionFiles;
use crate::access::visibility::ReadView;
use crate::catalog::descriptor::RelationDescriptor;
use crate::catalog::types::TypeSupport;
use crate::catalog::{Catalog, Cx};
use crate::report::{Report, Result, SqlState};

use super::host::Host;
use super::types::{Type, stored};

pub use batch::{BatchRow, RowBatch, SystemValues, tid};
pub use index_scan::{IndexCondition, IndexCursor};
pub use open::{OpenTable, OpenTables, TableShape};
pub use scan::TableCursor;
pub use write::{RowWrite, WriteConflict};

/// Columns that every table has besides its own, in the order in which they stand behind those.
pub const SYSTEM_COLUMNS: [(&str, Type); 6] = [
    ("ctid", Type::TID),
    ("xmin", Type::XID),
    ("cmin", Type::CID),
    ("xmax", Type::XID),
    ("cmax", Type::CID),
    ("tableoid", Type::OID),
];

/// Place of `ctid` among them.
pub const CTID: usize = 0;
/// Place of `tableoid` among them.
pub const TABLEOID: usize = 5;

/// What the catalog is told of types.
pub const TYPE_SUPPORT: TypeSupport = TypeSupport {
    comparison: |oid| {
        let known = Type::from_oid(oid).and_then(stored::comparison);
        known.unwrap_or(crate::access::btree::Comparison::Physical)
    },
};

/// What a session has of the store while its transaction runs.
pub struct StoreWork<'t, 's> {
    /// Transaction and locks.
    pub session: Box<StoreSession<'t, 's>>,
    /// Files that the transaction made or dropped.
    pub files: TransactionFiles,
    /// What it knows of relations.
    pub catalog: Catalog,
    /// The command that runs.
    pub command: u32,
    /// Tables in use.
    pub open: OpenTables<'t, 's>,
}

/// The store, while something is done to it.
pub struct Access<'a, 't, 's> {
    /// The catalog and what it works on.
    pub cx: Cx<'a, 't, 's>,
    /// Tables in use.
    pub open: &'a mut OpenTables<'t, 's>,
}

/// Does something to the store; what it comes to.
pub fn with_tables<R>(
    host: &mut (dyn Host + '_),
    work: impl FnOnce(&mut Access<'_, '_, '_>) -> Result<R>,
) -> Result<R> {
    let (mut work, mut made) = (Some(work), None);
    host.with_tables(&mut |access| {
        if let Some(work) = work.take() {
            made = Some(work(access)?);
        }
        Ok(())
    })?;
    made.ok_or_else(|| Report::error(SqlState::INTERNAL_ERROR, "the store was not asked"))
}

impl<'t, 's> Access<'_, 't, 's> {
    /// A relation, ready to be read and written.
    ///
    /// # Errors
    /// 0A000 for an index that is of no kind which is kept in step yet.
    pub fn table(&mut self, relation: &Arc<RelationDescriptor>) -> Result<Rc<OpenTable<'t, 's>>> {
        self.open.get(self.cx.session.store, relation)
    }

    /// What a statement that begins now sees; [`Self::release_view`] ends its use.
    pub fn view(&mut self) -> Result<ReadView> {
        let snapshot = self.cx.session.transaction.statement_snapshot()?;
        Ok(ReadView { snapshot, command: *self.cx.command })
    }

    /// A statement's view is of no use any more.
    pub fn release_view(&mut self, view: ReadView) {
        self.cx.session.transaction.drop_snapshot(view.snapshot);
    }

    /// One more use of a view, for a cursor that outlives its statement.
    pub fn keep_view(&mut self, view: ReadView) {
        self.cx.session.transaction.use_snapshot(view.snapshot);
    }
}

/// Tables of the session by the OID of their relation.
type ByOid<'t, 's> = HashMap<u32, Rc<OpenTable<'t, 's>>>;
