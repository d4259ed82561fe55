//! What the benchmarks share with the experiments of `chatstore-chaos`: databases that exist for one run, the real
//! server as a process, clients that load it, and the printing of figures.
//!
//! It measures and knows no experiment. What only the benchmarks need is in the program of this package.

pub mod arguments;
pub mod client;
pub mod data;
pub mod databases;
pub mod drive;
pub mod drivers;
pub mod error;
pub mod machine;
pub mod progress;
pub mod random;
pub mod samples;
pub mod server;
pub mod table;
pub mod wire;
pub mod wire_caller;
