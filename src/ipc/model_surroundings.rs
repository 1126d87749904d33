//! The surroundings of a modelled process: no statistics, no stop points, and every kernel call there is.

use std::marker::PhantomData;

use super::wait_event::WaitEvent;
use crate::sync::futex::WaitOutcome;
use crate::sync::{AtomicU32, Monotonic};

/// See the real one.
#[derive(Default)]
pub struct Surroundings<'s>(PhantomData<&'s ()>);

impl Surroundings<'_> {
    pub(super) fn count_wait(&self, _event: WaitEvent, _started: Monotonic) {}

    pub(super) fn has_waitv(&self) -> bool {
        true
    }

    pub(super) fn lost_waitv(&self) {
        unreachable!("the modelled futex has waitv")
    }

    pub(super) fn wait_in_slices(
        &self,
        _word: (&AtomicU32, u32),
        _deadline: Option<Monotonic>,
    ) -> WaitOutcome {
        unreachable!("the modelled futex has waitv")
    }
}
