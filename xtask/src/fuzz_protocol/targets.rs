//! What is fuzzed: each target makes a stream, changes it, and feeds it to a decoder in pieces.

mod tls;

use anyhow::{Result, ensure};
use tuskd::protocol::Format;
use tuskd::protocol::client::{FrontendEncoder, next_message};
use tuskd::protocol::encode::{Encoder, TransactionStatus};
use tuskd::protocol::frame::{Next, Phase, next_frame};
use tuskd::protocol::message::{FrontendMessage, Target as Named};
use tuskd::protocol::startup::{StartupDecoder, StartupPacket, Step};
use tuskd::protocol::sync::ExtendedSync;

use super::random::Random;

pub use tls::Tls;

/// A decoder and how to exercise it once.
#[derive(Clone, Copy)]
pub struct Target {
    pub name: &'static str,
    /// How often it is chosen, against the others.
    pub weight: usize,
    pub run: fn(&mut Random, &Tls) -> Result<()>,
}

/// All targets. A handshake of TLS costs a thousand times what a message costs.
pub const TARGETS: [Target; 5] = [
    Target { name: "startup", weight: 300, run: |random, _| startup(random) },
    Target { name: "session", weight: 500, run: |random, _| session(random) },
    Target { name: "authentication", weight: 100, run: |random, _| authentication(random) },
    Target { name: "backend", weight: 95, run: |random, _| backend(random) },
    Target { name: "tls", weight: 5, run: |random, tls| tls.run(random) },
];

/// The longest message: its type and what a length word may say.
const MOST: usize = 1 + 0x3fff_fffe;

/// Hands out a stream in pieces, as a socket would.
struct Pieces<'a> {
    rest: &'a [u8],
    most: usize,
}

impl<'a> Pieces<'a> {
    fn new(random: &mut Random, stream: &'a [u8]) -> Self {
        Self { rest: stream, most: *random.pick(&[1, 3, 16, 1000]) }
    }

    fn next(&mut self, random: &mut Random) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let length = (1 + random.below(self.most)).min(self.rest.len());
        let (piece, rest) = self.rest.split_at(length);
        self.rest = rest;
        Some(piece)
    }
}

