//! The pages that multi-locker ids are on: one that is being filled, a list of free ones, and what the log says of them.
//!
//! Page 0 says which page is being filled and which is the first free one. A free page has one item, of four bytes: the next
//! free page, 0 if there is none. Page 0 is locked before any other, and by everybody who makes an id.
//!
//! | record | block 0 | block 1 |
//! | --- | --- | --- |
//! | `Create` | the page: an item | |
//! | `NewPage` | page 0: what it says | the page, empty until now: an item |
//! | `GiveBack` | page 0: what it says | the page: the next free one |

use crate::access::change::{BlockUse, Change};
use crate::access::ctid::Ctid;
use crate::access::engine::Store;
use crate::access::redo::{Redo, RedoPage};
use crate::access::rmgr::{LOCKERS, ResourceManager};
use crate::report::{Report, Result, SqlState};
use crate::storage::buffer::{ExclusivePage, ReadOptions};
use crate::storage::ids::BlockNumber;
use crate::storage::page::{PageMut, PageRef};
use crate::txn::Xid;
use crate::wal::{BlockFlags, Record, RmgrId};

use super::LOCKERS_FORK;

/// The page that says where the others are.
pub(super) const META: BlockNumber = BlockNumber::ZERO;

const CREATE: u8 = 0x00;
const NEW_PAGE: u8 = 0x10;
const GIVE_BACK: u8 = 0x20;

/// What page 0 says. 0: none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Meta {
    /// The page that is being filled.
    filling: u32,
    /// The first free page.
    free: u32,
}

impl Meta {
    const SIZE: usize = 8;

    fn to_bytes(self) -> [u8; Self::SIZE] {
        (u64::from(self.filling) | u64::from(self.free) << 32).to_le_bytes()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let word = u64::from_le_bytes(bytes.try_into().ok()?);
        Some(Self { filling: word as u32, free: (word >> 32) as u32 })
    }

    fn read(page: PageRef<'_>) -> Result<Self> {
        if page.is_new() {
            return Ok(Self::default());
        }
        page.item(1).ok().and_then(|item| Self::from_bytes(item.bytes)).ok_or_else(|| damaged(META))
    }
}

#[cold]
fn damaged(block: BlockNumber) -> Box<Report> {
    let message = format!("invalid page {block} of multi-locker ids");
    Report::error(SqlState::DATA_CORRUPTED, message)
}

/// Makes a page say one thing only.
fn say(page: &mut PageMut<'_>, item: &[u8]) {
    page.init(0);
    let _ = page.insert(item, Some(1));
}

/// The next free page, if this is one.
fn next_free(page: PageRef<'_>) -> Option<u32> {
    let is_free = !page.is_new() && page.lines() == 1;
    let item = if is_free { page.item(1).ok()? } else { return None };
    item.bytes.try_into().ok().map(u32::from_le_bytes)
}

fn lock<'t, 's>(store: &'t Store<'s>, block: BlockNumber) -> Result<ExclusivePage<'t, 's>> {
    Ok(store.storage.read(LOCKERS_FORK.block(block))?.lock_exclusive())
}

/// Page 0, which is made if it is not there.
fn meta_page<'t, 's>(store: &'t Store<'s>) -> Result<ExclusivePage<'t, 's>> {
    let (files, storage) = (store.storage.files(), &store.storage);
    if !files.exists(LOCKERS_FORK)? {
        files.create(LOCKERS_FORK, true)?;
    }
    if files.blocks(LOCKERS_FORK)? == 0 {
        let page = storage.extend(LOCKERS_FORK, ReadOptions::default())?;
        // Another may have been first; then this one is nobody's until ids are given back.
        if page.pin().block() == META {
            return Ok(page);
        }
    }
    lock(store, META)
}

/// Keeps an item: its address.
pub(super) fn put(store: &Store<'_>, xid: Xid, item: &[u8]) -> Result<Ctid> {
    let meta_page = meta_page(store)?;
    let meta = Meta::read(meta_page.page())?;
    if let Some(block) = BlockNumber::new(meta.filling).filter(|block| *block != META) {
        let mut page = lock(store, block)?;
        if page.page().room() >= item.len() {
            drop(meta_page);
            let line = page.page().lines() + 1;
            let change = Change::new(LOCKERS, CREATE, xid.number());
            change.block(0, &mut page, BlockUse::Modify, item).apply(&store.log, |pages| {
                let _ = pages.page(0).insert(item, Some(line));
            })?;
            return Ok(Ctid::new(block, line));
        }
    }
    put_on_new_page(store, xid, item, (meta_page, meta))
}

