//! Each bit of the state word: who sets it, who clears it, what it keeps others from.

use super::*;
use crate::storage::buffer::tests::TestPool;

fn state_of(descriptor: &BufferDescriptor) -> u64 {
    descriptor.state.load(Acquire)
}

#[test]
fn an_empty_buffer_is_claimed_once_and_not_pinned_by_its_tag() {
    let pool = TestPool::new(16);
    let descriptor = pool.descriptor();
    let me = pool.process();
    assert!(pin_tagged(me, descriptor, Use::More).unwrap().is_none());
    let pinned = pin_unused(me, descriptor, 0).unwrap().unwrap();
    assert_eq!(pins(state_of(descriptor)), 1);
    assert!(pin_unused(me, descriptor, 5).unwrap().is_none(), "it is claimed");
    assert!(!unpin(me, descriptor, pinned));
    assert_eq!(state_of(descriptor), 0);
}

#[test]
fn usage_goes_up_to_five_by_use_and_to_one_through_rings() {
    let pool = TestPool::new(16);
    let descriptor = pool.descriptor();
    let me = pool.process();
    descriptor.state.store(TAG_VALID | VALID, Release);
    for (how, expected) in [(Use::No, 0), (Use::Once, 1), (Use::Once, 1), (Use::More, 2), (Use::Once, 2)] {
        let pinned = pin_tagged(me, descriptor, how).unwrap().unwrap();
        assert_eq!(usage(state_of(descriptor)), expected, "{how:?}");
        assert!(!unpin(me, descriptor, pinned));
    }
    for _ in 0..10 {
        let pinned = pin_tagged(me, descriptor, Use::More).unwrap().unwrap();
        assert!(!unpin(me, descriptor, pinned));
    }
    assert_eq!(usage(state_of(descriptor)), MAX_USAGE);
    assert!(pin_unused(me, descriptor, 4).unwrap().is_none());
}

#[test]
fn what_keeps_a_tag() {
    let pool = TestPool::new(16);
    let descriptor = pool.descriptor();
    let page = TAG_VALID | VALID | PERMANENT | ONE_PIN;
    for (state, goes, goes_if_dropped) in [
        (page, true, true),
        (page | ONE_PIN << 1, false, false),
        (page | DIRTY, false, true),
        (page | 7 << IO_SHIFT, false, false),
    ] {
        for (even_if_dirty, expected) in [(false, goes), (true, goes_if_dropped)] {
            descriptor.state.store(state | (3 * ONE_USE), Release);
            assert_eq!(untag(descriptor, even_if_dirty), expected, "{state:#x} {even_if_dirty}");
            assert_eq!(state_of(descriptor), if expected { ONE_PIN } else { state | (3 * ONE_USE) });
        }
    }
}

#[test]
fn io_is_one_processs_at_a_time_and_says_who_waited() {
    let pool = TestPool::new(16);
    let descriptor = pool.descriptor();
    let (me, other) = (pool.process(), pool.process());
    descriptor.state.store(TAG_VALID | ONE_PIN, Release);
    assert_eq!(begin_write(me, descriptor), Io::NotNeeded, "not valid");
    assert_eq!((begin_read(me, descriptor), begin_read(other, descriptor)), (Io::Begun, Io::Busy));
    assert!(does_io(me, state_of(descriptor)) && !does_io(other, state_of(descriptor)));
    assert!(!end_io(me, descriptor, IoEnd::Failed));
    assert_eq!(begin_read(other, descriptor), Io::Begun, "after a failure another may try");
    descriptor.state.fetch_or(IO_WAITED, AcqRel);
    assert!(end_io(other, descriptor, IoEnd::Read));
    assert_eq!(state_of(descriptor), TAG_VALID | VALID | ONE_PIN);
    assert_eq!((begin_read(me, descriptor), begin_write(me, descriptor)), (Io::NotNeeded, Io::NotNeeded));
}

#[test]
fn a_written_page_is_clean_unless_it_was_changed_meanwhile() {
    let pool = TestPool::new(16);
    let descriptor = pool.descriptor();
    let me = pool.process();
    for (is_redirtied, end, is_dirty) in [
        (false, IoEnd::Written, false),
        (true, IoEnd::Written, true),
        (false, IoEnd::Failed, true),
        (true, IoEnd::Failed, true),
    ] {
        descriptor.state.store(TAG_VALID | VALID | CHECKPOINT | ONE_PIN, Release);
        assert!(make_dirty(descriptor), "it was clean");
        assert!(!make_dirty(descriptor), "it was dirty");
        assert_eq!(begin_write(me, descriptor), Io::Begun);
        assert_eq!(state_of(descriptor) & (IO_WRITES | REDIRTIED), IO_WRITES);
        if is_redirtied {
            assert!(!make_dirty(descriptor));
        }
        assert!(!end_io(me, descriptor, end));
        let flags = state_of(descriptor) & (DIRTY | CHECKPOINT);
        assert_eq!(flags, if is_dirty { DIRTY | CHECKPOINT } else { 0 }, "{is_redirtied} {end:?}");
        assert_eq!(state_of(descriptor) & (IO_OWNER | IO_WRITES), 0);
    }
}

#[test]
fn who_leaves_one_pin_behind_wakes_who_waits_for_that() {
    let pool = TestPool::new(16);
    let descriptor = pool.descriptor();
    let people = [pool.process(), pool.process(), pool.process()];
    descriptor.state.store(TAG_VALID | VALID, Release);
    let mut pinned = people.map(|me| Some(pin_tagged(me, descriptor, Use::No).unwrap().unwrap()));
    descriptor.state.fetch_or(PIN_WAITED, AcqRel);
    let wakes = [0, 1, 2].map(|i| unpin(people[i], descriptor, pinned[i].take().unwrap()));
    assert_eq!(wakes, [false, true, false]);
    assert_eq!(state_of(descriptor) & (PIN_WAITED | PINS), 0);
}

#[test]
fn a_blocked_buffer_is_not_pinned_but_unpinned() {
    let pool = TestPool::new(16);
    let descriptor = pool.descriptor();
    let me = pool.process();
    descriptor.state.store(TAG_VALID | VALID, Release);
    let pinned = pin_tagged(me, descriptor, Use::No).unwrap().unwrap();
    descriptor.state.fetch_or(BLOCKED, AcqRel);
    assert!(pin_tagged(pool.process(), descriptor, Use::No).unwrap().is_none());
    assert!(!unpin(me, descriptor, pinned));
    assert!(pin_unused(me, descriptor, 5).unwrap().is_none());
}

/// A session that panicked with a reading begun gave its pins back on the way out, and the page was waited for in vain.
#[test]
fn who_unpins_gives_up_io() {
    let pool = TestPool::new(16);
    let descriptor = pool.descriptor();
    let (me, other) = (pool.process(), pool.process());
    descriptor.state.store(TAG_VALID, Release);
    let (pinned, others) = (pin_tagged(me, descriptor, Use::No), pin_tagged(other, descriptor, Use::No));
    assert_eq!(begin_read(me, descriptor), Io::Begun);
    descriptor.state.fetch_or(IO_WAITED, AcqRel);
    assert!(!unpin(other, descriptor, others.unwrap().unwrap()), "it was not its own");
    assert!(unpin(me, descriptor, pinned.unwrap().unwrap()), "somebody waits");
    assert_eq!(state_of(descriptor), TAG_VALID);
}
