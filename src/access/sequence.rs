//! Sequences: a page with a counter, changed in place and never rolled back.
//!
//! A record has the counter as it will be some values on, so that most values need none; a crash leaves a gap and gives
//! nothing twice. A page that was not logged since the last redo position is logged even if values are left: redo that
//! begins there would not see the record before it.
//!
//! | bytes of the special area | what |
//! | --- | --- |
//! | 0..8 | last value |
//! | 8..16 | values that need no record |
//! | 16 | 1: the last value was given out |

use super::change::{BlockUse, Change};
use super::engine::Store;
use super::redo::{Redo, RedoPage};
use super::rmgr::{ResourceManager, SEQUENCE};
use crate::report::{Report, Result, SqlState};
use crate::storage::ReadOptions;
use crate::storage::buffer::ExclusivePage;
use crate::storage::ids::{BlockNumber, Fork, RelFile, RelFork};
use crate::storage::page::{PageMut, PageRef};
use crate::wal::{Record, RmgrId};

/// Values that one record covers.
pub const LOGGED_AHEAD: i64 = 32;

const SET: u8 = 0x00;
const SPECIAL: usize = 24;

/// Where a sequence is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counter {
    /// The last value.
    pub last: i64,
    /// Values that need no record.
    pub logged: i64,
    /// Whether the last value was given out.
    pub is_called: bool,
}

/// How a sequence counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counting {
    /// To the next value; not zero.
    pub increment: i64,
    /// The least value.
    pub min: i64,
    /// The greatest value.
    pub max: i64,
    /// Values that a session takes at once, at least one.
    pub cache: i64,
    /// Whether it begins again at its end.
    pub cycles: bool,
}

/// Values that a session has taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// From the first to the last.
    Values {
        /// The first.
        first: i64,
        /// The last.
        last: i64,
    },
    /// There are none any more.
    Exhausted,
}

/// A sequence's file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sequence {
    /// Its file.
    pub file: RelFile,
    /// Whether it outlives a crash.
    pub is_logged: bool,
}

fn encode(counter: Counter) -> [u8; SPECIAL] {
    let mut bytes = [0; SPECIAL];
    bytes[..8].copy_from_slice(&counter.last.to_le_bytes());
    bytes[8..16].copy_from_slice(&counter.logged.to_le_bytes());
    bytes[16] = counter.is_called.into();
    bytes
}

fn decode(bytes: &[u8]) -> Option<Counter> {
    let number = |at: usize| Some(i64::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let is_called = *bytes.get(16)? != 0;
    Some(Counter { last: number(0)?, logged: number(8)?, is_called })
}

fn read_page(page: PageRef<'_>) -> Option<Counter> {
    if page.is_new() || page.special().len() != SPECIAL {
        return None;
    }
    decode(page.special())
}

fn write_page(page: &mut PageMut<'_>, counter: Counter) {
    page.init(SPECIAL);
    page.special_mut().copy_from_slice(&encode(counter));
}

/// What follows a value; `None`: nothing, and the sequence does not begin again.
fn behind(value: i64, how: Counting) -> Option<i64> {
    let next = value.checked_add(how.increment).filter(|next| (how.min..=how.max).contains(next));
    match next {
        None if how.cycles && how.increment > 0 => Some(how.min),
        None if how.cycles => Some(how.max),
        next => next,
    }
}

/// What taking values comes to.
struct Step {
    taken: Taken,
    /// As the page is from now on, and as the record has it if there is one.
    now: Counter,
    logged: Option<Counter>,
}

fn step(counter: Counter, how: Counting, must_log: bool) -> Step {
    let (mut fetch, mut log, mut given) = (how.cache.max(1), counter.logged, 0);
    let wanted = fetch;
    let (mut next, mut first, mut last) = (counter.last, counter.last, counter.last);
    if !counter.is_called {
        (given, fetch) = (1, fetch - 1);
    }
    let logs = log < fetch || !counter.is_called || must_log;
    if logs {
        fetch += LOGGED_AHEAD;
        log = fetch;
    }
    while fetch > 0 {
        match behind(next, how) {
            Some(value) => next = value,
            None if given > 0 => break,
            None => return Step { taken: Taken::Exhausted, now: counter, logged: None },
        }
        fetch -= 1;
        if given < wanted {
            log -= 1;
            given += 1;
            last = next;
            if given == 1 {
                first = next;
            }
        }
    }
    let logged = logs.then_some(Counter { last: next, logged: 0, is_called: true });
    let now = Counter { last, logged: log - fetch, is_called: true };
    Step { taken: Taken::Values { first, last }, now, logged }
}

impl Sequence {
    fn fork(self) -> RelFork {
        RelFork { file: self.file, fork: Fork::Main }
    }

    fn options(self) -> ReadOptions<'static> {
        ReadOptions { ring: None, is_permanent: self.is_logged }
    }

    fn damaged(self) -> Box<Report> {
        Report::error(SqlState::DATA_CORRUPTED, format!("bad magic number in sequence \"{}\"", self.fork()))
    }

    /// Makes its page. The file is there, empty.
    ///
    /// # Errors
    /// As adding pages and logging.
    pub fn create(self, store: &Store<'_>, counter: Counter) -> Result<()> {
        let mut page = store.storage.extend(self.fork(), self.options())?;
        self.write(store, &mut page, counter)
    }

    /// Where it is.
    ///
    /// # Errors
    /// XX001 if that is no sequence's page.
    pub fn read(self, store: &Store<'_>) -> Result<Counter> {
        let pin = store.storage.read_with(self.fork().block(BlockNumber::ZERO), self.options())?;
        let page = pin.lock_shared();
        read_page(page.page()).ok_or_else(|| self.damaged())
    }

    /// Puts it somewhere.
    ///
    /// # Errors
    /// As reading pages and logging.
    pub fn set(self, store: &Store<'_>, last: i64, is_called: bool) -> Result<()> {
        let pin = store.storage.read_with(self.fork().block(BlockNumber::ZERO), self.options())?;
        self.write(store, &mut pin.lock_exclusive(), Counter { last, logged: 0, is_called })
    }

    /// Takes the next values. `before_record` is called before anything is logged: the transaction needs an id then, so that
    /// its commit makes the record durable.
    ///
    /// # Errors
    /// As reading pages and logging.
    pub fn take(
        self,
        store: &Store<'_>,
        how: Counting,
        before_record: impl FnOnce() -> Result<()>,
    ) -> Result<Taken> {
        let pin = store.storage.read_with(self.fork().block(BlockNumber::ZERO), self.options())?;
        let mut page = pin.lock_exclusive();
        let counter = read_page(page.page()).ok_or_else(|| self.damaged())?;
        let is_old = page.page().lsn() <= store.engine.wal.redo().bytes();
        let Step { taken, now, logged } = step(counter, how, is_old);
        if taken == Taken::Exhausted {
            return Ok(taken);
        }
        if let Some(logged) = logged {
            before_record()?;
            self.write(store, &mut page, logged)?;
        }
        // From here on nothing fails: without a record of its own this is covered by the last one.
        page.mark_dirty();
        page.page_mut().special_mut().copy_from_slice(&encode(now));
        Ok(taken)
    }

    fn write<'s>(self, store: &Store<'s>, page: &mut ExclusivePage<'_, 's>, counter: Counter) -> Result<()> {
        let data = encode(counter);
        let change = Change::new(SEQUENCE, SET, 0).block(0, page, BlockUse::Init, &data);
        if self.is_logged {
            change.apply(&store.log, |pages| write_page(&mut pages.page(0), counter))?;
        } else {
            change.apply_unlogged(&store.log, |pages| write_page(&mut pages.page(0), counter));
        }
        Ok(())
    }
}

