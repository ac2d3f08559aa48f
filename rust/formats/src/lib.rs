//! What both languages must agree on, as `docs/formats.md` says it: the Rust side.
//!
//! No heap, no C library: the same code serves the runner, the monitor without a C library, and
//! signal handlers. The golden files in `tests/fixtures/formats/` are read by the tests of both sides.
#![cfg_attr(not(test), no_std)]

pub mod launch_plan;
pub mod log_line;
pub mod meter;
pub mod state_file;
