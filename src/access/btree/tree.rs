//! An index as one process uses it: its pages, looked at, and what is said of those that are broken.

use std::cell::Cell;

use super::key::KeyShape;
use super::meta::Meta;
use super::node::{Broken, Node, NodeFlags};
use super::scan::Found;
use crate::access::ctid::Ctid;
use crate::access::engine::Store;
use crate::access::{Change, Changing};
use crate::report::{Report, ReportExt, Result, SqlState};
use crate::storage::ReadOptions;
use crate::storage::buffer::{ExclusivePage, PinnedBuffer, SharedPage};
use crate::storage::ids::{BlockNumber, Fork, PAGE_SIZE, RelFile, RelFork};
use crate::storage::page::PageRef;

/// How full pages of leaves are made where entries come in order, in percent.
pub const DEFAULT_FILLFACTOR: u8 = 90;

/// Longest entry: a page has room for three, as PostgreSQL has it.
pub const MAX_ENTRY: usize = 2704;

/// What an index is.
#[derive(Clone, Debug)]
pub struct IndexOptions {
    /// Its files.
    pub file: RelFile,
    /// Whether its changes are in the log.
    pub is_logged: bool,
    /// Its name, for messages.
    pub name: String,
    /// The name of its table, for messages.
    pub table: String,
    /// Its columns.
    pub shape: KeyShape,
    /// Percent, see [`DEFAULT_FILLFACTOR`].
    pub fillfactor: u8,
}

/// An index, as one process uses it.
///
/// Whoever searches it has published a snapshot, which keeps deleted pages from being used again while a link to them is
/// followed; but for those who are alone with it.
pub struct BTree<'t, 's> {
    pub(super) store: &'t Store<'s>,
    pub(super) options: IndexOptions,
    /// Where searches began last, and its level; believed when the page itself agrees.
    pub(super) root: Cell<Option<(BlockNumber, u16)>>,
    /// The last leaf as far as is known, for entries that come in order.
    pub(super) last_leaf: Cell<Option<BlockNumber>>,
    /// Memory of a scan that has ended, for the next one.
    pub(super) spare: Cell<Vec<Found>>,
}

/// For what a page is locked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Access {
    Read,
    Write,
}

/// A locked page.
pub(super) enum Page<'a, 's> {
    Shared(SharedPage<'a, 's>),
    Exclusive(ExclusivePage<'a, 's>),
}

impl<'a, 's> Page<'a, 's> {
    #[inline]
    pub fn page(&self) -> PageRef<'_> {
        match self {
            Self::Shared(page) => page.page(),
            Self::Exclusive(page) => page.page(),
        }
    }

    /// The page, if it is locked to be changed.
    pub fn exclusive(self) -> Option<ExclusivePage<'a, 's>> {
        match self {
            Self::Shared(_) => None,
            Self::Exclusive(page) => Some(page),
        }
    }
}

impl<'t, 's> BTree<'t, 's> {
    /// The index that these options describe, through this store.
    pub fn new(store: &'t Store<'s>, options: IndexOptions) -> Self {
        Self { store, options, root: Cell::new(None), last_leaf: Cell::new(None), spare: Cell::default() }
    }

    /// What it is.
    pub fn options(&self) -> &IndexOptions {
        &self.options
    }

    /// Its columns.
    pub fn shape(&self) -> &KeyShape {
        &self.options.shape
    }

    pub(super) fn fork(&self) -> RelFork {
        RelFork { file: self.options.file, fork: Fork::Main }
    }

