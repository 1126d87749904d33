//! A new index: the first block, and a leaf that is the root.

use super::change;
use super::meta::Meta;
use super::node::{self, NONE, NodeFlags, Special};
use super::tree::BTree;
use crate::access::change::{BlockUse, Change};
use crate::access::rmgr::BTREE;
use crate::report::Result;

/// Block of the first root.
const FIRST_ROOT: u32 = 1;

/// What stands in the special area of a tree's only page.
pub(super) const EMPTY_ROOT: Special =
    Special { left: NONE, right: NONE, level: 0, flags: NodeFlags::LEAF, deleted_at: 0 };

impl BTree<'_, '_> {
    /// Makes it, empty: its file is there, without a block.
    ///
    /// # Errors
    /// What adding pages and logging may end with.
    pub fn create(&self) -> Result<()> {
        let storage = &self.store.storage;
        let mut first = storage.extend(self.fork(), self.read_options())?;
        let mut root = storage.extend(self.fork(), self.read_options())?;
        if first.pin().block().get() != 0 || root.pin().block().get() != FIRST_ROOT {
            return Err(self.corrupted(first.pin().block()));
        }
        let meta = Meta::of_root(FIRST_ROOT, 0);
        let (meta_data, root_data) = (meta.encode(), change::encode_page(&EMPTY_ROOT, std::iter::empty()));
        let change = Change::new(BTREE, change::CREATE, 0)
            .block(0, &mut first, BlockUse::Init, &meta_data)
            .block(1, &mut root, BlockUse::Init, &root_data);
        self.apply(change, |pages| {
            meta.write(&mut pages.page(0));
            node::build(&mut pages.page(1), &EMPTY_ROOT, std::iter::empty());
        })
    }
}
