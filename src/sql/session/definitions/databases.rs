//! `CREATE DATABASE` and `DROP DATABASE`.

use crate::catalog::requests::NewDatabase;
use crate::report::{Report, Result, SqlState};
use crate::sql::parse::tree::Name;
use crate::sql::parse::tree_ddl::{DefinitionOption, OptionValue};
use crate::sql::tables::with_tables;
use crate::sql::types::Datum;
use crate::sql::views::SystemView;

use super::Defining;

/// How often a database is looked at that somebody is in, and after how long again: as in PostgreSQL, five seconds in all.
const MOST_LOOKS: u32 = 50;
const BETWEEN_LOOKS_US: i64 = 100_000;

/// What a statement says of a new database.
struct Said {
    owner: Option<String>,
    template: String,
    is_template: bool,
    allows_connections: bool,
    connection_limit: i32,
}

impl Defining<'_> {
    /// `CREATE DATABASE`.
    pub(super) fn create_database(&mut self, name: &Name, options: &[DefinitionOption]) -> Result<bool> {
        self.session.transaction.prevent_in_block("CREATE DATABASE")?;
        let said = self.database_options(options)?;
        let facts = self.host.facts();
        let (user, superuser) = (facts.user.clone(), facts.superuser);
        let sessions = self.sessions_beside(&said.template)?;
        with_tables(self.host, |access| {
            let roles = access.cx.roles()?;
            if !roles.by_name(&user).is_some_and(|role| role.superuser || role.create_db) {
                let message = "permission denied to create database";
                return Err(Report::error(SqlState::INSUFFICIENT_PRIVILEGE, message));
            }
            let owner = said.owner.as_deref().unwrap_or(&user);
            let Some(owner) = roles.by_name(owner) else {
                let message = format!("role \"{owner}\" does not exist");
                return Err(Report::error(SqlState::UNDEFINED_OBJECT, message));
            };
            let new = NewDatabase {
                name: &name.text,
                owner: owner.oid,
                template: &said.template,
                is_template: said.is_template,
                allows_connections: said.allows_connections,
                connection_limit: said.connection_limit,
                may_copy_any: superuser,
            };
            let others = |oid: u32| sessions.iter().filter(|database| **database == oid).count() as u32;
            access.cx.create_database(&new, &others).map(|_| true)
        })
    }

    /// `DROP DATABASE`.
    pub(super) fn drop_database(&mut self, name: &Name, if_exists: bool, force: bool) -> Result<bool> {
        self.session.transaction.prevent_in_block("DROP DATABASE")?;
        if force {
            return self.not_yet(None, "DROP DATABASE WITH (FORCE)");
        }
        let facts = self.host.facts();
        let (user, superuser) = (facts.user.clone(), facts.superuser);
        let sessions = self.sessions_beside(&name.text)?;
        let is_there = with_tables(self.host, |access| {
            let Some((_, row)) = access.cx.database_by_name(&name.text)? else {
                return if if_exists {
                    Ok(false)
                } else {
                    access.cx.drop_database(&name.text, &|_| 0).map(|()| true)
                };
            };
            let owns = access.cx.roles()?.by_name(&user).is_some_and(|role| role.oid == row.datdba);
            if !owns && !superuser {
                let message = format!("must be owner of database {}", name.text);
                return Err(Report::error(SqlState::INSUFFICIENT_PRIVILEGE, message));
            }
            let others = |oid: u32| sessions.iter().filter(|database| **database == oid).count() as u32;
            access.cx.drop_database(&name.text, &others).map(|()| true)
        })?;
        if !is_there {
            let message = format!("database \"{}\" does not exist, skipping", name.text);
            self.notice(SqlState::SUCCESSFUL_COMPLETION, message);
        }
        Ok(true)
    }

    /// The databases that other sessions are in. One that is on its way out of this database is waited for a while, as a
    /// client that has just left believes itself gone.
    fn sessions_beside(&mut self, name: &str) -> Result<Vec<u32>> {
        let found = with_tables(self.host, |access| access.cx.database_by_name(name))?;
        let oid = found.map_or(0, |(_, row)| row.oid);
        let mut sessions = self.sessions()?;
        for _ in 0..MOST_LOOKS {
            if !sessions.contains(&oid) {
                break;
            }
            let until = self.host.now().saturating_add(BETWEEN_LOOKS_US);
            self.host.sleep_until(until)?;
            sessions = self.sessions()?;
        }
        Ok(sessions)
    }

    /// The databases that other sessions are in.
    fn sessions(&mut self) -> Result<Vec<u32>> {
        let own = Datum::Int4(self.host.facts().pid);
        let rows = self.host.rows(SystemView::Activity)?;
        let others = rows.into_iter().filter(|row| row.get(2) != Some(&own));
        let databases = others.filter_map(|row| match row.first() {
            Some(Datum::Oid(oid)) => Some(*oid),
            _ => None,
        });
        Ok(databases.collect())
    }

    fn database_options(&mut self, options: &[DefinitionOption]) -> Result<Said> {
        let mut said = Said {
            owner: None,
            template: "template1".to_owned(),
            is_template: false,
            allows_connections: true,
            connection_limit: -1,
        };
        for option in options {
            let at = option.name.at;
            let text = match &option.value {
                Some(OptionValue::Word(text) | OptionValue::String(text) | OptionValue::Number(text)) => {
                    text.as_str()
                }
                None => continue,
                Some(_) => return self.not_yet(Some(at), "this option of CREATE DATABASE"),
            };
            let is_on = matches!(text.to_ascii_lowercase().as_str(), "true" | "on" | "1");
            match option.name.text.to_ascii_lowercase().as_str() {
                _ if text.eq_ignore_ascii_case("default") => {}
                "owner" => said.owner = Some(text.to_owned()),
                "template" => said.template = text.to_owned(),
                "is_template" => said.is_template = is_on,
                "allow_connections" => said.allows_connections = is_on,
                "connection_limit" => {
                    let invalid = || format!("invalid connection limit: {text}");
                    let limit = text.parse().ok().filter(|limit| *limit >= -1);
                    said.connection_limit = limit
                        .ok_or_else(|| self.error_at(at, SqlState::INVALID_PARAMETER_VALUE, invalid()))?;
                }
                "encoding" if matches!(text.to_ascii_lowercase().as_str(), "utf8" | "utf-8" | "6") => {}
                // There is one locale, and one strategy.
                "strategy" if text.eq_ignore_ascii_case("wal_log") => {}
                "lc_collate" | "lc_ctype" | "locale" if matches!(text, "C" | "C.UTF-8" | "POSIX") => {}
                name => {
                    return self.not_yet(Some(at), &format!("{} of CREATE DATABASE", name.to_uppercase()));
                }
            }
        }
        Ok(said)
    }
}
