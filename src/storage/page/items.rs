//! Line pointers and items: insertion, removal, compaction.
//!
//! Lines are counted from 1, as in row addresses. A line pointer keeps its number for as long as something may refer to
//! it; only what no index and no transaction knows becomes unused.
//!
//! | bits of a line pointer | what |
//! | --- | --- |
//! | 0..15 | offset of the item on the page; of a redirect, the line it leads to |
//! | 15..17 | 0 unused, 1 normal, 2 redirect, 3 dead |
//! | 17..32 | length of the item, 0: it has none |

use super::check::{self, Damage};
use super::{HEADER_SIZE, ITEM_ALIGN, LINE_POINTER_SIZE, PageFlags, PageMut, PageRef};
use crate::storage::ids::PAGE_SIZE;

/// Most lines that a page can have.
pub const MAX_ITEMS: usize = (PAGE_SIZE - HEADER_SIZE) / LINE_POINTER_SIZE;

/// What a line pointer stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ItemState {
    /// Nothing; free to be used again.
    Unused,
    /// An item.
    Normal,
    /// Another line of this page.
    Redirect(u16),
    /// What was there is no more, but something may still refer to it. It may have its item yet.
    Dead,
}

/// A line: its state, and its item if it has one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Item<'a> {
    /// What it stands for.
    pub state: ItemState,
    /// Offset of the item on the page.
    pub offset: usize,
    /// The item; empty if it has none. Whoever keeps hint words in its items reads those through the page.
    pub bytes: &'a [u8],
}

const NORMAL: u32 = 1;
const REDIRECT: u32 = 2;
const DEAD: u32 = 3;

fn pack(state: u32, offset: usize, length: usize) -> u32 {
    offset as u32 | state << 15 | (length as u32) << 17
}

/// Offset of a line's pointer on its page; lines are counted from 1.
#[inline]
pub fn line_at(line: u16) -> usize {
    HEADER_SIZE + (usize::from(line) - 1) * LINE_POINTER_SIZE
}

impl<'a> PageRef<'a> {
    /// Number of lines; 0 also if the header is nonsense.
    #[inline]
    pub fn lines(self) -> u16 {
        let lower = self.lower().min(PAGE_SIZE);
        (lower.saturating_sub(HEADER_SIZE) / LINE_POINTER_SIZE) as u16
    }

