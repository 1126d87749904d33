//! Items against a plain model, and pages that lie.

use proptest::prelude::*;

use super::*;
use crate::storage::page::PageBuf;

fn page(special: usize) -> Box<PageBuf> {
    let mut page = PageBuf::zeroed();
    page.view_mut().init(special);
    page
}

fn items(page: &PageBuf) -> Vec<Option<Vec<u8>>> {
    let view = page.view();
    let of =
        |line| view.item(line).map(|item| (item.state == ItemState::Normal).then(|| item.bytes.to_vec()));
    (1..=view.lines()).map(|line| of(line).unwrap()).collect()
}

#[test]
fn items_fill_a_page_and_no_more() {
    let mut page = page(0);
    let mut count = 0;
    while page.view().room() >= 100 {
        count += 1;
        assert_eq!(page.view_mut().insert(&[count as u8; 100], None), Some(count));
    }
    assert_eq!(count, 75);
    assert_eq!(page.view_mut().insert(&[0; 100], None), None);
    let room = page.view().room();
    assert_eq!(page.view_mut().insert(&vec![1; room + 1], None), None);
    assert_eq!(page.view_mut().insert(&vec![1; room], None), Some(76));
    assert_eq!(page.view().check_items(), Ok(()));
}

#[test]
fn unused_lines_are_used_again_and_others_keep_their_numbers() {
    let mut page = page(16);
    for item in [b"a", b"b", b"c", b"d"] {
        page.view_mut().insert(item, None).unwrap();
    }
    page.view_mut().set_unused(2);
    page.view_mut().set_dead(3);
    page.view_mut().set_redirect(1, 4);
    page.view_mut().compact().unwrap();
    assert_eq!(page.view().item(1).unwrap().state, ItemState::Redirect(4));
    assert_eq!(page.view().item(2).unwrap().state, ItemState::Unused);
    assert_eq!(page.view().item(3).unwrap().state, ItemState::Dead);
    assert_eq!(page.view().item(4).unwrap().bytes, b"d");
    assert_eq!(page.view_mut().insert(b"e", Some(4)), None, "in use");
    assert_eq!(page.view_mut().insert(b"e", Some(6)), None, "beyond the next");
    assert_eq!(page.view_mut().insert(b"", None), None);
    assert_eq!(page.view_mut().insert(b"e", None), Some(2));
    assert_eq!(page.view_mut().insert(b"f", None), Some(5));
    page.view_mut().set_unused(5);
    page.view_mut().set_unused(4);
    assert_eq!(page.view_mut().compact(), Err(Damage::Line(1)), "a redirect to an unused line");
    page.view_mut().set_dead(1);
    page.view_mut().compact().unwrap();
    assert_eq!(page.view().lines(), 3, "unused lines at the end go away");
}

#[test]
fn lines_that_lie_are_errors_and_nothing_is_touched() {
    let cases = [
        (pack(NORMAL, 8192 - 8, 16), "beyond the end"),
        (pack(NORMAL, 32767, 32767), "far beyond the end"),
        (pack(NORMAL, 40, 8), "below upper"),
        (pack(NORMAL, 8192 - 17, 8), "not aligned"),
        (pack(NORMAL, 8192 - 16, 0), "normal without length"),
        (pack(REDIRECT, 0, 0), "redirect to no line"),
        (pack(REDIRECT, 9, 0), "redirect beyond the lines"),
        (pack(REDIRECT, 1, 0), "redirect to itself"),
        (pack(REDIRECT, 2, 4), "redirect with length"),
        (pack(DEAD, 8, 0), "dead with an offset and no length"),
        (7, "unused and not zero"),
    ];
    for (word, what) in cases {
        let mut page = page(0);
        page.view_mut().insert(&[1; 16], None).unwrap();
        page.view_mut().insert(&[2; 16], None).unwrap();
        page.view_mut().put_u32(line_at(1), word);
        let before = page.0;
        assert_eq!(page.view().item(1), Err(Damage::Line(1)), "{what}");
        assert_eq!(page.view_mut().compact(), Err(Damage::Line(1)), "{what}");
        assert_eq!(page.view_mut().remove_shifting(&[2]), Err(Damage::Line(1)), "{what}");
        assert!(page.0 == before, "{what}");
    }
    let mut page = page(0);
    page.view_mut().insert(&[1; 16], None).unwrap();
    page.view_mut().insert(&[2; 16], None).unwrap();
    page.view_mut().put_u32(line_at(2), pack(NORMAL, 8192 - 24, 24));
    assert_eq!(page.view().check_items(), Err(Damage::Line(1)), "overlapping");
    assert_eq!((page.view().item(0), page.view().item(3)), (Err(Damage::Line(0)), Err(Damage::Line(3))));
}

