//! Deadlocks: circles among those who wait.
//!
//! A process waits for those who hold what excludes its request (*hard* edges), for those before it in the queue whose
//! requests exclude its own (*soft* edges), or for the owner of a transaction. Who has waited for `deadlock_timeout` takes
//! all partitions' locks, so that nothing in the table moves, and looks for a way from itself to itself. If it finds one it
//! is the one to give up.
//!
//! PostgreSQL tries, in a circle with soft edges, to let somebody in a queue go first. This does not: such a circle ends
//! with an error too.
//!
//! Waits for transactions are not in the table and may end while this looks. So each is noted with the number of the wait
//! when it is read, and looked at again when the circle is found: the same wait, the transaction still running. Then all
//! of the circle was there at the moment between the two looks, and nothing but giving up ends it.

use std::fmt;

use shmem_layout::locks::LOCK_PARTITIONS;
use shmem_layout::{LockOwner, SlotIndex};

use super::mode::LockMode;
use super::table::{Locks, OwnerIndex, Part, get};
use super::tag::LockTag;
use crate::ipc::Proc;
use crate::sync::Ordering;

/// What somebody waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Awaited {
    /// A lock.
    Lock(LockTag, LockMode),
    /// A transaction's end.
    Transaction(u64),
}

/// Somebody waits for somebody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Link {
    /// Process id of who waits.
    pub pid: u32,
    /// Slot of who waits.
    pub waiter: OwnerIndex,
    /// For what.
    pub awaited: Awaited,
    /// Process id of who is in the way; 0: a prepared transaction.
    pub blocker: u32,
}

/// A circle; it begins with who found it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Deadlock {
    /// Each waits for the next, the last for the first.
    pub links: Vec<Link>,
}

/// The lines of the error's detail.
impl fmt::Display for Deadlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, link) in self.links.iter().enumerate() {
            let newline = if i > 0 { "\n" } else { "" };
            let Link { pid, blocker, .. } = link;
            match link.awaited {
                Awaited::Lock(tag, mode) => {
                    write!(f, "{newline}Process {pid} waits for {} on {tag}", mode.name())?;
                }
                // Clients know transactions by their lower halves.
                Awaited::Transaction(xid) => {
                    write!(f, "{newline}Process {pid} waits for ShareLock on transaction {}", xid as u32)?;
                }
            }
            write!(f, "; blocked by process {blocker}.")?;
        }
        Ok(())
    }
}

/// One edge of the graph.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Edge {
    to: OwnerIndex,
    awaited: Awaited,
    /// Number of the wait, for waits that are not in the table.
    sequence: u32,
}

/// The edges of all who wait, by owner.
type Graph = Vec<Vec<Edge>>;

impl Deadlock {
    /// The circle of two that a request would close at once.
    pub(super) fn of_two(
        me: &Proc<'_>,
        tag: LockTag,
        (own, mode): (OwnerIndex, LockMode),
        (other, wants): (OwnerIndex, LockMode),
    ) -> Self {
        let link = |waiter, mode, blocker| Link {
            pid: pid_of(me, waiter),
            waiter,
            awaited: Awaited::Lock(tag, mode),
            blocker: pid_of(me, blocker),
        };
        Self { links: vec![link(own, mode, other), link(other, wants, own)] }
    }
}

/// Process id of an owner; 0 for a prepared transaction.
pub(super) fn pid_of(me: &Proc<'_>, owner: OwnerIndex) -> u32 {
    let slot = SlotIndex::new(owner.index()).and_then(|slot| me.peers().get(slot.index()));
    slot.map_or(0, |slot| slot.pid.load(Ordering::Relaxed))
}

