//! Pruning: a page is rid of versions that nobody will ever see, without a look at any index.
//!
//! What indexes lead to keeps its line: as a redirect to the first version of its chain that may be seen, or, if there is none,
//! as a dead line, which vacuum makes unused when no index has it any more. Versions that only their chain leads to go with
//! their lines. This needs the page's cleanup lock, since items move.

use super::Heap;
use super::tuple::{Mask, TupleRef, damaged, freeze, offset_of};
use crate::access::change::{BlockUse, Change};
use crate::access::engine::Store;
use crate::access::rmgr::HEAP_CLEANUP;
use crate::access::visibility::{Fates, VacuumState, for_vacuum, members};
use crate::report::Result;
use crate::storage::buffer::{ExclusivePage, PinnedBuffer, SharedPage};
use crate::storage::ids::{BufferTag, PAGE_SIZE};
use crate::storage::page::{Compaction, Damage, ItemState, PageFlags, PageMut, PageRef};
use crate::txn::Lsn;

/// A page is pruned if less than this part of it is free.
const FREE_PART: usize = 10;

/// What is to be done to a page.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Plan {
    /// Lines that become redirects, and where they lead to.
    pub redirects: Vec<(u16, u16)>,
    /// Lines that become dead.
    pub dead: Vec<u16>,
    /// Lines that become unused.
    pub unused: Vec<u16>,
    /// Lines whose versions' `xmin` everybody sees for good.
    pub frozen: Vec<u16>,
    /// Lines whose versions nobody deletes or locks any more.
    pub released: Vec<u16>,
    /// The latest commit that made one of the versions go: older snapshots may miss them.
    pub removed: Lsn,
    /// Versions that go.
    pub versions: usize,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        let moves = self.redirects.is_empty() && self.dead.is_empty() && self.unused.is_empty();
        moves && self.frozen.is_empty() && self.released.is_empty()
    }

    /// Whether items go.
    pub fn prunes(&self) -> bool {
        !(self.redirects.is_empty() && self.dead.is_empty() && self.unused.is_empty())
    }

    /// As records have it: five counts, then the lines.
    pub fn encode(&self) -> Vec<u8> {
        let lists = [&self.dead, &self.unused, &self.frozen, &self.released];
        let mut bytes = Vec::new();
        let mut put = |number: u16| bytes.extend_from_slice(&number.to_le_bytes());
        put(self.redirects.len() as u16);
        lists.iter().for_each(|list| put(list.len() as u16));
        self.redirects.iter().for_each(|(from, to)| {
            put(*from);
            put(*to);
        });
        lists.iter().for_each(|list| list.iter().for_each(|line| put(*line)));
        bytes
    }

    /// From a record.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let numbers: Vec<_> =
            bytes.chunks_exact(2).map(|pair| u16::from(pair[0]) | u16::from(pair[1]) << 8).collect();
        let (counts, mut rest) = numbers.split_at_checked(5)?;
        let mut take = |count: usize| {
            let (taken, left) = rest.split_at_checked(count)?;
            rest = left;
            Some(taken.to_vec())
        };
        let redirects = take(usize::from(counts[0]) * 2)?;
        let redirects = redirects.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
        let [dead, unused, frozen, released] = [1, 2, 3, 4].map(|i| take(usize::from(counts[i])));
        Some(Self {
            redirects,
            dead: dead?,
            unused: unused?,
            frozen: frozen?,
            released: released?,
            ..Self::default()
        })
    }

    /// Checks that all of it can be done to a page, and works out how items move, so that [`Self::carry_out`] cannot fail.
    ///
    /// # Errors
    /// What is wrong with the page or the plan.
    pub fn prepare(&self, page: PageRef<'_>) -> std::result::Result<Option<Compaction>, Damage> {
        for line in self.frozen.iter().chain(&self.released) {
            if *line == 0 || offset_of(page, *line).is_none() {
                return Err(Damage::Line(*line));
            }
        }
        if !self.prunes() {
            return Ok(None);
        }
        let becomes = self.becomes(page)?;
        let is_item = |line: u16| becomes.get(usize::from(line)) == Some(&Becomes::Item);
        for (from, to) in &self.redirects {
            if !is_item(*to) {
                return Err(Damage::Line(*from));
            }
        }
        // Those that were redirects before lead to what has an item still.
        for line in 1..=page.lines() {
            if let Becomes::Redirect(to) = becomes[usize::from(line)]
                && !is_item(to)
            {
                return Err(Damage::Line(line));
            }
        }
        page.plan_compaction(is_item).map(Some)
    }

    /// By line: what becomes of it.
    fn becomes(&self, page: PageRef<'_>) -> std::result::Result<Vec<Becomes>, Damage> {
        let mut becomes = vec![Becomes::Nothing; usize::from(page.lines()) + 1];
        for line in 1..=page.lines() {
            let item = page.item(line)?;
            becomes[usize::from(line)] = match item.state {
                ItemState::Redirect(to) => Becomes::Redirect(to),
                _ if !item.bytes.is_empty() => Becomes::Item,
                _ => Becomes::Nothing,
            };
        }
        let redirects = self.redirects.iter().map(|(from, to)| (*from, Becomes::Redirect(*to)));
        let gone = self.dead.iter().chain(&self.unused).map(|line| (*line, Becomes::Nothing));
        for (line, after) in redirects.chain(gone) {
            let place = becomes.get_mut(usize::from(line)).filter(|_| line > 0);
            *place.ok_or(Damage::Line(line))? = after;
        }
        Ok(becomes)
    }

    /// Does it to a page for which it was prepared. It neither fails nor allocates.
    pub fn carry_out(&self, page: &mut PageMut<'_>, compaction: Option<&Compaction>, prune_hint: u64) {
        for (xmin, xmax, list) in [(true, false, &self.frozen), (false, true, &self.released)] {
            for line in list {
                freeze(page, *line, xmin, xmax);
            }
        }
        self.redirects.iter().for_each(|(from, to)| page.set_redirect(*from, *to));
        self.dead.iter().for_each(|line| page.set_dead(*line));
        self.unused.iter().for_each(|line| page.set_unused(*line));
        if let Some(compaction) = compaction {
            page.set_prune_hint(prune_hint);
            page.remove_flags(PageFlags::FULL);
            page.carry_out(compaction);
        }
    }
}

