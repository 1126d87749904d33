//! `cargo xtask layout`: the map of the shared memory segment, or a C header of the types that lie in it.
//!
//! The figures belong to the crates that own them; this file only asks and prints.

use anyhow::{Result, bail};

/// Prints the segment's map for `max_processes` process slots, or the C header.
pub fn run(max_processes: u32, header: bool) -> Result<()> {
    let text = if header { c_header()? } else { segment_map(max_processes)? };
    print!("{text}");
    Ok(())
}

/// Each region of the segment: offset, size, what it holds.
fn segment_map(max_processes: u32) -> Result<String> {
    bail!("not built yet: the map of the segment for {max_processes} processes")
}

/// The shared types as C structs, which a test compiles to compare sizes and offsets.
fn c_header() -> Result<String> {
    bail!("not built yet: the C header of the shared types")
}
