//! Random operations on the lock table beside a model that has no table: a list of who holds what, and a queue per tag.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// What one process does next.
#[derive(Clone, Debug)]
enum Step {
    Request { owner: u32, tag: usize, mode: LockMode, may_wait: bool },
    Release { owner: u32, which: usize },
    Withdraw { owner: u32 },
    Die { owner: u32 },
}

const TAGS: [LockTag; 3] = [KEY, TABLE, LockTag::AdvisoryPair { database: 5, first: 0, second: 1 }];

fn step() -> impl Strategy<Value = Step> {
    let owner = 0..5_u32;
    let mode = (1..=8_u32).prop_map(|n| LockMode::from_number(n).expect("one of eight"));
    prop_oneof![
        6 => (owner.clone(), 0..TAGS.len(), mode, prop::bool::weighted(0.8))
            .prop_map(|(owner, tag, mode, may_wait)| Step::Request { owner, tag, mode, may_wait }),
        4 => (owner.clone(), 0..8_usize).prop_map(|(owner, which)| Step::Release { owner, which }),
        1 => owner.clone().prop_map(|owner| Step::Withdraw { owner }),
        1 => owner.prop_map(|owner| Step::Die { owner }),
    ]
}

/// One tag, without any table.
#[derive(Clone, Default, Debug)]
struct Plain {
    held: Vec<(u32, LockMode)>,
    queue: Vec<(u32, LockMode)>,
}

impl Plain {
    fn holds(&self, owner: u32) -> impl Iterator<Item = LockMode> + Clone {
        self.held.iter().filter(move |(o, _)| *o == owner).map(|(_, m)| *m)
    }

    fn is_excluded(&self, owner: u32, mode: LockMode) -> bool {
        self.held.iter().any(|(o, m)| *o != owner && mode.conflicts().has(*m))
    }

    /// The rules of the documentation and of observation, written once more from scratch.
    fn request(&mut self, owner: u32, mode: LockMode, may_wait: bool) -> Outcome {
        let wanted_before = |n: usize| self.queue[..n].iter().any(|(_, m)| mode.conflicts().has(*m));
        // The first who waits for what this owner holds; this one belongs before that.
        let place = self.queue.iter().position(|(_, m)| self.holds(owner).any(|h| m.conflicts().has(h)));
        let at = place.unwrap_or(self.queue.len());
        if !wanted_before(self.queue.len()) && !self.is_excluded(owner, mode) {
            self.held.push((owner, mode));
            return Outcome::Granted;
        }
        if let Some((other, wants)) = place.map(|at| self.queue[at]) {
            if self.holds(other).any(|held| mode.conflicts().has(held)) {
                return Outcome::Deadlock(OwnerIndex::new(other), wants);
            }
            if !wanted_before(at) && !self.is_excluded(owner, mode) {
                self.held.push((owner, mode));
                return Outcome::Granted;
            }
        }
        if !may_wait {
            return Outcome::WouldBlock;
        }
        self.queue.insert(at, (owner, mode));
        Outcome::Queued
    }

    /// Grants what can be granted, first come first.
    fn grant(&mut self) {
        let mut left: Vec<(u32, LockMode)> = Vec::new();
        for (owner, mode) in std::mem::take(&mut self.queue) {
            let is_behind = left.iter().any(|(_, before)| mode.conflicts().has(*before));
            if is_behind || self.is_excluded(owner, mode) {
                left.push((owner, mode));
            } else {
                self.held.push((owner, mode));
            }
        }
        self.queue = left;
    }
}

/// All that is held or waited for, in order.
type Picture = Vec<(LockTag, u32, LockMode, bool)>;

fn picture_of(model: &BTreeMap<LockTag, Plain>) -> Picture {
    let of_tag = |(tag, plain): (&LockTag, &Plain)| {
        let held = plain.held.iter().map(|(o, m)| (*tag, *o, *m, true));
        let waiting = plain.queue.iter().map(|(o, m)| (*tag, *o, *m, false));
        held.chain(waiting).collect::<Vec<_>>()
    };
    let mut picture: Picture = model.iter().flat_map(of_tag).collect();
    picture.sort_unstable();
    picture
}

fn picture_of_table(world: &World, me: &Proc<'static>) -> Picture {
    let rows = world.locks.rows(me).into_iter();
    let mut picture: Picture =
        rows.map(|row| (row.tag, row.owner.index() as u32, row.mode, row.granted)).collect();
    picture.sort_unstable();
    picture
}

/// Whoever has been granted its lock has noticed.
fn notice_grants(world: &World) {
    for owner in world.locks.owners {
        if get(&owner.wait_status) == shmem_layout::LockOwner::GRANTED {
            set(&owner.wait_status, 0);
        }
    }
}

fn run(world: &World, me: &Proc<'static>, model: &mut BTreeMap<LockTag, Plain>, step: &Step) {
    let waits_for = |model: &BTreeMap<LockTag, Plain>, owner: u32| {
        model.iter().find(|(_, plain)| plain.queue.iter().any(|(o, _)| *o == owner)).map(|(tag, _)| *tag)
    };
    match *step {
        Step::Request { owner, tag, mode, may_wait } => {
            let plain = model.entry(TAGS[tag]).or_default();
            let has_it = plain.holds(owner).any(|held| held == mode);
            if has_it || waits_for(model, owner).is_some() {
                return;
            }
            let expected = model.entry(TAGS[tag]).or_default().request(owner, mode, may_wait);
            let got = world.locks.request(me, OwnerIndex::new(owner), TAGS[tag], mode, may_wait);
            assert_eq!(got, Ok(expected), "{step:?}");
        }
        Step::Release { owner, which } => {
            let held: Vec<_> =
                model.iter().flat_map(|(tag, plain)| plain.holds(owner).map(|m| (*tag, m))).collect();
            if held.is_empty() || waits_for(model, owner).is_some() {
                return;
            }
            let (tag, mode) = held[which % held.len()];
            let plain = model.get_mut(&tag).expect("it is held");
            plain.held.retain(|lock| *lock != (owner, mode));
            plain.grant();
            assert!(world.locks.release(me, OwnerIndex::new(owner), tag, mode).is_some());
        }
        Step::Withdraw { owner } => {
            let Some(tag) = waits_for(model, owner) else { return };
            let plain = model.get_mut(&tag).expect("it waits");
            plain.queue.retain(|(o, _)| *o != owner);
            plain.grant();
            assert!(!world.locks.withdraw(me, OwnerIndex::new(owner), tag));
        }
        Step::Die { owner } => {
            for plain in model.values_mut() {
                plain.queue.retain(|(o, _)| *o != owner);
                plain.held.retain(|(o, _)| *o != owner);
                plain.grant();
            }
            world.locks.release_all_of(me, OwnerIndex::new(owner));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn the_table_does_as_the_model(steps in prop::collection::vec(step(), 1..80)) {
        let world = World::new(16);
        let me = world.proc(7);
        let mut model = BTreeMap::new();
        for step in &steps {
            run(&world, &me, &mut model, step);
            notice_grants(&world);
            prop_assert_eq!(picture_of_table(&world, &me), picture_of(&model), "after {:?}", step);
        }
        for owner in 0..5 {
            run(&world, &me, &mut model, &Step::Die { owner });
        }
        assert_empty(world.locks);
    }
}
