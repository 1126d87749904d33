//! `cargo xtask layout`: the map of the shared memory segment, or a C header of the types that lie in it.
//!
//! The figures belong to the crates that own them; this file only asks and prints.

use anyhow::Result;
use shmem_layout::{ALL_STRUCTS, reflect};
use tuskd::ipc::Ipc;
use tuskd::shmem::Plan;

/// Prints the segment's map for `max_processes` process slots, or the C header.
pub fn run(max_processes: u32, header: bool) -> Result<()> {
    let text = if header { c_header()? } else { segment_map(max_processes)? };
    print!("{text}");
    Ok(())
}

/// Each region of the segment: offset, size, what it holds.
fn segment_map(max_processes: u32) -> Result<String> {
    let plan = Plan::new(&Ipc::region_specs(max_processes as usize))?;
    Ok(format!("{plan}\n"))
}

/// The shared types as C structs, which a test compiles to compare sizes and offsets.
fn c_header() -> Result<String> {
    let mut text = String::new();
    reflect::write_c_header(&mut text, ALL_STRUCTS)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A changed layout shows here as a changed line.
    #[test]
    fn the_map_for_128_processes() {
        insta::assert_snapshot!(segment_map(128).unwrap(), @r"
        region                 offset        bytes      items  item size version
        header                      0         4096          1       4096       1
        control                  4096           64          1         64       1
        process slots            4160       147456        128       1152       1
        wait events            151616       393216       1024        384       1
        stop points            544832         1024         64         16       1
        total                               545856
        ");
    }

    #[test]
    fn the_header_has_every_struct() {
        let header = c_header().unwrap();
        for layout in ALL_STRUCTS {
            assert!(header.contains(&format!("struct {} {{", layout.name)), "{} is missing", layout.name);
        }
    }
}
