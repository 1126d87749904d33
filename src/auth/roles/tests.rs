//! The file there and back, and changes with PostgreSQL's refusals.

use super::*;
use crate::auth::scratch::Scratch;
use crate::report::Severity;

fn settings() -> PasswordSettings {
    PasswordSettings { scram_iterations: 2.try_into().unwrap(), ..Default::default() }
}

#[test]
fn a_new_cluster_has_its_owner_and_the_predefined_roles() {
    let roles = RolesFile::new("me", Some("secret")).unwrap();
    let owner = roles.by_oid(BOOTSTRAP_OID).unwrap();
    assert!(owner.superuser && owner.login && owner.replication && owner.bypass_rls);
    assert!(owner.password.as_ref().unwrap().starts_with("SCRAM-SHA-256$4096:"));
    assert!(roles.is_member("pg_monitor", "pg_read_all_stats"));
    assert!(!roles.is_member("pg_read_all_stats", "pg_monitor"));
    assert_ne!(roles.mock_nonce(), RolesFile::new("me", None).unwrap().mock_nonce());
    let refused = RolesFile::new("pg_me", None).err().unwrap();
    assert_eq!(
        refused.message,
        "superuser name \"pg_me\" is disallowed; role names cannot begin with \"pg_\""
    );
}

#[test]
fn the_file_comes_back_as_it_was() {
    let scratch = Scratch::new("roles");
    scratch.folder("global");
    let mut roles = RolesFile::sample();
    let odd = "a \"b\" \\n\n\r ü=x";
    let options =
        RoleOptions { valid_until: Some(i64::MAX), connection_limit: Some(7), ..Default::default() };
    roles.create(odd, options, &settings()).unwrap();
    roles.by_name_mut(odd).unwrap().inherit = false;
    roles.write(scratch.path()).unwrap();
    roles.write(scratch.path()).unwrap();
    let read = RolesFile::read(scratch.path()).unwrap();
    assert!(read == roles);
    assert_eq!(read.by_name(odd).unwrap().connection_limit, 7);
    assert_eq!(scratch.names("global"), ["tuskd_roles"]);
}

#[test]
fn damage_is_found_by_line() {
    let scratch = Scratch::new("roles_damage");
    scratch.folder("global");
    RolesFile::sample().write(scratch.path()).unwrap();
    let good = std::fs::read_to_string(scratch.path().join(PATH)).unwrap();
    for (from, to, line, why) in [
        ("tuskd roles 1", "tuskd roles 2", 1, "expected \"tuskd roles 1\" as its first line"),
        ("mock_nonce ", "mock_nonce x", 2, "bad mock_nonce"),
        ("next_oid 1", "next_oid x1", 3, "bad number \"x16391\""),
        ("\"owner\" 10", "\"owner\" ten", 4, "bad number \"ten\""),
        ("\"owner\"", "owner", 4, "expected a quote"),
        ("\"owner\"", "\"owner", 4, "missing closing quote"),
        ("\"owner\"", "\"own\\er\"", 4, "unknown escape"),
        ("superuser", "hyperuser", 4, "unknown attribute \"hyperuser\""),
        ("role \"pg_monitor\"", "roll \"pg_monitor\"", 5, "unknown word \"roll\""),
        ("pg_read_all_settings", "pg_monitor", 6, "second role 3374 \"pg_monitor\""),
        ("postgres\" 5", "postgres\" five", 35, "bad number \"five\""),
        (" template connect", " sample connect", 33, "unknown attribute \"sample\""),
        ("end 34", "end 35", 36, "it is cut off"),
        ("end 34\n", "end 34", 36, "it is cut off"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from}");
        std::fs::write(scratch.path().join(PATH), bad).unwrap();
        let report = RolesFile::read(scratch.path()).err().unwrap();
        let path = scratch.path().join(PATH).display().to_string();
        assert_eq!(report.message, format!("invalid role file \"{path}\": {why}"));
        assert_eq!(report.context.unwrap(), format!("line {line} of file \"{path}\""));
    }
    std::fs::remove_file(scratch.path().join(PATH)).unwrap();
    let missing = RolesFile::read(scratch.path()).err().unwrap();
    assert_eq!(missing.sqlstate, SqlState::UNDEFINED_FILE);
}

#[test]
fn roles_are_made_changed_and_dropped() {
    let mut roles = RolesFile::sample();
    let options = RoleOptions { password: Some(Some("x".to_owned())), ..Default::default() };
    assert_eq!(roles.create("new", options, &settings()).unwrap(), []);
    let oid = roles.by_name("new").unwrap().oid;
    assert!(roles.by_name("new").unwrap().password.as_ref().unwrap().starts_with("SCRAM"));
    let options =
        RoleOptions { password: Some(Some(String::new())), login: Some(true), ..Default::default() };
    let notices = roles.alter("new", options, &settings()).unwrap();
    assert_eq!(notices[0].message, "empty string is not a valid password, clearing password");
    assert_eq!(roles.by_name("new").unwrap().password, None);
    roles.drop("new", 10, 10).unwrap();
    roles.create("newer", RoleOptions::default(), &settings()).unwrap();
    assert!(roles.by_name("newer").unwrap().oid > oid);
    roles.drop("staff", 10, 10).unwrap();
    assert!(!roles.is_member("alice", "company"));
}

