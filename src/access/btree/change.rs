//! The changes that pages go through, and how records tell of them. A change is made here when it happens and when it
//! happens again.
//!
//! | record | blocks | data |
//! | --- | --- | --- |
//! | [`CREATE`] | 0 first block, 1 root | what they say |
//! | [`INSERT`] | 0 page; 1 child whose split this completes; 2 first block | line, item; -; what it says |
//! | [`SPLIT`] | 0 left; 1 right; 2 its right sibling; 3 as 1 above; 4 first block | [`LeftHalf`]; page; -; -; what it says |
//! | [`NEW_ROOT`] | 0 root; 1 child; 2 first block | page; -; what it says |
//! | [`DELETE`] | 0 leaf | lines |
//! | [`UNLINK`] | 0 page, 1 left, 2 right sibling, 3 who loses the downlink, 4 first block, 5 last free page; 6, 7, 8 as 0, 1, 2 of the parent | next free; new link; new link; line; what it says; next free |
//! | [`PAGE`] | 0 any page | its image |
//! | [`META`] | 0 first block | what it says |
//!
//! Pages that are made anew (right halves, roots, the first block) are told of completely, so that redo needs no older one.

use super::node::{self, Entry, Node, NodeFlags, Special};
use crate::storage::page::{PageBuf, PageMut};

pub(super) const CREATE: u8 = 0x10;
pub(super) const INSERT: u8 = 0x20;
pub(super) const SPLIT: u8 = 0x30;
pub(super) const NEW_ROOT: u8 = 0x40;
pub(super) const DELETE: u8 = 0x50;
pub(super) const UNLINK: u8 = 0x60;
pub(super) const PAGE: u8 = 0x70;
pub(super) const META: u8 = 0x80;

/// Puts an entry in at a line. `false` if it does not fit.
pub(super) fn insert(page: &mut PageMut<'_>, line: u16, item: &[u8]) -> bool {
    page.insert_shifting(item, line)
}

/// Takes entries out, and the hint with them. `false` if the page is damaged.
pub(super) fn delete(page: &mut PageMut<'_>, lines: &[u16]) -> bool {
    if page.remove_shifting(lines).is_err() {
        return false;
    }
    node::clear_has_dead(page);
    true
}

/// Lines as records have them.
pub(super) fn encode_lines(lines: &[u16]) -> Vec<u8> {
    lines.iter().flat_map(|line| line.to_le_bytes()).collect()
}

/// Back.
pub(super) fn decode_lines(bytes: &[u8]) -> Vec<u16> {
    bytes.chunks_exact(2).map(|two| u16::from_le_bytes([two[0], two[1]])).collect()
}

/// A page as records have it: its special area, then its items, each behind its length.
pub(super) fn encode_page<'i>(special: &Special, items: impl Iterator<Item = &'i [u8]>) -> Vec<u8> {
    let mut bytes = special.encode().to_vec();
    for item in items {
        bytes.extend_from_slice(&(item.len() as u16).to_le_bytes());
        bytes.extend_from_slice(item);
    }
    bytes
}

/// Makes a page from that. `None` for bytes that are none.
pub(super) fn decode_page(bytes: &[u8]) -> Option<Box<PageBuf>> {
    let (special, mut rest) = Special::decode(bytes)?;
    let mut items = Vec::new();
    while let Some((length, behind)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_le_bytes(*length));
        items.push(behind.get(..length)?);
        rest = &behind[length..];
    }
    if !rest.is_empty() {
        return None;
    }
    node::built(&special, items.into_iter())
}

/// What becomes of the left half of a page that is split: it keeps what stands before `kept`, counted with the new entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LeftHalf<'a> {
    /// The right half.
    pub right: u32,
    /// Entries that it keeps, the new one included if that is among them.
    pub kept: u16,
    /// Where the new entry stands among all, from 0.
    pub new_at: u16,
    /// The new entry, if it is among those kept.
    pub new: Option<&'a [u8]>,
    /// Its high key from now on.
    pub high_key: &'a [u8],
}

