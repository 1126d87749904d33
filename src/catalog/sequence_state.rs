//! What a session remembers of sequences: values it has taken and not given out, and the last that it gave out.

use std::collections::HashMap;

/// Of one sequence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SequenceState {
    /// The last value given out; `None`: none yet.
    pub given: Option<i64>,
    /// The last value taken; those up to it are the session's.
    pub taken: i64,
    /// To the next value.
    pub increment: i64,
    /// The files that they are of: a sequence that was begun again has new ones.
    pub file: u32,
}

/// Of all sequences.
#[derive(Clone, Debug, Default)]
pub(super) struct SequenceStates {
    states: HashMap<u32, SequenceState>,
    last: Option<u32>,
}

impl SequenceStates {
    /// The next value that was taken already.
    pub fn next_taken(&mut self, oid: u32, file: u32) -> Option<i64> {
        let state = self.states.get_mut(&oid).filter(|state| state.file == file)?;
        let given = state.given.filter(|given| *given != state.taken)?;
        let next = given.checked_add(state.increment)?;
        state.given = Some(next);
        self.last = Some(oid);
        Some(next)
    }

    /// Values from `first` to `last` were taken, and the first is given out.
    pub fn took(&mut self, oid: u32, file: u32, (first, last): (i64, i64), increment: i64) {
        self.states.insert(oid, SequenceState { given: Some(first), taken: last, increment, file });
        self.last = Some(oid);
    }

    /// `setval` put it somewhere; `given`: that value counts as given out.
    pub fn put(&mut self, oid: u32, file: u32, value: i64, given: bool) {
        let before = self.states.get(&oid).and_then(|state| state.given);
        let given = if given { Some(value) } else { before };
        let taken = given.unwrap_or(value);
        self.states.insert(oid, SequenceState { given, taken, increment: 1, file });
    }

    /// The last value of a sequence.
    pub fn given(&self, oid: u32) -> Option<i64> {
        self.states.get(&oid)?.given
    }

    /// The sequence that gave the last value.
    pub fn last(&self) -> Option<u32> {
        self.last
    }

    /// Everything is forgotten (`DISCARD SEQUENCES`).
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}