/// What a line is once a plan was carried out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Becomes {
    /// Nothing that could be seen.
    Nothing,
    Item,
    Redirect(u16),
}

/// A page, line by line.
struct Lines<'f, 't, 's, 'a> {
    fates: &'f Fates<'t, 's>,
    page: PageRef<'a>,
    tag: BufferTag,
    /// By line, from 1: what vacuum finds, `None`: no version.
    states: Vec<Option<(TupleRef<'a>, VacuumState)>>,
    /// Lines that a chain was followed through.
    is_seen: Vec<bool>,
    plan: Plan,
}

impl<'f, 't, 's, 'a> Lines<'f, 't, 's, 'a> {
    fn read(fates: &'f Fates<'t, 's>, page: PageRef<'a>, tag: BufferTag) -> Result<Self> {
        let count = usize::from(page.lines()) + 1;
        let mut states = vec![None; count];
        for line in 1..=page.lines() {
            let item = page.item(line).map_err(|_| damaged(tag, line))?;
            if let Some(tuple) = TupleRef::new(page, &item) {
                states[usize::from(line)] = Some((tuple, for_vacuum(fates, tuple)?));
            }
        }
        Ok(Self { fates, page, tag, states, is_seen: vec![false; count], plan: Plan::default() })
    }

    fn state(&self, line: u16) -> Option<(TupleRef<'a>, VacuumState)> {
        self.states.get(usize::from(line)).copied().flatten()
    }