    /// A line of [`Self::lines`], from 1.
    ///
    /// # Errors
    /// [`Damage::Line`] if there is no such line, or what it says cannot be.
    #[inline]
    pub fn item(self, line: u16) -> Result<Item<'a>, Damage> {
        if line == 0 || line > self.lines() {
            return Err(Damage::Line(line));
        }
        let word = self.u32_at(line_at(line));
        let (offset, state, length) = ((word & 0x7fff) as usize, word >> 15 & 3, (word >> 17) as usize);
        let state = match state {
            NORMAL => ItemState::Normal,
            DEAD => ItemState::Dead,
            REDIRECT if length == 0 => return self.redirect(line, offset),
            0 if word == 0 => return Ok(Item { state: ItemState::Unused, offset: 0, bytes: &[] }),
            _ => return Err(Damage::Line(line)),
        };
        if length == 0 {
            let is_whole = state == ItemState::Dead && offset == 0;
            return if is_whole { Ok(Item { state, offset, bytes: &[] }) } else { Err(Damage::Line(line)) };
        }
        let is_inside = offset >= self.upper() && offset + length <= self.special_start();
        match self.get(offset, length) {
            Some(bytes) if is_inside && offset.is_multiple_of(ITEM_ALIGN) => {
                Ok(Item { state, offset, bytes })
            }
            _ => Err(Damage::Line(line)),
        }
    }

    fn redirect(self, line: u16, to: usize) -> Result<Item<'a>, Damage> {
        if to == 0 || to > usize::from(self.lines()) || to == usize::from(line) {
            return Err(Damage::Line(line));
        }
        Ok(Item { state: ItemState::Redirect(to as u16), offset: 0, bytes: &[] })
    }

    /// Bytes between line pointers and items.
    pub fn free_space(self) -> usize {
        self.upper().saturating_sub(self.lower())
    }

    /// Longest item that fits, with a line pointer of its own; 0: none.
    pub fn room(self) -> usize {
        let free = self.free_space().saturating_sub(LINE_POINTER_SIZE);
        free & !(ITEM_ALIGN - 1)
    }

    /// The first unused line that is there already.
    pub fn first_unused(self) -> Option<u16> {
        (1..=self.lines()).find(|line| self.u32_at(line_at(*line)) == 0)
    }

    /// Looks at every line: whether it leads to an item, and no two to the same bytes.
    pub fn check_items(self) -> Result<(), Damage> {
        check::header(self)?;
        let mut places: Vec<(usize, usize, u16)> = Vec::new();
        for line in 1..=self.lines() {
            let item = self.item(line)?;
            if let ItemState::Redirect(to) = item.state
                && matches!(self.item(to)?.state, ItemState::Unused | ItemState::Redirect(_))
            {
                return Err(Damage::Line(line));
            }
            if !item.bytes.is_empty() {
                places.push((item.offset, item.offset + item.bytes.len(), line));
            }
        }
        places.sort_unstable();
        match places.windows(2).find(|pair| pair[0].1 > pair[1].0) {
            None => Ok(()),
            Some(pair) => Err(Damage::Line(pair[1].2)),
        }
    }

    /// Works out how the items of the lines that keep theirs are moved together, once the others have none.
    ///
    /// # Errors
    /// What is wrong with the page; then nothing is to be moved.
    pub fn plan_compaction(self, keeps: impl Fn(u16) -> bool) -> Result<Compaction, Damage> {
        check::header(self)?;
        let mut slots = Slots::new(self.special_start());
        let mut places: Vec<(u16, u16)> = Vec::with_capacity(self.lines().into());
        for line in 1..=self.lines() {
            let item = self.item(line)?;
            if item.bytes.is_empty() || !keeps(line) {
                continue;
            }
            if !slots.take(item.offset, item.bytes.len()) {
                return Err(Damage::Line(line));
            }
            places.push((line, item.offset as u16));
        }
        let free_above = slots.free_above();
        let shift = |offset: usize| slots.shift(&free_above, offset);
        let moves = places.into_iter().filter_map(|(line, offset)| {
            let shift = shift(offset.into());
            (shift > 0).then_some((line, offset + shift as u16))
        });
        Ok(Compaction { lines: moves.collect(), runs: slots.runs(shift), upper: slots.upper(&free_above) })
    }
}

/// How a page's items are to be moved together, checked beforehand.
#[derive(Debug)]
pub struct Compaction {
    /// The highest first: each moves up into what is free, and never over one that has yet to move.
    runs: Vec<Run>,
    /// Lines whose items move, and where to.
    lines: Vec<(u16, u16)>,
    upper: usize,
}

/// Items side by side that move by the same distance.
#[derive(Debug)]
struct Run {
    from: usize,
    to: usize,
    length: usize,
}

const WORDS: usize = PAGE_SIZE / ITEM_ALIGN / 64;

/// A bit for each eight bytes of a page that an item, or the special area, begins in or goes over.
struct Slots([u64; WORDS]);

impl Slots {
    fn new(special: usize) -> Self {
        let mut slots = Self([0; WORDS]);
        slots.take(special, PAGE_SIZE - special);
        slots
    }

    /// Takes what an item has. `false`: another has some of it.
    fn take(&mut self, offset: usize, length: usize) -> bool {
        let (mut slot, end) = (offset / ITEM_ALIGN, (offset + length).div_ceil(ITEM_ALIGN));
        while slot < end {
            let (word, bit) = (slot / 64, slot % 64);
            let count = (end - slot).min(64 - bit);
            let mask = (u64::MAX >> (64 - count)) << bit;
            if self.0[word] & mask != 0 {
                return false;
            }
            self.0[word] |= mask;
            slot += count;
        }
        true
    }

    /// By word: free slots in all words above it.
    fn free_above(&self) -> [usize; WORDS] {
        let mut free = [0; WORDS];
        for word in (1..WORDS).rev() {
            free[word - 1] = free[word] + self.0[word].count_zeros() as usize;
        }
        free
    }

