//! Changing pages and saying so in the log: the one place where both are done together.
//!
//! A [`Change`] is put together first, with the pages locked: which pages, which data for redo. [`Change::apply`] makes room
//! in the log, which may wait or fail; then, in a critical section, it marks the pages dirty, lets the caller change them,
//! inserts the record, with page images where the checkpoint's epoch asks for them, and gives the pages its LSN. What the
//! caller does in between must not wait, fail or allocate.
//!
//! Images are taken after the change, so redo that has one need not make the change again: data of a block whose image is
//! restored is left out.

use super::shared_log::SharedLog;
use crate::report::Result;
use crate::storage::buffer::ExclusivePage;
use crate::storage::ids::{BufferTag, PAGE_SIZE};
use crate::storage::page::{HEADER_SIZE, PageMut, PageRef};
use crate::wal::record::{BLOCK_REFERENCE, IMAGE_REFERENCE, RECORD_HEADER};
use crate::wal::{BlockFlags, BlockTag, Epoch, Image, Lsn, RecordBuilder, RmgrId};

/// Pages that one change can have.
pub const MAX_PAGES: usize = 12;

/// What redo does with a page that has no image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BlockUse {
    /// It makes the change to the page as it was.
    Modify,
    /// It makes the page anew from the record: no image is needed.
    Init,
    /// Nothing: the record always has the image.
    Image,
    /// It makes the change if the page can be read and else leaves it: a page that can be made up from nothing, such as a
    /// free space map's, needs no image.
    Hint,
}

struct Block<'c, 'a, 's> {
    id: u8,
    page: &'c mut ExclusivePage<'a, 's>,
    used: BlockUse,
    data: &'c [u8],
}

/// A change of some pages that one record describes.
#[must_use = "nothing is changed before `apply`"]
pub struct Change<'c, 'a, 's> {
    rmgr: RmgrId,
    info: u8,
    xid: u64,
    blocks: [Option<Block<'c, 'a, 's>>; MAX_PAGES],
    len: usize,
    main: [&'c [u8]; 3],
    main_parts: usize,
}

/// The pages of a change, while it is made.
pub struct Changing<'p, 'c, 'a, 's>(&'p mut [Option<Block<'c, 'a, 's>>]);

impl Changing<'_, '_, '_, '_> {
    /// The page that was added `index`-th.
    ///
    /// # Panics
    /// If there is none.
    pub fn page(&mut self, index: usize) -> PageMut<'_> {
        self.0[index].as_mut().expect("as many pages as were added").page.page_mut()
    }
}

impl<'c, 'a, 's> Change<'c, 'a, 's> {
    /// A change without pages yet.
    pub fn new(rmgr: RmgrId, info: u8, xid: u64) -> Self {
        let blocks = [const { None }; MAX_PAGES];
        Self { rmgr, info, xid, blocks, len: 0, main: [&[]; 3], main_parts: 0 }
    }

    /// Adds a page. `id` is what redo calls it; `data` is for redo that has no image of it.
    ///
    /// # Panics
    /// Beyond [`MAX_PAGES`].
    pub fn block(
        mut self,
        id: u8,
        page: &'c mut ExclusivePage<'a, 's>,
        used: BlockUse,
        data: &'c [u8],
    ) -> Self {
        self.blocks[self.len] = Some(Block { id, page, used, data });
        self.len += 1;
        self
    }

    /// Adds to what redo has whether there are images or not; up to three times.
    pub fn main(mut self, data: &'c [u8]) -> Self {
        self.main[self.main_parts] = data;
        self.main_parts += 1;
        self
    }

    /// Makes the change and logs it. Where the record ends: it is what the pages have as their LSN now.
    ///
    /// # Errors
    /// If there is no room in the log (53100, or the log is broken); nothing is changed then.
    pub fn apply(
        mut self,
        log: &SharedLog<'s>,
        make: impl FnOnce(&mut Changing<'_, 'c, 'a, 's>),
    ) -> Result<Lsn> {
        let room = log.prepare(self.longest())?;
        let section = log.process().critical_section();
        self.make(make);
        let place = log.insert(&room, |builder, epoch| self.compose(builder, epoch));
        for block in self.blocks[..self.len].iter_mut().flatten() {
            block.page.set_lsn(place.end.bytes());
        }
        drop(section);
        Ok(place.end)
    }

    /// Makes the change without a word in the log: of relations that are gone after a crash anyway.
    pub fn apply_unlogged(mut self, log: &SharedLog<'s>, make: impl FnOnce(&mut Changing<'_, 'c, 'a, 's>)) {
        let _section = log.process().critical_section();
        self.make(make);
    }

    fn make(&mut self, make: impl FnOnce(&mut Changing<'_, 'c, 'a, 's>)) {
        self.blocks[..self.len].iter().flatten().for_each(|block| block.page.mark_dirty());
        make(&mut Changing(&mut self.blocks[..self.len]));
    }

    /// Bytes of the record if all pages need images.
    fn longest(&self) -> usize {
        let blocks = self.blocks[..self.len].iter().flatten();
        let blocks: usize =
            blocks.map(|block| BLOCK_REFERENCE + IMAGE_REFERENCE + PAGE_SIZE + block.data.len()).sum();
        RECORD_HEADER + blocks + self.main.iter().map(|part| part.len()).sum::<usize>()
    }

    fn compose(&self, builder: &mut RecordBuilder, epoch: Epoch) {
        builder.begin(self.rmgr, self.info, self.xid);
        for block in self.blocks[..self.len].iter().flatten() {
            let flags = if block.used == BlockUse::Init { BlockFlags::WILL_INIT } else { BlockFlags::NONE };
            let page = block.page.page();
            let image = needs_image(block.used, page, epoch).then(|| image_of(page));
            let data = if image.is_some() { &[] } else { block.data };
            builder.block(block.id, block_tag(block.page.pin().tag()), flags, image, data);
        }
        self.main[..self.main_parts].iter().for_each(|part| builder.main(part));
    }
}

fn needs_image(used: BlockUse, page: PageRef<'_>, epoch: Epoch) -> bool {
    match used {
        BlockUse::Modify => epoch.full_pages && page.lsn() <= epoch.redo.bytes(),
        BlockUse::Image => true,
        BlockUse::Init | BlockUse::Hint => false,
    }
}

/// The whole page without its unused middle.
fn image_of(page: PageRef<'_>) -> Image<'_> {
    let (lower, upper) = (page.lower(), page.upper());
    let has_hole = HEADER_SIZE <= lower && lower < upper && upper <= PAGE_SIZE;
    let (hole_offset, hole_len) = if has_hole { (lower as u16, (upper - lower) as u16) } else { (0, 0) };
    let page = page.slice(0, PAGE_SIZE).first_chunk().expect("a page has as many bytes");
    Image { page, hole_offset, hole_len, apply: true }
}

/// A page's name in the log's words.
pub fn block_tag(tag: BufferTag) -> BlockTag {
    BlockTag {
        tablespace: tag.file.tablespace,
        database: tag.file.database,
        relation: tag.file.relation,
        fork: tag.fork as u8,
        block: tag.block.get(),
    }
}