    /// The chain that begins at a line that indexes know.
    fn chain(&self, root: u16, first: u16) -> Result<Vec<u16>> {
        let (mut line, mut by, mut chain) = (first, None, Vec::new());
        while let Some((tuple, _)) = self.state(line) {
            let is_another =
                by.is_some_and(|by| by != tuple.xmin()) || (line == root && tuple.is_heap_only());
            if is_another || chain.contains(&line) {
                break;
            }
            chain.push(line);
            if !tuple.is_hot_updated() {
                break;
            }
            let updater = members(self.fates, tuple)?.into_iter().find(|member| member.updates);
            by = Some(updater.map_or(0, |member| member.xid.number()));
            line = tuple.ctid().map_or(0, |next| next.line);
        }
        Ok(chain)
    }

    fn remove(&mut self, removed: Lsn) {
        self.plan.removed = self.plan.removed.max(removed);
        self.plan.versions += 1;
    }

    /// What becomes of a line that indexes know.
    fn prune_root(&mut self, root: u16) -> Result<()> {
        let item = self.page.item(root).map_err(|_| damaged(self.tag, root))?;
        let (first, was_redirect) = match item.state {
            ItemState::Redirect(to) => (to, true),
            ItemState::Normal if self.state(root).is_some_and(|(tuple, _)| !tuple.is_heap_only()) => {
                (root, false)
            }
            _ => return Ok(()),
        };
        let chain = self.chain(root, first)?;
        // Up to the last dead one: what stands before it was replaced by it, and so is dead too.
        let is_dead: Vec<_> = chain
            .iter()
            .map(|line| matches!(self.state(*line), Some((_, VacuumState::Dead { .. }))))
            .collect();
        let dead = is_dead.iter().take_while(|is_dead| **is_dead).count();
        for line in &chain[..dead] {
            if let Some((_, VacuumState::Dead { removed })) = self.state(*line) {
                self.remove(removed);
            }
            if *line != root {
                self.plan.unused.push(*line);
            }
        }
        // A dead one behind one that is not was made by an update that was rolled back: nobody looks for it.
        for (i, line) in chain.iter().enumerate() {
            self.is_seen[usize::from(*line)] |= i < dead || !is_dead[i];
        }
        match chain.get(dead) {
            Some(live) if dead > 0 => self.plan.redirects.push((root, *live)),
            Some(_) => {}
            None if dead > 0 || was_redirect => self.plan.dead.push(root),
            None => {}
        }
        Ok(())
    }

    /// Versions that no chain leads to: made by updates that were rolled back.
    fn prune_orphan(&mut self, line: u16) {
        if self.is_seen[usize::from(line)] {
            return;
        }
        if let Some((tuple, VacuumState::Dead { removed })) = self.state(line)
            && tuple.is_heap_only()
        {
            self.remove(removed);
            self.plan.unused.push(line);
        }
    }
}

/// What pruning would do to a page.
pub(super) fn plan(fates: &Fates<'_, '_>, page: PageRef<'_>, tag: BufferTag) -> Result<Plan> {
    let mut lines = Lines::read(fates, page, tag)?;
    (1..=page.lines()).try_for_each(|line| lines.prune_root(line))?;
    (1..=page.lines()).for_each(|line| lines.prune_orphan(line));
    let mut plan = lines.plan;
    plan.unused.sort_unstable();
    Ok(plan)
}

impl Heap {
    /// Locks a page to be read; prunes it first if that is likely to be worth while and needs no wait.
    #[inline]
    pub(super) fn lock_pruned<'t, 's>(
        &self,
        store: &'t Store<'s>,
        fates: &Fates<'_, '_>,
        pin: PinnedBuffer<'t, 's>,
    ) -> Result<SharedPage<'t, 's>> {
        let page = pin.into_shared();
        if page.page().prune_hint() == 0 || !self.is_worth_pruning(fates, page.page())? {
            return Ok(page);
        }
        let pin = page.unlock();
        if let Some(page) = pin.try_lock_for_cleanup() {
            let plan = plan(fates, page.page(), page.pin().tag())?;
            if plan.is_empty() {
                forget_hint(store, fates, page)?;
            } else {
                self.clean(store, fates, page, &plan)?;
            }
        }
        Ok(pin.into_shared())
    }

