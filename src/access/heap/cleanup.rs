//! What records of cleaning say, and their redo.
//!
//! | kind | block 0: page of the heap | block 1: page of the visibility map | main data |
//! | --- | --- | --- | --- |
//! | `Prune` | a plan (`prune`) | | latest commit that removed a version; the page's next prune hint |
//! | `Vacuum` | dead lines that become unused | | |
//! | `Visible` | all visible from now on | bits of the page | the bits |

use super::prune::Plan;
use super::visibility_map::{Status, set_status};
use crate::access::redo::{Redo, RedoPage, buffer_tag};
use crate::access::rmgr::{HEAP_CLEANUP, ResourceManager};
use crate::report::Result;
use crate::storage::ids::PAGE_SIZE;
use crate::storage::page::{HEADER_SIZE, ItemState, PageFlags, PageMut};
use crate::wal::{BlockFlags, Record, RmgrId};

/// What a record of cleaning says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum CleanupKind {
    /// Versions were removed or frozen.
    Prune = 0x00,
    /// Dead lines became unused.
    Vacuum = 0x10,
    /// A page is all visible.
    Visible = 0x20,
}

impl CleanupKind {
    /// All.
    pub const ALL: [Self; 3] = [Self::Prune, Self::Vacuum, Self::Visible];

    /// As `tuskd waldump` prints it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prune => "PRUNE_FREEZE",
            Self::Vacuum => "VACUUM",
            Self::Visible => "VISIBLE",
        }
    }

    fn from_info(info: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == info)
    }
}

/// Lines as records have them.
pub(super) fn line_bytes(lines: &[u16]) -> Vec<u8> {
    lines.iter().flat_map(|line| line.to_le_bytes()).collect()
}

/// Makes dead lines unused. `false`, and nothing is changed, if one is not dead.
pub(super) fn free_lines(page: &mut PageMut<'_>, lines: &[u16]) -> bool {
    let is_dead = |line: &u16| page.as_ref().item(*line).is_ok_and(|item| item.state == ItemState::Dead);
    if !lines.iter().all(is_dead) {
        return false;
    }
    lines.iter().for_each(|line| page.set_unused(*line));
    true
}

/// Redo of cleaning.
pub struct CleanupRedo;

impl ResourceManager for CleanupRedo {
    fn id(&self) -> RmgrId {
        HEAP_CLEANUP
    }

    fn name(&self) -> &'static str {
        "Heap2"
    }

    fn kind(&self, info: u8) -> Option<&'static str> {
        CleanupKind::from_info(info).map(CleanupKind::name)
    }

    fn redo(&self, redo: &Redo<'_, '_>, record: &Record<'_>) -> Result<()> {
        let malformed = || redo.malformed(record);
        let kind = CleanupKind::from_info(record.info()).ok_or_else(malformed)?;
        if let RedoPage::Apply(mut page) = redo.block(record, 0)? {
            let data = record.block(0).ok_or_else(malformed)?.data;
            match kind {
                CleanupKind::Prune => {
                    let hint =
                        record.main().get(8..).and_then(|hint| hint.first_chunk()).ok_or_else(malformed)?;
                    let plan = Plan::decode(data).ok_or_else(malformed)?;
                    let compaction = plan.prepare(page.page()).map_err(|_| malformed())?;
                    plan.carry_out(&mut page.page_mut(), compaction.as_ref(), u64::from_le_bytes(*hint));
                }
                CleanupKind::Vacuum => {
                    let lines: Vec<_> = data
                        .chunks_exact(2)
                        .map(|pair| u16::from(pair[0]) | u16::from(pair[1]) << 8)
                        .collect();
                    if !free_lines(&mut page.page_mut(), &lines) {
                        return Err(malformed());
                    }
                }
                CleanupKind::Visible => page.page_mut().add_flags(PageFlags::ALL_VISIBLE),
            }
            page.mark_dirty_at(record.end.bytes());
        }
        if kind == CleanupKind::Visible { redo_map(redo, record) } else { Ok(()) }
    }
}

fn redo_map(redo: &Redo<'_, '_>, record: &Record<'_>) -> Result<()> {
    let malformed = || redo.malformed(record);
    let heap = record.block(0).and_then(|block| buffer_tag(block.tag)).ok_or_else(malformed)?;
    let status = match record.main() {
        [1] => Status { all_visible: true, all_frozen: false },
        [3] => Status { all_visible: true, all_frozen: true },
        _ => return Err(malformed()),
    };
    let map = record.block(1).ok_or_else(malformed)?;
    if let RedoPage::Apply(mut page) = redo.block(record, 1)? {
        if map.flags.contains(BlockFlags::WILL_INIT) {
            page.page_mut().init(PAGE_SIZE - HEADER_SIZE);
        }
        set_status(&mut page.page_mut(), heap.block, status);
        page.mark_dirty_at(record.end.bytes());
    }
    Ok(())
}
