//! Whole authentications, with what is logged, sent and said at the end.

use std::net::IpAddr;

use super::*;
use crate::auth::hba;
use crate::auth::ident;
use crate::auth::md5;
use crate::auth::roles::RolesFile;
use crate::auth::scram::client::{self, Binding};
use crate::auth::scratch::Scratch;

const HBA: &str = "\
local trusted all trust
local rejected all reject
local peer all peer
local mapped all peer map=m
local plain all password
local md5 all md5
local scram all scram-sha-256
hostssl tls all all scram-sha-256
hostssl ca all all scram-sha-256 clientcert=verify-ca
hostssl full all all scram-sha-256 clientcert=verify-full
hostssl fulltrust all all trust clientcert=verify-full clientname=DN
hostssl cert all all cert map=m
host named all foo.example reject
local replication all reject
";
const IDENT: &str = "m /^c-(.*)$ \\1\nm root alice\n";

struct World {
    hba: Hba,
    ident: Ident,
    roles: RolesFile,
    system: SystemFiles,
    scratch: Scratch,
}

impl World {
    fn new(name: &str) -> Self {
        let scratch = Scratch::new(name);
        let system = SystemFiles {
            passwd: scratch.file("passwd", "root:x:0:0::/:/bin/sh\nalice:x:7:7::/:/bin/sh\n"),
            hosts: scratch.file("hosts", "127.0.0.1 localhost\n"),
            ..SystemFiles::default()
        };
        Self {
            hba: hba::load(&scratch.file("pg_hba.conf", HBA), true).contents.unwrap(),
            ident: ident::load(&scratch.file("pg_ident.conf", IDENT)).contents.unwrap(),
            roles: RolesFile::sample(),
            system,
            scratch,
        }
    }

    fn authenticator<'a>(&'a self, facts: Facts<'a>) -> Authenticator<'a> {
        let rules = Rules {
            hba: &self.hba,
            ident: &self.ident,
            roles: &self.roles,
            system: &self.system,
            passwords: PasswordSettings { scram_iterations: 2.try_into().unwrap(), ..Default::default() },
        };
        Authenticator::new(facts, rules)
    }

    /// A message with `FILE` for the path of pg_hba.conf.
    fn text(&self, text: &str) -> String {
        text.replace(&self.scratch.path().join("pg_hba.conf").display().to_string(), "FILE")
    }

    /// Everything a step logs and says at its end.
    fn told(&self, step: &Step) -> Vec<String> {
        let logged = step.authenticated.iter().chain(&step.log).map(|report| report.message.clone());
        let end = match &step.next {
            Next::Feed { .. } => "feed".to_owned(),
            Next::Done(identity) => format!("done {}", identity.system_user().unwrap_or_default()),
            Next::Failed(report) => {
                let detail = report.detail_log.as_ref().map(|detail| format!(" / {detail}"));
                format!("{} {}{}", report.sqlstate, report.message, detail.unwrap_or_default())
            }
        };
        logged.chain([end]).map(|text| self.text(&text)).collect()
    }
}

fn local<'a>(user: &'a str, database: &'a str) -> Facts<'a> {
    let origin = Origin::Unix { uid: Some(0) };
    Facts { origin, tls: None, user, database, replication: Replication::None, now_us: 1_000 }
}

fn tls<'a>(user: &'a str, database: &'a str, certificate: Option<(&str, &str)>) -> Facts<'a> {
    let name = |name: &str| (!name.is_empty()).then(|| name.to_owned());
    let client_certificate = certificate.map(|(common, distinguished)| TlsCertificate {
        common_name: name(common),
        distinguished_name: name(distinguished),
    });
    let server_end_point = Some(b"hash".to_vec());
    let tls = Some(TlsFacts { server_end_point, has_authorities: true, client_certificate });
    Facts { origin: Origin::Tcp(IpAddr::from([10, 0, 0, 1])), tls, ..local(user, database) }
}

fn zero_ended(text: &str) -> Vec<u8> {
    [text.as_bytes(), b"\0"].concat()
}

