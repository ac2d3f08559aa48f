//! Loading compiled code from a cache file whose pages are shared between processes.
//!
//! # Theory of operation
//! A cache file (`aot_cache::link` describes how it is made) is an AOT file of WAMR's that is complete for
//! execution where it lies: position-independent, relocated, with its constants beside the code. It is mapped
//! privately from the file, and never written through that mapping, so every process executes the page cache's
//! own pages:
//!
//! * The whole file is mapped read-only; the pages of the text then become executable. Nothing is ever writable
//!   and executable.
//! * Calls of the engine go through address slots in one page behind the file's last. That page is private
//!   memory, filled here with the engine's addresses (which differ from process to process) and then read-only.
//! * Where the file has pages of the linear memory, an instance can begin with them in the place of the copy that
//!   the engine makes (`MemoryImage`), mapped privately and writable: what a guest never writes to stays shared.
//! * WAMR's loader gets the AOT file inside the mapping as its buffer. Because the file says that it executes in
//!   place and has no relocation section, the loader keeps pointers into the buffer — code, data segments, names
//!   — and copies only its tables of functions and types.
//!
//! Where the system refuses to map a file for execution (a file system mounted `noexec`, a security module), the
//! file's bytes are copied into private memory instead; where it refuses that as well, the caller goes on with
//! the interpreter. WAMR's loader trusts an AOT file as one trusts a shared library, hence the judgement before:
//! `aot_cache::read_header` refuses a file that another user could have written, a damaged or foreign header,
//! other modules and other builds of the engine; the check mode and the processor are compared here.

use std::ffi::{c_char, c_void, CStr};
use std::fmt;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;

use aot_cache::{CheckMode, CpuLevel, FileError, Header, MemoryRun, PAGE_BYTES};
use wamr_sys as sys;

use crate::module::{text_of, Kept, Module, ModuleBytes};
use crate::Runtime;

/// How the linear memory is guarded in this build of the engine; compiled code must mean the same.
pub const CHECK_MODE: CheckMode = if cfg!(feature = "software-bounds-checks") {
    CheckMode::Software
} else {
    CheckMode::HardwareMemorySoftwareStack
};

/// Whose pages the code is executed from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CodeMemory {
    /// The file's own, shared by all processes that map it.
    Shared,
    /// A copy of this process: the system does not map the file for execution.
    PrivateCopy,
}

/// A module whose functions are machine code.
pub struct LoadedCode {
    pub module: Module,
    /// Where the machine code begins.
    pub code_address: u64,
    pub code_bytes: u64,
    pub memory: CodeMemory,
    /// What the linear memory of an instance can begin with; see `Instance::share_image`.
    pub image: Option<MemoryImage>,
}

/// The linear memory as it is before the guest runs, as pages of the cache file.
pub struct MemoryImage {
    pub(crate) file: File,
    pub(crate) runs: Vec<MemoryRun>,
}

/// Why a cache file is not used. Each prints as one line that begins with `it`, for the reason in the state file.
#[derive(Debug)]
pub enum CacheRefusal {
    /// The digest that was expected is not one.
    Digest(String),
    /// The file itself: whose it is, its header, its size, what it was compiled for.
    File(FileError),
    /// Its code is checked in another way than this engine expects.
    CheckMode(CheckMode),
    /// It was compiled for a newer processor.
    Processor(CpuLevel),
    /// It calls a function that this engine does not have.
    Import(String),
    /// It cannot be mapped, neither from the file nor as a copy.
    Map(std::io::Error),
    /// WAMR's loader refused it.
    Engine(String),
}

impl fmt::Display for CacheRefusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CacheRefusal::Digest(text) => write!(out, "it was asked for by {text:?}, which is not a digest"),
            CacheRefusal::File(error) => error.fmt(out),
            CacheRefusal::CheckMode(mode) => write!(out, "its checks ({mode:?}) are not this engine's"),
            CacheRefusal::Processor(level) => write!(out, "it was compiled for {}", level.name()),
            CacheRefusal::Import(name) => write!(out, "it calls {name:?}, which the engine does not have"),
            CacheRefusal::Map(error) => write!(out, "it cannot be mapped for execution: {error}"),
            CacheRefusal::Engine(reason) => write!(out, "its content is not usable: {reason}"),
        }
    }
}

