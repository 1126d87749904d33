//! The databases there are until a catalog lists them.

use crate::report::{Report, Result, SqlState};

/// One database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Database {
    /// Its number, which never changes.
    pub oid: u32,
    /// Its name.
    pub name: &'static str,
    /// Whether others are copied from it.
    pub is_template: bool,
    /// Whether sessions may be in it.
    pub allows_connections: bool,
}

/// All of them.
pub const DATABASES: [Database; 3] = [
    Database { oid: 1, name: "template1", is_template: true, allows_connections: true },
    Database { oid: 4, name: "template0", is_template: true, allows_connections: false },
    Database { oid: 5, name: "postgres", is_template: false, allows_connections: true },
];

/// The database of a name, if a session may be in it.
pub fn connect(name: &str) -> Result<&'static Database> {
    let Some(database) = DATABASES.iter().find(|database| database.name == name) else {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_are_found_or_refused() {
        assert_eq!(connect("postgres").unwrap().oid, 5);
        assert_eq!(connect("template1").unwrap().oid, 1);
        for (name, code, message) in [
            ("Postgres", "3D000", "database \"Postgres\" does not exist"),
            ("template0", "55000", "database \"template0\" is not currently accepting connections"),
        ] {
            let report = connect(name).unwrap_err();
            assert_eq!((report.sqlstate.code(), &*report.message), (code, message));
        }
    }
}
