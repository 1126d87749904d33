//! A B-tree as the index of pieces of oversized values.

use super::toast::ChunkIndex;
use crate::access::btree::{BTree, Direction, KeyOrder, KeyShape, ScanKey, ScanOp, ScanOptions};
use crate::access::ctid::Ctid;
use crate::access::engine::StoreSession;
use crate::access::row::{ColumnStorage, Datum, RowReader};
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

    fn last(&mut self, _: &mut StoreSession<'_, '_>, (from, to): (u64, u64)) -> Result<Option<u64>> {
        // Numbers of one range differ in their lower bits only, so their order is the same with a sign.
        let keys = [
            ScanKey::new(0, ScanOp::GreaterEqual, Datum::Int64(from as i64)),
            ScanKey::new(0, ScanOp::Less, Datum::Int64(to as i64)),
        ];
        let mut scan = self.scan(&keys, ScanOptions { with_rows: true, ..ScanOptions::default() });
        let mut last = None;
        if scan.next(Direction::Backward)?.is_some()
            && let Some(row) = scan.row()
            && let Datum::Int64(value) = RowReader::new(self.shape().layout(), row)?.get(0)?
        {
            last = Some(value as u64);
        }
        scan.end()?;
        Ok(last)
    }
}