    /// Bytes that are free above an item.
    fn shift(&self, free_above: &[usize; WORDS], offset: usize) -> usize {
        let (word, bit) = (offset / ITEM_ALIGN / 64, offset / ITEM_ALIGN % 64);
        let in_word = (!self.0[word] >> bit).count_ones() as usize;
        (free_above[word] + in_word) * ITEM_ALIGN
    }

    /// Where what is free will end.
    fn upper(&self, free_above: &[usize; WORDS]) -> usize {
        (free_above[0] + self.0[0].count_zeros() as usize) * ITEM_ALIGN
    }

    /// What moves, the highest first.
    fn runs(&self, shift: impl Fn(usize) -> usize) -> Vec<Run> {
        let (mut runs, mut end) = (Vec::new(), PAGE_SIZE / ITEM_ALIGN);
        while let Some(last) = self.last_before(end, true) {
            let start = self.last_before(last, false).map_or(0, |free| free + 1);
            let from = start * ITEM_ALIGN;
            let distance = shift(from);
            if distance > 0 {
                runs.push(Run { from, to: from + distance, length: (last + 1 - start) * ITEM_ALIGN });
            }
            end = start;
        }
        runs
    }

    /// The last slot before another that is taken, or free.
    fn last_before(&self, end: usize, is_taken: bool) -> Option<usize> {
        let mut word = end.div_ceil(64);
        while word > 0 {
            word -= 1;
            let bits = if is_taken { self.0[word] } else { !self.0[word] };
            let below = (end - word * 64).min(64);
            let bits = bits & (u64::MAX >> (64 - below));
            if bits != 0 {
                return Some(word * 64 + 63 - bits.leading_zeros() as usize);
            }
        }
        None
    }
}

