//! `cargo xtask documents`: one check per fact of the source documents that is due so far, each on a server of its own.
//!
//! Prints `document | fact | ok`, `FAILED: why` or `missing: why`. How the documents are to be read where PostgreSQL 18
//! says it otherwise is `SPEC.md`'s; what is missing needs something that is not there yet.

mod crashes;
mod facts;
mod signals;
mod statements;
mod tree;
mod workers;

use std::cell::Cell;

use anyhow::{Result, bail};

use crate::versus::server::{Programs, Server, Workplace};
use facts::{Due, FACTS};

/// Where checks start their servers.
struct Stage {
    workplace: Workplace,
    tuskd: Programs,
    servers: Cell<usize>,
}

impl Stage {
    /// A new server on a new data directory.
    fn server(&self, settings: &[&str]) -> Result<Server> {
        let number = self.servers.replace(self.servers.get() + 1);
        Server::start(&self.workplace, &self.tuskd, &format!("s{number}"), settings)
    }
}

/// Runs all checks, or those whose fact contains a text; an error if one fails.
pub fn run(filter: Option<&str>) -> Result<()> {
    let workplace = Workplace::new("documents")?;
    let tuskd = Programs::tuskd(&workplace, false)?;
    let stage = Stage { workplace, tuskd, servers: Cell::new(0) };
    let [mut passed, mut failed, mut missing] = [0; 3];
    for fact in FACTS.iter().filter(|fact| filter.is_none_or(|text| fact.text.contains(text))) {
        let outcome = match fact.due {
            Due::Check(check) => match check(&stage) {
                Ok(()) => {
                    passed += 1;
                    "ok".to_owned()
                }
                Err(error) => {
                    failed += 1;
                    format!("FAILED: {}", format!("{error:#}").replace('\n', " / "))
                }
            },
            Due::Missing(why) => {
                missing += 1;
                format!("missing: {why}")
            }
        };
        println!("{} | {} | {outcome}", fact.document, fact.text);
    }
    println!("documents: {passed} ok, {failed} failed, {missing} missing");
    if failed > 0 {
        bail!("{failed} facts that are due do not hold");
    }
    Ok(())
}
