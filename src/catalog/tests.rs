//! Definitions under one and several sessions: made, rolled back, dropped, and found again after a crash.

use super::Cx;
use super::descriptor::{ConstraintKind, IndexKey, RelationPersistence, SequenceParameters};
use super::load::BOOTSTRAP_ROLE;
use super::make_index::NewlyBuilt;
use super::names::PUBLIC_SCHEMA;
use super::requests::{DropBehavior, NewConstraint, NewIndex, NewSequence, ObjectAddress};
use super::tables::open_table;
use super::test_world::{
    Client, crashed, create_table, create_view, relation_address, schema_address, world,
};
use super::types::{TypeSupport, oids};
use crate::access::heap::Writing;
use crate::access::row::Datum;
use crate::access::table::Written;
use crate::report::Result;
use crate::storage::ids::{Fork, RelFork};
use crate::txn::locks::LockMode;

fn int_key(column: i16) -> IndexKey {
    IndexKey {
        column,
        expression: None,
        type_oid: oids::INT4,
        operator_class: 1978,
        collation: 0,
        is_descending: false,
        nulls_first: false,
    }
}

fn new_index<'a>(relation: u32, name: &'a str, keys: &'a [IndexKey]) -> NewIndex<'a> {
    NewIndex {
        relation,
        name,
        keys,
        included: &[],
        is_unique: true,
        nulls_not_distinct: false,
        is_primary: true,
        is_immediate: true,
        predicate: None,
        options: &[],
        depends_on: &[],
    }
}

fn primary_key(cx: &mut Cx<'_, '_, '_>, relation: u32, name: &str) -> Result<(u32, u32)> {
    let keys = [int_key(1)];
    let built = cx.create_index(&new_index(relation, name, &keys), None)?;
    let NewlyBuilt::Done { oid: index, .. } = built else { panic!("{built:?}") };
    let constraint = cx.create_constraint(&NewConstraint {
        relation,
        name,
        kind: ConstraintKind::PrimaryKey,
        columns: &[1],
        index,
        foreign: None,
        expression: None,
        is_deferrable: false,
        is_deferred: false,
        is_validated: true,
        no_inherit: true,
    })?;
    Ok((index, constraint))
}

fn insert(cx: &mut Cx<'_, '_, '_>, relation: u32, a: i32) -> Result<bool> {
    let descriptor = cx.relation_by_oid(relation)?.expect("a table");
    let table = open_table(cx.session.store, &descriptor, TypeSupport::PHYSICAL);
    let values = [Datum::Int32(a), Datum::Bytes(b"text")];
    let mut writing = Writing::at_once(cx.next_command());
    let written = table.insert(cx.session, &values, &mut Vec::new(), &mut writing)?;
    Ok(matches!(written, Written::Done(_)))
}

#[test]
fn a_table_is_there_for_its_transaction_at_once_and_for_others_when_that_has_committed() {
    let world = world("visible");
    let [mut one, mut two] = [1, 2].map(|index| Client::new(&world, index));
    one.begin();
    let oid = one.with(|cx| create_table(cx, "t")).expect("a table");
    let path = ["public".to_owned()];
    let seen = one.with(|cx| cx.relation_by_name(None, "t", &path)).expect("found").expect("its own");
    assert_eq!((seen.oid, seen.columns.len(), seen.toast.is_some()), (oid, 2, true));
    assert_eq!(two.find("t"), None);
    one.commit();
    assert_eq!(two.find("t"), Some(oid));
    let ty = two.does(|cx| cx.type_by_name(PUBLIC_SCHEMA, "t")).expect("the type of its rows");
    assert_eq!((ty.kind, ty.relation), (b'c', oid));
    two.fails("42P07", |cx| create_table(cx, "t"));
    one.begin();
    one.with(|cx| create_table(cx, "u")).expect("a table");
    one.abort();
    assert_eq!(one.find("u"), None);
}

