//! Loaded modules.

use std::ffi::{c_char, CStr};
use std::fmt;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::sync::Arc;

use wamr_sys as sys;

use crate::recognise::{recognise, Content};
use crate::types::{extern_type, Export, ExternType, Import, Limits};
use crate::Runtime;

/// Why bytes are not a module that the engine can run. Each prints as one line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LoadError {
    /// Not a core WebAssembly module at all; what it is instead, where that can be told.
    NotAModule(Content),
    /// The module uses a feature that the engine lacks.
    Unsupported(String),
    /// The module is broken; the engine's reason.
    Malformed(String),
}

impl fmt::Display for LoadError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::NotAModule(content) => write!(out, "not a WebAssembly module: {content}"),
            LoadError::Unsupported(feature) => {
                write!(out, "the module needs a feature that the engine lacks: {feature}")
            }
            LoadError::Malformed(reason) => write!(out, "malformed WebAssembly module: {reason}"),
        }
    }
}

impl std::error::Error for LoadError {}

/// The bytes of a module: a private mapping, or memory of one's own.
///
/// The engine writes a little into them (it terminates names in place) and refers into them for as long as the
/// module is loaded. A mapping costs only the pages that are written; its file must not change meanwhile, which
/// the store guarantees (files named by their digest are never written again).
pub struct ModuleBytes {
    start: NonNull<u8>,
    length: usize,
    mapped: bool,
}

// SAFETY: the bytes are owned by this value alone, be they allocated or a private mapping.
unsafe impl Send for ModuleBytes {}
// SAFETY: shared references only give shared slices; the engine writes only while it loads, with `&mut`.
unsafe impl Sync for ModuleBytes {}

impl ModuleBytes {
    /// Maps a file privately. An empty file is an empty value.
    pub fn map(file: &impl AsRawFd, length: usize) -> std::io::Result<ModuleBytes> {
        if length == 0 {
            return Ok(ModuleBytes::from(Vec::new()));
        }
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new private mapping at an address of the kernel's choice; it aliases nothing.
        let address = unsafe {
            libc::mmap(
                crate::next_place(length),
                length,
                protection,
                libc::MAP_PRIVATE,
                file.as_raw_fd(),
                0,
            )
        };
        match NonNull::new(address.cast::<u8>()) {
            Some(start) if address != libc::MAP_FAILED => Ok(ModuleBytes {
                start,
                length,
                mapped: true,
            }),
            _ => Err(std::io::Error::last_os_error()),
        }
    }

    /// The bytes; after loading with the engine's marks in them.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `start` and `length` describe memory that this value owns.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl From<Vec<u8>> for ModuleBytes {
    fn from(bytes: Vec<u8>) -> ModuleBytes {
        let boxed = bytes.into_boxed_slice();
        let length = boxed.len();
        let start = NonNull::from(Box::leak(boxed)).cast();
        ModuleBytes {
            start,
            length,
            mapped: false,
        }
    }
}

impl Drop for ModuleBytes {
    fn drop(&mut self) {
        if self.mapped {
            // SAFETY: exactly the mapping made in `map`, which nothing refers to any more.
            unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
        } else {
            let slice = std::ptr::slice_from_raw_parts_mut(self.start.as_ptr(), self.length);
            // SAFETY: leaked from a box of this length in `from`.
            drop(unsafe { Box::from_raw(slice) });
        }
    }
}

pub(crate) struct Loaded {
    pub(crate) handle: sys::wasm_module_t,
    /// What the engine refers into: the module's bytes, or a cache file's mappings. Dropped after unloading.
    keeps: Box<dyn Kept>,
}

/// Memory that a loaded module refers into.
pub trait Kept: Send + Sync {
    /// The bytes of the wasm module, for the names of functions; empty where there are none.
    fn wasm_bytes(&self) -> &[u8];
}

impl Kept for ModuleBytes {
    fn wasm_bytes(&self) -> &[u8] {
        self.as_slice()
    }
}

// SAFETY: the engine only reads a loaded module (instances are made from it), except in `Drop`, which is last.
unsafe impl Send for Loaded {}
// SAFETY: as above.
unsafe impl Sync for Loaded {}

impl Drop for Loaded {
    fn drop(&mut self) {
        // SAFETY: the handle came from a successful load and is unloaded once; instances hold an `Arc` of this.
        unsafe { sys::wasm_runtime_unload(self.handle) };
    }
}

