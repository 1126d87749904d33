//! Transactions: what SET changed is undone where its transaction or savepoint is, and SET LOCAL at its end anyway.
//!
//! Levels count from 1 for a transaction; each savepoint is one deeper.
//! A setting has at most one [`Saved`] per level, made by the first change there.

use super::keys;
use super::state::{Settings, Source, Sourced};

/// How long a change holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Action {
    /// If the level is kept, beyond it.
    Set,
    /// Within the level.
    Local,
}

/// What happened at a level.
#[derive(Clone, PartialEq, Debug)]
enum Change {
    /// SET.
    Set,
    /// SET LOCAL.
    Local,
    /// SET, whose value is kept here, and then SET LOCAL.
    SetThenLocal(Sourced),
}

/// What a setting was before a level changed it.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Saved {
    level: u32,
    change: Change,
    before: Sourced,
}

impl Settings {
    /// Begins a transaction (level 1) or a savepoint, and says at which level. A transaction begins with the defaults of
    /// its isolation, and of whether it only reads.
    pub fn enter(&mut self) -> u32 {
        if self.level == 0 {
            self.begin_with_defaults();
        }
        self.level += 1;
        self.level
    }

    fn begin_with_defaults(&mut self) {
        for (of_transaction, default) in [
            (keys::TRANSACTION_ISOLATION.index(), keys::DEFAULT_TRANSACTION_ISOLATION.index()),
            (keys::TRANSACTION_READ_ONLY.index(), keys::DEFAULT_TRANSACTION_READ_ONLY.index()),
            (keys::TRANSACTION_DEFERRABLE.index(), keys::DEFAULT_TRANSACTION_DEFERRABLE.index()),
        ] {
            let value = self.slots[default].now.value.clone();
            if self.slots[of_transaction].now.value != value {
                self.put(of_transaction, Sourced { value, source: Source::Override });
            }
        }
    }

    /// How many levels have begun and not ended: 0 outside transactions.
    pub fn level(&self) -> u32 {
        self.level
    }

    /// Ends level `level` and those within it; with `keep` what SET said stays for the level around, and at level 1
    /// for the session.
    pub fn leave(&mut self, level: u32, keep: bool) {
        while self.level >= level.max(1) {
            self.leave_innermost(keep);
        }
    }

    fn leave_innermost(&mut self, keep: bool) {
        let level = self.level;
        let changed: Vec<_> = self
            .saved
            .iter()
            .filter(|(_, stack)| stack.last().is_some_and(|saved| saved.level == level))
            .map(|(at, _)| *at)
            .collect();
        for at in changed {
            let Some(saved) = self.saved.get_mut(&at).and_then(Vec::pop) else { continue };
            self.end_change(at, saved, keep);
            if self.saved.get(&at).is_some_and(Vec::is_empty) {
                self.saved.remove(&at);
            }
        }
        self.level -= 1;
    }

    fn end_change(&mut self, at: usize, saved: Saved, keep: bool) {
        match (saved.change, saved.level) {
            _ if !keep => self.put(at, saved.before),
            (Change::Set, 1) => {}
            (Change::Local, 1) => self.put(at, saved.before),
            (Change::SetThenLocal(set), 1) => self.put(at, set),
            (change, level) => self.merge(at, Saved { level: level - 1, change, before: saved.before }),
        }
    }

    /// Adds what a kept level did to the level around it, where the value before stays the older one.
    fn merge(&mut self, at: usize, inner: Saved) {
        let stack = self.saved.entry(at).or_default();
        match stack.last_mut() {
            Some(outer) if outer.level == inner.level => match (&outer.change, inner.change) {
                // What the outer level set is hidden by the inner one's local value until the transaction ends.
                (Change::Set, Change::Local) => outer.change = Change::SetThenLocal(inner.before),
                (_, Change::Local) => {}
                (_, change) => outer.change = change,
            },
            _ => stack.push(inner),
        }
    }

    /// Notes what the setting is, before a change at the current level. Outside transactions nothing is undone.
    pub(super) fn save(&mut self, at: usize, action: Action) {
        if self.level == 0 {
            return;
        }
        let now = self.slots[at].now.clone();
        let stack = self.saved.entry(at).or_default();
        match stack.last_mut() {
            Some(saved) if saved.level >= self.level => match (&saved.change, action) {
                (_, Action::Set) => saved.change = Change::Set,
                (Change::Set, Action::Local) => saved.change = Change::SetThenLocal(now),
                _ => {}
            },
            _ => {
                let change = match action {
                    Action::Set => Change::Set,
                    Action::Local => Change::Local,
                };
                stack.push(Saved { level: self.level, change, before: now });
            }
        }
    }

    /// Puts a new default also where an undone change would go back to.
    pub(super) fn change_saved(&mut self, at: usize, new: &Sourced) {
        for saved in self.saved.get_mut(&at).into_iter().flatten() {
            for old in [Some(&mut saved.before), saved.change.hidden()].into_iter().flatten() {
                if old.source <= new.source {
                    *old = new.clone();
                }
            }
        }
    }

    /// Marks values from the files as defaults, because the files no longer name the setting.
    pub(super) fn weaken_saved(&mut self, at: usize, weaken: impl Fn(&mut Sourced)) {
        for saved in self.saved.get_mut(&at).into_iter().flatten() {
            for old in [Some(&mut saved.before), saved.change.hidden()].into_iter().flatten() {
                weaken(old);
            }
        }
    }
}

impl Change {
    fn hidden(&mut self) -> Option<&mut Sourced> {
        match self {
            Self::SetThenLocal(set) => Some(set),
            _ => None,
        }
    }
}
