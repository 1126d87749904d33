//! Whether a role that has proved who it is may have a session.
//!
//! PostgreSQL asks in this order: the client is authenticated, then comes [`role`], then `databases::connect`.

use crate::report::{Report, Result, SqlState};

use super::roles::{Role, RoleSource};

/// The role of a name, if it may log in. Predefined roles (`pg_…`) never may.
pub fn role(name: &str, roles: &dyn RoleSource) -> Result<Role> {
    let refuse = |message: String| Report::fatal(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, message);
    let role = roles.role(name).ok_or_else(|| refuse(format!("role \"{name}\" does not exist")))?;
    if !role.login {
        return Err(refuse(format!("role \"{name}\" is not permitted to log in")));
    }
    Ok(role)
}

/// Refuses one session more than the role may have. `sessions` counts those it has, this one included; superusers
/// have no limit.
pub fn check_connection_limit(role: &Role, sessions: u32) -> Result<()> {
    match u32::try_from(role.connection_limit) {
        Ok(limit) if !role.superuser && sessions > limit => Err(Report::fatal(
            SqlState::TOO_MANY_CONNECTIONS,
            format!("too many connections for role \"{}\"", role.name),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::roles::RolesFile;
    use super::*;

    #[test]
    fn roles_are_let_in_or_refused() {
        let roles = RolesFile::sample();
        assert_eq!(role("alice", &roles).unwrap().name, "alice");
        for (name, message) in [
            ("nope", "role \"nope\" does not exist"),
            ("staff", "role \"staff\" is not permitted to log in"),
            ("pg_monitor", "role \"pg_monitor\" is not permitted to log in"),
            ("pg_nothing", "role \"pg_nothing\" does not exist"),
        ] {
            let report = role(name, &roles).unwrap_err();
            assert_eq!((report.sqlstate.code(), &*report.message), ("28000", message));
        }
    }

    #[test]
    fn limits_count_the_new_session() {
        let mut role = role("alice", &RolesFile::sample()).unwrap();
        for (limit, superuser, sessions, expected) in [
            (-1, false, 9, true),
            (0, false, 1, false),
            (2, false, 2, true),
            (2, false, 3, false),
            (0, true, 1, true),
        ] {
            (role.connection_limit, role.superuser) = (limit, superuser);
            assert_eq!(
                check_connection_limit(&role, sessions).is_ok(),
                expected,
                "{limit} {superuser} {sessions}"
            );
        }
    }
}
