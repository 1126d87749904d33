//! Whole pages, copied and logged as they are: how a database is made from another.

use super::change::{BlockUse, Change};
use super::engine::Store;
use super::redo::{Redo, RedoPage};
use super::rmgr::{PAGE_IMAGES, ResourceManager};
use crate::report::Result;
use crate::storage::ReadOptions;
use crate::storage::ids::{BlockNumber, Fork, PAGE_SIZE, RelFile, RelFork};
use crate::wal::{Record, RmgrId};

const IMAGE: u8 = 0x00;

/// Copies a fork's pages to one that is there and empty. Nobody writes the first meanwhile.
///
/// # Errors
/// As reading and adding pages, and logging.
pub fn copy_fork(store: &Store<'_>, from: RelFile, to: RelFile, fork: Fork) -> Result<()> {
    let (from, to) = (RelFork { file: from, fork }, RelFork { file: to, fork });
    let blocks = store.storage.files().blocks(from)?;
    let mut copy = Box::new([0; PAGE_SIZE]);
    for block in (0..blocks).filter_map(BlockNumber::new) {
        {
            let pin = store.storage.read(from.block(block))?;
            let page = pin.lock_shared();
            copy.copy_from_slice(page.page().slice(0, PAGE_SIZE));
        }
        let mut page = store.storage.extend(to, ReadOptions::default())?;
        let change = Change::new(PAGE_IMAGES, IMAGE, 0).block(0, &mut page, BlockUse::Image, &[]);
        change.apply(&store.log, |pages| pages.page(0).bytes_mut().copy_from_slice(&copy[..]))?;
    }
    Ok(())
}

/// Redo of images: the log has them whole.
pub struct PageImagesRedo;

impl ResourceManager for PageImagesRedo {
    fn id(&self) -> RmgrId {
        PAGE_IMAGES
    }

    fn name(&self) -> &'static str {
        "PageImage"
    }

    fn kind(&self, info: u8) -> Option<&'static str> {
        (info == IMAGE).then_some("IMAGE")
    }

    fn redo(&self, redo: &Redo<'_, '_>, record: &Record<'_>) -> Result<()> {
        match redo.block(record, 0)? {
            RedoPage::Done(_) => Ok(()),
            RedoPage::Apply(_) | RedoPage::Missing => Err(redo.malformed(record)),
        }
    }
}
