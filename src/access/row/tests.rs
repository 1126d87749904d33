//! Rows of any columns and values, and bytes that are no rows.

use proptest::prelude::*;

use super::*;

fn storage() -> impl Strategy<Value = ColumnStorage> {
    prop_oneof![
        Just(ColumnStorage::Bool),
        Just(ColumnStorage::Int16),
        Just(ColumnStorage::Int32),
        Just(ColumnStorage::Int64),
        Just(ColumnStorage::Float32),
        Just(ColumnStorage::Float64),
        (0u16..40).prop_map(ColumnStorage::Fixed),
        Just(ColumnStorage::Variable),
    ]
}

fn value(storage: ColumnStorage) -> BoxedStrategy<OwnedDatum> {
    let plain = |datum: Datum<'static>| OwnedDatum::Plain(datum);
    let bytes = |len: std::ops::Range<usize>| proptest::collection::vec(any::<u8>(), len);
    let some = match storage {
        ColumnStorage::Bool => any::<bool>().prop_map(move |v| plain(Datum::Bool(v))).boxed(),
        ColumnStorage::Int16 => any::<i16>().prop_map(move |v| plain(Datum::Int16(v))).boxed(),
        ColumnStorage::Int32 => any::<i32>().prop_map(move |v| plain(Datum::Int32(v))).boxed(),
        ColumnStorage::Int64 => any::<i64>().prop_map(move |v| plain(Datum::Int64(v))).boxed(),
        ColumnStorage::Float32 => any::<i16>().prop_map(move |v| plain(Datum::Float32(v.into()))).boxed(),
        ColumnStorage::Float64 => any::<i32>().prop_map(move |v| plain(Datum::Float64(v.into()))).boxed(),
        ColumnStorage::Fixed(len) => {
            bytes(len.into()..usize::from(len) + 1).prop_map(|v| OwnedDatum::Bytes(v.into())).boxed()
        }
        ColumnStorage::Variable => prop_oneof![
            4 => bytes(0..300).prop_map(|v| OwnedDatum::Bytes(v.into())),
            1 => bytes(0..200).prop_map(|v| OwnedDatum::Compressed(v.into())),
            1 => bytes(0..30).prop_map(|v| OwnedDatum::External(v.into())),
        ]
        .boxed(),
    };
    prop_oneof![3 => some, 1 => Just(plain(Datum::Null))].boxed()
}

fn row() -> impl Strategy<Value = (Vec<ColumnStorage>, Vec<OwnedDatum>, usize)> {
    proptest::collection::vec(storage(), 0..12).prop_flat_map(|storages| {
        let count = storages.len();
        let values: Vec<_> = storages.iter().map(|storage| value(*storage)).collect();
        (Just(storages), values, 0..=count)
    })
}

fn encode(layout: &RowLayout, values: &[OwnedDatum]) -> Vec<u8> {
    let values: Vec<_> = values.iter().map(OwnedDatum::as_datum).collect();
    let mut bytes = Vec::new();
    layout.encode(&values, &mut bytes).expect("values of their columns");
    bytes
}

proptest! {
    /// In any order, and older rows than the last columns.
    #[test]
    fn what_is_encoded_is_read(
        (storages, values, stored) in row(),
        order in proptest::collection::vec(any::<usize>(), 20),
    ) {
        let mut columns: Vec<_> = storages.iter().copied().map(Column::new).collect();
        if let Some(last) = columns.last_mut() {
            last.missing = values.last().cloned();
        }
        let layout = RowLayout::new(columns);
        let bytes = encode(&layout, &values[..stored]);
        let mut reader = RowReader::new(&layout, &bytes).expect("a row");
        prop_assert!(reader.check().is_ok());
        let expected = |column: usize| match values.get(column) {
            Some(value) if column < stored || column + 1 == values.len() => value.as_datum(),
            _ => Datum::Null,
        };
        for column in 0..storages.len() {
            prop_assert_eq!(reader.get(column).expect("readable"), expected(column));
        }
        for column in order.into_iter().filter(|_| !storages.is_empty()) {
            let column = column % storages.len();
            prop_assert_eq!(reader.get(column).expect("readable"), expected(column));
        }
    }

    /// Bytes that were changed or cut off give values or XX001, and no value from beyond the end.
    #[test]
    fn no_bytes_are_believed(
        (storages, values, stored) in row(),
        at in any::<usize>(),
        byte in any::<u8>(),
        cut in any::<usize>(),
    ) {
        let layout = RowLayout::of(&storages);
        let mut bytes = encode(&layout, &values[..stored]);
        let len = bytes.len();
        bytes[at % len] = byte;
        bytes.truncate(1 + cut % len);
        match RowReader::new(&layout, &bytes) {
            Err(report) => prop_assert_eq!(report.sqlstate.code(), "XX001"),
            Ok(mut reader) => {
                for column in 0..storages.len() {
                    if let Err(report) = reader.get(column) {
                        prop_assert_eq!(report.sqlstate.code(), "XX001");
                    }
                }
                let _ = reader.check();
            }
        }
    }

    #[test]
    fn garbage_is_no_panic(
        storages in proptest::collection::vec(storage(), 0..6),
        bytes in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let layout = RowLayout::of(&storages);
        if let Ok(mut reader) = RowReader::new(&layout, &bytes) {
            let _ = (0..storages.len()).try_for_each(|column| reader.get(column).map(|_| ()));
            let _ = reader.check();
        }
    }
}

#[test]
fn bytes_are_as_the_module_says() {
    use ColumnStorage::*;
    let layout = RowLayout::of(&[Int16, Int32, Variable, Int64]);
    let mut bytes = Vec::new();
    let values = [Datum::Int16(1), Datum::Int32(2), Datum::Bytes(b"ab"), Datum::Int64(-1)];
    layout.encode(&values, &mut bytes).expect("a row");
    let numbers = [4, 0, 1, 0, 0, 0, 2, 0, 0, 0, 5, b'a', b'b', 0, 0, 0, 0, 0];
    assert_eq!(bytes, [&numbers[..], &[0xff; 8][..]].concat());
    let mut bytes = Vec::new();
    layout.encode(&[Datum::Null, Datum::Int32(2), Datum::Null], &mut bytes).expect("a row");
    assert_eq!(bytes, [3, 0x80, 0b101, 2, 0, 0, 0]);
}

#[test]
fn headers_grow_with_lengths() {
    let layout = RowLayout::of(&[ColumnStorage::Variable]);
    for (len, expected) in [(0, 3), (126, 129), (127, 133), (70_000, 70_006)] {
        let mut bytes = Vec::new();
        layout.encode(&[Datum::Bytes(&vec![7; len])], &mut bytes).expect("a row");
        assert_eq!(bytes.len(), expected);
    }
}

#[test]
fn values_of_another_type_are_refused() {
    use ColumnStorage::*;
    let cases = [
        (Int32, Datum::Int64(1)),
        (Fixed(3), Datum::Bytes(b"ab")),
        (Bool, Datum::Int16(1)),
        (Fixed(2), Datum::Compressed(b"ab")),
    ];
    for (storage, value) in cases {
        let report = RowLayout::of(&[storage]).encode(&[value], &mut Vec::new()).expect_err("not its type");
        assert_eq!(
            (report.sqlstate.code(), &*report.message),
            ("XX000", "value 1 of a row is of another type")
        );
    }
    let report = RowLayout::of(&[]).encode(&[Datum::Null], &mut Vec::new()).expect_err("no column");
    assert_eq!(report.message, "value 1 of a row is no such column");
}