fn startup(random: &mut Random) -> Result<()> {
    let mut stream = Vec::new();
    for _ in 0..=random.below(3) {
        startup_packet(random, &mut stream);
    }
    random.mutate(&mut stream);
    let mut decoder = StartupDecoder::default();
    let mut buffer = Vec::new();
    let mut pieces = Pieces::new(random, &stream);
    while let Some(piece) = pieces.next(random) {
        buffer.extend(piece);
        while let Ok(step) = decoder.next(&buffer) {
            let (packet, consumed) = match step {
                Step::Packet { packet, consumed } => (packet, consumed),
                Step::NeedMore(length) => {
                    ensure!(length > buffer.len() && length <= 10_004, "wants {length} bytes");
                    break;
                }
            };
            buffer.drain(..consumed);
            match packet {
                StartupPacket::Ssl => drop(decoder.ssl_answered(random.one_in(2), b"")),
                StartupPacket::Gss => drop(decoder.gss_refused(b"")),
                StartupPacket::DirectTls => decoder.direct_tls_accepted(),
                StartupPacket::Cancel { secret, .. } => {
                    ensure!((1..=256).contains(&secret.len()), "a key of {} bytes", secret.len());
                    return Ok(());
                }
                StartupPacket::Startup(parameters) => {
                    ensure!(!parameters.user.is_empty() && parameters.user.len() <= 63, "a bad name");
                    ensure!(
                        parameters.database.len() <= 63 && parameters.minor <= 2,
                        "a bad name or version"
                    );
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

fn startup_packet(random: &mut Random, stream: &mut Vec<u8>) {
    let mut encoder = FrontendEncoder::new(stream);
    match random.below(5) {
        0 => encoder.ssl_request(),
        1 => encoder.gss_request(),
        2 => encoder.cancel_request(random.number() as i32, &random.bytes(40)),
        _ => {
            let names = ["user", "database", "replication", "options", "_pq_.x", "application_name", ""];
            let count = random.below(6);
            let values: Vec<_> = (0..count).map(|_| (*random.pick(&names), random.text(70))).collect();
            let parameters: Vec<_> = values.iter().map(|(name, value)| (*name, &**value)).collect();
            encoder.startup(random.below(4) as u16, &parameters);
        }
    }
}

fn session(random: &mut Random) -> Result<()> {
    let mut stream = Vec::new();
    for _ in 0..=random.below(6) {
        frontend_message(random, &mut stream);
    }
    random.mutate(&mut stream);
    let phase = if random.one_in(8) { Phase::CopyIn } else { Phase::Session };
    decode(random, &stream, phase)
}

/// Reads a stream as a backend does, until it ends or cannot be followed.
fn decode(random: &mut Random, stream: &[u8], phase: Phase) -> Result<()> {
    let mut sync = ExtendedSync::default();
    let mut buffer = Vec::new();
    let mut pieces = Pieces::new(random, stream);
    while let Some(piece) = pieces.next(random) {
        buffer.extend(piece);
        loop {
            let frame = match next_frame(&buffer, phase) {
                Ok(Next::Frame(frame)) => frame,
                Ok(Next::NeedMore(length)) => {
                    ensure!(length > buffer.len() && length <= MOST, "wants {length} bytes");
                    break;
                }
                Err(_) => return Ok(()),
            };
            if sync.admit(frame.kind) {
                match frame.decode(phase) {
                    Ok(message) => look(message)?,
                    Err(_) => drop(sync.failed()),
                }
            }
            let length = frame.length();
            buffer.drain(..length);
        }
    }
    Ok(())
}

/// Goes through a message's lists.
fn look(message: FrontendMessage<'_>) -> Result<()> {
    let (formats, values) = match message {
        FrontendMessage::Bind(bind) => (bind.parameter_formats, bind.parameters),
        FrontendMessage::FunctionCall(call) => (call.argument_formats, call.arguments),
        FrontendMessage::Parse(parse) => {
            let types = parse.parameter_types;
            ensure!(types.iter().count() == types.len(), "types and their count differ");
            return Ok(());
        }
        _ => return Ok(()),
    };
    ensure!(values.iter().count() == values.len(), "values and their count differ");
    ensure!(formats.fit(values.len()), "formats do not fit");
    for index in 0..values.len().min(10) {
        drop(formats.of(index));
    }
    Ok(())
}

fn frontend_message(random: &mut Random, stream: &mut Vec<u8>) {
    let values: Vec<_> =
        (0..random.below(5)).map(|_| (!random.one_in(4)).then(|| random.bytes(12))).collect();
    let values: Vec<_> = values.iter().map(Option::as_deref).collect();
    let formats = vec![Format::Binary; if random.one_in(2) { values.len() } else { random.below(2) }];
    let (name, text) = (random.text(5), random.text(30));
    let named = if random.one_in(2) { Named::Statement(&name) } else { Named::Portal(&name) };
    let mut encoder = FrontendEncoder::new(stream);
    match random.below(14) {
        0 => encoder.query(&text),
        1 => encoder.parse(&name, &text, &[23, 25]),
        2..=4 => encoder.bind(&name, &name, &formats, &values, &formats),
        5 => encoder.describe(named),
        6 => encoder.close(named),
        7 => encoder.execute(&name, random.number() as i32),
        8 => encoder.sync(),
        9 => encoder.flush(),
        10 => encoder.function_call(random.number() as u32, &formats, &values, Format::Text),
        11 => encoder.copy_data(text.as_bytes()),
        12 => encoder.copy_fail(&text),
        _ => encoder.copy_done(),
    }
}

fn authentication(random: &mut Random) -> Result<()> {
    let phase = *random.pick(&[Phase::Password, Phase::SaslInitial, Phase::Sasl, Phase::Gss]);
    let mut stream = Vec::new();
    let mut encoder = FrontendEncoder::new(&mut stream);
    match phase {
        Phase::Password => encoder.password(&random.text(20)),
        Phase::SaslInitial => encoder.sasl_initial_response("SCRAM-SHA-256", Some(&random.bytes(40))),
        _ => encoder.sasl_response(&random.bytes(60)),
    }
    random.mutate(&mut stream);
    decode(random, &stream, phase)
}

/// The client's decoder, which tests and pg_isready trust.
fn backend(random: &mut Random) -> Result<()> {
    let mut stream = Vec::new();
    let mut encoder = Encoder::new(&mut stream);
    encoder.authentication_sasl(&["SCRAM-SHA-256"]);
    encoder.parameter_status("a", &random.text(9));
    let mut row = encoder.begin_row();
    for _ in 0..random.below(5) {
        row.field(&random.bytes(9));
    }
    drop(row.finish());
    encoder.ready_for_query(TransactionStatus::Idle);
    random.mutate(&mut stream);
    let mut rest = &stream[..];
    while let Ok(Some((_, length))) = next_message(rest) {
        ensure!((5..=rest.len()).contains(&length), "a message of {length} bytes");
        rest = &rest[length..];
    }
    Ok(())
}