impl<'s> Locks<'s> {
    /// Looks for a circle through `start`. `is_running` tells whether a transaction has not ended.
    pub(super) fn find_deadlock(
        &self,
        me: &Proc<'s>,
        start: OwnerIndex,
        is_running: &dyn Fn(u64) -> bool,
    ) -> Option<Deadlock> {
        let parts: Vec<_> = (0..LOCK_PARTITIONS).map(|partition| self.part(me, partition)).collect();
        let mut graph: Graph = vec![Vec::new(); self.owners()];
        for index in 0..self.owners() as u32 {
            let owner = OwnerIndex::new(index);
            let edges = &mut graph[owner.index()];
            self.transaction_edge(owner).into_iter().for_each(|edge| edges.push(edge));
            if let Some(part) = self.part_waited_in(&parts, owner) {
                part.edges_of(owner, edges);
            }
        }
        let circle = find_circle(&graph, start, &|from, edge| match edge.awaited {
            Awaited::Lock(..) => true,
            Awaited::Transaction(xid) => self.transaction_edge(from) == Some(*edge) && is_running(xid),
        })?;
        let links = circle.into_iter().map(|(waiter, edge)| Link {
            pid: pid_of(me, waiter),
            waiter,
            awaited: edge.awaited,
            blocker: pid_of(me, edge.to),
        });
        Some(Deadlock { links: links.collect() })
    }

    /// Who is in an owner's way: those who hold what it waits for, and those before it in the queue.
    pub fn blockers_of(&self, me: &Proc<'s>, owner: OwnerIndex) -> Vec<OwnerIndex> {
        let parts: Vec<_> = (0..LOCK_PARTITIONS).map(|partition| self.part(me, partition)).collect();
        let mut edges: Vec<Edge> = self.transaction_edge(owner).into_iter().collect();
        if let Some(part) = self.part_waited_in(&parts, owner) {
            part.edges_of(owner, &mut edges);
        }
        let mut blockers: Vec<_> = edges.into_iter().map(|edge| edge.to).collect();
        blockers.sort_unstable();
        blockers.dedup();
        blockers
    }

    /// The partition in which an owner waits, out of all of them.
    fn part_waited_in<'a, 'p>(
        &self,
        parts: &'a [Part<'p, 's>],
        owner: OwnerIndex,
    ) -> Option<&'a Part<'p, 's>> {
        let waits = self.owner(owner);
        if waits.wait_status.load(Ordering::Acquire) != LockOwner::WAITING {
            return None;
        }
        let raw = parts[0].raw_tag(get(&waits.wait_entry));
        Some(&parts[raw.hash() as usize % LOCK_PARTITIONS])
    }

    fn transaction_edge(&self, owner: OwnerIndex) -> Option<Edge> {
        let waits = self.owner(owner);
        let sequence = waits.wait_sequence.load(Ordering::Acquire);
        let xid = waits.wait_xid.load(Ordering::Acquire);
        let to = OwnerIndex::from_number(waits.wait_xid_owner.load(Ordering::Acquire))?;
        let is_same = waits.wait_sequence.load(Ordering::Acquire) == sequence;
        let awaited = Awaited::Transaction(xid);
        (xid != 0 && is_same && to.index() < self.owners()).then_some(Edge { to, awaited, sequence })
    }
}

impl Part<'_, '_> {
    /// The edges of an owner that waits in this partition, hard ones first.
    fn edges_of(&self, owner: OwnerIndex, edges: &mut Vec<Edge>) {
        let number = get(&self.locks.owner(owner).wait_entry);
        let (entry, mode) = (self.entry(number), self.wanted_by(owner));
        let Some(tag) = self.tag(number) else { return };
        let mut add = |to| edges.push(Edge { to, awaited: Awaited::Lock(tag, mode), sequence: 0 });
        let mut next = get(&entry.first_holder);
        while next != 0 {
            let holder = self.holder(next);
            let of = OwnerIndex::from_number(get(&holder.owner)).filter(|of| *of != owner);
            if self.held(next).meets(mode.conflicts()) {
                of.into_iter().for_each(&mut add);
            }
            next = get(&holder.next_of_entry);
        }
        let mut next = get(&entry.first_waiter);
        while let Some(before) = OwnerIndex::from_number(next).filter(|before| *before != owner) {
            if mode.conflicts().has(self.wanted_by(before)) {
                add(before);
            }
            next = get(&self.locks.owner(before).next_waiter);
        }
    }
}