#[test]
fn md5_secrets_are_warned_of_and_lost_on_renaming() {
    let mut roles = RolesFile::sample();
    let secret = crate::auth::md5::secret(b"x", "m");
    let options = RoleOptions { password: Some(Some(secret.clone())), ..Default::default() };
    let warnings = roles.create("m", options, &settings()).unwrap();
    assert_eq!(warnings[0].severity, Severity::Warning);
    assert_eq!(warnings[0].message, "setting an MD5-encrypted password");
    assert_eq!(roles.by_name("m").unwrap().password.as_ref(), Some(&secret));
    let notices = roles.rename("m", "n", 10, 10).unwrap();
    assert_eq!(notices[0].message, "MD5 password cleared because of role rename");
    assert_eq!(roles.by_name("n").unwrap().password, None);
    assert_eq!(roles.rename("alice", "alicia", 10, 10).unwrap(), []);
}

#[test]
fn refusals_are_postgresqls() {
    let create = |name: &str| RolesFile::sample().create(name, RoleOptions::default(), &settings());
    let alter = |name: &str, options| RolesFile::sample().alter(name, options, &settings());
    let rename = |name: &str, to: &str| RolesFile::sample().rename(name, to, 10, 10);
    let drop = |name: &str, session| RolesFile::sample().drop(name, 10, session).map(|()| Vec::new());
    let grant = |group: &str, member: &str| RolesFile::sample().grant(group, member, "owner");
    let no_superuser = || RoleOptions { superuser: Some(false), ..Default::default() };
    let limit = RoleOptions { connection_limit: Some(-2), ..Default::default() };
    let alice = RolesFile::sample().by_name("alice").unwrap().oid;
    for (result, code, message) in [
        (create("alice"), "42710", "role \"alice\" already exists"),
        (create("pg_x"), "42939", "role name \"pg_x\" is reserved"),
        (create("public"), "42939", "role name \"public\" is reserved"),
        (create("none"), "42939", "role name \"none\" is reserved"),
        (create(""), "42602", "invalid role name \"\""),
        (alter("nope", no_superuser()), "42704", "role \"nope\" does not exist"),
        (alter("owner", no_superuser()), "0A000", "permission denied to alter role"),
        (alter("pg_monitor", no_superuser()), "42939", "role name \"pg_monitor\" is reserved"),
        (alter("alice", limit), "22023", "invalid connection limit: -2"),
        (rename("alice", "bob"), "42710", "role \"bob\" already exists"),
        (rename("alice", "alice"), "42710", "role \"alice\" already exists"),
        (rename("alice", "pg_a"), "42939", "role name \"pg_a\" is reserved"),
        (rename("owner", "x"), "0A000", "session user cannot be renamed"),
        (drop("nope", 10), "42704", "role \"nope\" does not exist"),
        (drop("owner", 10), "55006", "current user cannot be dropped"),
        (drop("alice", alice), "55006", "session user cannot be dropped"),
        (
            drop("pg_monitor", 10),
            "2BP01",
            "cannot drop role pg_monitor because it is required by the database system",
        ),
        (grant("alice", "alice"), "0LP01", "role \"alice\" is a member of role \"alice\""),
        (grant("alice", "company"), "0LP01", "role \"alice\" is a member of role \"company\""),
        (grant("nope", "alice"), "42704", "role \"nope\" does not exist"),
    ] {
        let report = result.unwrap_err();
        assert_eq!((report.sqlstate.code(), &*report.message), (code, message));
    }
}

#[test]
fn granting_twice_and_revoking_nothing_are_told() {
    let mut roles = RolesFile::sample();
    let again = roles.grant("staff", "alice", "owner").unwrap();
    assert_eq!(
        again[0].message,
        "role \"alice\" has already been granted membership in role \"staff\" by role \"owner\""
    );
    assert_eq!(roles.revoke("staff", "alice", "owner").unwrap(), []);
    let nothing = roles.revoke("staff", "alice", "owner").unwrap();
    assert_eq!(nothing[0].severity, Severity::Warning);
    assert!(!roles.is_member("alice", "staff"));
}

#[test]
fn privileges_come_by_memberships_that_are_inherited() {
    let mut roles = RolesFile::sample();
    let has =
        |roles: &RolesFile, member: &str| roles.has_privileges_of(roles.by_name(member).unwrap(), "company");
    for (member, expected) in
        [("alice", true), ("staff", true), ("company", true), ("bob", false), ("owner", true)]
    {
        assert_eq!(has(&roles, member), expected, "{member}");
    }
    roles.by_name_mut("staff").unwrap().inherit = false;
    assert!(!has(&roles, "alice"), "staff passes nothing on");
    assert!(has(&roles, "company"), "a role has its own");
    assert!(!roles.has_privileges_of(roles.by_name("owner").unwrap(), "no such role"));
}
