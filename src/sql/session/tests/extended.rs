//! The extended protocol's messages, with PostgreSQL's answers.

use crate::report::Result;
use crate::sql::session::{Bind, Session};
use crate::sql::types::{Type, Wire};

use super::mock::{MockHost, Transcript, report_lines};

struct World {
    session: Session,
    host: MockHost,
}

impl World {
    fn new() -> Self {
        Self { session: Session::new(), host: MockHost::new() }
    }

    fn parse(&mut self, name: &str, text: &str, types: &[u32]) -> Result<()> {
        self.session.parse(&mut self.host, name, text, types)
    }

    fn bind(&mut self, portal: &str, statement: &str, params: &[Option<&[u8]>]) -> Result<()> {
        let bind = Bind { portal, statement, param_formats: &[], params, result_formats: &[] };
        self.session.bind(&mut self.host, &bind)
    }

    fn execute(&mut self, portal: &str, max_rows: u32) -> Vec<String> {
        let mut transcript = Transcript::default();
        let result = self.session.execute(&mut self.host, portal, max_rows, &mut transcript);
        transcript.lines.extend(result.err().iter().flat_map(|report| report_lines(report)));
        transcript.lines
    }

    fn sync(&mut self) -> char {
        self.session.sync(&mut self.host).unwrap();
        char::from(self.session.status())
    }
}

fn message(result: Result<()>) -> String {
    result.err().map_or("ok".to_owned(), |report| format!("{} {}", report.sqlstate, report.message))
}

#[test]
fn parameters_get_their_types_from_their_places() {
    for (text, given, types) in [
        ("select $1::int + 1", vec![], vec![Type::INT4]),
        ("select $1 + 1", vec![], vec![Type::INT4]),
        ("select $2 || $1", vec![], vec![Type::TEXT, Type::TEXT]),
        ("select $1", vec![], vec![Type::TEXT]),
        ("select $1", vec![20], vec![Type::INT8]),
        ("select * from generate_series(1, $1) limit $2", vec![], vec![Type::INT4, Type::INT8]),
        (
            "select pid from pg_stat_activity where usename = $1 and pid = any($2)",
            vec![],
            vec![Type::NAME, Type::INT4_ARRAY],
        ),
        ("select case when $1 then 1 end", vec![], vec![Type::BOOL]),
    ] {
        let mut world = World::new();
        world.parse("", text, &given).unwrap();
        let description = world.session.describe_statement(&mut world.host, "").unwrap();
        assert_eq!(description.params, types, "{text}");
        assert!(description.fields.is_some());
    }
    let error = World::new().parse("", "select $2::int", &[]).unwrap_err();
    assert_eq!(error.message, "could not determine data type of parameter $1");
    assert_eq!(error.sqlstate.code(), "42P18");
}

#[test]
fn values_travel_as_text_and_in_binary() {
    let mut world = World::new();
    world.parse("s", "select $1 + 1, $2", &[23, 25]).unwrap();
    let bind = Bind {
        portal: "",
        statement: "s",
        param_formats: &[1, 0],
        params: &[Some(&[0, 0, 0, 41]), Some(b"x")],
        result_formats: &[1, 0],
    };
    world.session.bind(&mut world.host, &bind).unwrap();
    let fields = world.session.describe_portal(&mut world.host, "").unwrap().unwrap();
    assert_eq!(fields.iter().map(|field| field.wire).collect::<Vec<_>>(), [Wire::Binary, Wire::Text]);
    assert_eq!(world.execute("", 0), ["row [0, 0, 0, 42] 'x'", "tag SELECT 1"]);
    assert_eq!(world.execute("", 0), ["tag SELECT 0"]);
}

#[test]
fn a_portal_gives_as_many_rows_as_asked_for() {
    let mut world = World::new();
    world.parse("", "select * from generate_series(1, 5)", &[]).unwrap();
    world.bind("p", "", &[]).unwrap();
    assert_eq!(world.execute("p", 2), ["row '1'", "row '2'", "suspended"]);
    assert_eq!(world.execute("p", 2), ["row '3'", "row '4'", "suspended"]);
    assert_eq!(world.execute("p", 2), ["row '5'", "tag SELECT 1"]);
    assert_eq!(world.sync(), 'I');
    assert_eq!(world.execute("p", 2), ["error 34000 portal \"p\" does not exist"]);
}