#[test]
fn methods_that_ask_nothing() {
    let world = World::new("auth_silent");
    let unknown_uid = Origin::Unix { uid: Some(99) };
    let no_uid = Origin::Unix { uid: None };
    let alice = Origin::Unix { uid: Some(7) };
    let peer_failed = "28000 Peer authentication failed for user \"alice\" / Connection matched file \"FILE\" line 3: \"local peer all peer\"";
    for (facts, expected) in [
        (
            local("bob", "trusted"),
            &["connection authenticated: user=\"bob\" method=trust (FILE:1)", "done "][..],
        ),
        (
            local("bob", "rejected"),
            &[
                "28000 pg_hba.conf rejects connection for host \"[local]\", user \"bob\", database \"rejected\", no encryption",
            ],
        ),
        (
            Facts { origin: alice, ..local("alice", "peer") },
            &["connection authenticated: identity=\"alice\" method=peer (FILE:3)", "done peer:alice"],
        ),
        (
            local("alice", "peer"),
            &[
                "connection authenticated: identity=\"root\" method=peer (FILE:3)",
                "provided user name (alice) and authenticated user name (root) do not match",
                peer_failed,
            ],
        ),
        (
            Facts { origin: unknown_uid, ..local("alice", "peer") },
            &["could not look up local user ID 99: user does not exist", peer_failed],
        ),
        (
            Facts { origin: no_uid, ..local("alice", "peer") },
            &["could not get peer credentials", peer_failed],
        ),
        (
            local("alice", "mapped"),
            &["connection authenticated: identity=\"root\" method=peer (FILE:4)", "done peer:root"],
        ),
        (
            local("bob", "mapped"),
            &[
                "connection authenticated: identity=\"root\" method=peer (FILE:4)",
                "no match in usermap \"m\" for user \"bob\" authenticated as \"root\"",
                "28000 Peer authentication failed for user \"bob\" / Connection matched file \"FILE\" line 4: \"local mapped all peer map=m\"",
            ],
        ),
        (
            local("bob", "nowhere"),
            &[
                "28000 no pg_hba.conf entry for host \"[local]\", user \"bob\", database \"nowhere\", no encryption",
            ],
        ),
        (
            Facts { replication: Replication::Physical, ..local("bob", "") },
            &[
                "28000 pg_hba.conf rejects replication connection for host \"[local]\", user \"bob\", no encryption",
            ],
        ),
        (
            Facts { replication: Replication::Physical, ..tls("bob", "", None) },
            &[
                "28000 no pg_hba.conf entry for replication connection from host \"10.0.0.1\", user \"bob\", SSL encryption / Could not resolve client IP address to a host name: Name or service not known.",
            ],
        ),
        (
            Facts { replication: Replication::Database, ..tls("bob", "x", None) },
            &[
                "28000 no pg_hba.conf entry for host \"10.0.0.1\", user \"bob\", database \"x\", SSL encryption / Could not resolve client IP address to a host name: Name or service not known.",
            ],
        ),
        (
            Facts { tls: None, origin: Origin::Tcp([127, 0, 0, 1].into()), ..local("bob", "named") },
            &[
                "28000 no pg_hba.conf entry for host \"127.0.0.1\", user \"bob\", database \"named\", no encryption / Client IP address resolved to \"localhost\", forward lookup not checked.",
            ],
        ),
        (
            tls("bob", "named", None),
            &[
                "28000 no pg_hba.conf entry for host \"10.0.0.1\", user \"bob\", database \"named\", SSL encryption / Could not resolve client IP address to a host name: Name or service not known.",
            ],
        ),
    ] {
        let what = format!("{facts:?}");
        let step = world.authenticator(facts).start();
        assert_eq!(world.told(&step), expected, "{what}");
        let is_done = matches!(step.next, Next::Done(_));
        assert_eq!(step.send, if is_done { vec![AuthRequest::Ok] } else { vec![] });
    }
}

