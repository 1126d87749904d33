//! Vacuum: what nobody will ever see goes, also from indexes.
//!
//! 1. Page by page: pruned and frozen; lines that became dead are collected, since indexes lead to them.
//! 2. Each index deletes its entries that lead to those lines.
//! 3. Page by page: the lines become unused.
//!
//! If the lines become too many to be collected, 2 and 3 come in between. Without indexes there is only 1, and its lines
//! become unused at once. Each page's room is noted, and whether everybody sees all of it. At last, empty pages at the end
//! may be cut off ([`Heap::truncate_end`]).
//!
//! A page that somebody has pinned is passed over, unless the vacuum is to freeze everything; whatever is there stays until the
//! next time.

use super::Heap;
use super::cleanup::{CleanupKind, free_lines, line_bytes};
use super::prune::{self, Plan};
use super::space;
use super::tuple::{Mask, TupleRef, damaged};
use super::visibility_map::{Status, map_block, set_status};
use crate::access::change::{BlockUse, Change};
use crate::access::ctid::Ctid;
use crate::access::engine::Store;
use crate::access::relation_files;
use crate::access::rmgr::HEAP_CLEANUP;
use crate::access::visibility::{Fates, VacuumState, for_vacuum, members};
use crate::ipc::stop_points::StopPoint;
use crate::report::{Report, Result, SqlState};
use crate::storage::buffer::{BufferRing, ExclusivePage, PinnedBuffer, ReadOptions, RingKind};
use crate::storage::ids::BlockNumber;
use crate::storage::page::{ItemState, PageFlags, PageRef};
use crate::txn::Xid;

/// Lines that indexes lead to and that have no version any more, in order.
#[derive(Debug, Default)]
pub struct DeadLines(Vec<Ctid>);

impl DeadLines {
    /// Whether an index's entry leads to one of them.
    pub fn contains(&self, ctid: Ctid) -> bool {
        self.0.binary_search(&ctid).is_ok()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The indexes of a heap, as vacuum needs them.
pub trait Indexes {
    /// Whether there are none.
    fn is_none(&self) -> bool;

    /// Deletes all entries that lead to dead lines, from all indexes.
    fn delete(&mut self, dead: &DeadLines) -> Result<()>;
}

/// A heap without indexes.
#[derive(Clone, Copy, Debug)]
pub struct NoIndexes;

impl Indexes for NoIndexes {
    fn is_none(&self) -> bool {
        true
    }

    fn delete(&mut self, _: &DeadLines) -> Result<()> {
        Ok(())
    }
}

/// How to vacuum.
#[derive(Clone, Copy, Debug)]
pub struct VacuumOptions {
    /// Looks at every page that has anything unfrozen, waits for pinned ones, and freezes all that everybody sees.
    pub freezes_all: bool,
    /// `maintenance_work_mem`, in dead lines.
    pub most_dead: usize,
}

impl Default for VacuumOptions {
    fn default() -> Self {
        Self { freezes_all: false, most_dead: 8 << 20 }
    }
}

/// What vacuum did, in the terms of `VACUUM (VERBOSE)`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct VacuumStats {
    /// Pages of the heap.
    pub pages: u32,
    /// Pages looked at.
    pub scanned_pages: u32,
    /// Pages that somebody had pinned: "missed", since what is dead there was left.
    pub missed_pages: u32,
    /// Row versions removed.
    pub removed: u64,
    /// Row versions that remain.
    pub remaining: u64,
    /// Of these, dead but not yet removable.
    pub recently_dead: u64,
    /// Row versions frozen.
    pub frozen: u64,
    /// Pages on which all versions are frozen now, and were not before.
    pub frozen_pages: u32,
    /// Pages newly all visible.
    pub visible_pages: u32,
    /// Dead lines that were removed from indexes and the heap.
    pub dead_lines: u64,
    /// Times that the indexes were gone through.
    pub index_scans: u32,
    /// Pages cut off at the end.
    pub truncated_pages: u32,
    /// Pages that have a line in use, from the first on: those behind them are empty.
    pub used_pages: u32,
    /// The oldest transaction that rows still name, as far as all pages were looked at; `None`: not all were.
    pub oldest_xid: Option<u64>,
}

/// What is left on a page.
#[derive(Clone, Copy, Debug)]
struct Left {
    all_visible: bool,
    all_frozen: bool,
    has_dead: bool,
    is_empty: bool,
    oldest: u64,
}

struct Vacuum<'h, 't, 's> {
    heap: &'h Heap,
    store: &'t Store<'s>,
    options: VacuumOptions,
    fates: Fates<'t, 's>,
    dead: DeadLines,
    stats: VacuumStats,
    oldest: u64,
    is_complete: bool,
}

