//! The first program of the README, which shows `program.rs` whole.

include!("program.rs");
