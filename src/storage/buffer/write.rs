//! A page's way out: from a copy, with its checksum, and never before the log.
//!
//! The copy is made under a shared content lock, which is given up before anything is waited for. From then on the buffer
//! may be changed again: `REDIRTIED` tells, and it stays dirty. That nobody else writes the page meanwhile, and an older
//! copy over a newer one, is what I/O ownership is for.

use super::pinned::PinnedBuffer;
use super::state::{self, Io, IoEnd};
use crate::ipc::stop_points::StopPoint;
use crate::ipc::{ConditionVariable, Interrupts, Mode, WaitEvent};
use crate::report::{ReportExt, Result};
use crate::storage::ids::BufferTag;
use crate::storage::page::{PageBuf, check};
use crate::storage::session::StorageSession;
use crate::sync::Monotonic;
use crate::sync::Ordering::Acquire;

/// Whether to wait for others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Patience {
    /// Until it is written.
    Wait,
    /// Not for a lock, nor for another's I/O.
    Try,
}

impl<'s> StorageSession<'s> {
    /// Writes a page if it is dirty. `false`: somebody is in the way, and it may be dirty still.
    pub(super) fn write_out(&self, pin: &PinnedBuffer<'_, 's>, patience: Patience) -> Result<bool> {
        let descriptor = pin.descriptor();
        let mut copy = self.scratch.borrow_mut();
        let is_permanent = loop {
            let content = match patience {
                Patience::Wait => self.pool.frames.lock(self.me, descriptor, pin.buffer, Mode::Shared),
                Patience::Try => {
                    match self.pool.frames.try_lock(self.me, descriptor, pin.buffer, Mode::Shared) {
                        Some(content) => content,
                        None => return Ok(false),
                    }
                }
            };
            match state::begin_write(self.me, descriptor) {
                Io::NotNeeded => return Ok(true),
                Io::Begun => {
                    content.view().copy_to(&mut copy);
                    break descriptor.state.load(Acquire) & state::PERMANENT != 0;
                }
                Io::Busy if patience == Patience::Try => return Ok(false),
                Io::Busy => {
                    drop(content);
                    self.wait_io(pin);
                }
            }
        };
        self.me.stop_point(StopPoint::BufferWriteBegun);
        let tag = pin.tag();
        let written = self.write_copy(tag, &mut copy, is_permanent);
        self.end_io(pin, if written.is_ok() { IoEnd::Written } else { IoEnd::Failed });
        let context = || format!("writing block {} of relation \"{}\"", tag.block, tag.rel_fork());
        written.map(|()| true).map_err(|report| report.with_context(context()))
    }

    /// The one place where pages leave for their files: behind the log, and sealed.
    fn write_copy(&self, tag: BufferTag, copy: &mut PageBuf, is_permanent: bool) -> Result<()> {
        if is_permanent {
            self.log.borrow_mut().flush_to(copy.view().lsn())?;
        }
        check::seal(copy, tag);
        let started = Monotonic::now();
        self.files().write(tag, copy, || self.me.stop_point(StopPoint::BufferWritten))?;
        self.me.stop_point(StopPoint::BufferSyncNoted);
        let took = Monotonic::now().as_nanos().saturating_sub(started.as_nanos());
        self.count(&self.counts.write_ns, took, |usage| usage.write_ns += took);
        self.count(&self.counts.writes, 1, |usage| usage.writes += 1);
        Ok(())
    }

    /// Ends this process's I/O of a buffer and wakes who waits for that.
    pub(super) fn end_io(&self, pin: &PinnedBuffer<'_, 's>, end: IoEnd) {
        let descriptor = pin.descriptor();
        if state::end_io(self.me, descriptor, end) {
            ConditionVariable::new(&descriptor.moved).broadcast(self.me);
        }
    }

    /// Waits until nobody does I/O of a buffer. Not interruptible: I/O is over soon, and
    /// if who does it dies, its death's handler ends it.
    pub(super) fn wait_io(&self, pin: &PinnedBuffer<'_, 's>) {
        let descriptor = pin.descriptor();
        let is_over = || {
            let mark = |state: u64| (state & state::IO_OWNER != 0).then_some(state | state::IO_WAITED);
            state::update(descriptor, mark).is_err()
        };
        self.me.hold_off(Interrupts::ALL, || {
            let moved = ConditionVariable::new(&descriptor.moved);
            let _ = moved.wait_until(self.me, None, WaitEvent::BUFFER_IO, is_over);
        });
    }
}