impl<'a> LeftHalf<'a> {
    /// As records have it.
    pub fn encode(&self) -> Vec<u8> {
        let new = self.new.unwrap_or(&[]);
        let mut bytes = Vec::with_capacity(12 + new.len() + self.high_key.len());
        bytes.extend_from_slice(&self.right.to_le_bytes());
        for number in [self.kept, self.new_at, new.len() as u16] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(new);
        bytes.extend_from_slice(self.high_key);
        bytes
    }

    /// Back; `None` for bytes that are none.
    pub fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (right, rest) = bytes.split_first_chunk()?;
        let (numbers, rest) = rest.split_first_chunk::<6>()?;
        let number = |at: usize| u16::from_le_bytes([numbers[at], numbers[at + 1]]);
        let (new, high_key) = rest.split_at_checked(number(4).into())?;
        Some(Self {
            right: u32::from_le_bytes(*right),
            kept: number(0),
            new_at: number(2),
            new: (!new.is_empty()).then_some(new),
            high_key,
        })
    }

    /// The left half, made from the page as it was; `None` if that cannot be.
    pub fn make(&self, old: Node<'_>) -> Option<Box<PageBuf>> {
        let mut entries = old.entries().ok()?;
        if let Some(new) = self.new {
            Entry::new(new, !old.is_leaf())?;
            if usize::from(self.new_at) > entries.len() {
                return None;
            }
            entries.insert(self.new_at.into(), new);
        }
        let kept = entries.get(..self.kept.into())?;
        let flags = old.flags().with(NodeFlags::INCOMPLETE_SPLIT);
        let special = Special { right: self.right, flags, ..old.special() };
        node::built(&special, std::iter::once(self.high_key).chain(kept.iter().copied()))
    }
}

/// Takes the downlink of a deleted page out of its parent: the entry at `line` leads to the page's right sibling from now
/// on, and the one behind it, which did, goes. `false` if it cannot be.
pub(super) fn remove_downlink(page: &mut PageMut<'_>, line: u16) -> bool {
    let view = page.as_ref();
    let (Ok(item), Ok(next)) = (view.item(line), view.item(line + 1)) else { return false };
    let Some(child) = next.bytes.first_chunk::<4>() else { return false };
    let child = u32::from_le_bytes(*child);
    let pivot = node::with_child(item.bytes, child);
    page.overwrite(line, &pivot) && page.remove_shifting(&[line + 1]).is_ok()
}

/// Makes a page a deleted one, behind which `next_free` is queued. It keeps its link to the right, for those who are about
/// to come.
pub(super) fn mark_deleted(page: &mut PageMut<'_>, next_free: u32, deleted_at: u64) {
    let Ok(old) = Node::new(page.as_ref()) else { return };
    let special =
        Special { left: next_free, flags: old.flags().with(NodeFlags::DELETED), deleted_at, ..old.special() };
    let lsn = page.as_ref().lsn();
    node::build(page, &special, std::iter::empty());
    page.set_lsn(lsn);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn left_halves_survive_records() {
        for half in [
            LeftHalf { right: 9, kept: 3, new_at: 2, new: Some(b"entry"), high_key: b"key" },
            LeftHalf { right: 9, kept: 3, new_at: 7, new: None, high_key: b"key" },
        ] {
            assert_eq!(LeftHalf::decode(&half.encode()), Some(half));
        }
    }

    #[test]
    fn pages_survive_records() {
        let special = Special { left: 3, right: node::NONE, level: 0, flags: NodeFlags::LEAF, deleted_at: 0 };
        let items: [&[u8]; 2] = [b"123456ab", b"123456cde"];
        let direct = node::built(&special, items.into_iter()).expect("they fit");
        let decoded = decode_page(&encode_page(&special, items.into_iter())).expect("just encoded");
        assert!(direct.0 == decoded.0);
        let node = Node::new(decoded.view()).expect("a page of the tree");
        assert_eq!((node.special(), node.entries()), (special, Ok(items.to_vec())));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let page = decode_page(&bytes);
            if let (Some(half), Some(page)) = (LeftHalf::decode(&bytes), page)
                && let Ok(node) = Node::new(page.view())
            {
                half.make(node);
            }
            decode_lines(&bytes);
        }
    }
}
