//! Reads ahead of a small file: what lands, what does not, and how many may fly.

use super::*;
use crate::os::file::{Files, How};
use crate::storage::ids::{BlockNumber, Fork, RelFile};

fn tag(block: u32) -> BufferTag {
    let file = RelFile { tablespace: 1663, database: 5, relation: 16384 };
    BufferTag { file, fork: Fork::Main, block: BlockNumber::new(block).expect("a block") }
}

/// A file of eight pages, each full of its number.
fn file(name: &str) -> (std::path::PathBuf, Rc<DataFile>) {
    let path = std::env::temp_dir().join(format!("tuskd-ahead-{name}-{}", std::process::id()));
    let bytes: Vec<u8> = (0..8 * PAGE_SIZE).map(|at| (at / PAGE_SIZE) as u8).collect();
    std::fs::write(&path, bytes).expect("the disk has room");
    let file = Files::new().open(&path, How::ReadWrite).expect("just written");
    (path, Rc::new(file))
}

fn wanted(file: &Rc<DataFile>, first: u32, count: usize) -> Wanted {
    let offset = u64::from(first) * PAGE_SIZE as u64;
    Wanted { file: file.clone(), offset, first: tag(first), count, writes: 7 }
}

#[test]
fn pages_are_there_when_their_turn_comes() {
    let Some(mut ahead) = Ahead::new() else { return };
    let (path, file) = file("pages");
    let owner = ahead.owner();
    for (first, count) in [(0, 3), (5, 3)] {
        assert!(ahead.ask(wanted(&file, first, count), Place { owner, at: first.into() }));
    }
    ahead.submit();
    let found = ahead.find(tag(1)).expect("it was asked for");
    let (pages, writes) = ahead.pages(found);
    assert_eq!((pages.len(), pages[0].0[0], pages[1].0[8191], writes), (2, 1, 2, 7));
    assert_eq!(ahead.find(tag(3)), None, "nobody asked for it");
    ahead.passed(Place { owner, at: 5 });
    assert_eq!(ahead.find(tag(1)), None, "its owner is beyond it");
    let found = ahead.find(tag(7)).expect("it was asked for");
    assert_eq!(ahead.pages(found).0.len(), 1);
    std::fs::remove_file(path).expect("it is there");
}

/// What the file has not comes as if it had not been asked for, and dropping waits for what is on its way.
#[test]
fn short_reads_have_the_pages_that_are_there() {
    let Some(mut ahead) = Ahead::new() else { return };
    let (path, file) = file("short");
    let place = Place { owner: ahead.owner(), at: 0 };
    assert!(ahead.ask(wanted(&file, 6, 4), place));
    let found = ahead.find(tag(6)).expect("it was asked for");
    assert_eq!(ahead.pages(found).0.len(), 2);
    assert_eq!(ahead.find(tag(8)), None, "the file ends before it");
    assert!(ahead.ask(wanted(&file, 0, 8), place));
    ahead.submit();
    drop(ahead);
    std::fs::remove_file(path).expect("it is there");
}

#[test]
fn more_than_can_fly_is_refused_until_some_were_passed() {
    let Some(mut ahead) = Ahead::new() else { return };
    let (path, file) = file("many");
    let owner = ahead.owner();
    let asked = (0..200).take_while(|n| ahead.ask(wanted(&file, n % 8, 1), Place { owner, at: 0 })).count();
    assert_eq!(asked, FLIGHTS as usize);
    ahead.submit();
    while ahead.flying > 0 {
        ahead.submit();
    }
    assert!(!ahead.ask(wanted(&file, 0, 1), Place { owner, at: 1 }));
    ahead.passed(Place { owner, at: 1 });
    assert!(ahead.ask(wanted(&file, 0, 1), Place { owner, at: 1 }));
    std::fs::remove_file(path).expect("it is there");
}
