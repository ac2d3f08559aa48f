//! WASI preview 1 (`wasi_snapshot_preview1`, and `wasi_unstable` before it), complete, on Linux.
//!
//! # Theory of operation
//! A [`Context`] is what one guest may touch: arguments, environment and a table of descriptors. It is made
//! after the module has been instantiated and handed to the instance; the host functions (`register`) are the
//! same for every instance and find the context of their caller.
//!
//! * A guest's descriptor number is an index into the table, never a descriptor of the host. New ones take the
//!   lowest free number, as POSIX has it.
//! * Every path goes through `openat2` with `RESOLVE_IN_ROOT` (the container's root, whose absolute symbolic
//!   links mean the root) or `RESOLVE_BENEATH` (volumes), so that the kernel itself keeps the walk inside, also
//!   while another process swaps directories for links. What changes a directory opens the parent that way and
//!   names only the last component, without a trailing slash: a slash would make the kernel follow a link there.
//! * A read-only directory loses its rights to write, and each writing call refuses it once more.
//! * Every address of the guest is checked against its memory before it is used, and no request makes the host
//!   allocate more than a few kilobytes: long transfers are cut short, which the guest's library expects.
//! * Standard output and error are [`Sink`]s, objects like any other: the guest may close and renumber them.

mod abi;
mod address;
mod clock;
mod context;
mod descriptor;
mod directory;
mod dns_client;
mod dns_message;
mod file;
mod input_output;
mod listener;
mod network;
mod path;
mod poll;
mod pool;
mod process;
mod register;
mod resolve;
mod resolver;
mod socket;
mod socket_names;
mod socket_open;
mod socket_options;
mod status;
mod table;
mod wasmedge;

pub use abi::Errno;
pub use context::{Context, ContextBuilder, ExitRequest, RefusalWatcher};
pub use descriptor::Sink;
pub use network::{Network, OwnAddresses, Refusal};
pub use pool::Pool;
pub use register::{register, SocketImports};
pub use resolve::{Access, RootDirectory};
pub use resolver::Resolver;
pub use socket_options::{SocketOption, SETTABLE};
