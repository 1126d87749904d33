//! Roles that the tests of other files speak of.

use std::num::NonZeroU32;

use super::super::{md5, scram};
use super::{RoleOptions, RolesFile};
use crate::auth::password::PasswordSettings;

impl RolesFile {
    /// The owner `owner`; groups `staff` in `company`; logins `alice` (in staff, with a password), `bob` (without),
    /// `late` (whose password ended at 1 ms minus 1 µs), `old` (MD5), `odd` (stored password of no kind).
    pub(in crate::auth) fn sample() -> Self {
        let settings =
            PasswordSettings { scram_iterations: NonZeroU32::new(2).unwrap(), ..Default::default() };
        let mut roles = Self::new("owner", None).unwrap();
        for name in ["company", "staff", "alice", "bob", "late", "old", "odd"] {
            let login = !matches!(name, "company" | "staff");
            let options = RoleOptions { login: Some(login), ..Default::default() };
            roles.create(name, options, &settings).unwrap();
        }
        roles.grant("company", "staff", "owner").unwrap();
        roles.grant("staff", "alice", "owner").unwrap();
        for name in ["alice", "late"] {
            let iterations = settings.scram_iterations;
            let secret = scram::Secret::build(format!("{name}'s").as_bytes(), b"salt", iterations);
            roles.by_name_mut(name).unwrap().password = Some(secret.to_string());
        }
        roles.by_name_mut("late").unwrap().valid_until = Some(999);
        roles.by_name_mut("old").unwrap().password = Some(md5::secret(b"old's", "old"));
        roles.by_name_mut("odd").unwrap().password = Some("odd's".to_owned());
        roles
    }
}
