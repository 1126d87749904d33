//! Splitting a page in two: where, and with what between the halves.
//!
//! A split takes two records: the page becomes two, linked to each other, and then the right one gets its downlink. In
//! between, the left one is marked; whoever comes by to write finishes what was begun. Readers need not care, as they move to
//! the right where a key is.

use super::apply::Step;
use super::change::{self, LeftHalf};
use super::descend::Path;
use super::insert::SplitChild;
use super::key::KeyShape;
use super::meta::Meta;
use super::node::{self, Broken, CAPACITY, Entry, Looked, Node, NodeFlags, Special, lowest_pivot, space};
use super::probe::values_of;
use super::tree::{BTree, is_alone};
use crate::ipc::stop_points::StopPoint;
use crate::report::Result;
use crate::storage::buffer::ExclusivePage;
use crate::storage::ids::BlockNumber;
use crate::storage::page::PageBuf;

/// How full the last inner page of a level is left by its split, in percent.
const INNER_FILLFACTOR: usize = 70;

/// A page that is about to be split, with what is to be put in.
struct Splitting<'n> {
    node: Node<'n>,
    /// All entries, the new one among them.
    entries: Vec<&'n [u8]>,
    /// Where that is.
    new_at: usize,
    /// Entries that stay.
    kept: usize,
    /// What the halves are told apart by.
    separator: Vec<u8>,
}

/// The halves as they will be.
struct Halves {
    left: Box<PageBuf>,
    left_data: Vec<u8>,
    right: Box<PageBuf>,
    right_data: Vec<u8>,
}

impl<'t, 's> BTree<'t, 's> {
    /// Splits a page while an item is put in at a line, and gives the right half its downlink.
    pub(super) fn split(
        &self,
        block: BlockNumber,
        page: ExclusivePage<'t, 's>,
        line: u16,
        item: &[u8],
        child: Option<SplitChild<'t, 's>>,
        path: &mut Path,
    ) -> Result<()> {
        let node = self.node(block, page.page())?;
        let was_alone = is_alone(node);
        let next = if node.is_rightmost() {
            None
        } else {
            let next = self.linked(block, node.right())?;
            let next_page = self.lock_exclusive(next)?;
            if self.node(next, next_page.page())?.left() != block.get() {
                return Err(self.corrupted(next));
            }
            Some(next_page)
        };
        let splitting = self.plan(node, line, item).map_err(|broken| self.broken(block, broken))?;
        let new = self.new_page()?;
        let (right_block, halves) = (new.block, splitting.halves(block, new.block));
        let halves = halves.ok_or_else(|| self.corrupted(block))?;
        let (left, right) = self.log_split(page, new.page, next, child, new.meta, &halves)?;
        self.store.me.stop_point(StopPoint::BTreeSplit);
        self.insert_downlink((block, left), (right_block, right), was_alone, path)
    }

    fn plan<'n>(&self, node: Node<'n>, line: u16, item: &'n [u8]) -> Looked<Splitting<'n>> {
        let mut entries = node.entries()?;
        let new_at = usize::from(line.checked_sub(node.first()).ok_or(Broken::Corrupted)?);
        if new_at > entries.len() {
            return Err(Broken::Corrupted);
        }
        entries.insert(new_at, item);
        let kept = choose(self.shape(), node, &entries, new_at, self.options.fillfactor.into())?;
        let separator = separator(self.shape(), node.is_leaf(), entries[kept - 1], entries[kept])?;
        Ok(Splitting { node, entries, new_at, kept, separator })
    }

    fn log_split(
        &self,
        mut left: ExclusivePage<'t, 's>,
        mut right: ExclusivePage<'t, 's>,
        mut next: Option<ExclusivePage<'t, 's>>,
        mut child: Option<SplitChild<'t, 's>>,
        mut meta: Option<(ExclusivePage<'t, 's>, Meta)>,
        halves: &Halves,
    ) -> Result<(ExclusivePage<'t, 's>, ExclusivePage<'t, 's>)> {
        let right_block = right.pin().block().get();
        let mut steps = vec![
            (0, &mut left, Step::Become(&halves.left_data, &halves.left)),
            (1, &mut right, Step::New(&halves.right_data, &halves.right)),
        ];
        steps.extend(next.as_mut().map(|page| (2, page, Step::Left(right_block))));
        steps.extend(child.as_mut().map(|child| (3, &mut child.page, Step::SplitDone)));
        steps.extend(meta.as_mut().map(|(page, meta)| (4, page, Step::Meta(*meta))));
        self.take(change::SPLIT, steps)?;
        Ok((left, right))
    }
}

