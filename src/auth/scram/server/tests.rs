//! Exchanges: the RFC's own, both halves against each other, and messages no client should send.

use super::super::client::{self, Binding};
use super::super::{DEFAULT_ITERATIONS, Secret};
use super::*;

const SALT: &str = "W22ZaJ0SNY7soEsUEjb6gQ==";
const CLIENT_NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

fn secret() -> Secret {
    Secret::build(b"pencil", &base64::decode(SALT.as_bytes()).unwrap(), DEFAULT_ITERATIONS)
}

fn exchange(mechanism: &str, end_point: Option<&[u8]>) -> Exchange {
    let end_point = end_point.map(<[u8]>::to_vec);
    Exchange::with_nonce(mechanism.as_bytes(), end_point, secret(), false, SERVER_NONCE.to_owned()).unwrap()
}

fn text(progress: Progress) -> String {
    match progress {
        Progress::Continue(bytes) => String::from_utf8(bytes).unwrap(),
        Progress::Success(bytes) => format!("success {}", String::from_utf8(bytes).unwrap()),
        Progress::Failure => "failure".to_owned(),
    }
}

#[test]
fn the_example_of_rfc_7677() {
    let mut server = exchange(MECHANISM, None);
    let mut client =
        client::Exchange::with_nonce("user", b"pencil", Binding::Unsupported, CLIENT_NONCE.to_owned());
    let first = client.first();
    assert_eq!(first, b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    let server_first = text(server.step(Some(&first)).unwrap());
    assert_eq!(
        server_first,
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    );
    let client_final = client.answer(server_first.as_bytes()).unwrap();
    assert_eq!(
        String::from_utf8_lossy(&client_final),
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    );
    let server_final = text(server.step(Some(&client_final)).unwrap());
    assert_eq!(server_final, "success v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    assert!(client.is_proven(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
    assert!(!client.is_proven(b"v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
    assert!(!client.is_proven(b"e=other-error"));
}

fn run(server: &mut Exchange, password: &[u8], binding: Binding) -> Result<String> {
    let mut client = client::Exchange::new(password, binding)?;
    let first = text(server.step(Some(&client.first()))?);
    let last = client.answer(first.as_bytes())?;
    let end = text(server.step(Some(&last))?);
    if let Some(server_final) = end.strip_prefix("success ") {
        assert!(client.is_proven(server_final.as_bytes()));
        return Ok("success".to_owned());
    }
    Ok(end)
}

#[test]
fn both_halves_understand_each_other() {
    let end_point = |binding: &str| Binding::EndPoint(binding.as_bytes().to_vec());
    for (mechanism, tls, password, binding, expected) in [
        (MECHANISM, None, "pencil", Binding::Unsupported, "success"),
        (MECHANISM, None, "Pencil", Binding::Unsupported, "failure"),
        (MECHANISM, None, "pencil", Binding::NotOffered, "success"),
        (MECHANISM, Some("hash"), "pencil", Binding::Unsupported, "success"),
        (MECHANISM, Some("hash"), "pencil", Binding::NotOffered, "SCRAM channel binding negotiation error"),
        (MECHANISM_PLUS, Some("hash"), "pencil", end_point("hash"), "success"),
        (MECHANISM_PLUS, Some("hash"), "penciL", end_point("hash"), "failure"),
        (MECHANISM_PLUS, Some("hash"), "pencil", end_point("other"), "SCRAM channel binding check failed"),
        (MECHANISM_PLUS, Some("hash"), "pencil", Binding::Unsupported, "malformed SCRAM message"),
        (MECHANISM_PLUS, Some("hash"), "pencil", Binding::NotOffered, "malformed SCRAM message"),
        (MECHANISM, Some("hash"), "pencil", end_point("hash"), "malformed SCRAM message"),
    ] {
        let mut server = exchange(mechanism, tls.map(str::as_bytes));
        let what = format!("{mechanism} {tls:?} {password} {binding:?}");
        let found = run(&mut server, password.as_bytes(), binding).unwrap_or_else(|report| report.message);
        assert_eq!(found, expected, "{what}");
    }
}

#[test]
fn a_doomed_exchange_goes_the_whole_way() {
    let mut server = Exchange::new(MECHANISM.as_bytes(), None, secret(), true).unwrap();
    assert_eq!(run(&mut server, b"pencil", Binding::Unsupported).unwrap(), "failure");
}

#[test]
fn mechanisms_are_offered_and_checked() {
    assert_eq!(mechanisms(true), ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]);
    assert_eq!(mechanisms(false), ["SCRAM-SHA-256"]);
    for (mechanism, tls) in [("SCRAM-SHA-1", true), ("", true), (MECHANISM_PLUS, false)] {
        let end_point = tls.then(|| b"x".to_vec());
        let refused = Exchange::new(mechanism.as_bytes(), end_point, secret(), false).err().unwrap();
        assert_eq!(refused.sqlstate, SqlState::PROTOCOL_VIOLATION);
        assert_eq!(refused.message, "client selected an invalid SASL authentication mechanism");
    }
}

#[test]
fn bad_first_messages_are_refused() {
    let plus = "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message includes channel binding data.";
    for (input, code, expected) in [
        ("", "08P01", "The message is empty."),
        ("n,,n=,r=a\0", "08P01", "Message length does not match input length."),
        ("x,,n=,r=a", "08P01", "Unexpected channel-binding flag \"'x'\"."),
        ("\u{1},,", "08P01", "Unexpected channel-binding flag \"0x01\"."),
        ("p=tls-unique,,n=,r=a", "08P01", plus),
        ("n", "08P01", "Comma expected, but found character \"0x00\"."),
        ("n;,n=,r=a", "08P01", "Comma expected, but found character \"';'\"."),
        ("n,a=x,n=,r=a", "0A000", "client uses authorization identity, but it is not supported"),
        ("n,b,", "08P01", "Unexpected attribute \"'b'\" in client-first-message."),
        ("n,,m=x,n=,r=a", "0A000", "client requires an unsupported SCRAM extension"),
        ("n,,r=a", "08P01", "Expected attribute \"n\" but found \"'r'\"."),
        ("n,,n", "08P01", "Expected character \"=\" for attribute \"n\"."),
        ("n,,n=x", "08P01", "Expected attribute \"r\" but found \"0x00\"."),
        ("n,,n=,r=a b", "08P01", "non-printable characters in SCRAM nonce"),
        ("n,,n=,r=é", "08P01", "non-printable characters in SCRAM nonce"),
        ("n,,n=,r=a,1=2", "08P01", "Attribute expected, but found invalid character \"'1'\"."),
        ("n,,n=,r=a,z", "08P01", "Expected character \"=\" for attribute \"z\"."),
    ] {
        let report = exchange(MECHANISM, None).step(Some(input.as_bytes())).unwrap_err();
        let found = report.detail.unwrap_or(report.message);
        assert_eq!((report.sqlstate.code(), &*found), (code, expected), "{input:?}");
    }
    let report = exchange(MECHANISM_PLUS, Some(b"x")).step(Some(b"p=tls-unique,,n=,r=a")).unwrap_err();
    assert_eq!(report.message, "unsupported SCRAM channel-binding type \"tls-unique\"");
}

#[test]
fn unknown_extensions_are_passed_over() {
    let mut server = exchange(MECHANISM, None);
    assert!(matches!(server.step(Some(b"n,,n=,r=abc,x=1,y=2")), Ok(Progress::Continue(_))));
}

#[test]
fn a_mechanism_without_a_first_message_gets_an_empty_challenge() {
    let mut server = exchange(MECHANISM, None);
    assert_eq!(text(server.step(None).unwrap()), "");
    assert!(matches!(server.step(Some(b"n,,n=,r=abc")), Ok(Progress::Continue(_))));
    assert_eq!(server.step(None).unwrap_err().detail.unwrap(), "The message is empty.");
}

#[test]
fn bad_final_messages_are_refused() {
    let nonce = format!("abc{SERVER_NONCE}");
    let proof = base64::encode(&[0; 32]);
    for (input, expected) in [
        (String::new(), "The message is empty."),
        ("x=biws".to_owned(), "Expected attribute \"c\" but found \"'x'\"."),
        (
            format!("c=eSws,r={nonce},p={proof}"),
            "unexpected SCRAM channel-binding attribute in client-final-message",
        ),
        (format!("c=biws,r=abc,p={proof}"), "Nonce does not match."),
        (format!("c=biws,r={nonce}x,p={proof}"), "Nonce does not match."),
        (format!("c=biws,r={nonce}"), "Attribute expected, but found end of string."),
        (format!("c=biws,r={nonce},p=AAAA"), "Malformed proof in client-final-message."),
        (format!("c=biws,r={nonce},p={proof} "), "Malformed proof in client-final-message."),
        (format!("c=biws,r={nonce},p={proof},x=1"), "Garbage found at the end of client-final-message."),
    ] {
        let mut server = exchange(MECHANISM, None);
        server.step(Some(b"n,,n=,r=abc")).unwrap();
        let report = server.step(Some(input.as_bytes())).unwrap_err();
        assert_eq!(report.detail.unwrap_or(report.message), expected, "{input}");
        // Nothing goes on after an error.
        assert_eq!(server.step(Some(b"n,,n=,r=abc")).unwrap_err().sqlstate, SqlState::INTERNAL_ERROR);
    }
}

proptest::proptest! {
    #[test]
    fn no_message_makes_it_panic(
        first in proptest::collection::vec(proptest::num::u8::ANY, 0..40),
        last in "[cnrpyvx=,a-z\\x00]{0,30}",
    ) {
        let mut server = exchange(MECHANISM, Some(b"hash"));
        let _ = server.step(Some(&first));
        let mut server = exchange(MECHANISM, None);
        server.step(Some(b"n,,n=,r=abc")).unwrap();
        let _ = server.step(Some(last.as_bytes()));
    }
}