#[test]
fn who_drops_is_told_what_needs_it_and_takes_it_along_if_asked() {
    let world = world("drop");
    let mut one = Client::new(&world, 1);
    let table = one.does(|cx| create_table(cx, "t"));
    let (index, constraint) = one.does(|cx| primary_key(cx, table, "t_pkey"));
    let view = one.does(|cx| create_view(cx, "v", table));
    let drop =
        |object, behavior| move |cx: &mut Cx<'_, 'static, 'static>| cx.drop_objects(&[object], behavior);
    let report = one.fails("2BP01", drop(relation_address(table), DropBehavior::Restrict));
    assert_eq!(report.message, "cannot drop table t because other objects depend on it");
    assert_eq!(report.detail.as_deref(), Some("view v depends on table t"));
    assert_eq!(report.hint.as_deref(), Some("Use DROP ... CASCADE to drop the dependent objects too."));
    let report = one.fails("2BP01", drop(relation_address(index), DropBehavior::Restrict));
    assert_eq!(report.message, "cannot drop index t_pkey because constraint t_pkey on table t requires it");
    assert_eq!(report.hint.as_deref(), Some("You can drop constraint t_pkey on table t instead."));
    let report = one.fails("2BP01", drop(schema_address(PUBLIC_SCHEMA), DropBehavior::Restrict));
    assert_eq!(report.message, "cannot drop schema public because other objects depend on it");
    assert_eq!(
        report.detail.as_deref(),
        Some("table t depends on schema public\nview v depends on schema public")
    );
    let report = one.fails("2BP01", drop(schema_address(11), DropBehavior::Cascade));
    assert_eq!(report.message, "cannot drop schema pg_catalog because it is required by the database system");
    // A savepoint's worth of dropping that is rolled back leaves everything.
    one.begin();
    let notices =
        one.with(|cx| cx.drop_objects(&[relation_address(table)], DropBehavior::Cascade)).expect("dropped");
    assert_eq!(notices[0].message, "drop cascades to view v");
    assert_eq!(one.with(|cx| cx.relation_oid(PUBLIC_SCHEMA, "t")).expect("looked up"), None);
    one.abort();
    assert_eq!((one.find("t"), one.find("v"), one.find("t_pkey")), (Some(table), Some(view), Some(index)));
    one.does(|cx| cx.drop_objects(&[ObjectAddress::of(2606, constraint)], DropBehavior::Restrict));
    assert_eq!(one.find("t_pkey"), None);
    one.does(|cx| cx.drop_objects(&[relation_address(table)], DropBehavior::Cascade));
    assert_eq!((one.find("t"), one.find("v")), (None, None));
    for name in ["t", "_t", "v"] {
        assert!(one.does(|cx| cx.type_by_name(PUBLIC_SCHEMA, name)).is_none(), "type {name}");
    }
    assert_eq!(one.does(|cx| cx.all_rows::<super::schema::PgDepend>()), []);
}

#[test]
fn an_index_has_the_rows_that_are_there_and_refuses_a_second_one() {
    let world = world("index");
    let mut one = Client::new(&world, 1);
    let table = one.does(|cx| create_table(cx, "t"));
    for a in [3, 1, 2] {
        assert!(one.does(|cx| insert(cx, table, a)));
    }
    one.does(|cx| primary_key(cx, table, "t_pkey"));
    assert!(!one.does(|cx| insert(cx, table, 2)), "2 is there");
    assert!(one.does(|cx| insert(cx, table, 4)));
    let rows = one.does(|cx| {
        let descriptor = cx.relation_by_oid(table)?.expect("a table");
        assert!(descriptor.primary_key().is_some());
        let opened = open_table(cx.session.store, &descriptor, TypeSupport::PHYSICAL);
        let snapshot = cx.session.transaction.latest_snapshot();
        opened.check(cx.session, crate::access::visibility::ReadView { snapshot, command: u32::MAX })
    });
    assert_eq!(rows, 4);
    one.does(|cx| create_table(cx, "u"));
    let other = one.find("u").expect("a table");
    for _ in 0..2 {
        one.does(|cx| insert(cx, other, 7));
    }
    one.begin();
    let keys = [int_key(1)];
    let built = one.with(|cx| cx.create_index(&new_index(other, "u_pkey", &keys), None)).expect("built");
    assert!(matches!(built, NewlyBuilt::Duplicate(_)));
    one.abort();
    // TRUNCATE, and back.
    one.begin();
    one.with(|cx| cx.replace_files(table)).expect("new files");
    assert!(one.with(|cx| insert(cx, table, 2)).expect("a row"), "nothing is there any more");
    one.abort();
    assert!(!one.does(|cx| insert(cx, table, 2)), "2 is there again");
}