impl Splitting<'_> {
    /// The pages as they will be.
    fn halves(&self, left: BlockNumber, right: BlockNumber) -> Option<Halves> {
        let half = LeftHalf {
            right: right.get(),
            kept: self.kept as u16,
            new_at: self.new_at as u16,
            new: (self.new_at < self.kept).then(|| self.entries[self.new_at]),
            high_key: &self.separator,
        };
        let old = self.node.special();
        let special =
            Special { left: left.get(), flags: old.flags.without(NodeFlags::INCOMPLETE_SPLIT), ..old };
        // The first entry of an inner page is below everything that its page can have: it needs no key.
        let lowest;
        let mut first = self.entries[self.kept];
        if !self.node.is_leaf() {
            lowest = lowest_pivot(Entry::new(first, true)?.child()?.get());
            first = &lowest;
        }
        let high_key = self.node.high_key().transpose().ok()?.map(|entry| entry.bytes);
        let behind = self.entries[self.kept + 1..].iter().copied();
        let items = || high_key.into_iter().chain([first]).chain(behind.clone());
        Some(Halves {
            left: half.make(self.node)?,
            left_data: half.encode(),
            right: node::built(&special, items())?,
            right_data: change::encode_page(&special, items()),
        })
    }
}

/// How many of the entries stay: so that both halves have room, and the separator is short.
fn choose(
    shape: &KeyShape,
    node: Node<'_>,
    entries: &[&[u8]],
    new_at: usize,
    fillfactor: usize,
) -> Looked<usize> {
    // Entries that come in order fill the left half, and no others will.
    let is_at_end = new_at + 1 == entries.len();
    let percent = match (node.is_leaf(), node.is_rightmost()) {
        (true, true) => Some(fillfactor),
        (true, false) if is_at_end => Some(fillfactor),
        (false, true) => Some(INNER_FILLFACTOR),
        _ => None,
    };
    let distances = distances(node, entries, percent)?;
    let best = distances.iter().min_by_key(|(_, distance)| *distance).ok_or(Broken::Corrupted)?.0;
    if !node.is_leaf() || columns_apart(shape, entries[best - 1], entries[best])? == 1 {
        return Ok(best);
    }
    // Near the best place, where the fewest columns tell the halves apart.
    let reach = entries.len() / 16;
    let mut shortest = (usize::MAX, usize::MAX, best);
    for (kept, _) in distances.into_iter().filter(|(kept, _)| kept.abs_diff(best) <= reach) {
        let columns = columns_apart(shape, entries[kept - 1], entries[kept])?;
        shortest = shortest.min((columns, kept.abs_diff(best), kept));
    }
    Ok(shortest.2)
}

/// Of each number of entries that may stay, how far the halves are then from being as full as they should: the left one
/// by so many percent, or both alike.
fn distances(node: Node<'_>, entries: &[&[u8]], percent: Option<usize>) -> Looked<Vec<(usize, usize)>> {
    let total: usize = entries.iter().map(|entry| space(entry.len())).sum();
    let high_key = match node.high_key() {
        Some(entry) => space(entry?.bytes.len()),
        None => 0,
    };
    let (mut before, mut distances) = (0, Vec::with_capacity(entries.len()));
    for (kept, entry) in entries.iter().enumerate().skip(1) {
        before += space(entries[kept - 1].len());
        // The separator is this entry, at most with an address's block; in an inner page it loses its key then.
        let (separator, first) =
            if node.is_leaf() { (entry.len() + 4, entry.len()) } else { (entry.len(), 8) };
        let left = before + space(separator);
        let right = high_key + space(first) + total - before - space(entry.len());
        if left <= CAPACITY && right <= CAPACITY {
            let wanted = percent.map_or(right, |percent| CAPACITY * percent / 100);
            distances.push((kept, left.abs_diff(wanted)));
        }
    }
    Ok(distances)
}

/// How many columns it takes to tell two entries of a leaf apart; one more than there are, if only their rows' addresses do.
pub(super) fn columns_apart(shape: &KeyShape, left: &[u8], right: &[u8]) -> Looked<usize> {
    let entry = |bytes| Entry::new(bytes, false).ok_or(Broken::Corrupted);
    let (left, right) = (entry(left)?, entry(right)?);
    let columns = shape.key_columns();
    let (left, right) = (values_of(shape, left.row(), columns)?, values_of(shape, right.row(), columns)?);
    if left.len() < columns || right.len() < columns {
        return Err(Broken::Corrupted);
    }
    let pairs = left.iter().zip(&right);
    let same = pairs.enumerate().take_while(|(i, (a, b))| shape.order(*i).compare(**a, **b).is_eq()).count();
    Ok(same + 1)
}

/// The pivot between two entries that follow each other, without a child.
pub(super) fn separator(shape: &KeyShape, is_leaf: bool, left: &[u8], right: &[u8]) -> Looked<Vec<u8>> {
    if !is_leaf {
        return Ok(node::with_child(right, 0));
    }
    let columns = columns_apart(shape, left, right)?;
    let entry = Entry::new(right, false).ok_or(Broken::Corrupted)?;
    let values = values_of(shape, entry.row(), columns.min(shape.key_columns()))?;
    let ctid = if columns > shape.key_columns() { entry.ctid() } else { None };
    let (mut row, mut pivot) = (Vec::new(), Vec::new());
    shape.layout().encode(&values, &mut row).map_err(|_| Broken::Corrupted)?;
    node::put_pivot(&mut pivot, 0, ctid, &row);
    Ok(pivot)
}
