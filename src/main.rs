//! Command line of tuskd: reads the arguments, then makes one call.
fn main() {}
