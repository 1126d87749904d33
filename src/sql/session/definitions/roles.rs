//! Roles: `CREATE`, `ALTER` and `DROP ROLE`, and memberships by `GRANT` and `REVOKE`.

use crate::auth::password::PasswordSettings;
use crate::auth::roles::{RoleOptions, RolesFile};
use crate::report::{Report, ReportExt, Result, SqlState};
use crate::sql::functions::strings_more::quote_literal_text;
use crate::sql::parse::tree_ddl::{Grant, RoleKind, RoleOption};
use crate::sql::tables::with_tables;
use crate::sql::types::Datum;

use super::Defining;

/// Microseconds from 1970 to 2000.
const EPOCH_2000_US: i64 = 946_684_800_000_000;

/// What a statement's options say, memberships apart.
struct Said {
    options: RoleOptions,
    /// `IN ROLE`: roles that it becomes a member of; `ROLE`: roles that become its members.
    groups: Vec<String>,
    members: Vec<String>,
}

impl Defining<'_> {
    /// `CREATE ROLE`, `CREATE USER`, `CREATE GROUP`.
    pub(super) fn create_role(&mut self, kind: RoleKind, name: &str, options: &[RoleOption]) -> Result<bool> {
        self.require_create_role(
            "create role",
            "Only roles with the CREATEROLE attribute may create roles.",
        )?;
        let mut said = self.role_options(options)?;
        if matches!(kind, RoleKind::User) {
            said.options.login = said.options.login.or(Some(true));
        }
        let by = self.host.facts().user.clone();
        self.change_roles(|roles| {
            let mut notices = roles.create(name, said.options, &PasswordSettings::default())?;
            for group in &said.groups {
                notices.extend(roles.grant(group, name, &by)?);
            }
            for member in &said.members {
                notices.extend(roles.grant(name, member, &by)?);
            }
            Ok(notices)
        })
    }

    /// `ALTER ROLE … WITH …`.
    pub(super) fn alter_role(&mut self, name: &str, options: &[RoleOption]) -> Result<bool> {
        let is_own_password = self.host.facts().user == name
            && options.iter().all(|option| matches!(option, RoleOption::Password(_)));
        if !is_own_password {
            self.require_superuser("alter role")?;
        }
        let said = self.role_options(options)?;
        if !said.groups.is_empty() || !said.members.is_empty() {
            return self.not_yet(None, "ALTER GROUP");
        }
        self.change_roles(|roles| roles.alter(name, said.options, &PasswordSettings::default()))
    }

    /// `DROP ROLE`.
    pub(super) fn drop_role(&mut self, names: &[String], if_exists: bool) -> Result<bool> {
        self.require_superuser("drop role")?;
        let facts = self.host.facts();
        let (current, session) = (facts.user.clone(), facts.session_user.clone());
        for name in names {
            let mut is_missing = false;
            self.change_roles(|roles| {
                is_missing = if_exists && roles.by_name(name).is_none();
                if is_missing {
                    return Ok(Vec::new());
                }
                let oid = |name: &str| roles.by_name(name).map_or(0, |role| role.oid);
                let (current, session) = (oid(&current), oid(&session));
                roles.drop(name, current, session).map(|()| Vec::new())
            })?;
            if is_missing {
                let message = format!("role \"{name}\" does not exist, skipping");
                self.notice(SqlState::SUCCESSFUL_COMPLETION, message);
            }
        }
        Ok(true)
    }

    /// `GRANT group TO member` and `REVOKE group FROM member`; `false`: it is of privileges on something.
    pub(super) fn grant_roles(&mut self, grant: &Grant) -> Result<bool> {
        let (None, Some(groups)) = (&grant.on, &grant.privileges) else { return Ok(false) };
        if !grant.options.is_empty() || grant.granted_by.is_some() || grant.cascade {
            return self.not_yet(None, "GRANT of a role with options");
        }
        self.require_superuser("grant role")?;
        let by = self.host.facts().user.clone();
        self.change_roles(|roles| {
            let mut notices = Vec::new();
            for group in groups {
                for member in &grant.roles {
                    notices.extend(match grant.revoke {
                        true => roles.revoke(&group.name, member, &by)?,
                        false => roles.grant(&group.name, member, &by)?,
                    });
                }
            }
            Ok(notices)
        })
    }

    fn change_roles(&mut self, change: impl FnOnce(&mut RolesFile) -> Result<Vec<Report>>) -> Result<bool> {
        let notices = with_tables(self.host, |access| access.cx.change_roles(change))?;
        notices.into_iter().for_each(|notice| self.host.notice(notice));
        Ok(true)
    }

    pub(super) fn require_superuser(&self, what: &str) -> Result<()> {
        if self.host.facts().superuser {
            return Ok(());
        }
        let message = format!("permission denied to {what}");
        Err(Report::error(SqlState::INSUFFICIENT_PRIVILEGE, message)
            .with_detail("Only roles with the SUPERUSER attribute may do that yet."))
    }

    fn require_create_role(&mut self, what: &str, detail: &str) -> Result<()> {
        let user = self.host.facts().user.clone();
        let roles = with_tables(self.host, |access| access.cx.roles())?;
        let may = roles.by_name(&user).is_some_and(|role| role.superuser || role.create_role);
        if may {
            return Ok(());
        }
        let message = format!("permission denied to {what}");
        Err(Report::error(SqlState::INSUFFICIENT_PRIVILEGE, message).with_detail(detail))
    }

    fn role_options(&mut self, options: &[RoleOption]) -> Result<Said> {
        let mut said = Said { options: RoleOptions::default(), groups: Vec::new(), members: Vec::new() };
        for option in options {
            match option {
                RoleOption::Flag(word) => self.role_flag(&mut said.options, word)?,
                RoleOption::Password(password) => said.options.password = Some(password.clone()),
                RoleOption::ConnectionLimit(limit) => said.options.connection_limit = Some(*limit),
                RoleOption::ValidUntil(text) => said.options.valid_until = Some(self.valid_until(text)?),
                RoleOption::Members("IN ROLE", names) => said.groups.extend(names.iter().cloned()),
                RoleOption::Members("ROLE", names) => said.members.extend(names.iter().cloned()),
                RoleOption::Members(what, _) => return self.not_yet(None, &format!("{what} of CREATE ROLE")),
                RoleOption::SysId(_) => {
                    self.notice(SqlState::SUCCESSFUL_COMPLETION, "SYSID can no longer be specified".into());
                }
            }
        }
        Ok(said)
    }

    fn role_flag(&self, options: &mut RoleOptions, word: &str) -> Result<()> {
        let lower = word.to_ascii_lowercase();
        let (name, is_set) = match lower.strip_prefix("no") {
            Some(name) => (name, false),
            None => (lower.as_str(), true),
        };
        let flag = match name {
            "superuser" => &mut options.superuser,
            "createdb" => &mut options.create_db,
            "createrole" => &mut options.create_role,
            "inherit" => &mut options.inherit,
            "login" => &mut options.login,
            "replication" => &mut options.replication,
            "bypassrls" => &mut options.bypass_rls,
            _ => {
                return Err(self.error_at(
                    self.source.start,
                    SqlState::SYNTAX_ERROR,
                    format!("unrecognized role option \"{word}\""),
                ));
            }
        };
        if flag.is_some() {
            let at = self.source.start;
            return Err(self.error_at(at, SqlState::SYNTAX_ERROR, "conflicting or redundant options"));
        }
        *flag = Some(is_set);
        Ok(())
    }

    /// Microseconds since 1970; `infinity` is the last of them.
    fn valid_until(&mut self, text: &str) -> Result<i64> {
        let query = format!("SELECT {}::pg_catalog.timestamptz", quote_literal_text(text));
        let rows = self.session.run_internal(self.host, &query)?;
        Ok(match rows.first().and_then(|row| row.first()) {
            Some(Datum::Timestamptz(i64::MAX)) => i64::MAX,
            Some(Datum::Timestamptz(at)) => at.saturating_add(EPOCH_2000_US),
            _ => i64::MAX,
        })
    }
}
