//! The databases that sessions may be in. The catalog lists them; the file of roles has a copy, for who has no store yet.

use std::borrow::Cow;

use crate::report::{Report, Result, SqlState};

/// One database.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Database {
    /// Its number, which never changes.
    pub oid: u32,
    /// Its name.
    pub name: Cow<'static, str>,
    /// Whether others are copied from it.
    pub is_template: bool,
    /// Whether sessions may be in it.
    pub allows_connections: bool,
    /// Sessions at once; -1: any number.
    pub connection_limit: i32,
}

/// A database that sessions may be in, any number of them; `how`: whether it is a template, and whether they may.
const fn unlimited(oid: u32, name: &'static str, how: (bool, bool)) -> Database {
    let (is_template, allows_connections) = how;
    Database { oid, name: Cow::Borrowed(name), is_template, allows_connections, connection_limit: -1 }
}

/// Those of a new data directory.
pub const DATABASES: [Database; 3] = [
    unlimited(1, "template1", (true, true)),
    unlimited(4, "template0", (true, false)),
    unlimited(5, "postgres", (false, true)),
];

/// The database of a name, if a session may be in it.
pub fn connect<'d>(databases: &'d [Database], name: &str) -> Result<&'d Database> {
    let Some(database) = databases.iter().find(|database| database.name == name) else {
        return Err(Report::fatal(
            SqlState::INVALID_CATALOG_NAME,
            format!("database \"{name}\" does not exist"),
        ));
    };
    if !database.allows_connections {
        return Err(Report::fatal(
            SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("database \"{name}\" is not currently accepting connections"),
        ));
    }
    Ok(database)
}

/// Refuses one session more than the database may have. `sessions` counts those it has, this one included; superusers
/// have no limit.
pub fn check_connection_limit(database: &Database, superuser: bool, sessions: u32) -> Result<()> {
    match u32::try_from(database.connection_limit) {
        Ok(limit) if !superuser && sessions > limit => Err(Report::fatal(
            SqlState::TOO_MANY_CONNECTIONS,
            format!("too many connections for database \"{}\"", database.name),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_count_the_new_session() {
        for (limit, superuser, sessions, is_let_in) in [
            (-1, false, 9, true),
            (0, false, 1, false),
            (2, false, 2, true),
            (2, false, 3, false),
            (0, true, 1, true),
        ] {
            let database = Database { connection_limit: limit, ..unlimited(9, "d", (false, true)) };
            let checked = check_connection_limit(&database, superuser, sessions);
            let message = checked.map_err(|report| report.message);
            let refused = Err("too many connections for database \"d\"".to_owned());
            assert_eq!(message, if is_let_in { Ok(()) } else { refused }, "{limit} {superuser} {sessions}");
        }
    }

    #[test]
    fn databases_are_found_or_refused() {
        assert_eq!(connect(&DATABASES, "postgres").unwrap().oid, 5);
        assert_eq!(connect(&DATABASES, "template1").unwrap().oid, 1);
        for (name, code, message) in [
            ("Postgres", "3D000", "database \"Postgres\" does not exist"),
            ("template0", "55000", "database \"template0\" is not currently accepting connections"),
        ] {
            let report = connect(&DATABASES, name).unwrap_err();
            assert_eq!((report.sqlstate.code(), &*report.message), (code, message));
        }
    }
}