#[test]
fn wrong_messages_get_postgresql_s_errors() {
    let mut world = World::new();
    world.parse("s", "select $1::int", &[]).unwrap();
    for (result, expected) in [
        (world.parse("s", "select 1", &[]), "42P05 prepared statement \"s\" already exists"),
        (world.bind("", "t", &[]), "26000 prepared statement \"t\" does not exist"),
        (world.bind("", "", &[]), "26000 unnamed prepared statement does not exist"),
        (
            world.bind("", "s", &[]),
            "08P01 bind message supplies 0 parameters, but prepared statement \"s\" requires 1",
        ),
        (world.bind("", "s", &[Some(b"x")]), "22P02 invalid input syntax for type integer: \"x\""),
        (world.bind("", "s", &[Some(&[0xFF])]), "22021 invalid byte sequence for encoding \"UTF8\": 0xff"),
        (
            world.parse("", "select 1; select 2", &[]),
            "42601 cannot insert multiple commands into a prepared statement",
        ),
    ] {
        assert_eq!(message(result), expected);
    }
    let bind =
        Bind { portal: "", statement: "s", param_formats: &[2], params: &[Some(b"1")], result_formats: &[] };
    let result = world.session.bind(&mut world.host, &bind);
    assert_eq!(message(result), "22023 unsupported format code: 2");
    let bind = Bind { result_formats: &[0, 0], param_formats: &[], ..bind };
    let result = world.session.bind(&mut world.host, &bind);
    assert_eq!(message(result), "08P01 bind message has 2 result formats but query has 1 columns");
    let bind = Bind { param_formats: &[1], params: &[Some(&[1, 2])], result_formats: &[], ..bind };
    let result = world.session.bind(&mut world.host, &bind);
    assert_eq!(message(result), "08P01 insufficient data left in message");
}

#[test]
fn blocks_reach_over_syncs_and_pipelines_end_with_them() {
    let mut world = World::new();
    for (text, tag, status) in [
        ("begin", "tag BEGIN", 'T'),
        ("set local timezone = 'Asia/Tokyo'", "tag SET", 'T'),
        ("commit", "tag COMMIT", 'I'),
    ] {
        world.parse("", text, &[]).unwrap();
        world.bind("", "", &[]).unwrap();
        assert_eq!(world.execute("", 0), [tag]);
        assert_eq!(world.sync(), status, "{text}");
    }
    world.parse("", "show timezone", &[]).unwrap();
    world.bind("", "", &[]).unwrap();
    let fields = world.session.describe_portal(&mut world.host, "").unwrap().unwrap();
    assert_eq!(fields[0].name, "TimeZone");
    assert_eq!(world.execute("", 0), ["row 'UTC'", "tag SHOW"]);
    // An error takes back what the pipeline did before it.
    world.sync();
    world.parse("", "set application_name = 'lost'", &[]).unwrap();
    world.bind("", "", &[]).unwrap();
    world.execute("", 0);
    assert!(world.parse("", "selec", &[]).is_err());
    assert_eq!(world.sync(), 'I');
    world.parse("", "show application_name", &[]).unwrap();
    world.bind("", "", &[]).unwrap();
    assert_eq!(world.execute("", 0), ["row ''", "tag SHOW"]);
}

#[test]
fn a_failed_block_takes_only_its_end() {
    let mut world = World::new();
    world.parse("one", "select 1", &[]).unwrap();
    for text in ["begin", "select 1/0"] {
        if world.parse("", text, &[]).is_ok() {
            world.bind("", "", &[]).unwrap();
            world.execute("", 0);
        }
    }
    assert_eq!(world.sync(), 'E');
    let refused = "25P02 current transaction is aborted, commands ignored until end of transaction block";
    let result = world.parse("", "select 1", &[]);
    assert_eq!(message(result), refused);
    let result = world.bind("", "one", &[]);
    assert_eq!(message(result), refused);
    world.parse("", "rollback", &[]).unwrap();
    world.bind("", "", &[]).unwrap();
    assert_eq!(world.execute("", 0), ["tag ROLLBACK"]);
    assert_eq!(world.sync(), 'I');
}

#[test]
fn an_empty_statement_says_so() {
    let mut world = World::new();
    world.parse("", " ; ", &[]).unwrap();
    world.bind("", "", &[]).unwrap();
    assert_eq!(world.session.describe_portal(&mut world.host, "").unwrap(), None);
    assert_eq!(world.execute("", 0), ["empty"]);
}
