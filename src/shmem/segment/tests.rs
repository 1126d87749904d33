//! Segments that are whole, and every way in which one can be wrong.

use std::fs::File;
use std::os::unix::fs::FileExt;

use shmem_layout::{ControlBlock, LatchWord};

use super::*;
use crate::os::memfd::PageKind;
use crate::shmem::RegionSpec;
use crate::sync::Ordering;

fn plan() -> Plan {
    Plan::new(&[
        RegionSpec::of::<ControlBlock>("control", 1, 1),
        RegionSpec::of::<LatchWord>("latches", 3, 100),
        RegionSpec::sized("queues", 1, size_of::<QueueHeader>() + 256, 2),
    ])
    .unwrap()
}

fn segment() -> Segment {
    Segment::create(&plan(), HugePages::Off, None).unwrap()
}

#[test]
fn two_mappings_show_the_same_memory() {
    let made = segment();
    let attached = Segment::attach(made.fd().try_clone_to_owned().unwrap()).unwrap();
    assert_ne!(made.base(), attached.base());
    assert_eq!(made.instance(), attached.instance());
    made.region::<LatchWord>("latches", 3).unwrap()[99].word.store(7, Ordering::SeqCst);
    assert_eq!(attached.region::<LatchWord>("latches", 3).unwrap()[99].word.load(Ordering::SeqCst), 7);
}

#[test]
fn regions_are_found_by_name_version_and_type() {
    let segment = segment();
    assert_eq!(segment.region::<ControlBlock>("control", 1).unwrap().len(), 1);
    let text = |result: Result<&[LatchWord], SegmentError>| result.unwrap_err().to_string();
    assert!(text(segment.region("nothing", 1)).contains("does not exist"));
    assert!(text(segment.region("latches", 4)).contains("has version 3, not 4"));
    assert!(text(segment.region("control", 1)).contains("has items of 64 bytes, not 8"));
    let (_, ring) = segment.queue("queues", 1, 1).unwrap();
    assert_eq!(ring.len(), 256);
    assert!(segment.queue("queues", 1, 2).is_err());
    assert!(segment.queue("latches", 3, 0).is_err());
}

#[test]
fn offsets_outside_are_refused() {
    let segment = segment();
    let at = |bytes| segment.word_at(Offset::new(bytes)).is_some();
    assert!(at(4096) && at(segment.len() as u64 - 4));
    assert!(!at(0) && !at(4095) && !at(4097) && !at(segment.len() as u64) && !at(Offset::MAX));
    assert!(segment.at::<ControlBlock>(Offset::new(segment.len() as u64 - 32)).is_none());
}

#[test]
fn nobody_can_resize_it() {
    let segment = segment();
    for len in [0, segment.len() as u64 * 2] {
        assert_eq!(memfd::set_len(segment.fd(), len).unwrap_err().raw_os_error(), Some(libc::EPERM));
    }
}

/// A memfd with the bytes of a good segment, changed by `change`, of `len` bytes, sealed.
fn forged(len: Option<u64>, change: impl FnOnce(&mut SegmentHeader)) -> OwnedFd {
    let good = segment();
    let mut header = *good.header;
    change(&mut header);
    let fd = memfd::create("forged", PageKind::Ordinary).unwrap();
    let len = len.unwrap_or(good.len() as u64);
    memfd::set_len(fd.as_fd(), len).unwrap();
    let file = File::from(fd);
    let bytes = bytemuck::bytes_of(&header);
    file.write_all_at(&bytes[..bytes.len().min(len as usize)], 0).unwrap();
    memfd::seal_size(file.as_fd()).unwrap();
    file.into()
}

#[test]
fn wrong_segments_are_errors_that_say_what() {
    let attach = |fd| Segment::attach(fd).map(|_| ()).unwrap_err().to_string();
    let cases: [(OwnedFd, &str); 10] = [
        (forged(Some(100), |_| {}), "100 bytes are too short for a header"),
        (forged(Some(12288), |_| {}), "it has 12288"),
        (forged(None, |h| h.magic += 1), "its first bytes are"),
        (forged(None, |h| h.layout_version = 99), "layout version 99"),
        (forged(None, |h| h.region_count = 1000), "1000 regions"),
        (forged(None, |h| h.page_size = 3), "pages of 3 bytes"),
        (forged(None, |h| h.regions[1].len = 8), "a length that is not its items'"),
        (forged(None, |h| h.regions[1].offset = 64), "overlaps what stands before it"),
        (forged(None, |h| h.regions[2].offset = 1 << 40), "\"queues\" does not fit the segment"),
        (forged(None, |h| h.regions[0].name = [0; 32]), "has no name"),
    ];
    for (fd, expected) in cases {
        let error = attach(fd);
        assert!(error.contains(expected), "{error:?} does not say {expected:?}");
    }
}

#[test]
fn an_unsealed_or_foreign_descriptor_is_refused() {
    let fd = memfd::create("unsealed", PageKind::Ordinary).unwrap();
    memfd::set_len(fd.as_fd(), 1 << 16).unwrap();
    let error = Segment::attach(fd).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("its size is not sealed"), "{error}");
    let file: OwnedFd = File::open("/dev/null").unwrap().into();
    let error = Segment::attach(file).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("not a tuskd shared memory segment"), "{error}");
}

#[test]
fn too_few_huge_pages_is_an_error_with_the_number_and_the_knob() {
    let Ok(Some(page_size)) = memfd::default_huge_page_size() else { return };
    let counts = HugePageCounts::read(page_size).unwrap();
    let bytes = (counts.total as usize + 10) * page_size as usize;
    let plan = Plan::new(&[RegionSpec::sized("large", 1, 1 << 20, bytes >> 20)]).unwrap();
    let error = Segment::create(&plan, HugePages::On, None).map(|_| ()).unwrap_err();
    let SegmentError::NotEnoughHugePages { needed, .. } = error else { panic!("{error}") };
    let missing = needed - counts.available();
    let expected = format!("vm.nr_hugepages={}", counts.total + missing);
    assert!(error.to_string().contains(&expected), "{error} does not say {expected}");
    // And with `try` it works all the same.
    let segment = Segment::create(&plan, HugePages::Try, None).unwrap();
    assert!(segment.page_report().unwrap().to_string().contains("ordinary pages"));
}

#[test]
fn reserved_huge_pages_are_used_when_there_are_enough() {
    let Ok(Some(page_size)) = memfd::default_huge_page_size() else { return };
    if HugePageCounts::read(page_size).unwrap().available() < 1 {
        println!("skipped: no huge pages are reserved");
        return;
    }
    let made = Segment::create(&plan(), HugePages::On, None).unwrap();
    assert_eq!(made.page_report().unwrap().huge_bytes(), made.len() as u64);
    let attached = Segment::attach(made.fd().try_clone_to_owned().unwrap()).unwrap();
    made.region::<LatchWord>("latches", 3).unwrap()[5].word.store(9, Ordering::SeqCst);
    assert_eq!(attached.region::<LatchWord>("latches", 3).unwrap()[5].word.load(Ordering::SeqCst), 9);
}
