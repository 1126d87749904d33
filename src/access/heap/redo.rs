//! Redo of what writers do to heaps.

use super::change::{self, END, HeapKind, clear_map, not_all_visible, read_end, read_version};
use super::space::put;
use super::tuple;
use super::visibility_map::map_block;
use crate::access::ctid::Ctid;
use crate::access::redo::{Redo, RedoPage, buffer_tag};
use crate::access::rmgr::{HEAP, ResourceManager};
use crate::report::Result;
use crate::storage::buffer::ExclusivePage;
use crate::storage::ids::{BlockNumber, PAGE_SIZE};
use crate::storage::page::{HEADER_SIZE, PageFlags, PageMut};
use crate::wal::decode::BlockReference;
use crate::wal::{BlockFlags, Record, RmgrId};

/// Redo of heaps.
pub struct HeapRedo;

impl ResourceManager for HeapRedo {
    fn id(&self) -> RmgrId {
        HEAP
    }

    fn name(&self) -> &'static str {
        "Heap"
    }

    fn kind(&self, info: u8) -> Option<&'static str> {
        HeapKind::from_info(info).map(HeapKind::name)
    }

    fn redo(&self, redo: &Redo<'_, '_>, record: &Record<'_>) -> Result<()> {
        let malformed = || redo.malformed(record);
        let kind = HeapKind::from_info(record.info()).ok_or_else(malformed)?;
        let has_other = record.block_count() > 1 && record.block(1).is_some();
        for block in record.blocks().filter(|block| block.id <= 1) {
            if let RedoPage::Apply(mut page) = redo.block_of(record, &block)? {
                heap_page((kind, has_other), record, &block, &mut page).ok_or_else(malformed)?;
                page.mark_dirty_at(record.end.bytes());
            }
        }
        maps(redo, record)
    }
}

/// Makes a record's change to a page of the heap; `None` if it makes no sense there.
fn heap_page(
    (kind, has_other): (HeapKind, bool),
    record: &Record<'_>,
    block: &BlockReference<'_>,
    page: &mut ExclusivePage<'_, '_>,
) -> Option<()> {
    let xid = record.xid();
    let number = page.pin().block();
    let mut page = page.page_mut();
    if block.flags.contains(BlockFlags::WILL_INIT) {
        page.init(0);
    } else if kind != HeapKind::Retract {
        not_all_visible(&mut page);
    }
    match (kind, block.id) {
        (HeapKind::Insert, _) | (HeapKind::Update, 1) => version(&mut page, number, block.data, xid),
        (HeapKind::Delete | HeapKind::Lock, _) => end(&mut page, block.data, xid),
        (HeapKind::Update | HeapKind::HotUpdate, _) => {
            end(&mut page, block.data.get(..END)?, xid)?;
            if has_other {
                page.add_flags(PageFlags::FULL);
                return Some(());
            }
            version(&mut page, number, &block.data[END..], xid)
        }
        (HeapKind::Retract, _) => {
            let line = u16::from_le_bytes(*block.data.first_chunk()?);
            change::note_prunable(&mut page, xid);
            tuple::retract(&mut page, line).then_some(())
        }
    }
}

fn end(page: &mut PageMut<'_>, data: &[u8], xid: u64) -> Option<()> {
    let (line, new) = read_end(data)?;
    change::end(page, line, new, xid).then_some(())
}

fn version(page: &mut PageMut<'_>, block: BlockNumber, data: &[u8], xid: u64) -> Option<()> {
    let (line, new, row) = read_version(data, xid)?;
    if line == 0 {
        return None;
    }
    let mut bytes = Vec::with_capacity(tuple::TUPLE_HEADER + row.len());
    new.encode(Ctid::new(block, line), row, &mut bytes);
    put(page, line, &bytes).then_some(())
}

/// Clears the bits of the record's heap pages in its pages of the visibility map.
pub(super) fn maps(redo: &Redo<'_, '_>, record: &Record<'_>) -> Result<()> {
    if record.blocks().all(|block| block.id < 2) {
        return Ok(());
    }
    let block = |id| Some(buffer_tag(record.block(id)?.tag)?.block);
    let blocks = [block(0), block(1)];
    for id in [2, 3] {
        let Some(map) = record.block(id) else { continue };
        if let RedoPage::Apply(mut page) = redo.block(record, id)? {
            if map.flags.contains(BlockFlags::WILL_INIT) {
                page.page_mut().init(PAGE_SIZE - HEADER_SIZE);
            }
            let number = page.pin().block();
            debug_assert!(blocks.iter().flatten().any(|block| map_block(*block) == number));
            clear_map(&mut page.page_mut(), number, blocks);
            page.mark_dirty_at(record.end.bytes());
        }
    }
    Ok(())
}
