//! A session's way to pages that are read ahead: asking for what is not in the pool, and taking it when its turn comes.

use super::ahead::{Ahead, Place, Wanted};
use crate::ipc::WaitEvent;
use crate::report::Result;
use crate::storage::ids::{BlockNumber, BufferTag, RelFork};
use crate::storage::page::PageBuf;
use crate::storage::session::StorageSession;
use crate::sync::Ordering::SeqCst;

/// What a session has for reading ahead. A ring costs as much as some reads, so it is made for who has waited for a page.
#[derive(Default)]
pub(in crate::storage) enum Reads {
    #[default]
    NotTried,
    /// There is no ring: the kernel is advised instead.
    None,
    Ring(Box<Ahead>),
}

/// Somebody who goes through many pages and knows which come next.
pub struct AheadUser<'a, 's> {
    session: &'a StorageSession<'s>,
    /// 0: there is no ring.
    owner: u64,
}

impl<'s> StorageSession<'s> {
    /// One more user of the session's reads ahead.
    pub fn ahead_user(&self) -> AheadUser<'_, 's> {
        let mut reads = self.reads.borrow_mut();
        if matches!(*reads, Reads::NotTried) {
            // Watched files are to fail as their watcher says.
            let ahead = if self.files().are_watched() { None } else { Ahead::new() };
            *reads = ahead.map_or(Reads::None, |ahead| Reads::Ring(Box::new(ahead)));
        }
        let owner = if let Reads::Ring(ahead) = &mut *reads { ahead.owner() } else { 0 };
        AheadUser { session: self, owner }
    }

    /// Hands pages that were read ahead, from that of `tag` on, to `take`; how many it took. 0: they are to be read.
    pub(super) fn take_ahead(&self, tag: BufferTag, take: impl FnOnce(&[PageBuf]) -> usize) -> usize {
        let mut reads = self.reads.borrow_mut();
        let Reads::Ring(ahead) = &mut *reads else { return 0 };
        let Some(found) = self.me.waiting(WaitEvent::DATA_FILE_READ, || ahead.find(tag)) else { return 0 };
        let (pages, writes) = ahead.pages(found);
        // The caller does the I/O of the pages' buffers, so that nobody else brings one in and writes it from here on.
        if self.pool.shared.writes.load(SeqCst) == writes { take(pages) } else { 0 }
    }

    /// Whether a page is in the pool, or about to be.
    pub fn is_cached(&self, tag: BufferTag) -> bool {
        self.pool.mapping.has(self.me, tag)
    }
}

impl AheadUser<'_, '_> {
    /// Asks for those of some blocks that are not in the pool; the user will be at `at` when it needs them. `false`: too much
    /// is on its way already; ask again.
    ///
    /// # Errors
    /// As opening the file.
    pub fn ask(&self, fork: RelFork, first: u32, count: u32, at: u64) -> Result<bool> {
        let tag = |block| BlockNumber::new(block).map(|block| fork.block(block));
        let mut block = first;
        while block < first + count {
            // Before the look at the pool: what is written behind this is not what is read.
            let writes = self.session.pool.shared.writes.load(SeqCst);
            let is_missing = |block: &u32| tag(*block).is_some_and(|tag| !self.session.is_cached(tag));
            let run = (block..first + count).take_while(is_missing).count() as u32;
            if run == 0 {
                block += 1;
                continue;
            }
            let Some(first_of_run) = tag(block) else { break };
            if !self.ask_run(first_of_run, run, (writes, at))? {
                return Ok(false);
            }
            block += run;
        }
        Ok(true)
    }

    fn ask_run(&self, first: BufferTag, count: u32, (writes, at): (u64, u64)) -> Result<bool> {
        let files = self.session.files();
        let Some((file, offset, count)) = files.file_of(first, count)? else { return Ok(true) };
        let mut reads = self.session.reads.borrow_mut();
        let Reads::Ring(ahead) = &mut *reads else { return files.will_need(first, count).map(|()| true) };
        let wanted = Wanted { file, offset, first, count: count as usize, writes };
        Ok(ahead.ask(wanted, Place { owner: self.owner, at }))
    }

    /// Sends off what was asked for.
    pub fn submit(&self) {
        if let Reads::Ring(ahead) = &mut *self.session.reads.borrow_mut() {
            ahead.submit();
        }
    }

    /// What was asked for places before `at` is not needed any more.
    pub fn passed(&self, at: u64) {
        if let Reads::Ring(ahead) = &mut *self.session.reads.borrow_mut() {
            ahead.submit();
            ahead.passed(Place { owner: self.owner, at });
        }
    }
}

impl Drop for AheadUser<'_, '_> {
    fn drop(&mut self) {
        self.passed(u64::MAX);
    }
}
