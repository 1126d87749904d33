//! Stored passwords: which kind they are, making them, testing them.

use std::num::NonZeroU32;

use crate::report::{Report, Result, SqlState};

use super::roles::{Role, RoleSource};
use super::scram::{DEFAULT_ITERATIONS, SALT_LENGTH, Secret};
use super::{md5, random};

/// The setting `password_encryption`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encryption {
    /// `md5`.
    Md5,
    /// `scram-sha-256`.
    ScramSha256,
}

/// The settings that say how passwords are made, and what stands in for missing ones.
#[derive(Clone, Copy, Debug)]
pub struct PasswordSettings {
    /// `password_encryption`.
    pub encryption: Encryption,
    /// `scram_iterations`.
    pub scram_iterations: NonZeroU32,
    /// `md5_password_warnings`.
    pub md5_warnings: bool,
}

impl Default for PasswordSettings {
    fn default() -> Self {
        Self { encryption: Encryption::ScramSha256, scram_iterations: DEFAULT_ITERATIONS, md5_warnings: true }
    }
}

/// What is stored for a role. Not for logs, so it cannot be shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Stored {
    /// A SCRAM secret.
    Scram(Secret),
    /// An MD5 secret.
    Md5(String),
    /// Neither; nobody logs in by it.
    Unrecognized,
}

impl Stored {
    /// Tells the kinds apart.
    pub fn parse(text: &str) -> Self {
        match Secret::parse(text) {
            Some(secret) => Self::Scram(secret),
            None if md5::is_secret(text) => Self::Md5(text.to_owned()),
            None => Self::Unrecognized,
        }
    }
}

/// What is to be stored for a password that a user gave: its secret, or itself if it is one already.
pub fn encrypt(password: &str, role: &str, settings: &PasswordSettings) -> Result<String> {
    if Stored::parse(password) != Stored::Unrecognized {
        return Ok(password.to_owned());
    }
    if settings.encryption == Encryption::Md5 {
        return Ok(md5::secret(password.as_bytes(), role));
    }
    let salt: [u8; SALT_LENGTH] = random::bytes()
        .map_err(|_| Report::error(SqlState::INTERNAL_ERROR, "could not generate random salt"))?;
    Ok(Secret::build(password.as_bytes(), &salt, settings.scram_iterations).to_string())
}

/// The warning that PostgreSQL 18 gives when an MD5 secret is stored.
pub fn md5_warning() -> Report {
    Report::warning(SqlState::WARNING_DEPRECATED_FEATURE, "setting an MD5-encrypted password")
        .with_detail(
            "MD5 password support is deprecated and will be removed in a future release of PostgreSQL.",
        )
        .with_hint(
            "Refer to the PostgreSQL documentation for details about migrating to another password type.",
        )
}

/// Finds what is stored for a role; the error says, for the log only, why there is nothing to log in by. `now` is in
/// microseconds since the Unix epoch.
pub(super) fn stored_for(
    user: &str,
    roles: &dyn RoleSource,
    now: i64,
) -> std::result::Result<Stored, String> {
    let role = roles.role(user).ok_or_else(|| format!("Role \"{user}\" does not exist."))?;
    match &role {
        Role { password: None, .. } => Err(format!("User \"{user}\" has no password assigned.")),
        Role { valid_until: Some(end), .. } if *end < now => {
            Err(format!("User \"{user}\" has an expired password."))
        }
        Role { password: Some(password), .. } => Ok(Stored::parse(password)),
    }
}

/// Tests a password that was sent as it is. The error is for the log only. Whatever is stored, or not, the work of one
/// SCRAM secret is done.
pub(super) fn check_plain(
    password: &[u8],
    user: &str,
    stored: std::result::Result<Stored, String>,
    mock: &Secret,
) -> std::result::Result<(), String> {
    let mismatch = || format!("Password does not match for user \"{user}\".");
    if let Ok(Stored::Scram(secret)) = &stored {
        return if secret.is_of(password) { Ok(()) } else { Err(mismatch()) };
    }
    let _ = mock.is_of(password);
    match stored? {
        Stored::Md5(stored) if md5::is_of(&stored, password, user) => Ok(()),
        Stored::Md5(_) => Err(mismatch()),
        Stored::Scram(_) | Stored::Unrecognized => {
            Err(format!("Password of user \"{user}\" is in unrecognized format."))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::roles::RolesFile;
    use super::*;

    #[test]
    fn plain_passwords_are_tested_against_every_kind() {
        let roles = RolesFile::sample();
        let mock = Secret::mock("x", &[0; 32], NonZeroU32::new(1).unwrap());
        for (user, password, expected) in [
            ("alice", "alice's", Ok(())),
            ("alice", "bob's", Err("Password does not match for user \"alice\".")),
            ("old", "old's", Ok(())),
            ("old", "", Err("Password does not match for user \"old\".")),
            ("odd", "odd's", Err("Password of user \"odd\" is in unrecognized format.")),
            ("bob", "", Err("User \"bob\" has no password assigned.")),
            ("late", "late's", Err("User \"late\" has an expired password.")),
            ("none", "x", Err("Role \"none\" does not exist.")),
        ] {
            let stored = stored_for(user, &roles, 1_000);
            let found = check_plain(password.as_bytes(), user, stored, &mock);
            assert_eq!(found, expected.map_err(str::to_owned), "{user} {password}");
        }
        assert!(stored_for("late", &roles, 999).is_ok());
    }

    #[test]
    fn passwords_are_encrypted_once() {
        let settings =
            PasswordSettings { scram_iterations: NonZeroU32::new(2).unwrap(), ..Default::default() };
        let secret = encrypt("x", "a", &settings).unwrap();
        assert!(secret.starts_with("SCRAM-SHA-256$2:"));
        assert_eq!(encrypt(&secret, "a", &settings).unwrap(), secret);
        let settings = PasswordSettings { encryption: Encryption::Md5, ..settings };
        assert_eq!(encrypt("x", "a", &settings).unwrap(), md5::secret(b"x", "a"));
        assert_eq!(encrypt(&secret, "a", &settings).unwrap(), secret);
    }
}