    pub(super) fn read_options(&self) -> ReadOptions<'static> {
        ReadOptions { ring: None, is_permanent: self.options.is_logged }
    }

    #[inline]
    pub(super) fn pin(&self, block: BlockNumber) -> Result<PinnedBuffer<'t, 's>> {
        let tag = self.fork().block(block);
        if self.options.is_logged {
            // Its special area, beside which the high key stands.
            self.store.storage.read_to_look(tag, PAGE_SIZE - 1)
        } else {
            self.store.storage.read_with(tag, self.read_options())
        }
    }

    #[inline]
    pub(super) fn lock(&self, block: BlockNumber, access: Access) -> Result<Page<'t, 's>> {
        let pin = self.pin(block)?;
        Ok(match access {
            Access::Read => Page::Shared(pin.into_shared()),
            Access::Write => Page::Exclusive(pin.lock_exclusive()),
        })
    }

    pub(super) fn lock_exclusive(&self, block: BlockNumber) -> Result<ExclusivePage<'t, 's>> {
        Ok(self.pin(block)?.lock_exclusive())
    }

    /// A block by the number in a link.
    pub(super) fn linked(&self, from: BlockNumber, to: u32) -> Result<BlockNumber> {
        BlockNumber::new(to).filter(|_| to != 0).ok_or_else(|| self.corrupted(from))
    }

    /// Looks at a page of the tree.
    #[inline]
    pub(super) fn node<'p>(&self, block: BlockNumber, page: PageRef<'p>) -> Result<Node<'p>> {
        Node::new(page).map_err(|broken| self.broken(block, broken))
    }

    /// The first block and what it says.
    pub(super) fn meta(&self, access: Access) -> Result<(Page<'t, 's>, Meta)> {
        let page = self.lock(BlockNumber::ZERO, access)?;
        let meta = Meta::read(page.page()).ok_or_else(|| self.not_an_index())?;
        Ok((page, meta))
    }

    pub(super) fn locked_meta(&self) -> Result<(ExclusivePage<'t, 's>, Meta)> {
        let page = self.lock_exclusive(BlockNumber::ZERO)?;
        let meta = Meta::read(page.page()).ok_or_else(|| self.not_an_index())?;
        Ok((page, meta))
    }

    /// Makes a change, and logs it if the index is logged.
    pub(super) fn apply<'c>(
        &self,
        change: Change<'c, 't, 's>,
        make: impl FnOnce(&mut Changing<'_, 'c, 't, 's>),
    ) -> Result<()> {
        if self.options.is_logged {
            change.apply(&self.store.log, make)?;
        } else {
            change.apply_unlogged(&self.store.log, make);
        }
        Ok(())
    }

    /// Number of blocks of its file.
    pub fn blocks(&self) -> Result<u32> {
        self.store.storage.files().blocks(self.fork())
    }

    #[cold]
    pub(super) fn broken(&self, block: BlockNumber, broken: Broken) -> Box<Report> {
        let what = match broken {
            Broken::Zero => "unexpected zero page",
            Broken::Corrupted => "corrupted page",
        };
        let message = format!("index \"{}\" contains {what} at block {block}", self.options.name);
        Report::error(SqlState::INDEX_CORRUPTED, message).with_hint("Please REINDEX it.")
    }

    #[cold]
    pub(super) fn corrupted(&self, block: BlockNumber) -> Box<Report> {
        self.broken(block, Broken::Corrupted)
    }

    #[cold]
    fn not_an_index(&self) -> Box<Report> {
        let message = format!("index \"{}\" is not a btree", self.options.name);
        Report::error(SqlState::INDEX_CORRUPTED, message)
    }

    /// An entry that is too long.
    #[cold]
    pub(super) fn too_long(&self, size: usize, ctid: Ctid) -> Box<Report> {
        let IndexOptions { name, table, .. } = &self.options;
        let message =
            format!("index row size {size} exceeds btree version 4 maximum {MAX_ENTRY} for index \"{name}\"");
        Report::error(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
            .with_detail(format!(
                "Index row references tuple ({},{}) in relation \"{table}\".",
                ctid.block, ctid.line
            ))
            .with_hint(
                "Values larger than 1/3 of a buffer page cannot be indexed.\nConsider a function index of an MD5 hash of \
                 the value, or use full text indexing.",
            )
    }
}

/// Follows links of a level for as long as the index has pages: more of them form a circle.
pub(super) struct Steps {
    taken: u32,
    limit: u32,
}

impl Steps {
    pub fn new() -> Self {
        Self { taken: 0, limit: 64 }
    }

    /// One more, from a page.
    pub fn step(&mut self, tree: &BTree<'_, '_>, from: BlockNumber) -> Result<()> {
        self.taken += 1;
        if self.taken > self.limit {
            // It may have grown meanwhile.
            self.limit = tree.blocks()?.max(64);
        }
        if self.taken > self.limit { Err(tree.corrupted(from)) } else { Ok(()) }
    }
}

/// Whether a page is alone on its level.
pub(super) fn is_alone(node: Node<'_>) -> bool {
    node.is_leftmost() && node.is_rightmost()
}

const _: () = assert!(MAX_ENTRY * 3 + 8 + 3 * 4 <= super::node::CAPACITY && PAGE_SIZE == 8192);
const _: () = assert!(NodeFlags::META.0 != NodeFlags::LEAF.0);