impl PageMut<'_> {
    /// Adds an item: at `line` if given, which is unused or the next, else at the first unused line or a new one. Its line;
    /// `None` if it does not fit, is empty, or the line is in use.
    pub fn insert(&mut self, item: &[u8], line: Option<u16>) -> Option<u16> {
        let page = self.as_ref();
        let next = page.lines() + 1;
        let line = match line {
            Some(line) => line,
            None if page.flags().contains(PageFlags::HAS_FREE_LINES) => match page.first_unused() {
                Some(line) => line,
                None => {
                    self.remove_flags(PageFlags::HAS_FREE_LINES);
                    next
                }
            },
            None => next,
        };
        let page = self.as_ref();
        let is_free = line == next || (line > 0 && line < next && page.u32_at(line_at(line)) == 0);
        let lower = if line == next { page.lower() + LINE_POINTER_SIZE } else { page.lower() };
        let size = item.len().next_multiple_of(ITEM_ALIGN);
        if !is_free || item.is_empty() || page.upper() > PAGE_SIZE || lower + size > page.upper() {
            return None;
        }
        let offset = page.upper() - size;
        self.set_lower(lower);
        self.set_upper(offset);
        self.put_u32(line_at(line), pack(NORMAL, offset, item.len()));
        self.slice_mut(offset, item.len()).copy_from_slice(item);
        self.slice_mut(offset + item.len(), size - item.len()).fill(0);
        Some(line)
    }

    /// Adds an item and a line for it at `line`, moving that line and those behind it up by one, as ordered pages want it.
    /// `false` if it does not fit or there is no such place.
    pub fn insert_shifting(&mut self, item: &[u8], line: u16) -> bool {
        let lines = self.as_ref().lines();
        if line == 0 || line > lines + 1 {
            return false;
        }
        let Some(last) = self.insert(item, Some(lines + 1)) else { return false };
        let word = self.as_ref().u32_at(line_at(last));
        self.copy_within(
            line_at(line),
            line_at(line) + LINE_POINTER_SIZE,
            usize::from(last - line) * LINE_POINTER_SIZE,
        );
        self.put_u32(line_at(line), word);
        true
    }

    /// Overwrites a normal item by one of at most its length. `false` if there is none, or it is longer.
    pub fn overwrite(&mut self, line: u16, item: &[u8]) -> bool {
        let Ok(Item { state: ItemState::Normal, offset, bytes }) = self.as_ref().item(line) else {
            return false;
        };
        if item.is_empty() || item.len() > bytes.len() {
            return false;
        }
        self.put_u32(line_at(line), pack(NORMAL, offset, item.len()));
        self.slice_mut(offset, item.len()).copy_from_slice(item);
        true
    }

    /// Makes a line of [`PageRef::lines`] unused; its item's bytes come free with [`Self::compact`].
    ///
    /// # Panics
    /// If there is no such line; this holds for the next two too.
    pub fn set_unused(&mut self, line: u16) {
        self.set_line(line, 0);
        self.add_flags(PageFlags::HAS_FREE_LINES);
    }

    /// Makes a line dead, without an item.
    pub fn set_dead(&mut self, line: u16) {
        self.set_line(line, pack(DEAD, 0, 0));
    }

    /// Makes a line lead to another one.
    pub fn set_redirect(&mut self, line: u16, to: u16) {
        self.set_line(line, pack(REDIRECT, to.into(), 0));
    }

    /// Marks a line's item as dead without taking it away, as indexes do.
    pub fn mark_dead(&mut self, line: u16) {
        if let Ok(Item { state: ItemState::Normal, offset, bytes }) = self.as_ref().item(line) {
            let length = bytes.len();
            self.set_line(line, pack(DEAD, offset, length));
        }
    }

    fn set_line(&mut self, line: u16, word: u32) {
        assert!(line > 0 && line <= self.as_ref().lines(), "no line {line}");
        self.put_u32(line_at(line), word);
    }

    /// Takes lines out, with their items, and moves the lines behind them down, as ordered pages want it. `lines` are in
    /// order.
    ///
    /// # Errors
    /// As [`Self::compact`].
    pub fn remove_shifting(&mut self, lines: &[u16]) -> Result<(), Damage> {
        self.as_ref().check_items()?;
        let count = self.as_ref().lines();
        let mut kept = 0;
        for line in 1..=count {
            if lines.binary_search(&line).is_err() {
                kept += 1;
                let word = self.as_ref().u32_at(line_at(line));
                self.put_u32(line_at(kept), word);
            }
        }
        self.set_lower(HEADER_SIZE + usize::from(kept) * LINE_POINTER_SIZE);
        self.compact()
    }

    /// Moves the items together, so that what is free lies in one piece, and drops unused lines at the end.
    ///
    /// # Errors
    /// What is wrong with the page, which then is left as it was.
    pub fn compact(&mut self) -> Result<(), Damage> {
        self.as_ref().check_items()?;
        let compaction = self.as_ref().plan_compaction(|_| true)?;
        self.carry_out(&compaction);
        Ok(())
    }

    /// Moves the items together as was planned for those that are left, and drops unused lines at the end. It neither fails
    /// nor allocates.
    pub fn carry_out(&mut self, compaction: &Compaction) {
        self.drop_last_unused();
        for Run { from, to, length } in &compaction.runs {
            self.copy_within(*from, *to, *length);
        }
        for (line, offset) in &compaction.lines {
            let word = self.as_ref().u32_at(line_at(*line));
            self.put_u32(line_at(*line), word & !0x7fff | u32::from(*offset));
        }
        self.set_upper(compaction.upper);
    }

    fn drop_last_unused(&mut self) {
        let page = self.as_ref();
        let kept = (1..=page.lines()).rev().find(|line| page.u32_at(line_at(*line)) != 0).unwrap_or(0);
        let has_unused = (1..=kept).any(|line| page.u32_at(line_at(line)) == 0);
        let lower = HEADER_SIZE + usize::from(kept) * LINE_POINTER_SIZE;
        // What stood there is not part of the page any more, and zeroes compress better in full page images.
        let dropped = page.lower() - lower;
        self.slice_mut(lower, dropped).fill(0);
        self.set_lower(lower);
        if has_unused {
            self.add_flags(PageFlags::HAS_FREE_LINES);
        } else {
            self.remove_flags(PageFlags::HAS_FREE_LINES);
        }
    }
}

#[cfg(test)]
mod tests;