fn put_on_new_page<'s>(
    store: &Store<'s>,
    xid: Xid,
    item: &[u8],
    (mut meta_page, meta): (ExclusivePage<'_, 's>, Meta),
) -> Result<Ctid> {
    let (mut page, free) = match BlockNumber::new(meta.free).filter(|block| *block != META) {
        Some(block) => {
            let page = lock(store, block)?;
            let next = next_free(page.page()).ok_or_else(|| damaged(block))?;
            (page, next)
        }
        None => (store.storage.extend(LOCKERS_FORK, ReadOptions::default())?, 0),
    };
    let block = page.pin().block();
    let meta = Meta { filling: block.get(), free }.to_bytes();
    // Page 0 says one thing only, so it may as well be made from nothing.
    Change::new(LOCKERS, NEW_PAGE, xid.number())
        .block(0, &mut meta_page, BlockUse::Init, &meta)
        .block(1, &mut page, BlockUse::Init, item)
        .apply(&store.log, |pages| {
            say(&mut pages.page(0), &meta);
            say(&mut pages.page(1), item);
        })?;
    Ok(Ctid::new(block, 1))
}

/// Frees the pages of which all items can go: `may_go` says so of one, `None` if it makes no sense. How many.
pub(super) fn free_all(store: &Store<'_>, may_go: impl Fn(&[u8]) -> Option<bool>) -> Result<u32> {
    let files = store.storage.files();
    if !files.exists(LOCKERS_FORK)? {
        return Ok(0);
    }
    let mut freed = 0;
    for block in (1..files.blocks(LOCKERS_FORK)?).filter_map(BlockNumber::new) {
        let can_go = {
            let page = store.storage.read(LOCKERS_FORK.block(block))?.lock_shared();
            can_go(page.page(), block, &may_go)?
        };
        if can_go && free(store, block, &may_go)? {
            freed += 1;
        }
    }
    Ok(freed)
}

/// Whether a page is in use and need not be.
fn can_go(page: PageRef<'_>, block: BlockNumber, may_go: impl Fn(&[u8]) -> Option<bool>) -> Result<bool> {
    if page.is_new() {
        // Whoever added it did not come to use it.
        return Ok(true);
    }
    if next_free(page).is_some() {
        return Ok(false);
    }
    for line in 1..=page.lines() {
        let item = page.item(line).map_err(|_| damaged(block))?;
        if !may_go(item.bytes).ok_or_else(|| damaged(block))? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn free(store: &Store<'_>, block: BlockNumber, may_go: impl Fn(&[u8]) -> Option<bool>) -> Result<bool> {
    let mut meta_page = lock(store, META)?;
    let meta = Meta::read(meta_page.page())?;
    let mut page = lock(store, block)?;
    if meta.filling == block.get() || !can_go(page.page(), block, may_go)? {
        return Ok(false);
    }
    let next = meta.free.to_le_bytes();
    let meta = Meta { free: block.get(), ..meta }.to_bytes();
    Change::new(LOCKERS, GIVE_BACK, 0)
        .block(0, &mut meta_page, BlockUse::Init, &meta)
        .block(1, &mut page, BlockUse::Init, &next)
        .apply(&store.log, |pages| {
            say(&mut pages.page(0), &meta);
            say(&mut pages.page(1), &next);
        })?;
    Ok(true)
}

/// Redo of multi-locker ids.
pub struct LockersRedo;

impl ResourceManager for LockersRedo {
    fn id(&self) -> RmgrId {
        LOCKERS
    }

    fn name(&self) -> &'static str {
        "Lockers"
    }

    fn kind(&self, info: u8) -> Option<&'static str> {
        let kinds = [(CREATE, "CREATE"), (NEW_PAGE, "NEW_PAGE"), (GIVE_BACK, "GIVE_BACK")];
        kinds.into_iter().find(|(number, _)| *number == info).map(|(_, name)| name)
    }

    fn redo(&self, redo: &Redo<'_, '_>, record: &Record<'_>) -> Result<()> {
        let malformed = || redo.malformed(record);
        let blocks: &[u8] = match record.info() {
            CREATE => &[0],
            NEW_PAGE | GIVE_BACK => &[0, 1],
            _ => return Err(malformed()),
        };
        for id in blocks {
            let RedoPage::Apply(mut page) = redo.block(record, *id)? else { continue };
            let block = record.block(*id).ok_or_else(malformed)?;
            if block.flags.contains(BlockFlags::WILL_INIT) {
                page.page_mut().init(0);
            }
            let line = page.page().lines() + 1;
            page.page_mut().insert(block.data, Some(line)).ok_or_else(malformed)?;
            page.mark_dirty_at(record.end.bytes());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