#[test]
fn any_bytes_at_all_are_read_without_a_panic() {
    proptest!(ProptestConfig::with_cases(256), |(head in proptest::collection::vec(any::<u8>(), 64), line: u16)| {
        let mut page = page(0);
        page.0[12..12 + head.len()].copy_from_slice(&head);
        let view = page.view();
        let _ = (view.item(line), view.special(), view.room(), view.first_unused(), view.check_items());
        let before = page.0;
        if page.view_mut().compact().is_err() {
            prop_assert!(page.0 == before);
        }
        let _ = page.view_mut().insert(b"x", None);
    });
}

#[derive(Clone, Debug)]
enum Change {
    Insert(Vec<u8>),
    InsertShifting(usize, Vec<u8>),
    Remove(usize),
    RemoveShifting(usize, usize),
    Overwrite(usize, Vec<u8>),
    Compact,
}

fn change() -> impl Strategy<Value = Change> {
    let item = || proptest::collection::vec(any::<u8>(), 1..600);
    prop_oneof![
        4 => item().prop_map(Change::Insert),
        2 => (any::<usize>(), item()).prop_map(|(at, item)| Change::InsertShifting(at, item)),
        3 => any::<usize>().prop_map(Change::Remove),
        1 => (any::<usize>(), 0..4usize).prop_map(|(at, n)| Change::RemoveShifting(at, n)),
        1 => (any::<usize>(), item()).prop_map(|(at, item)| Change::Overwrite(at, item)),
        1 => Just(Change::Compact),
    ]
}

/// Does the change to both; they must agree on what there is afterwards, and on whether there was room.
fn apply(page: &mut PageBuf, model: &mut Vec<Option<Vec<u8>>>, change: Change) {
    let lines = model.len();
    match change {
        Change::Insert(item) => {
            let line = page.view_mut().insert(&item, None);
            let expected = model.iter().position(Option::is_none).unwrap_or(lines);
            if let Some(line) = line {
                assert_eq!(usize::from(line), expected + 1);
                model.resize(lines.max(expected + 1), None);
                model[expected] = Some(item);
            } else {
                assert!(item.len() > page.view().room());
            }
        }
        Change::InsertShifting(at, item) => {
            let at = at % (lines + 1);
            if page.view_mut().insert_shifting(&item, at as u16 + 1) {
                model.insert(at, Some(item));
            }
        }
        Change::Remove(at) if lines > 0 => {
            page.view_mut().set_unused((at % lines) as u16 + 1);
            model[at % lines] = None;
        }
        Change::RemoveShifting(at, n) if lines > 0 => {
            let range = at % lines..(at % lines + n).min(lines);
            let removed: Vec<u16> = range.clone().map(|at| at as u16 + 1).collect();
            page.view_mut().remove_shifting(&removed).unwrap();
            model.drain(range);
            trim(model);
        }
        Change::Overwrite(at, item) if lines > 0 => {
            let at = at % lines;
            let fits = model[at].as_ref().is_some_and(|old| item.len() <= old.len());
            assert_eq!(page.view_mut().overwrite(at as u16 + 1, &item), fits);
            if fits {
                model[at] = Some(item);
            }
        }
        Change::Compact => {
            page.view_mut().compact().unwrap();
            trim(model);
            let used: usize =
                model.iter().flatten().map(|item| item.len().next_multiple_of(ITEM_ALIGN)).sum();
            let free = PAGE_SIZE - 16 - HEADER_SIZE - used - model.len() * LINE_POINTER_SIZE;
            assert_eq!(page.view().free_space(), free, "all that is free lies in one piece");
        }
        Change::Remove(_) | Change::RemoveShifting(..) | Change::Overwrite(..) => {}
    }
}

fn trim(model: &mut Vec<Option<Vec<u8>>>) {
    while model.last().is_some_and(Option::is_none) {
        model.pop();
    }
}

#[test]
fn a_page_is_what_a_list_is() {
    proptest!(ProptestConfig::with_cases(200), |(changes in proptest::collection::vec(change(), 1..120))| {
        let (mut page, mut model) = (page(16), Vec::new());
        for change in changes {
            apply(&mut page, &mut model, change);
            prop_assert_eq!(page.view().check_items(), Ok(()));
            prop_assert_eq!(&items(&page), &model);
        }
    });
}