#[test]
fn certificates() {
    let world = World::new("auth_cert");
    let failed = "28000 certificate authentication failed for user \"bob\" / Connection matched file \"FILE\" line 12: \"hostssl cert all all cert map=m\"";
    let trust_failed = "28000 \"trust\" authentication failed for user \"bob\" / Connection matched file \"FILE\" line 11: \"hostssl fulltrust all all trust clientcert=verify-full clientname=DN\"";
    let mut no_authorities = tls("bob", "cert", Some(("c-bob", "CN=c-bob")));
    no_authorities.tls.as_mut().unwrap().has_authorities = false;
    for (facts, expected) in [
        (
            tls("bob", "cert", Some(("c-bob", "CN=c-bob"))),
            &["connection authenticated: identity=\"CN=c-bob\" method=cert (FILE:12)", "done cert:CN=c-bob"]
                [..],
        ),
        (
            tls("bob", "cert", Some(("bob", "CN=bob"))),
            &[
                "connection authenticated: identity=\"CN=bob\" method=cert (FILE:12)",
                "no match in usermap \"m\" for user \"bob\" authenticated as \"bob\"",
                failed,
            ],
        ),
        (
            tls("bob", "cert", Some(("", "O=x"))),
            &[
                "certificate authentication failed for user \"bob\": client certificate contains no user name",
                failed,
            ],
        ),
        (
            tls("bob", "cert", Some(("c-bob", ""))),
            &["certificate authentication failed for user \"bob\": unable to retrieve subject DN", failed],
        ),
        (tls("bob", "cert", None), &["28000 connection requires a valid client certificate"]),
        (tls("bob", "ca", None), &["28000 connection requires a valid client certificate"]),
        (
            no_authorities,
            &["F0000 client certificates can only be checked if a root certificate store is available"],
        ),
        (tls("bob", "ca", Some(("x", "CN=x"))), &["feed"]),
        (
            tls("CN=bob", "fulltrust", Some(("x", "CN=bob"))),
            &["connection authenticated: user=\"CN=bob\" method=trust (FILE:11)", "done "],
        ),
        (
            tls("bob", "fulltrust", Some(("bob", "CN=bob"))),
            &[
                "provided user name (bob) and authenticated user name (CN=bob) do not match",
                "certificate validation (clientcert=verify-full) failed for user \"bob\": DN mismatch",
                trust_failed,
            ],
        ),
    ] {
        let what = format!("{facts:?}");
        let step = world.authenticator(facts).start();
        assert_eq!(world.told(&step), expected, "{what}");
    }
}

#[test]
fn plain_passwords() {
    let world = World::new("auth_plain");
    let failed = |user: &str, why: &str| {
        format!(
            "28P01 password authentication failed for user \"{user}\" / {why}\nConnection matched file \"FILE\" line 5: \"local plain all password\""
        )
    };
    for (user, body, expected) in [
        ("alice", zero_ended("alice's"), "done password:alice".to_owned()),
        ("alice", zero_ended("x"), failed("alice", "Password does not match for user \"alice\".")),
        ("old", zero_ended("old's"), "done password:old".to_owned()),
        ("bob", zero_ended("x"), failed("bob", "User \"bob\" has no password assigned.")),
        ("late", zero_ended("late's"), failed("late", "User \"late\" has an expired password.")),
        ("nope", zero_ended("x"), failed("nope", "Role \"nope\" does not exist.")),
        ("odd", zero_ended("odd's"), failed("odd", "Password of user \"odd\" is in unrecognized format.")),
        ("alice", zero_ended(""), "28P01 empty password returned by client".to_owned()),
        ("alice", b"alice's".to_vec(), "08P01 invalid password packet size".to_owned()),
        ("alice", b"alice's\0\0".to_vec(), "08P01 invalid password packet size".to_owned()),
        ("alice", Vec::new(), "08P01 invalid password packet size".to_owned()),
        ("alice", vec![b'x'; 70_000], "08P01 invalid message length".to_owned()),
    ] {
        let mut authenticator = world.authenticator(local(user, "plain"));
        let first = authenticator.start();
        assert_eq!(first.send, [AuthRequest::Cleartext]);
        let step = authenticator.feed(b'p', &body);
        assert_eq!(world.told(&step).last().unwrap(), &expected);
        // It is over, whatever comes.
        assert!(matches!(authenticator.feed(b'p', b"x\0").next, Next::Failed(_)));
    }
    let mut authenticator = world.authenticator(local("alice", "plain"));
    authenticator.start();
    let step = authenticator.feed(b'Q', b"select 1\0");
    assert_eq!(world.told(&step), ["08P01 expected password response, got message type 81"]);
}

