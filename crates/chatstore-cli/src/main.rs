//! The chatstore server and command line.
fn main() {}
