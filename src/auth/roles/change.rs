//! CREATE, ALTER and DROP ROLE, GRANT and REVOKE of roles, on the contents of the file.
//!
//! Whether the session's user may ask for it is not decided here. Each returns the notices for the client.

use crate::auth::password::{self, PasswordSettings, Stored};
use crate::report::{Report, ReportExt, Result, Severity, SqlState};

use super::{BOOTSTRAP_OID, FIRST_NORMAL_OID, Role, RolesFile};

const INVALID_GRANT_OPERATION: SqlState = SqlState::new("0LP01");
const DEPENDENT_OBJECTS_STILL_EXIST: SqlState = SqlState::new("2BP01");

/// What a statement says of a role; what it does not say is `None`. It has a password in it and cannot be shown.
#[derive(Clone, Default)]
pub struct RoleOptions {
    /// SUPERUSER.
    pub superuser: Option<bool>,
    /// INHERIT.
    pub inherit: Option<bool>,
    /// CREATEROLE.
    pub create_role: Option<bool>,
    /// CREATEDB.
    pub create_db: Option<bool>,
    /// LOGIN.
    pub login: Option<bool>,
    /// REPLICATION.
    pub replication: Option<bool>,
    /// BYPASSRLS.
    pub bypass_rls: Option<bool>,
    /// CONNECTION LIMIT.
    pub connection_limit: Option<i32>,
    /// VALID UNTIL, in microseconds since the Unix epoch; `i64::MAX` is infinity.
    pub valid_until: Option<i64>,
    /// PASSWORD; `Some(None)` is PASSWORD NULL.
    pub password: Option<Option<String>>,
}

impl RolesFile {
    /// CREATE ROLE.
    pub fn create(
        &mut self,
        name: &str,
        options: RoleOptions,
        settings: &PasswordSettings,
    ) -> Result<Vec<Report>> {
        check_name(name)?;
        self.check_free(name)?;
        let mut notices = Vec::new();
        let mut role = Role::new(self.next_oid, name);
        apply(&mut role, options, settings, &mut notices)?;
        // Numbers of dropped roles are not given again before all others were.
        self.next_oid = self.next_oid.checked_add(1).unwrap_or(FIRST_NORMAL_OID);
        while self.by_oid(self.next_oid).is_some() {
            self.next_oid = self.next_oid.checked_add(1).unwrap_or(FIRST_NORMAL_OID);
        }
        self.roles.push(role);
        self.roles.sort_by_key(|role| role.oid);
        Ok(notices)
    }

    /// ALTER ROLE.
    pub fn alter(
        &mut self,
        name: &str,
        options: RoleOptions,
        settings: &PasswordSettings,
    ) -> Result<Vec<Report>> {
        let role = self.named(name)?;
        if role.name.starts_with("pg_") {
            return Err(reserved(name).with_detail("Cannot alter reserved roles."));
        }
        if role.oid == BOOTSTRAP_OID && options.superuser == Some(false) {
            return Err(Report::not_supported("permission denied to alter role")
                .with_detail("The bootstrap superuser must have the SUPERUSER attribute."));
        }
        let mut notices = Vec::new();
        apply(role, options, settings, &mut notices)?;
        Ok(notices)
    }

    /// ALTER ROLE … RENAME TO, by a session of `current_user` that began as `session_user`.
    pub fn rename(
        &mut self,
        name: &str,
        new_name: &str,
        current_user: u32,
        session_user: u32,
    ) -> Result<Vec<Report>> {
        let role = self.named(name)?;
        for (user, what) in [(session_user, "session"), (current_user, "current")] {
            if role.oid == user {
                return Err(Report::not_supported(format!("{what} user cannot be renamed")));
            }
        }
        if role.name.starts_with("pg_") {
            return Err(reserved(name).with_detail("Role names starting with \"pg_\" are reserved."));
        }
        check_name(new_name)?;
        self.check_free(new_name)?;
        let role = self.named(name)?;
        new_name.clone_into(&mut role.name);
        let mut notices = Vec::new();
        // MD5 secrets have the name in them.
        if role.password.as_deref().is_some_and(|stored| matches!(Stored::parse(stored), Stored::Md5(_))) {
            role.password = None;
            notices.push(notice("MD5 password cleared because of role rename"));
        }
        Ok(notices)
    }

    /// DROP ROLE, by a session of `current_user` that began as `session_user`.
    pub fn drop(&mut self, name: &str, current_user: u32, session_user: u32) -> Result<()> {
        let role = self.named(name)?;
        let (oid, name) = (role.oid, role.name.clone());
        for (user, what) in [(current_user, "current"), (session_user, "session")] {
            if oid == user {
                return Err(Report::error(SqlState::OBJECT_IN_USE, format!("{what} user cannot be dropped")));
            }
        }
        if oid < FIRST_NORMAL_OID {
            return Err(Report::error(
                DEPENDENT_OBJECTS_STILL_EXIST,
                format!("cannot drop role {name} because it is required by the database system"),
            ));
        }
        self.roles.retain(|role| role.oid != oid);
        self.memberships.retain(|(group, member)| *group != oid && *member != oid);
        Ok(())
    }