#[test]
fn md5_challenges_those_who_have_md5_secrets() {
    let world = World::new("auth_md5");
    for (password, expected) in [
        ("old's", "done md5:old"),
        (
            "x",
            "28P01 password authentication failed for user \"old\" / Password does not match for user \"old\".\nConnection matched file \"FILE\" line 6: \"local md5 all md5\"",
        ),
    ] {
        let mut authenticator = world.authenticator(local("old", "md5"));
        let first = authenticator.start();
        let [AuthRequest::Md5(salt)] = first.send[..] else { panic!("{first:?}") };
        let response = md5::response(password.as_bytes(), "old", salt);
        let step = authenticator.feed(b'p', &zero_ended(&response));
        assert_eq!(world.told(&step).last().unwrap(), expected);
    }
    for user in ["alice", "nope"] {
        let first = world.authenticator(local(user, "md5")).start();
        assert_eq!(first.send, [AuthRequest::Sasl(&["SCRAM-SHA-256"])], "{user}");
    }
    // With password_encryption = md5, so is who has no password.
    let mut authenticator = world.authenticator(local("nope", "md5"));
    authenticator.rules.passwords.encryption = crate::auth::password::Encryption::Md5;
    let first = authenticator.start();
    let [AuthRequest::Md5(salt)] = first.send[..] else { panic!("{first:?}") };
    let response = md5::response(b"x", "nope", salt);
    let step = authenticator.feed(b'p', &zero_ended(&response));
    assert!(world.told(&step)[0].contains("Role \"nope\" does not exist."));
}

/// Goes through SCRAM as a client does and returns the last step.
fn scram(world: &World, facts: Facts<'_>, password: &str, binding: Binding) -> (Step, bool) {
    let mut authenticator = world.authenticator(facts);
    authenticator.start();
    let mut client = client::Exchange::new(password.as_bytes(), binding).unwrap();
    let first = client.first();
    let length = i32::try_from(first.len()).unwrap().to_be_bytes();
    let body = [&zero_ended(client.mechanism())[..], &length, &first].concat();
    let step = authenticator.feed(b'p', &body);
    let [AuthRequest::SaslContinue(challenge)] = &step.send[..] else {
        return (step, false);
    };
    let step = authenticator.feed(b'p', &client.answer(challenge).unwrap());
    let is_proven = match &step.send[..] {
        [AuthRequest::SaslFinal(last), ..] => client.is_proven(last),
        _ => false,
    };
    (step, is_proven)
}

#[test]
fn scram_ends_alike_for_every_reason() {
    let world = World::new("auth_scram");
    let line = "Connection matched file \"FILE\" line 7: \"local scram all scram-sha-256\"";
    for (user, password, why) in [
        ("alice", "alice's", None),
        ("alice", "bob's", Some("")),
        ("bob", "bob's", Some("User \"bob\" has no password assigned.\n")),
        ("late", "late's", Some("User \"late\" has an expired password.\n")),
        ("nope", "nope's", Some("Role \"nope\" does not exist.\n")),
        ("old", "old's", Some("User \"old\" does not have a valid SCRAM secret.\n")),
        ("odd", "odd's", Some("User \"odd\" does not have a valid SCRAM secret.\n")),
    ] {
        let (step, is_proven) = scram(&world, local(user, "scram"), password, Binding::Unsupported);
        let told = world.told(&step);
        match why {
            None => {
                assert!(is_proven && step.send[1..] == [AuthRequest::Ok]);
                let logged = "connection authenticated: identity=\"alice\" method=scram-sha-256 (FILE:7)";
                assert_eq!(told, [logged, "done scram-sha-256:alice"]);
            }
            Some(why) => {
                let message = format!("28P01 password authentication failed for user \"{user}\"");
                assert_eq!(told, [format!("{message} / {why}{line}")]);
                assert!(step.send.is_empty());
            }
        }
    }
}