impl std::error::Error for CacheRefusal {}

impl From<FileError> for CacheRefusal {
    fn from(error: FileError) -> Self {
        CacheRefusal::File(error)
    }
}

/// One entry of the engine's table of functions that compiled code may call (`SymbolMap` of `aot_reloc.h`).
#[repr(C)]
struct SymbolMap {
    name: *const c_char,
    address: *mut c_void,
}

extern "C" {
    /// The engine's own table, which its loader uses for relocations.
    fn get_target_symbol_map(count: *mut u32) -> *mut SymbolMap;
}

/// Loads the module `expected_module_digest` (`sha256:…` or the bare hex digits) from its cache file. `wasm` are
/// the bytes of the module itself, kept for the names of functions in traps; they are not read before.
///
/// # Errors
/// A refusal says why the file is not used; nothing of it has been executed, and the module can still be
/// interpreted.
pub fn load(
    runtime: Runtime,
    file: &File,
    expected_module_digest: &str,
    wasm: Option<ModuleBytes>,
) -> Result<LoadedCode, CacheRefusal> {
    let digest = aot_cache::parse_digest(expected_module_digest)
        .ok_or_else(|| CacheRefusal::Digest(expected_module_digest.to_owned()))?;
    let header = aot_cache::read_header(file, &digest)?;
    if header.check_mode != CHECK_MODE {
        return Err(CacheRefusal::CheckMode(header.check_mode));
    }
    if CpuLevel::of_this_machine() < Some(header.cpu_level) {
        return Err(CacheRefusal::Processor(header.cpu_level));
    }
    let (mapping, memory) = map(file, &header).map_err(CacheRefusal::Map)?;
    fill_slots(&mapping, &header)?;
    let code_address = mapping.start.as_ptr() as u64 + header.text_offset;
    let image = match header.memory_runs.as_slice() {
        [] => None,
        runs => Some(MemoryImage {
            file: file.try_clone().map_err(CacheRefusal::Map)?,
            runs: runs.to_vec(),
        }),
    };
    let module = load_mapped(runtime, CachedModule { mapping, wasm }, &header)?;
    Ok(LoadedCode {
        module,
        code_address,
        code_bytes: header.text_bytes,
        memory,
        image,
    })
}

