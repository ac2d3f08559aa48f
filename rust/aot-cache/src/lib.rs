//! Files of compiled modules (`.waot`): how they are laid out, made and judged.
//!
//! Used by the AOT compiler, which writes them, and by the engine, which maps them. `link` holds the theory of
//! operation. Nothing here depends on the engine itself, because the compiler cannot be linked with it: both
//! are WAMR, built with different options.

mod file;
mod header;
mod link;
mod object;

pub use file::{
    check_ownership, read_header, read_limited, verify_full, write, CacheKey, FileError, MemoryPages,
};
pub use header::{
    engine_build, parse_digest, CheckMode, CpuLevel, Header, HeaderError, MemoryRun, ENGINE_VERSION,
    FORMAT_VERSION, HEADER_BYTES, MAX_MEMORY_RUNS,
};
pub use link::{link, Image};

use std::fmt;

/// The granularity of mappings on the one target there is.
pub const PAGE_BYTES: usize = 4096;
/// The slots of all imports fit into one page. The engine has some 40 functions that code can call.
pub const MAX_IMPORTS: u32 = (PAGE_BYTES / 8) as u32;
/// Version of the AOT files of WAMR 2.4.
const AOT_FILE_VERSION: u32 = 6;

/// Why compiled code could not be made into an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkError {
    /// The AOT file is not what WAMR's compiler writes.
    Malformed(&'static str),
    /// A symbol that is neither in the object nor a possible function of the engine.
    Symbol(String),
    /// A relocation type that position-independent code does not have.
    Relocation(u32),
    /// A relocation whose place or value is out of range, by its symbol.
    OutOfRange(String),
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkError::Malformed(what) => write!(f, "cannot read the compiled code: {what}"),
            LinkError::Symbol(name) => write!(f, "the compiled code refers to {name:?}, which is unknown"),
            LinkError::Relocation(kind) => write!(f, "the compiled code has a relocation of type {kind}"),
            LinkError::OutOfRange(name) => write!(f, "the compiled code refers to {name:?} out of range"),
        }
    }
}

impl std::error::Error for LinkError {}