#[test]
fn scram_is_bound_to_the_channel_and_joined_with_certificates() {
    let world = World::new("auth_bound");
    let bound = || Binding::EndPoint(b"hash".to_vec());
    let offered = world.authenticator(tls("alice", "tls", None)).start();
    assert_eq!(offered.send, [AuthRequest::Sasl(&["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"])]);
    let end = |facts, binding| world.told(&scram(&world, facts, "alice's", binding).0).pop().unwrap();
    assert_eq!(end(tls("alice", "tls", None), bound()), "done scram-sha-256:alice");
    assert_eq!(end(tls("alice", "tls", None), Binding::Unsupported), "done scram-sha-256:alice");
    assert_eq!(
        end(tls("alice", "tls", None), Binding::NotOffered),
        "28000 SCRAM channel binding negotiation error"
    );
    let other = Binding::EndPoint(b"other".to_vec());
    assert_eq!(end(tls("alice", "tls", None), other), "28000 SCRAM channel binding check failed");
    let named = |name: &'static str| tls("alice", "full", Some((name, "CN=x")));
    assert_eq!(end(named("alice"), bound()), "done scram-sha-256:alice");
    let (step, is_proven) = scram(&world, named("mallory"), "alice's", bound());
    assert!(is_proven);
    assert_eq!(
        world.told(&step)[..3],
        [
            "connection authenticated: identity=\"alice\" method=scram-sha-256 (FILE:10)",
            "provided user name (alice) and authenticated user name (mallory) do not match",
            "certificate validation (clientcert=verify-full) failed for user \"alice\": CN mismatch",
        ]
    );
    assert!(matches!(step.next, Next::Failed(_)) && !step.send.contains(&AuthRequest::Ok));
}

#[test]
fn broken_sasl_messages_end_the_session() {
    let world = World::new("auth_broken");
    let mechanism = zero_ended("SCRAM-SHA-256");
    let with = |rest: &[u8]| [&mechanism[..], rest].concat();
    for (message_type, body, expected) in [
        (b'p', Vec::new(), "invalid string in message"),
        (b'p', b"SCRAM-SHA-256".to_vec(), "invalid string in message"),
        (b'p', with(&[]), "insufficient data left in message"),
        (b'p', with(&[0, 0, 0, 9, b'n']), "insufficient data left in message"),
        (b'p', with(&[0xff, 0xff, 0xff, 0xfe]), "insufficient data left in message"),
        (b'p', with(&[0, 0, 0, 0, b'n']), "invalid message format"),
        (b'p', with(&[0xff, 0xff, 0xff, 0xff, 0]), "invalid message format"),
        (b'p', zero_ended("SCRAM-SHA-1\0\0"), "insufficient data left in message"),
        (
            b'p',
            b"SCRAM-SHA-1\0\0\0\0\x01x".to_vec(),
            "client selected an invalid SASL authentication mechanism",
        ),
        (b'p', with(&[0, 0, 0, 0]), "malformed SCRAM message"),
        (b'p', vec![b'x'; 1025], "invalid message length"),
        (b'X', Vec::new(), "expected SASL response, got message type 88"),
    ] {
        let mut authenticator = world.authenticator(local("alice", "scram"));
        assert!(matches!(authenticator.start().next, Next::Feed { max_length: 1024 }));
        let step = authenticator.feed(message_type, &body);
        let Next::Failed(report) = step.next else { panic!("{body:?}") };
        assert_eq!((report.sqlstate.code(), &*report.message), ("08P01", expected), "{body:?}");
        assert!(step.send.is_empty() && step.authenticated.is_none());
    }
    let mut authenticator = world.authenticator(local("alice", "scram"));
    authenticator.start();
    let step = authenticator.feed(b'p', &with(&[0xff; 4]));
    assert_eq!(step.send, [AuthRequest::SaslContinue(Vec::new())]);
}