    fn is_worth_pruning(&self, fates: &Fates<'_, '_>, page: PageRef<'_>) -> Result<bool> {
        let fill = usize::from(100 - self.options().fillfactor.clamp(10, 100));
        let enough = PAGE_SIZE * fill.max(FREE_PART) / 100;
        if !page.flags().contains(PageFlags::FULL) && page.free_space() >= enough {
            return Ok(false);
        }
        let fate = fates.of(page.prune_hint())?;
        Ok(fate == crate::txn::Fate::Aborted || fates.is_for_all(fate))
    }

    /// Carries a plan out; it is checked first, since what is done in between must not fail.
    pub(super) fn clean<'t, 's>(
        &self,
        store: &'t Store<'s>,
        fates: &Fates<'_, '_>,
        page: ExclusivePage<'t, 's>,
        plan: &Plan,
    ) -> Result<()> {
        let mut page = page;
        let tag = page.pin().tag();
        let hint = next_hint(fates, page.page(), plan)?;
        let compaction = plan
            .prepare(page.page())
            .map_err(|damage| damaged(tag, if let Damage::Line(line) = damage { line } else { 0 }))?;
        let (data, main) = (plan.encode(), [plan.removed.bytes().to_le_bytes(), hint.to_le_bytes()].concat());
        let change = Change::new(HEAP_CLEANUP, super::cleanup::CleanupKind::Prune as u8, 0);
        let change = change.block(0, &mut page, BlockUse::Modify, &data).main(&main);
        self.apply(store, change, |pages| {
            plan.carry_out(&mut pages.page(0), compaction.as_ref(), hint);
        })
    }
}

/// There was nothing to prune: nobody shall look again because of transactions that have ended. A hint only, which is not
/// worth a record or a write of the page.
fn forget_hint(store: &Store<'_>, fates: &Fates<'_, '_>, page: ExclusivePage<'_, '_>) -> Result<()> {
    let mut page = page;
    let hint = next_hint(fates, page.page(), &Plan::default())?;
    let _section = store.me.critical_section();
    page.page_mut().set_prune_hint(hint);
    Ok(())
}

/// The oldest transaction that deletes or replaces what is left on a page, and was not rolled back; 0: none.
fn next_hint(fates: &Fates<'_, '_>, page: PageRef<'_>, plan: &Plan) -> Result<u64> {
    let mut oldest = 0;
    for line in 1..=page.lines() {
        let is_redirected = plan.redirects.iter().any(|(from, _)| *from == line);
        if is_redirected || plan.dead.contains(&line) || plan.unused.contains(&line) {
            continue;
        }
        let Some(tuple) = page.item(line).ok().and_then(|item| TupleRef::new(page, &item)) else { continue };
        let (mask, xmax) = (tuple.mask(), tuple.xmax());
        let ends = xmax != 0 && !mask.has(Mask::LOCK_ONLY) && !mask.has(Mask::MULTI);
        if ends && (oldest == 0 || xmax < oldest) && fates.of(xmax)? != crate::txn::Fate::Aborted {
            oldest = xmax;
        }
    }
    Ok(oldest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_survive_their_records() {
        let plan = Plan {
            redirects: vec![(1, 3), (4, 5)],
            dead: vec![7],
            unused: vec![2, 9, 10],
            frozen: vec![3],
            released: Vec::new(),
            removed: Lsn::INVALID,
            versions: 0,
        };
        let bytes = plan.encode();
        assert_eq!(Plan::decode(&bytes), Some(plan));
        for len in 0..bytes.len() {
            assert!(Plan::decode(&bytes[..len]).is_none(), "{len}");
        }
    }
}