impl Heap {
    /// Vacuums the heap; the caller has its lock that keeps other vacuums away.
    ///
    /// # Errors
    /// As reading and writing pages, and as `indexes`.
    pub fn vacuum<'t, 's>(
        &self,
        store: &'t Store<'s>,
        options: VacuumOptions,
        indexes: &mut dyn Indexes,
    ) -> Result<VacuumStats> {
        // Whoever runs already may yet write here under an older id than the next.
        let next = store.transactions.words().oldest_running().number();
        let mut vacuum = Vacuum {
            heap: self,
            store,
            options,
            fates: Fates::new(store),
            dead: DeadLines::default(),
            stats: VacuumStats { pages: self.blocks(store)?, ..VacuumStats::default() },
            oldest: next,
            is_complete: true,
        };
        vacuum.run(indexes)?;
        vacuum.stats.oldest_xid = vacuum.is_complete.then_some(vacuum.oldest);
        Ok(vacuum.stats)
    }
}

impl<'t, 's> Vacuum<'_, 't, 's> {
    fn run(&mut self, indexes: &mut dyn Indexes) -> Result<()> {
        let mut ring = BufferRing::new(RingKind::Vacuum, self.store.storage.pool().len());
        for number in 0..self.stats.pages {
            let Some(block) = BlockNumber::new(number) else { break };
            if self.is_passed_over(block)? {
                continue;
            }
            let options = ReadOptions { ring: Some(&mut ring), is_permanent: self.heap.options().is_logged };
            let pin = self.store.storage.read_with(self.heap.tag(block), options)?;
            self.stats.scanned_pages += 1;
            self.page(pin, indexes.is_none())?;
            if self.dead.len() >= self.options.most_dead {
                self.remove_dead(indexes)?;
            }
        }
        self.remove_dead(indexes)
    }

    /// Whether there is nothing to do on a page, as the visibility map says.
    fn is_passed_over(&mut self, block: BlockNumber) -> Result<bool> {
        let status = self.heap.visibility(self.store, block)?;
        let skip = status.all_frozen || status.all_visible && !self.options.freezes_all;
        if skip {
            self.is_complete &= status.all_frozen;
            self.stats.used_pages = block.get() + 1;
        }
        Ok(skip)
    }

    fn page(&mut self, pin: PinnedBuffer<'t, 's>, has_no_index: bool) -> Result<()> {
        let Some(page) = self.lock(&pin)? else {
            self.stats.missed_pages += 1;
            self.stats.used_pages = pin.block().get() + 1;
            self.is_complete = false;
            return Ok(());
        };
        if page.page().is_new() {
            let room = space::room(page.page());
            drop(page);
            return self.heap.note_room(self.store, pin.block(), room);
        }
        let mut plan = prune::plan(&self.fates, page.page(), pin.tag())?;
        if has_no_index {
            // Nothing leads to them from elsewhere.
            plan.unused.append(&mut plan.dead);
            plan.unused.extend(dead_lines(page.page()));
            plan.unused.sort_unstable();
        }
        self.plan_freeze(page.page(), &pin, &mut plan)?;
        self.stats.removed += plan.versions as u64;
        self.stats.frozen += plan.frozen.len() as u64;
        if !plan.is_empty() {
            self.heap.clean(self.store, &self.fates, page, &plan)?;
        } else {
            drop(page);
        }
        self.finish(pin)
    }

    fn lock(&self, pin: &PinnedBuffer<'t, 's>) -> Result<Option<ExclusivePage<'t, 's>>> {
        if !self.options.freezes_all {
            return Ok(pin.try_lock_for_cleanup());
        }
        let canceled = |_| Report::error(SqlState::QUERY_CANCELED, "canceling statement due to user request");
        pin.lock_for_cleanup().map(Some).map_err(canceled)
    }

    /// Adds what can be frozen: everything, if the page is changed anyway, or it is asked for.
    fn plan_freeze(&self, page: PageRef<'_>, pin: &PinnedBuffer<'_, '_>, plan: &mut Plan) -> Result<()> {
        if !self.options.freezes_all && !plan.prunes() {
            return Ok(());
        }
        for line in 1..=page.lines() {
            let is_redirected = plan.redirects.iter().any(|(from, _)| *from == line);
            if is_redirected || plan.unused.contains(&line) || plan.dead.contains(&line) {
                continue;
            }
            let item = page.item(line).map_err(|_| damaged(pin.tag(), line))?;
            let Some(tuple) = TupleRef::new(page, &item) else { continue };
            if let VacuumState::Live { for_all } = for_vacuum(&self.fates, tuple)? {
                if for_all && !tuple.mask().has(Mask::FROZEN) {
                    plan.frozen.push(line);
                }
                if tuple.xmax() != 0 && self.have_all_ended(tuple)? {
                    plan.released.push(line);
                }
            }
        }
        Ok(())
    }

    /// Whether nobody who locks a version, or tried to change it, runs any more.
    fn have_all_ended(&self, tuple: TupleRef<'_>) -> Result<bool> {
        for member in members(&self.fates, tuple)? {
            if self.fates.of(member.xid.number())?.is_open() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Looks at what is left on a page: counts, collects dead lines, notes room and visibility.
    fn finish(&mut self, pin: PinnedBuffer<'t, 's>) -> Result<()> {
        let mut page = pin.lock_exclusive();
        let left = self.look_at(page.page(), &pin)?;
        let room = space::room(page.page());
        self.oldest = self.oldest.min(left.oldest);
        if !left.is_empty {
            self.stats.used_pages = pin.block().get() + 1;
        }
        if left.all_visible && !left.has_dead {
            self.set_visible(&mut page, left.all_frozen)?;
        }
        drop(page);
        self.heap.note_room(self.store, pin.block(), room)
    }

    fn look_at(&mut self, page: PageRef<'_>, pin: &PinnedBuffer<'_, '_>) -> Result<Left> {
        let mut left =
            Left { all_visible: true, all_frozen: true, has_dead: false, is_empty: true, oldest: u64::MAX };
        for line in 1..=page.lines() {
            let item = page.item(line).map_err(|_| damaged(pin.tag(), line))?;
            left.is_empty &= matches!(item.state, ItemState::Unused | ItemState::Dead);
            if item.state == ItemState::Dead {
                self.dead.0.push(Ctid::new(pin.block(), line));
                left.has_dead = true;
            }
            let Some(tuple) = TupleRef::new(page, &item) else { continue };
            self.stats.remaining += 1;
            let state = for_vacuum(&self.fates, tuple)?;
            left.all_visible &= state == VacuumState::Live { for_all: true };
            if matches!(state, VacuumState::RecentlyDead | VacuumState::Dead { .. }) {
                self.stats.recently_dead += 1;
            }
            if !tuple.mask().has(Mask::FROZEN) {
                left.oldest = left.oldest.min(tuple.xmin().max(1));
            }
            if tuple.xmax() != 0 {
                let oldest = members(&self.fates, tuple)?.iter().map(|member| member.xid).min();
                left.oldest = left.oldest.min(oldest.map_or(u64::MAX, Xid::number));
            }
        }
        left.all_frozen = left.all_visible && left.oldest == u64::MAX;
        Ok(left)
    }

    /// Says on the page and in the map that everybody sees all of it.
    fn set_visible(&mut self, page: &mut ExclusivePage<'t, 's>, all_frozen: bool) -> Result<()> {
        let block = page.pin().block();
        let before = self.heap.visibility(self.store, block)?;
        let status = Status { all_visible: true, all_frozen };
        let is_flagged = page.page().flags().contains(PageFlags::ALL_VISIBLE);
        if before == status && is_flagged {
            return Ok(());
        }
        let mut map = self.heap.map_page(self.store, map_block(block))?;
        let used = if map.page().is_new() { BlockUse::Init } else { BlockUse::Modify };
        let main = [if all_frozen { 3 } else { 1 }];
        let change = Change::new(HEAP_CLEANUP, CleanupKind::Visible as u8, 0)
            .block(0, page, BlockUse::Modify, &[])
            .block(1, &mut map, used, &[])
            .main(&main);
        self.heap.apply(self.store, change, |pages| {
            pages.page(0).add_flags(PageFlags::ALL_VISIBLE);
            set_status(&mut pages.page(1), block, status);
        })?;
        self.stats.visible_pages += u32::from(!before.all_visible);
        self.stats.frozen_pages += u32::from(all_frozen && !before.all_frozen);
        Ok(())
    }

    /// Removes the lines that were collected, from the indexes first.
    fn remove_dead(&mut self, indexes: &mut dyn Indexes) -> Result<()> {
        if self.dead.is_empty() {
            return Ok(());
        }
        let dead = std::mem::take(&mut self.dead);
        indexes.delete(&dead)?;
        self.store.me.stop_point(StopPoint::VacuumIndexesCleaned);
        self.stats.index_scans += 1;
        self.stats.dead_lines += dead.len() as u64;
        for of_block in dead.0.chunk_by(|one, other| one.block == other.block) {
            let lines: Vec<_> = of_block.iter().map(|ctid| ctid.line).collect();
            self.free(of_block[0].block, &lines)?;
        }
        Ok(())
    }

    fn free(&mut self, block: BlockNumber, lines: &[u16]) -> Result<()> {
        let pin = self.heap.pin(self.store, block)?;
        let mut page = pin.lock_exclusive();
        let is_dead = |line: &u16| page.page().item(*line).is_ok_and(|item| item.state == ItemState::Dead);
        if let Some(line) = lines.iter().find(|line| !is_dead(line)) {
            return Err(damaged(pin.tag(), *line));
        }
        let data = line_bytes(lines);
        let change = Change::new(HEAP_CLEANUP, CleanupKind::Vacuum as u8, 0);
        let change = change.block(0, &mut page, BlockUse::Modify, &data);
        self.heap.apply(self.store, change, |pages| {
            free_lines(&mut pages.page(0), lines);
        })?;
        let before = self.stats;
        let left = self.look_at(page.page(), &pin)?;
        // Counted at the first look.
        (self.stats.remaining, self.stats.recently_dead) = (before.remaining, before.recently_dead);
        if left.all_visible {
            self.set_visible(&mut page, left.all_frozen)?;
        }
        let room = space::room(page.page());
        drop(page);
        self.heap.note_room(self.store, block, room)
    }
}

impl Heap {
    /// Cuts off the empty pages at the end that a vacuum found, if they are many. The caller has the heap for itself.
    ///
    /// # Errors
    /// As the log and the files.
    pub fn truncate_end(&self, store: &Store<'_>, stats: &mut VacuumStats) -> Result<()> {
        /// So many empty pages are worth while, or a page in so many.
        const WORTH_WHILE: (u32, u32) = (1000, 16);
        let blocks = self.blocks(store)?;
        let empty = blocks.saturating_sub(stats.used_pages);
        if empty == 0 || empty < WORTH_WHILE.0.min(blocks / WORTH_WHILE.1) {
            return Ok(());
        }
        let mut kept = blocks;
        // Others may have written there since vacuum looked.
        while kept > stats.used_pages && self.is_empty(store, kept - 1)? {
            kept -= 1;
        }
        if kept < blocks {
            relation_files::truncate(store, self, kept)?;
            self.forget_target();
            stats.truncated_pages = blocks - kept;
        }
        Ok(())
    }

    fn is_empty(&self, store: &Store<'_>, number: u32) -> Result<bool> {
        let Some(block) = BlockNumber::new(number) else { return Ok(false) };
        let pin = self.pin(store, block)?;
        let page = pin.lock_shared();
        let view = page.page();
        let is_unused = |line| view.item(line).is_ok_and(|item| item.state == ItemState::Unused);
        Ok(view.is_new() || (1..=view.lines()).all(is_unused))
    }
}

fn dead_lines(page: PageRef<'_>) -> impl Iterator<Item = u16> {
    let is_dead = move |line: &u16| page.item(*line).is_ok_and(|item| item.state == ItemState::Dead);
    (1..=page.lines()).filter(is_dead)
}
