//! Putting entries in: into a leaf, and downlinks into inner pages.

use std::cmp::Ordering;

use super::apply::Step;
use super::change;
use super::descend::{Path, Search};
use super::node::{self, put_entry, space};
use super::probe::{Edge, Probe};
use super::tree::{Access, BTree, MAX_ENTRY};
use crate::access::change::{BlockUse, Change};
use crate::access::ctid::Ctid;
use crate::access::rmgr::BTREE;
use crate::access::row::Datum;
use crate::report::{Report, ReportExt, Result, SqlState};
use crate::storage::buffer::ExclusivePage;
use crate::storage::ids::BlockNumber;
use crate::storage::page::PageBuf;

/// A page whose split an insertion completes: its downlink is what is put in.
pub(super) struct SplitChild<'a, 's> {
    pub page: ExclusivePage<'a, 's>,
    /// It was alone on its level, so that searches began there.
    pub was_alone: bool,
}

impl<'t, 's> BTree<'t, 's> {
    /// Puts an entry in, without asking whether another one has the same key. `values` are those of the key columns, then of
    /// the included ones.
    ///
    /// # Errors
    /// 54000 if it is too long; XX002 if the index is broken, or has the same entry already; whatever reading and writing
    /// pages may end with.
    pub fn insert(&self, values: &[Datum<'_>], ctid: Ctid) -> Result<()> {
        let item = self.encode(values, ctid)?;
        let probe = Probe::new(self.shape(), &values[..self.shape().key_columns()], Edge::At(ctid));
        if let Some((block, page)) = self.last_leaf_for(probe, item.len())? {
            return self.put_into_leaf(block, page, probe, &item, &mut Path::new());
        }
        let mut path = Path::new();
        let (block, page) = self.descend(Search::leaf(probe, Access::Write), &mut path)?;
        let page = page.exclusive().ok_or_else(|| self.corrupted(block))?;
        self.put_into_leaf(block, page, probe, &item, &mut path)
    }

    /// An entry's bytes.
    pub(super) fn encode(&self, values: &[Datum<'_>], ctid: Ctid) -> Result<Vec<u8>> {
        let shape = self.shape();
        let fits = values.iter().enumerate().all(|(column, value)| shape.fits(column, *value));
        if values.len() != shape.layout().columns().len() || !fits {
            let message = format!("values are not those of index \"{}\"", self.options.name);
            return Err(Report::error(SqlState::INTERNAL_ERROR, message));
        }
        let mut row = Vec::with_capacity(32);
        shape.layout().encode(values, &mut row)?;
        let mut item = Vec::with_capacity(Ctid::SIZE + row.len());
        put_entry(&mut item, ctid, &row);
        let size = item.len().next_multiple_of(8);
        if size > MAX_ENTRY { Err(self.too_long(size, ctid)) } else { Ok(item) }
    }

    /// The last leaf, if this session put something there before and the entry belongs there, and fits: entries that come
    /// in order need no search.
    pub(super) fn last_leaf_for(
        &self,
        probe: Probe<'_>,
        len: usize,
    ) -> Result<Option<(BlockNumber, ExclusivePage<'t, 's>)>> {
        let Some(block) = self.last_leaf.get() else { return Ok(None) };
        let Some(page) = self.pin(block)?.try_lock_exclusive() else { return Ok(None) };
        let is_for_it = match self.node(block, page.page()) {
            Ok(node) if node.is_leaf() && node.is_rightmost() && !node.is_deleted() && node.count() > 0 => {
                let first = node.entry(node.first()).map_err(|broken| self.broken(block, broken))?;
                let ordering = probe.compare(first).map_err(|broken| self.broken(block, broken))?;
                ordering == Ordering::Greater && space(len) <= node.page().free_space()
            }
            _ => false,
        };
        if !is_for_it {
            self.last_leaf.set(None);
            return Ok(None);
        }
        Ok(Some((block, page)))
    }

    /// Puts an entry into the leaf that it belongs to.
    pub(super) fn put_into_leaf(
        &self,
        block: BlockNumber,
        mut page: ExclusivePage<'t, 's>,
        probe: Probe<'_>,
        item: &[u8],
        path: &mut Path,
    ) -> Result<()> {
        let node = self.node(block, page.page())?;
        if node.may_have_dead() && space(item.len()) > page.page().free_space() {
            self.remove_dead(block, &mut page)?;
        }
        let line = self.free_line(block, &mut page, probe)?;
        let node = self.node(block, page.page())?;
        let is_last_leaf = node.is_rightmost() && !node.is_leftmost();
        self.last_leaf.set(is_last_leaf.then_some(block));
        self.put(block, page, line, item, None, path)
    }

    /// Where an entry goes that is not there.
    fn free_line(
        &self,
        block: BlockNumber,
        page: &mut ExclusivePage<'t, 's>,
        probe: Probe<'_>,
    ) -> Result<u16> {
        let broken = |b| self.broken(block, b);
        let node = self.node(block, page.page())?;
        let line = probe.position(node).map_err(broken)?;
        if line > node.last() {
            return Ok(line);
        }
        let entry = node.entry(line).map_err(broken)?;
        if probe.compare(entry).map_err(broken)? != Ordering::Equal {
            return Ok(line);
        }
        if !node.is_dead(line) {
            return Err(self.same_entry(block, line, entry.ctid()));
        }
        self.remove_lines(block, page, &[line])?;
        Ok(line)
    }

    #[cold]
    fn same_entry(&self, block: BlockNumber, line: u16, ctid: Option<Ctid>) -> Box<Report> {
        let ctid = ctid.map_or_else(String::new, |ctid| ctid.to_string());
        let name = &self.options.name;
        let message = format!(
            "table tid from new index tuple {ctid} overlaps with invalid duplicate tuple at offset {line} of block {block} \
             in index \"{name}\""
        );
        Report::error(SqlState::INDEX_CORRUPTED, message).with_hint("Please REINDEX it.")
    }

    /// Puts an item in at a line of a page; splits the page if it does not fit. `child` is whose split this completes.
    pub(super) fn put(
        &self,
        block: BlockNumber,
        mut page: ExclusivePage<'t, 's>,
        line: u16,
        item: &[u8],
        child: Option<SplitChild<'t, 's>>,
        path: &mut Path,
    ) -> Result<()> {
        if space(item.len()) > page.page().free_space() {
            return self.split(block, page, line, item, child, path);
        }
        let mut data = Vec::with_capacity(2 + item.len());
        data.extend_from_slice(&line.to_le_bytes());
        data.extend_from_slice(item);
        let Some(mut child) = child else {
            let change = Change::new(BTREE, change::INSERT, 0).block(0, &mut page, BlockUse::Modify, &data);
            return self.apply(change, |pages| {
                change::insert(&mut pages.page(0), line, item);
            });
        };
        let level = self.node(block, page.page())?.level();
        let mut meta = if child.was_alone { Some(self.locked_meta()?) } else { None };
        let mut steps =
            vec![(0, &mut page, Step::Insert(&data, line, item)), (1, &mut child.page, Step::SplitDone)];
        if let Some((meta_page, meta)) = &mut meta
            && meta.fast_level < level
        {
            // Searches began at the child; from now on they begin here.
            (meta.fast_root, meta.fast_level) = (block.get(), level);
            steps.push((2, meta_page, Step::Meta(*meta)));
        }
        self.take(change::INSERT, steps)
    }

    /// Takes out the entries that are marked dead.
    pub(super) fn remove_dead(&self, block: BlockNumber, page: &mut ExclusivePage<'t, 's>) -> Result<()> {
        let lines = self.node(block, page.page())?.dead_lines();
        if lines.is_empty() { Ok(()) } else { self.remove_lines(block, page, &lines) }
    }

    /// Takes entries out of a leaf; `lines` are in order.
    pub(super) fn remove_lines(
        &self,
        block: BlockNumber,
        page: &mut ExclusivePage<'t, 's>,
        lines: &[u16],
    ) -> Result<()> {
        // Made beside the page first, since making it allocates.
        let mut after = PageBuf::zeroed();
        page.page().copy_to(&mut after);
        if !change::delete(&mut after.view_mut(), lines) {
            return Err(self.corrupted(block));
        }
        let data = change::encode_lines(lines);
        let change = Change::new(BTREE, change::DELETE, 0).block(0, page, BlockUse::Modify, &data);
        self.apply(change, |pages| node::overwrite(&mut pages.page(0), &after))
    }
}
