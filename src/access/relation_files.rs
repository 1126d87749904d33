//! Relations' files as transactions make and drop them.
//!
//! A file is made at once, behind a record that says so, and removed again if its transaction, or the savepoint within it,
//! is rolled back. A file that is dropped stays until the commit is durable; the commit record lists it, so that redo, or
//! whoever completes the transaction of a dead process, removes it too. Cutting a fork off is in the log and takes effect
//! at once: only what nobody can see is cut off.
//!
//! What a commit record asks for ([`CommitOptions::actions`](crate::txn::session::CommitOptions)) is a row of *sections*, each
//! with a tag and a length, so that several layers can have theirs.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::change::{BlockUse, Change};
use super::engine::{Store, StoreSession};
use super::heap::Heap;
use super::heap::visibility_map::{self, Status};
use super::redo::{Redo, RedoPage};
use super::rmgr::{ResourceManager, STORAGE};
use crate::ipc::stop_points::StopPoint;
use crate::report::{Report, Result, SqlState};
use crate::storage::ids::{BlockNumber, Fork, RelFile, RelFork};
use crate::txn::Xid;
use crate::wal::{Record, RmgrId};

/// Tag of the section that lists dropped files.
pub const DROPPED_FILES: u8 = 1;

/// Tag of the section that lists files which a prepared transaction made: they go if it is rolled back, which a start may
/// have to do that has not seen them made.
pub const MADE_FILES: u8 = 2;

const CREATE: u8 = 0x00;
const TRUNCATE: u8 = 0x10;
const FILE: usize = 12;