/// The whole of a cache file in memory, and its page of slots.
struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping is owned by this value alone and is not written after it has been made.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn at(&self, offset: u64) -> *mut u8 {
        debug_assert!(offset <= self.length as u64);
        self.start.as_ptr().wrapping_add(offset as usize)
    }

    fn protect(&self, offset: u64, length: u64, protection: i32) -> std::io::Result<()> {
        // SAFETY: the range lies within this mapping, which nothing refers to as Rust data.
        match unsafe { libc::mprotect(self.at(offset).cast(), length as usize, protection) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping that was made; the module in it has been unloaded (field order of Loaded).
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

/// What a loaded module refers into.
struct CachedModule {
    mapping: Mapping,
    wasm: Option<ModuleBytes>,
}

impl Kept for CachedModule {
    fn wasm_bytes(&self) -> &[u8] {
        self.wasm.as_ref().map_or(&[], ModuleBytes::as_slice)
    }
}

/// Maps the file, with the text executable and the page of slots behind it writable.
fn map(file: &File, header: &Header) -> std::io::Result<(Mapping, CodeMemory)> {
    let length = header.slots_offset as usize + PAGE_BYTES;
    let execute = libc::PROT_READ | libc::PROT_EXEC;
    let shared =
        new_mapping(length, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd()).and_then(|mapping| {
            mapping.protect(header.text_offset, header.text_bytes, execute)?;
            // Beyond the file's end there is nothing to map: the slots get memory of their own.
            replace_by_memory(&mapping, header.slots_offset)?;
            Ok(mapping)
        });
    if let Ok(mapping) = shared {
        return Ok((mapping, CodeMemory::Shared));
    }
    let writable = libc::PROT_READ | libc::PROT_WRITE;
    let mapping = new_mapping(length, writable, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)?;
    // SAFETY: fresh writable memory of at least this size, which nothing else refers to yet.
    let bytes = unsafe { std::slice::from_raw_parts_mut(mapping.start.as_ptr(), header.aot_end() as usize) };
    file.read_exact_at(bytes, 0)?;
    mapping.protect(0, header.slots_offset, libc::PROT_READ)?;
    mapping.protect(header.text_offset, header.text_bytes, execute)?;
    Ok((mapping, CodeMemory::PrivateCopy))
}

fn new_mapping(length: usize, protection: i32, flags: i32, descriptor: i32) -> std::io::Result<Mapping> {
    // SAFETY: a new mapping at an address of the kernel's choice; it aliases nothing.
    let address = unsafe {
        libc::mmap(
            crate::next_place(length),
            length,
            protection,
            flags,
            descriptor,
            0,
        )
    };
    match NonNull::new(address.cast::<u8>()) {
        Some(start) if address != libc::MAP_FAILED => Ok(Mapping { start, length }),
        _ => Err(std::io::Error::last_os_error()),
    }
}

fn replace_by_memory(mapping: &Mapping, offset: u64) -> std::io::Result<()> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: replaces the last page of our own mapping, which nothing refers to yet.
    let address = unsafe { libc::mmap(mapping.at(offset).cast(), PAGE_BYTES, protection, flags, -1, 0) };
    if address == libc::MAP_FAILED {
        return Err(std::io::Error::last_os_error());
    }
    Ok(())
}

/// Stores the addresses of the engine's functions into the slots and takes the right to write away.
fn fill_slots(mapping: &Mapping, header: &Header) -> Result<(), CacheRefusal> {
    // SAFETY: the header was checked: the names lie within the file, which is mapped readable and not written.
    let names = unsafe {
        std::slice::from_raw_parts(mapping.at(header.imports_offset), header.imports_bytes as usize)
    };
    let names = names
        .split_inclusive(|byte| *byte == 0)
        .filter_map(|name| CStr::from_bytes_with_nul(name).ok());
    let slots = mapping.at(header.slots_offset).cast::<usize>();
    let mut count = 0;
    for (index, name) in names.take(header.import_count as usize).enumerate() {
        let address =
            engine_function(name).ok_or_else(|| CacheRefusal::Import(name.to_string_lossy().into_owned()))?;
        // SAFETY: the header was checked: one page holds as many slots as there can be imports; it is writable.
        unsafe { slots.add(index).write(address) };
        count += 1;
    }
    if count != header.import_count {
        return Err(CacheRefusal::Import(String::new()));
    }
    mapping
        .protect(header.slots_offset, PAGE_BYTES as u64, libc::PROT_READ)
        .map_err(CacheRefusal::Map)
}

fn engine_function(name: &CStr) -> Option<usize> {
    let mut count = 0;
    // SAFETY: the table is static data of the engine; it has as many entries as the call stores.
    let table = unsafe {
        let start = get_target_symbol_map(&mut count);
        std::slice::from_raw_parts(start, count as usize)
    };
    // SAFETY: names of the table are string literals.
    let entry = table
        .iter()
        .find(|entry| unsafe { CStr::from_ptr(entry.name) } == name)?;
    Some(entry.address as usize)
}

fn load_mapped(runtime: Runtime, kept: CachedModule, header: &Header) -> Result<Module, CacheRefusal> {
    let mut reason = [0 as c_char; 160];
    let mut name = [0 as c_char; 1];
    let arguments = sys::LoadArgs {
        name: name.as_mut_ptr(),
        clone_wasm_binary: false,
        wasm_binary_freeable: false,
        no_resolve: false,
    };
    // SAFETY: the AOT file lies within the mapping, which is kept beside the handle until unloading. The loader
    // does not write into an AOT file whose buffer stays and which executes in place (the mapping is read-only,
    // so that it could not go unnoticed).
    let handle = unsafe {
        sys::wasm_runtime_load_ex(
            kept.mapping.at(header.aot_offset),
            header.aot_bytes as u32,
            &arguments,
            reason.as_mut_ptr(),
            reason.len() as u32,
        )
    };
    if handle.is_null() {
        let text = text_of(&reason);
        let text = text.strip_prefix("AOT module load failed: ").unwrap_or(&text);
        return Err(CacheRefusal::Engine(text.to_owned()));
    }
    // SAFETY: a handle fresh from the engine with what it refers into.
    Ok(unsafe { Module::from_raw_parts(runtime, handle, Box::new(kept)) })
}