#[test]
fn a_session_forgets_what_another_has_changed_when_it_gets_the_lock() {
    let world = world("forget");
    let [mut one, mut two] = [1, 2].map(|index| Client::new(&world, index));
    let table = one.does(|cx| create_table(cx, "t"));
    let path = ["public".to_owned()];
    let open = |client: &mut Client, name: &str, mode| {
        client
            .with(|cx| cx.open_relation(None, name, &path, mode))
            .map(|found| found.map(|t| t.columns.len()))
    };
    two.begin();
    assert_eq!(open(&mut two, "t", LockMode::AccessShare), Ok(Some(2)));
    one.begin();
    assert_eq!(open(&mut one, "t", LockMode::AccessExclusive).unwrap_err().sqlstate.code(), "55P03");
    one.abort();
    two.commit();
    one.begin();
    assert_eq!(open(&mut one, "t", LockMode::AccessExclusive), Ok(Some(2)));
    let column = super::descriptor::ColumnDescriptor::new("c", 3, oids::INT4, -1);
    one.with(|cx| cx.add_column(table, &column, &[])).expect("a column");
    assert_eq!(open(&mut one, "t", LockMode::AccessShare), Ok(Some(3)), "its own change");
    two.begin();
    assert_eq!(open(&mut two, "t", LockMode::AccessShare).unwrap_err().sqlstate.code(), "55P03");
    two.abort();
    one.commit();
    two.begin();
    assert_eq!(open(&mut two, "t", LockMode::AccessShare), Ok(Some(3)));
    two.commit();
    one.does(|cx| cx.rename_relation(table, "other"));
    two.begin();
    assert_eq!(open(&mut two, "t", LockMode::AccessShare), Ok(None));
    assert_eq!(open(&mut two, "other", LockMode::AccessShare), Ok(Some(3)));
    two.commit();
    // What was rolled back is forgotten by who did it.
    one.begin();
    one.with(|cx| cx.rename_column(table, "a", "z")).expect("renamed");
    one.abort();
    let names = one.does(|cx| cx.relation_by_oid(table)).expect("a table");
    assert_eq!(names.columns[0].name, "a");
}

#[test]
fn sequences_count_on_whatever_becomes_of_transactions() {
    let world = world("sequences");
    let [mut one, mut two] = [1, 2].map(|index| Client::new(&world, index));
    let parameters = SequenceParameters {
        type_oid: oids::INT8,
        start: 5,
        increment: 1,
        max: 9,
        min: 1,
        cache: 1,
        cycles: false,
    };
    let new = NewSequence {
        namespace: PUBLIC_SCHEMA,
        name: "s",
        persistence: RelationPersistence::Permanent,
        owner: BOOTSTRAP_ROLE,
        parameters,
        owned_by: None,
    };
    let sequence = one.does(|cx| cx.create_sequence(&new));
    one.fails("55000", |cx| cx.currval(sequence));
    assert_eq!(one.does(|cx| cx.nextval(sequence)), 5);
    one.begin();
    assert_eq!(one.with(|cx| cx.nextval(sequence)), Ok(6));
    one.abort();
    assert_eq!(two.does(|cx| cx.nextval(sequence)), 7);
    assert_eq!((one.does(|cx| cx.currval(sequence)), one.does(|cx| cx.lastval())), (6, 6));
    one.does(|cx| cx.setval(sequence, 9, false));
    assert_eq!(one.does(|cx| cx.nextval(sequence)), 9);
    let report = one.fails("2200H", |cx| cx.nextval(sequence));
    assert_eq!(report.message, "nextval: reached maximum value of sequence \"s\" (9)");
    let report = one.fails("22003", |cx| cx.setval(sequence, 10, true));
    assert_eq!(report.message, "setval: value 10 is out of bounds for sequence \"s\" (1..9)");
    // ALTER SEQUENCE … RESTART is undone with its transaction.
    one.begin();
    one.with(|cx| cx.alter_sequence(sequence, &parameters, Some(2))).expect("begun again");
    assert_eq!(one.with(|cx| cx.nextval(sequence)), Ok(2));
    one.abort();
    one.fails("2200H", |cx| cx.nextval(sequence));
    let behind = crashed(&world);
    let mut three = Client::new(&behind, 1);
    three.fails("2200H", |cx| cx.nextval(sequence));
}