/// A way from `start` to itself over edges that `holds` confirms, each with who it begins at.
fn find_circle(
    graph: &[Vec<Edge>],
    start: OwnerIndex,
    holds: &dyn Fn(OwnerIndex, &Edge) -> bool,
) -> Option<Vec<(OwnerIndex, Edge)>> {
    let mut seen = vec![false; graph.len()];
    // The way so far: at each step, whose edges, and which of them comes next.
    let mut way = vec![(start, 0_usize)];
    seen[start.index()] = true;
    while let Some((at, next)) = way.last_mut() {
        let (from, index) = (*at, *next);
        *next += 1;
        let Some(edge) = graph[from.index()].get(index) else {
            way.pop();
            continue;
        };
        if edge.to != start && seen[edge.to.index()] || !holds(from, edge) {
            continue;
        }
        if edge.to == start {
            return Some(way.iter().map(|(at, next)| (*at, graph[at.index()][*next - 1])).collect());
        }
        seen[edge.to.index()] = true;
        way.push((edge.to, 0));
    }
    None
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;

    fn edge(to: u32) -> Edge {
        Edge { to: OwnerIndex::new(to), awaited: Awaited::Transaction(to.into()), sequence: 0 }
    }

    fn circle(graph: &[Vec<Edge>], start: u32) -> Option<Vec<u32>> {
        let found = find_circle(graph, OwnerIndex::new(start), &|_, _| true)?;
        for (i, (_, edge)) in found.iter().enumerate() {
            assert_eq!(edge.to, found[(i + 1) % found.len()].0, "each link leads to the next");
        }
        Some(found.into_iter().map(|(at, _)| at.index() as u32).collect())
    }

    #[test]
    fn circles_through_the_start_are_found_and_no_others() {
        let graph = |edges: &[(usize, u32)]| {
            let mut graph = vec![Vec::new(); 6];
            edges.iter().for_each(|(from, to)| graph[*from].push(edge(*to)));
            graph
        };
        type Case<'a> = (&'a [(usize, u32)], Option<&'a [u32]>);
        let cases: [Case<'_>; 7] = [
            (&[], None),
            (&[(0, 1), (1, 2)], None),
            (&[(0, 1), (1, 0)], Some(&[0, 1])),
            (&[(0, 1), (1, 2), (2, 1)], None),
            (&[(0, 1), (0, 2), (1, 3), (2, 3), (3, 4), (4, 0)], Some(&[0, 1, 3, 4])),
            (&[(0, 5), (5, 4), (0, 1), (1, 2), (2, 0), (4, 5)], Some(&[0, 1, 2])),
            (&[(0, 0)], Some(&[0])),
        ];
        for (edges, expected) in cases {
            assert_eq!(circle(&graph(edges), 0).as_deref(), expected, "{edges:?}");
        }
    }

    /// Whether `to` can be reached from `from`, by repeated squaring of nothing cleverer than a matrix.
    fn reachable(graph: &[Vec<Edge>]) -> Vec<Vec<bool>> {
        let n = graph.len();
        let mut reach = vec![vec![false; n]; n];
        for (from, edges) in graph.iter().enumerate() {
            edges.iter().for_each(|edge| reach[from][edge.to.index()] = true);
        }
        for via in 0..n {
            for from in 0..n {
                for to in 0..n {
                    reach[from][to] |= reach[from][via] && reach[via][to];
                }
            }
        }
        reach
    }

    proptest::proptest! {
        #[test]
        fn random_graphs_have_the_circles_that_their_closure_says(
            edges in proptest::collection::vec((0_u32..12, 0_u32..12), 0..30)
        ) {
            let mut graph = vec![Vec::new(); 12];
            edges.iter().for_each(|(from, to)| graph[*from as usize].push(edge(*to)));
            let reach = reachable(&graph);
            for start in 0..12 {
                let found = circle(&graph, start);
                proptest::prop_assert_eq!(found.is_some(), reach[start as usize][start as usize]);
            }
        }

        /// An edge that is gone when it is looked at again belongs to no circle.
        #[test]
        fn unconfirmed_edges_count_for_nothing(
            edges in proptest::collection::vec((0_u32..8, 0_u32..8, proptest::bool::ANY), 0..20)
        ) {
            let (mut all, mut confirmed) = (vec![Vec::new(); 8], vec![Vec::new(); 8]);
            for (from, to, is_there) in &edges {
                let mut edge = edge(*to);
                edge.sequence = u32::from(*is_there);
                all[*from as usize].push(edge);
                if *is_there {
                    confirmed[*from as usize].push(edge);
                }
            }
            let found = find_circle(&all, OwnerIndex::new(0), &|_, edge| edge.sequence == 1);
            proptest::prop_assert_eq!(found.is_some(), reachable(&confirmed)[0][0]);
        }
    }
}