    /// GRANT group TO member. The grantor is named in the notice and not kept.
    pub fn grant(&mut self, group: &str, member: &str, grantor: &str) -> Result<Vec<Report>> {
        let (group_oid, member_oid) = (self.named(group)?.oid, self.named(member)?.oid);
        if self.is_member_by_oid(group_oid, member_oid) {
            return Err(Report::error(
                INVALID_GRANT_OPERATION,
                format!("role \"{group}\" is a member of role \"{member}\""),
            ));
        }
        if self.memberships.insert((group_oid, member_oid)) {
            return Ok(Vec::new());
        }
        Ok(vec![notice(format!(
            "role \"{member}\" has already been granted membership in role \"{group}\" by role \"{grantor}\""
        ))])
    }

    /// REVOKE group FROM member.
    pub fn revoke(&mut self, group: &str, member: &str, grantor: &str) -> Result<Vec<Report>> {
        let (group_oid, member_oid) = (self.named(group)?.oid, self.named(member)?.oid);
        if self.memberships.remove(&(group_oid, member_oid)) {
            return Ok(Vec::new());
        }
        let message = format!(
            "role \"{member}\" has not been granted membership in role \"{group}\" by role \"{grantor}\""
        );
        Ok(vec![Report::warning(SqlState::WARNING, message)])
    }

    pub(super) fn by_name_mut(&mut self, name: &str) -> Option<&mut Role> {
        self.roles.iter_mut().find(|role| role.name == name)
    }

    fn named(&mut self, name: &str) -> Result<&mut Role> {
        self.by_name_mut(name).ok_or_else(|| {
            Report::error(SqlState::UNDEFINED_OBJECT, format!("role \"{name}\" does not exist"))
        })
    }

    fn check_free(&self, name: &str) -> Result<()> {
        match self.by_name(name) {
            None => Ok(()),
            Some(_) => {
                Err(Report::error(SqlState::DUPLICATE_OBJECT, format!("role \"{name}\" already exists")))
            }
        }
    }
}

/// Refuses the names that mean something else.
fn check_name(name: &str) -> Result<()> {
    if name.starts_with("pg_") {
        return Err(reserved(name).with_detail("Role names starting with \"pg_\" are reserved."));
    }
    if matches!(name, "public" | "none") {
        return Err(reserved(name));
    }
    if name.is_empty() || name.contains('\0') {
        return Err(Report::error(
            SqlState::INVALID_NAME,
            format!("invalid role name \"{}\"", name.escape_debug()),
        ));
    }
    Ok(())
}

fn reserved(name: &str) -> Box<Report> {
    Report::error(SqlState::RESERVED_NAME, format!("role name \"{name}\" is reserved"))
}

fn notice(message: impl Into<String>) -> Report {
    Report::new(Severity::Notice, SqlState::SUCCESSFUL_COMPLETION, message)
}

/// Applies the options, all or none.
fn apply(
    role: &mut Role,
    options: RoleOptions,
    settings: &PasswordSettings,
    notices: &mut Vec<Report>,
) -> Result<()> {
    if let Some(limit) = options.connection_limit.filter(|limit| *limit < -1) {
        return Err(Report::error(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("invalid connection limit: {limit}"),
        ));
    }
    if let Some(password) = options.password {
        role.password = encrypt(password, &role.name, settings, notices)?;
    }
    role.superuser = options.superuser.unwrap_or(role.superuser);
    role.inherit = options.inherit.unwrap_or(role.inherit);
    role.create_role = options.create_role.unwrap_or(role.create_role);
    role.create_db = options.create_db.unwrap_or(role.create_db);
    role.login = options.login.unwrap_or(role.login);
    role.replication = options.replication.unwrap_or(role.replication);
    role.bypass_rls = options.bypass_rls.unwrap_or(role.bypass_rls);
    role.connection_limit = options.connection_limit.unwrap_or(role.connection_limit);
    role.valid_until = options.valid_until.or(role.valid_until);
    Ok(())
}

fn encrypt(
    password: Option<String>,
    role: &str,
    settings: &PasswordSettings,
    notices: &mut Vec<Report>,
) -> Result<Option<String>> {
    let Some(password) = password else {
        return Ok(None);
    };
    if password.is_empty() {
        notices.push(notice("empty string is not a valid password, clearing password"));
        return Ok(None);
    }
    let stored = password::encrypt(&password, role, settings)?;
    if settings.md5_warnings && matches!(Stored::parse(&stored), Stored::Md5(_)) {
        notices.push(password::md5_warning());
    }
    Ok(Some(stored))
}