#[test]
fn committed_definitions_outlive_a_crash_and_others_leave_nothing() {
    let world = world("crash");
    let mut one = Client::new(&world, 1);
    let table = one.does(|cx| create_table(cx, "t"));
    one.does(|cx| primary_key(cx, table, "t_pkey"));
    one.does(|cx| insert(cx, table, 1));
    one.begin();
    let lost = one.with(|cx| create_table(cx, "lost")).expect("a table");
    let file = one.with(|cx| cx.relation_by_oid(lost)).expect("found").expect("a table").file;
    let behind = crashed(&world);
    let mut two = Client::new(&behind, 1);
    assert_eq!((two.find("t"), two.find("lost")), (Some(table), None));
    let fork = RelFork { file, fork: Fork::Main };
    assert!(!two.session.store.storage.files().exists(fork).expect("no file"));
    assert!(!two.does(|cx| insert(cx, table, 1)), "its key is there");
    assert!(two.does(|cx| insert(cx, table, 2)));
    let again = two.does(|cx| create_table(cx, "lost"));
    assert!(again >= lost, "numbers are not given out again");
}

#[test]
fn columns_are_changed_and_dropped_ones_leave_their_place() {
    let world = world("columns");
    let mut one = Client::new(&world, 1);
    let table = one.does(|cx| create_table(cx, "t"));
    one.does(|cx| cx.set_default(table, 1, Some("7"), &[]));
    one.does(|cx| cx.set_not_null(table, 1, true));
    let described = |client: &mut Client| client.does(|cx| cx.relation_by_oid(table)).expect("a table");
    let before = described(&mut one);
    assert_eq!((before.columns[0].default.as_deref(), before.columns[0].not_null), (Some("7"), true));
    let view = one.does(|cx| create_view(cx, "v", table));
    let report = one.fails("2BP01", |cx| cx.drop_column(table, "a", DropBehavior::Restrict));
    assert_eq!(report.message, "cannot drop column a of table t because other objects depend on it");
    assert_eq!(report.detail.as_deref(), Some("view v depends on column a of table t"));
    one.does(|cx| cx.drop_column(table, "a", DropBehavior::Cascade));
    assert!(one.does(|cx| cx.relation_by_oid(view)).is_none());
    let behind = described(&mut one);
    let first = &behind.columns[0];
    assert_eq!((first.is_dropped, first.name.as_str()), (true, "........pg.dropped.1........"));
    assert_eq!(first.storage, crate::access::ColumnStorage::Int32, "rows keep its values");
    assert_eq!(behind.live_columns().count(), 1);
    one.fails("42703", |cx| cx.drop_column(table, "a", DropBehavior::Cascade));
    one.fails("42701", |cx| cx.rename_column(table, "b", "ctid"));
    let mut column = super::descriptor::ColumnDescriptor::new("c", 0, oids::INT4, -1);
    column.missing = Some(crate::access::OwnedDatum::Plain(Datum::Int32(42)));
    assert_eq!(one.does(|cx| cx.add_column(table, &column, &[])), 3);
    assert_eq!(described(&mut one).columns[2].missing, column.missing);
}

#[test]
fn comments_owners_and_schemas_follow() {
    let world = world("schemas");
    let mut one = Client::new(&world, 1);
    let table = one.does(|cx| create_table(cx, "t"));
    one.does(|cx| primary_key(cx, table, "t_pkey"));
    let schema = one.does(|cx| cx.create_namespace("s", BOOTSTRAP_ROLE));
    one.fails("42P06", |cx| cx.create_namespace("s", BOOTSTRAP_ROLE));
    one.fails("42939", |cx| cx.create_namespace("pg_s", BOOTSTRAP_ROLE));
    one.does(|cx| cx.set_relation_schema(table, schema));
    assert_eq!((one.find("t"), one.find("t_pkey")), (None, None));
    assert!(one.does(|cx| cx.relation_oid(schema, "t_pkey")).is_some());
    let report = one.fails("2BP01", |cx| cx.drop_objects(&[schema_address(schema)], DropBehavior::Restrict));
    assert_eq!(report.detail.as_deref(), Some("table s.t depends on schema s"));
    one.does(|cx| cx.rename_schema("s", "z"));
    let moved = one.does(|cx| cx.relation_by_oid(table)).expect("a table");
    assert_eq!(moved.namespace_name, "z");
    one.does(|cx| cx.comment(relation_address(table), Some("a comment")));
    one.does(|cx| cx.comment(relation_address(table), Some("another")));
    let comments = one.does(|cx| cx.all_rows::<super::schema::PgDescription>());
    assert_eq!(comments.len(), 1);
    let notices = one.does(|cx| cx.drop_objects(&[schema_address(schema)], DropBehavior::Cascade));
    assert_eq!(notices[0].message, "drop cascades to table z.t");
    assert!(one.does(|cx| cx.all_rows::<super::schema::PgDescription>()).is_empty());
}