/// A loaded module. Cheap to clone.
#[derive(Clone)]
pub struct Module {
    pub(crate) runtime: Runtime,
    pub(crate) loaded: Arc<Loaded>,
}

impl Module {
    /// Validates and loads a wasm module. For the interpreter this compiles it to the engine's own code, which
    /// is private memory of several times the size of the module's code.
    pub fn load(runtime: Runtime, bytes: ModuleBytes) -> Result<Module, LoadError> {
        match recognise(bytes.as_slice()) {
            Content::Module => {}
            other => return Err(LoadError::NotAModule(other)),
        }
        let Ok(length) = u32::try_from(bytes.length) else {
            return Err(LoadError::Malformed("larger than 4 GiB".into()));
        };
        let mut reason = [0 as c_char; 160];
        let mut name = [0 as c_char; 1];
        let arguments = sys::LoadArgs {
            name: name.as_mut_ptr(),
            clone_wasm_binary: false,
            wasm_binary_freeable: false,
            no_resolve: false,
        };
        // SAFETY: the bytes are writable, of the length given, and are kept beside the handle until unloading.
        let handle = unsafe {
            sys::wasm_runtime_load_ex(
                bytes.start.as_ptr(),
                length,
                &arguments,
                reason.as_mut_ptr(),
                reason.len() as u32,
            )
        };
        if handle.is_null() {
            let text = text_of(&reason);
            let reason = text.strip_prefix("WASM module load failed: ").unwrap_or(&text);
            return Err(crate::recognise::load_error(reason, bytes.as_slice()));
        }
        // SAFETY: a handle fresh from the engine with the bytes it refers into.
        Ok(unsafe { Module::from_raw_parts(runtime, handle, Box::new(bytes)) })
    }

    /// Takes over a module that was loaded by other means.
    ///
    /// # Safety
    /// `handle` came from a successful load and belongs to nobody else; `keeps` owns all that it refers into.
    pub unsafe fn from_raw_parts(
        runtime: Runtime,
        handle: sys::wasm_module_t,
        keeps: Box<dyn Kept>,
    ) -> Module {
        Module {
            runtime,
            loaded: Arc::new(Loaded { handle, keeps }),
        }
    }

    /// The wasm bytes, for names; empty where they are not kept.
    pub fn wasm_bytes(&self) -> &[u8] {
        self.loaded.keeps.wasm_bytes()
    }

    /// What the module imports, in the module's order.
    pub fn imports(&self) -> Vec<Import> {
        let handle = self.loaded.handle;
        // SAFETY: the module is loaded; indexes stay below the engine's count; the engine fills the struct in
        // wholly and its strings live with the module.
        unsafe {
            (0..sys::wasm_runtime_get_import_count(handle))
                .map(|index| {
                    let mut import: sys::wasm_import_t = std::mem::zeroed();
                    sys::wasm_runtime_get_import_type(handle, index, &mut import);
                    Import {
                        module: string_at(import.module_name),
                        name: string_at(import.name),
                        kind: extern_type(import.kind, import.u),
                        linked: import.linked,
                    }
                })
                .collect()
        }
    }

    /// What the module exports, in the module's order.
    pub fn exports(&self) -> Vec<Export> {
        let handle = self.loaded.handle;
        // SAFETY: as in `imports`.
        unsafe {
            (0..sys::wasm_runtime_get_export_count(handle))
                .map(|index| {
                    let mut export: sys::wasm_export_t = std::mem::zeroed();
                    sys::wasm_runtime_get_export_type(handle, index, &mut export);
                    Export {
                        name: string_at(export.name),
                        kind: extern_type(export.kind, export.u),
                    }
                })
                .collect()
        }
    }

    /// The limits of the first memory that the module exports or imports.
    pub fn memory_limits(&self) -> Option<Limits> {
        let exported = self.exports().into_iter().map(|export| export.kind);
        let imported = self.imports().into_iter().map(|import| import.kind);
        exported.chain(imported).find_map(|kind| match kind {
            ExternType::Memory(limits) => Some(limits),
            _ => None,
        })
    }
}

/// # Safety
/// Null, or a NUL-terminated string that lives for the call.
unsafe fn string_at(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: not null, and terminated by contract.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// The text of an error buffer that the engine filled in.
pub(crate) fn text_of(buffer: &[c_char]) -> String {
    let bytes: Vec<u8> = buffer.iter().map(|&c| c as u8).take_while(|&c| c != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
