//! WAMR's runtime behind a safe interface.
//!
//! # Theory of operation
//! The engine is a C library with one global state per process ([`Runtime`]). A [`Module`] is loaded from bytes
//! that it keeps (the engine refers into them and writes into them: it terminates names in place), an
//! [`Instance`] is made of a module and keeps it. All of an instance's guest code runs on the thread that calls
//! it; the engine's fault handlers turn a bad access of guest code into a [`Trap`].
//!
//! Host functions ([`host`]) are registered once for the whole process and find the data of the instance that
//! calls them through its context. They see the guest's memory only as [`GuestMemory`], which checks every
//! address. None of them may panic through the engine's frames: the programs are built with `panic = "abort"`,
//! and `extern "C"` functions abort on a panic in any case.
//!
//! Nothing of a container takes part in loading and instantiating, so a process may fork after it.

pub mod cache;
pub mod command;
mod features;
pub mod host;
mod imports;
mod instance;
mod memory;
mod module;
pub mod names;
pub mod recognise;
mod runtime;
mod trap;
mod types;

pub use imports::{imported_functions, ImportedFunction};
pub use instance::{CallError, Instance, InstanceOptions, Value};
pub use memory::GuestMemory;
pub use module::{Kept, LoadError, Module, ModuleBytes};
pub use runtime::{watch_refused_growth, GrowthWatcher, InitError, Runtime};
pub use trap::{Trap, TrapKind};
pub use types::{Export, ExternType, FunctionType, Import, Limits, ValueType};

/// The version of the engine whose sources are built, a part of the key of every cache file.
pub const ENGINE_VERSION: &str = "2.4.0";

/// Has what is mapped from now on lie side by side from `address` on, as far as there is room: mappings that are near
/// share page tables. 0: wherever the kernel likes.
pub fn place_mappings_at(address: usize) {
    // SAFETY: stores a number, which is used as a hint only.
    unsafe { wamr_sys::wpod_place_mappings_at(address) }
}

/// The place of the next mapping, a hint for mmap(2).
pub(crate) fn next_place(length: usize) -> *mut std::ffi::c_void {
    // SAFETY: reads and advances that number.
    unsafe { wamr_sys::wpod_next_place(length) }
}
