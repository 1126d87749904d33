//! A B-tree as the index of pieces of oversized values.

use super::toast::ChunkIndex;
use crate::access::btree::{BTree, Direction, KeyOrder, KeyShape, ScanKey, ScanOp, ScanOptions};
use crate::access::ctid::Ctid;
use crate::access::engine::StoreSession;
use crate::access::row::{ColumnStorage, Datum};
use crate::report::Result;

/// The columns of such an index: a value's number, and that of a piece.
pub fn chunk_shape() -> KeyShape {
    let ascending = |storage| (storage, KeyOrder::ASCENDING);
    KeyShape::new(&[ascending(ColumnStorage::Int64), ascending(ColumnStorage::Int32)], &[])
}

/// Whoever uses it has a snapshot, as with any B-tree.
impl ChunkIndex for &BTree<'_, '_> {
    fn insert(&mut self, _: &mut StoreSession<'_, '_>, (value, chunk): (u64, u32), ctid: Ctid) -> Result<()> {
        BTree::insert(self, &[Datum::Int64(value as i64), Datum::Int32(chunk as i32)], ctid)
    }

    fn find(&mut self, _: &mut StoreSession<'_, '_>, (value, chunk): (u64, u32)) -> Result<Option<Ctid>> {
        let keys = [
            ScanKey::new(0, ScanOp::Equal, Datum::Int64(value as i64)),
            ScanKey::new(1, ScanOp::Equal, Datum::Int32(chunk as i32)),
        ];
        let mut scan = self.scan(&keys, ScanOptions::default());
        let found = scan.next(Direction::Forward)?;
        scan.end()?;
        Ok(found)
    }
}