/// Redo of sequences.
pub struct SequenceRedo;

impl ResourceManager for SequenceRedo {
    fn id(&self) -> RmgrId {
        SEQUENCE
    }

    fn name(&self) -> &'static str {
        "Sequence"
    }

    fn kind(&self, info: u8) -> Option<&'static str> {
        (info == SET).then_some("LOG")
    }

    fn redo(&self, redo: &Redo<'_, '_>, record: &Record<'_>) -> Result<()> {
        let block = record.block(0).ok_or_else(|| redo.malformed(record))?;
        let counter = decode(block.data).ok_or_else(|| redo.malformed(record))?;
        if let RedoPage::Apply(mut page) = redo.block(record, 0)? {
            write_page(&mut page.page_mut(), counter);
            page.mark_dirty_at(record.end.bytes());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::tests::World;

    const UP: Counting = Counting { increment: 1, min: 1, max: i64::MAX, cache: 1, cycles: false };

    fn new() -> Counter {
        Counter { last: 1, logged: 0, is_called: false }
    }

    #[test]
    fn values_come_one_behind_the_other_until_the_end() {
        let cases: [(&str, Counting, &[Option<i64>]); 6] = [
            ("up", UP, &[Some(1), Some(2), Some(3)]),
            ("ends", Counting { max: 2, ..UP }, &[Some(1), Some(2), None, None]),
            ("cycles", Counting { max: 2, cycles: true, ..UP }, &[Some(1), Some(2), Some(1)]),
            ("down", Counting { increment: -1, min: -1, max: 1, ..UP }, &[Some(1), Some(0), Some(-1), None]),
            ("strides", Counting { increment: 3, max: 8, ..UP }, &[Some(1), Some(4), Some(7), None]),
            (
                "to the last number",
                Counting { increment: i64::MAX - 1, ..UP },
                &[Some(1), Some(i64::MAX), None],
            ),
        ];
        for (name, how, expected) in cases {
            let mut counter = new();
            for value in expected {
                let step = step(counter, how, false);
                let first = if let Taken::Values { first, .. } = step.taken { Some(first) } else { None };
                assert_eq!(first, *value, "{name}");
                counter = step.now;
            }
        }
    }

    #[test]
    fn a_record_covers_what_is_given_out_behind_it() {
        for cache in [1, 5, 40] {
            let how = Counting { cache, ..UP };
            let (mut counter, mut covered, mut records) = (new(), 0, 0);
            for _ in 0..100 {
                let step = step(counter, how, false);
                if let Some(logged) = step.logged {
                    (covered, records) = (logged.last, records + 1);
                }
                assert!(step.now.last <= covered, "{} of {covered}, cache {cache}", step.now.last);
                counter = step.now;
            }
            assert_eq!(counter.last, 100 * cache);
            assert!(records <= 1 + 100 * cache / LOGGED_AHEAD, "{records} records");
        }
    }

    #[test]
    fn nothing_is_given_twice_behind_a_crash() {
        let world = World::new(32);
        let store = world.store(1);
        let sequence = Sequence { file: crate::access::tests::RELATION, is_logged: true };
        store.storage.files().create(sequence.fork(), false).expect("a file");
        sequence.create(&store, new()).expect("a page");
        for value in 1..=40 {
            let taken = sequence.take(&store, UP, || Ok(())).expect("a value");
            assert_eq!(taken, Taken::Values { first: value, last: value });
        }
        let again = world.replayed(crate::access::managers::managers());
        let target = again.store(2);
        let behind = sequence.read(&target).expect("a page");
        assert!(behind.last >= 40 && behind.is_called, "{behind:?}");
        assert_eq!(sequence.read(&store).expect("a page").last, 40);
    }
}
