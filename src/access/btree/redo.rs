//! Making the changes of B-trees again.

use super::change::{self, CREATE, DELETE, INSERT, LeftHalf, META, NEW_ROOT, PAGE, SPLIT, UNLINK};
use super::meta::Meta;
use super::node::{self, Node, NodeFlags};
use crate::access::redo::{Redo, RedoPage};
use crate::access::rmgr::{BTREE, ResourceManager};
use crate::report::Result;
use crate::storage::page::{PageBuf, PageMut};
use crate::wal::{Record, RmgrId};

/// The resource manager of B-trees.
#[derive(Clone, Copy, Debug)]
pub struct BTreeRecords;

const KINDS: [(u8, &str); 8] = [
    (CREATE, "CREATE"),
    (INSERT, "INSERT"),
    (SPLIT, "SPLIT"),
    (NEW_ROOT, "NEWROOT"),
    (DELETE, "DELETE"),
    (UNLINK, "UNLINK_PAGE"),
    (PAGE, "PAGE"),
    (META, "META"),
];

impl ResourceManager for BTreeRecords {
    fn id(&self) -> RmgrId {
        BTREE
    }

    fn name(&self) -> &'static str {
        "Btree"
    }

    fn kind(&self, info: u8) -> Option<&'static str> {
        KINDS.iter().find(|(number, _)| *number == info).map(|(_, name)| *name)
    }

    fn redo(&self, redo: &Redo<'_, '_>, record: &Record<'_>) -> Result<()> {
        let again = Again { redo, record };
        match record.info() {
            CREATE => {
                again.meta(0)?;
                again.page(1)
            }
            INSERT => {
                again.modify(0, insert)?;
                again.complete_split(1)?;
                again.meta(2)
            }
            SPLIT => again.split(),
            NEW_ROOT => {
                again.page(0)?;
                again.complete_split(1)?;
                again.meta(2)
            }
            DELETE => again.modify(0, |page, data| change::delete(page, &change::decode_lines(data))),
            UNLINK => again.unlink(),
            // It always has an image; a page that is to be changed otherwise is no such record's.
            PAGE => again.modify(0, |_, _| false),
            META => again.meta(0),
            _ => Err(redo.malformed(record)),
        }
    }
}

/// Changes a page as a block's data says; `false` if that makes no sense.
type Make<'f> = dyn Fn(&mut PageMut<'_>, &[u8]) -> bool + 'f;

/// A record whose changes are made again. Blocks that it does not name are passed over.
struct Again<'r, 'a, 's> {
    redo: &'r Redo<'a, 's>,
    record: &'r Record<'r>,
}

impl Again<'_, '_, '_> {
    fn modify(&self, id: u8, make: impl Fn(&mut PageMut<'_>, &[u8]) -> bool) -> Result<()> {
        self.change(id, &make)
    }

    fn change(&self, id: u8, make: &Make<'_>) -> Result<()> {
        let Some(block) = self.record.block(id) else { return Ok(()) };
        let RedoPage::Apply(mut page) = self.redo.block(self.record, id)? else { return Ok(()) };
        if !make(&mut page.page_mut(), block.data) {
            return Err(self.redo.malformed(self.record));
        }
        page.mark_dirty_at(self.record.end.bytes());
        Ok(())
    }

    /// A page that the record has all of.
    fn page(&self, id: u8) -> Result<()> {
        self.modify(id, |page, data| {
            let made = change::decode_page(data);
            made.is_some_and(|made| replace(page, &made))
        })
    }

    fn meta(&self, id: u8) -> Result<()> {
        self.modify(id, |page, data| {
            let meta = Meta::decode(data);
            meta.inspect(|meta| meta.write(page)).is_some()
        })
    }

    fn complete_split(&self, id: u8) -> Result<()> {
        self.modify(id, |page, _| {
            node::clear_flag(page, NodeFlags::INCOMPLETE_SPLIT);
            true
        })
    }

    fn split(&self) -> Result<()> {
        let right = self.record.block(1).ok_or_else(|| self.redo.malformed(self.record))?.tag.block;
        self.page(1)?;
        self.modify(0, |page, data| {
            let made = LeftHalf::decode(data).zip(Node::new(page.as_ref()).ok());
            let made = made.and_then(|(half, node)| half.make(node));
            made.is_some_and(|made| replace(page, &made))
        })?;
        self.modify(2, |page, _| {
            node::set_left(page, right);
            true
        })?;
        self.complete_split(3)?;
        self.meta(4)
    }

    fn unlink(&self) -> Result<()> {
        self.modify(3, |page, data| match change::decode_lines(data)[..] {
            [line] => change::remove_downlink(page, line),
            _ => false,
        })?;
        for (page, left, right) in [(0, 1, 2), (6, 7, 8)] {
            self.modify(left, |page, data| link(page, data, node::set_right))?;
            self.modify(right, |page, data| link(page, data, node::set_left))?;
            self.modify(page, |page, data| {
                link(page, data, |page, next_free| change::mark_deleted(page, next_free, 0))
            })?;
        }
        self.modify(5, |page, data| link(page, data, node::set_left))?;
        self.meta(4)
    }
}

fn insert(page: &mut PageMut<'_>, data: &[u8]) -> bool {
    let Some((line, item)) = data.split_first_chunk() else { return false };
    change::insert(page, u16::from_le_bytes(*line), item)
}

fn replace(page: &mut PageMut<'_>, by: &PageBuf) -> bool {
    node::overwrite(page, by);
    true
}

fn link(page: &mut PageMut<'_>, data: &[u8], set: impl Fn(&mut PageMut<'_>, u32)) -> bool {
    let Some(block) = data.first_chunk() else { return false };
    set(page, u32::from_le_bytes(*block));
    true
}