fn file_bytes(file: RelFile) -> [u8; FILE] {
    let mut bytes = [0; FILE];
    let numbers = [file.tablespace, file.database, file.relation];
    for (place, number) in bytes.chunks_exact_mut(4).zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    bytes
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn read_file(bytes: &[u8]) -> Option<RelFile> {
    let bytes: &[u8; FILE] = bytes.first_chunk()?;
    let [tablespace, database, relation] = [0, 4, 8].map(|at| number(&bytes[at..at + 4]));
    Some(RelFile { tablespace, database, relation })
}

/// Adds a section to what a commit record asks for.
pub fn add_section(actions: &mut Vec<u8>, tag: u8, content: &[u8]) {
    actions.push(tag);
    actions.extend_from_slice(&(content.len() as u32).to_le_bytes());
    actions.extend_from_slice(content);
}

/// The sections of what a commit record asks for.
///
/// # Errors
/// XX001 if it is no row of sections.
pub fn sections(actions: &[u8]) -> Result<Vec<(u8, &[u8])>> {
    let (mut rest, mut sections) = (actions, Vec::new());
    while !rest.is_empty() {
        let section = || {
            let (tag, after) = rest.split_first()?;
            let (length, after) = after.split_at_checked(4)?;
            let (content, after) = after.split_at_checked(number(length) as usize)?;
            Some((*tag, content, after))
        };
        let malformed = || Report::error(SqlState::DATA_CORRUPTED, "invalid actions in a commit record");
        let (tag, content, after) = section().ok_or_else(malformed)?;
        sections.push((tag, content));
        rest = after;
    }
    Ok(sections)
}

/// Files that the end of a transaction asks to be removed.
///
/// # Errors
/// As [`sections`].
pub fn removed_files(actions: &[u8], is_commit: bool) -> Result<Vec<RelFile>> {
    let wanted = if is_commit { DROPPED_FILES } else { MADE_FILES };
    let mine = sections(actions)?.into_iter().filter(|(tag, _)| *tag == wanted);
    Ok(mine.flat_map(|(_, content)| content.chunks_exact(FILE).filter_map(read_file)).collect())
}

/// Files that a transaction made or dropped, with the depth of the savepoint in which it did.
#[derive(Debug, Default)]
pub struct TransactionFiles {
    made: Vec<(RelFile, u32)>,
    dropped: Vec<(RelFile, u32)>,
}

impl TransactionFiles {
    /// Makes the main fork of a relation, empty.
    ///
    /// # Errors
    /// 58P02 if it is there already; as writing the log.
    pub fn create(&mut self, session: &mut StoreSession<'_, '_>, file: RelFile) -> Result<()> {
        let xid = session.transaction.xid()?.number();
        let fork = RelFork { file, fork: Fork::Main };
        session.store.storage.files().create(fork, false)?;
        // From here on somebody removes it.
        self.made.push((file, session.transaction.depth()));
        session.store.me.stop_point(StopPoint::FileMade);
        let place = session.store.log.log(STORAGE, CREATE, xid, &file_bytes(file))?;
        debug_assert!(place.start < place.end, "a record has a length");
        session.store.me.stop_point(StopPoint::FileMadeLogged);
        Ok(())
    }

    /// Drops a relation's files when the transaction commits.
    pub fn drop_at_commit(&mut self, session: &StoreSession<'_, '_>, file: RelFile) {
        self.dropped.push((file, session.transaction.depth()));
    }

    /// Adds what the commit record has to say.
    pub fn add_to(&self, actions: &mut Vec<u8>) {
        add_files(actions, DROPPED_FILES, &self.dropped);
    }

    /// Adds what the state of a prepared transaction has to say, whose end may be either.
    pub fn add_to_prepared(&self, actions: &mut Vec<u8>) {
        self.add_to(actions);
        add_files(actions, MADE_FILES, &self.made);
    }

    /// The transaction is prepared: its files are the affair of whoever ends it.
    pub fn prepared(&mut self) {
        self.made.clear();
        self.dropped.clear();
    }

    /// The transaction has committed, durably. Gives back warnings.
    ///
    /// # Errors
    /// As taking pages out of the pool; what is dropped may be left then, and takes room only.
    pub fn committed(&mut self, store: &Store<'_>) -> Result<Vec<Report>> {
        self.made.clear();
        if !self.dropped.is_empty() {
            store.me.stop_point(StopPoint::FilesDropped);
        }
        remove(store, self.dropped.drain(..).map(|(file, _)| file))
    }

    /// The transaction was rolled back.
    ///
    /// # Errors
    /// As [`Self::committed`].
    pub fn aborted(&mut self, store: &Store<'_>) -> Result<Vec<Report>> {
        self.dropped.clear();
        remove(store, self.made.drain(..).map(|(file, _)| file))
    }

    /// The savepoint of this depth is released: what was done in it belongs to the level above.
    pub fn savepoint_released(&mut self, depth: u32) {
        for (_, of) in self.made.iter_mut().chain(&mut self.dropped) {
            *of = (*of).min(depth - 1);
        }
    }

    /// The savepoint of this depth was rolled back.
    ///
    /// # Errors
    /// As [`Self::committed`].
    pub fn savepoint_aborted(&mut self, store: &Store<'_>, depth: u32) -> Result<Vec<Report>> {
        self.dropped.retain(|(_, of)| *of < depth);
        let gone: Vec<_> = self.made.extract_if(.., |(_, of)| *of >= depth).map(|(file, _)| file).collect();
        remove(store, gone.into_iter())
    }
}

fn add_files(actions: &mut Vec<u8>, tag: u8, files: &[(RelFile, u32)]) {
    if !files.is_empty() {
        let content: Vec<_> = files.iter().flat_map(|(file, _)| file_bytes(*file)).collect();
        add_section(actions, tag, &content);
    }
}

/// Removes the files that a prepared transaction's end asks to be removed, once that is durable. Gives back warnings.
///
/// # Errors
/// As [`TransactionFiles::committed`]; XX001 for invalid actions.
pub fn finish_prepared(store: &Store<'_>, actions: &[u8], is_commit: bool) -> Result<Vec<Report>> {
    remove(store, removed_files(actions, is_commit)?.into_iter())
}

fn remove(store: &Store<'_>, files: impl Iterator<Item = RelFile>) -> Result<Vec<Report>> {
    let mut warnings = Vec::new();
    for file in files {
        store.storage.discard_relation(file)?;
        warnings.extend(store.storage.files().remove(file, false));
    }
    Ok(warnings)
}

/// Cuts a heap off behind its first `blocks` blocks, and its visibility map with it. The caller has the relation for itself,
/// and nobody can see what is behind.
///
/// # Errors
/// As the log and the files.
pub fn truncate(store: &Store<'_>, heap: &Heap, blocks: u32) -> Result<()> {
    if !heap.options().is_logged {
        return cut(store, heap, blocks);
    }
    // A checkpoint that begins behind the record waits until the files are cut: it would not replay the record.
    store.log.with(|log| log.begin_commit());
    let result = log_and_cut(store, heap, blocks);
    store.log.with(|log| log.end_commit());
    result
}

fn log_and_cut(store: &Store<'_>, heap: &Heap, blocks: u32) -> Result<()> {
    let main = [&file_bytes(heap.file())[..], &blocks.to_le_bytes()].concat();
    let fork = heap.fork(Fork::VisibilityMap);
    let (files, map) = (store.storage.files(), map_blocks(blocks));
    let mut last = None;
    if map > 0 && files.exists(fork)? && files.blocks(fork)? >= map {
        let block = BlockNumber::new(map - 1).unwrap_or(BlockNumber::ZERO);
        let page = store.storage.read(fork.block(block))?.lock_exclusive();
        last = (!page.page().is_new()).then_some(page);
    }
    let has_map = last.is_some();
    let mut change = Change::new(STORAGE, TRUNCATE, 0).main(&main);
    if let Some(page) = &mut last {
        change = change.block(0, page, BlockUse::Modify, &[]);
    }
    let end = change.apply(&store.log, |pages| {
        if has_map {
            clear_behind(&mut pages.page(0), blocks);
        }
    })?;
    drop(last);
    // What is cut off cannot be brought back, so the record has to be there first.
    store.log.make_durable(end)?;
    cut(store, heap, blocks)
}

/// Blocks of the visibility map for so many blocks of the heap.
fn map_blocks(blocks: u32) -> u32 {
    blocks.div_ceil(visibility_map::BLOCKS_PER_PAGE)
}

/// Clears the bits of blocks from `blocks` on in the map's last page.
fn clear_behind(page: &mut crate::storage::page::PageMut<'_>, blocks: u32) {
    let end = map_blocks(blocks) * visibility_map::BLOCKS_PER_PAGE;
    for block in (blocks..end).filter_map(BlockNumber::new) {
        visibility_map::set_status(page, block, Status::default());
    }
}

fn cut(store: &Store<'_>, heap: &Heap, blocks: u32) -> Result<()> {
    for (fork, blocks) in [(Fork::VisibilityMap, map_blocks(blocks)), (Fork::Main, blocks)] {
        let fork = heap.fork(fork);
        if store.storage.files().exists(fork)? {
            store.storage.discard_from(fork, blocks)?;
            store.storage.files().truncate(fork, blocks)?;
        }
    }
    Ok(())
}

/// Files that redo made again, by who made them first: what belongs to transactions that never ended is removed at its end.
#[derive(Debug, Default)]
pub struct MadeFiles(RefCell<BTreeMap<u64, Vec<RelFile>>>);

impl MadeFiles {
    fn add(&self, xid: u64, file: RelFile) {
        self.0.borrow_mut().entry(xid).or_default().push(file);
    }

    /// Transactions, or parts of one, ended: if they were rolled back, their files go, which the record does not list.
    ///
    /// # Errors
    /// As taking pages out of the pool.
    pub fn ended(&self, redo: &Redo<'_, '_>, xids: impl Iterator<Item = Xid>, is_commit: bool) -> Result<()> {
        for xid in xids {
            let files = self.0.borrow_mut().remove(&xid.number());
            if !is_commit {
                files.into_iter().flatten().try_for_each(|file| remove_in_redo(redo, file))?;
            }
        }
        Ok(())
    }

    /// Recovery is done: removes the files of transactions that were running at the crash, and not prepared.
    ///
    /// # Errors
    /// As taking pages out of the pool.
    pub fn remove_leftovers(&self, redo: &Redo<'_, '_>, is_prepared: impl Fn(Xid) -> bool) -> Result<()> {
        let left = std::mem::take(&mut *self.0.borrow_mut());
        let left = left.into_iter().filter(|(xid, _)| !Xid::new(*xid).is_some_and(&is_prepared));
        left.flat_map(|(_, files)| files).try_for_each(|file| remove_in_redo(redo, file))
    }
}

/// Redo of files.
pub struct StorageRedo;

fn remove_in_redo(redo: &Redo<'_, '_>, file: RelFile) -> Result<()> {
    redo.storage().discard_relation(file)?;
    // What cannot be removed takes room and does no harm.
    let _ = redo.storage().files().remove(file, true);
    redo.missing().forget(file);
    redo.forget_lengths(file);
    Ok(())
}

impl ResourceManager for StorageRedo {
    fn id(&self) -> RmgrId {
        STORAGE
    }

    fn name(&self) -> &'static str {
        "Storage"
    }

    fn kind(&self, info: u8) -> Option<&'static str> {
        match info {
            CREATE => Some("CREATE"),
            TRUNCATE => Some("TRUNCATE"),
            _ => None,
        }
    }

    fn transaction_ended(&self, redo: &Redo<'_, '_>, actions: &[u8], is_commit: bool) -> Result<()> {
        removed_files(actions, is_commit)?.into_iter().try_for_each(|file| remove_in_redo(redo, file))
    }

    fn redo(&self, redo: &Redo<'_, '_>, record: &Record<'_>) -> Result<()> {
        let malformed = || redo.malformed(record);
        let file = read_file(record.main()).ok_or_else(malformed)?;
        match record.info() {
            CREATE => {
                redo.storage().files().create_folder(file)?;
                redo.storage().files().create(RelFork { file, fork: Fork::Main }, true)?;
                redo.made().add(record.xid(), file);
                Ok(())
            }
            TRUNCATE => {
                let blocks =
                    record.main().get(FILE..).filter(|rest| rest.len() == 4).ok_or_else(malformed)?;
                redo_truncate(redo, record, file, number(blocks))
            }
            _ => Err(malformed()),
        }
    }
}

fn redo_truncate(redo: &Redo<'_, '_>, record: &Record<'_>, file: RelFile, blocks: u32) -> Result<()> {
    if record.block(0).is_some()
        && let RedoPage::Apply(mut page) = redo.block(record, 0)?
    {
        clear_behind(&mut page.page_mut(), blocks);
        page.mark_dirty_at(record.end.bytes());
    }
    redo.forget_lengths(file);
    for (fork, blocks) in [(Fork::VisibilityMap, map_blocks(blocks)), (Fork::Main, blocks)] {
        let fork = RelFork { file, fork };
        if redo.storage().files().exists(fork)? {
            redo.storage().discard_from(fork, blocks)?;
            redo.storage().files().truncate(fork, blocks)?;
        }
        redo.missing().forget_from(fork, blocks);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
