//! Instances: a module with its memory, ready to be called.

use std::any::Any;
use std::ffi::{c_char, CString};
use std::os::fd::AsRawFd;
use std::{fmt, io};

use wamr_sys as sys;

use crate::cache::MemoryImage;
use crate::host::{memory_of, StoredContext};
use crate::memory::GuestMemory;
use crate::module::{text_of, Module};
use crate::names;
use crate::trap::{Trap, TrapKind};
use crate::types::{ExternType, ValueType};

/// Sizes of an instance.
#[derive(Clone, Copy, Debug)]
pub struct InstanceOptions {
    /// The interpreter's stack. Only what is used of it costs memory.
    pub stack_bytes: u32,
    /// Cap of the linear memory, in pages of 64 KiB, under the module's own maximum; `None`: no cap. A cap below
    /// the module's minimum is the caller's to refuse: the engine would raise it silently.
    pub max_memory_pages: Option<u32>,
}

impl Default for InstanceOptions {
    fn default() -> Self {
        InstanceOptions {
            stack_bytes: 1 << 20,
            max_memory_pages: None,
        }
    }
}

/// A value that goes into a function or comes out of it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Value {
    I32(i32),
    I64(i64),
    F32(f32),
    F64(f64),
}

/// Why a call gave no results.
#[derive(Clone, PartialEq, Debug)]
pub enum CallError {
    /// No function of this name is exported.
    NoSuchFunction,
    /// The function takes other arguments, or has types that cannot be passed.
    Signature(String),
    /// The guest trapped.
    Trap(Trap),
}

impl fmt::Display for CallError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::NoSuchFunction => out.write_str("no function of this name is exported"),
            CallError::Signature(text) => out.write_str(text),
            CallError::Trap(trap) => trap.fmt(out),
        }
    }
}

impl std::error::Error for CallError {}

/// An instance of a module. Used by one thread at a time; guest code may leave it in any state after a trap.
pub struct Instance {
    handle: sys::wasm_module_inst_t,
    exec_env: sys::wasm_exec_env_t,
    context: Option<Box<StoredContext>>,
    module: Module,
}

// SAFETY: the engine ties an instance to a thread only while a call runs, and calls need `&mut`. The context may
// be anything, so sending needs it to be `Send` as well, which `set_context` asks for.
unsafe impl Send for Instance {}

impl Instance {
    /// Makes an instance: memory allocated, data copied, the `start` function run.
    ///
    /// Errors: the engine's reason in one line (no memory, data outside of it, a trap in `start`).
    pub fn new(module: &Module, options: InstanceOptions) -> Result<Instance, String> {
        module.runtime.enter_thread().map_err(|error| error.to_string())?;
        let arguments = sys::InstantiationArgs {
            default_stack_size: options.stack_bytes,
            host_managed_heap_size: 0,
            max_memory_pages: options.max_memory_pages.unwrap_or(0),
        };
        let mut reason = [0 as c_char; 160];
        // SAFETY: the module is loaded, and `self.module` keeps it so.
        let handle = unsafe {
            sys::wasm_runtime_instantiate_ex(
                module.loaded.handle,
                &arguments,
                reason.as_mut_ptr(),
                reason.len() as u32,
            )
        };
        if handle.is_null() {
            let text = text_of(&reason);
            let text = text
                .strip_prefix("WASM module instantiate failed: ")
                .unwrap_or(&text);
            return Err(text
                .strip_prefix("AOT module instantiate failed: ")
                .unwrap_or(text)
                .to_owned());
        }
        // SAFETY: a live instance; the size is passed on unchanged.
        let exec_env = unsafe { sys::wasm_runtime_create_exec_env(handle, options.stack_bytes) };
        if exec_env.is_null() {
            // SAFETY: fresh from the engine and not used further.
            unsafe { sys::wasm_runtime_deinstantiate(handle) };
            return Err("no memory for the stack".into());
        }
        give_back_stack(exec_env, options.stack_bytes);
        Ok(Instance {
            handle,
            exec_env,
            context: None,
            module: module.clone(),
        })
    }

    /// Puts the pages of `image` in the place of those that the engine has copied the data segments into; both hold
    /// the same. For a fresh instance of the image's own module, of which nothing has run.
    ///
    /// Errors: the system's, where the memory is not usable any more.
    pub fn share_image(&mut self, image: &MemoryImage) -> io::Result<()> {
        let (base, used, _) = self.memory_figures().unwrap_or_default();
        for run in &image.runs {
            let fits = run
                .memory_offset
                .checked_add(run.bytes)
                .is_some_and(|end| end <= used);
            if !fits {
                return Err(io::ErrorKind::InvalidData.into());
            }
            // SAFETY: whole pages inside this instance's own linear memory, to which nothing holds a reference while
            // `self` is borrowed exclusively; the new ones are as readable and writable, and private.
            let mapped = unsafe {
                libc::mmap(
                    (base + run.memory_offset) as *mut libc::c_void,
                    run.bytes as usize,
                    libc::PROT_READ | libc::PROT_WRITE,
                    libc::MAP_PRIVATE | libc::MAP_FIXED | libc::MAP_NORESERVE,
                    image.file.as_raw_fd(),
                    run.file_offset as libc::off_t,
                )
            };
            if mapped == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }

    /// The module this is an instance of.
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// Gives host functions what belongs to this instance; replaces what was there.
    pub fn set_context(&mut self, context: Box<dyn Any + Send>) {
        let context: StoredContext = context;
        let mut stored = Box::new(context);
        let pointer: *mut StoredContext = &mut *stored;
        // SAFETY: a live instance; the box is kept in `self.context` until after the instance is gone.
        unsafe { sys::wasm_runtime_set_custom_data(self.handle, pointer.cast()) };
        self.context = Some(stored);
    }

    /// The context, if it is of this type.
    pub fn context_mut<T: 'static>(&mut self) -> Option<&mut T> {
        self.context.as_mut()?.downcast_mut::<T>()
    }

    /// The guest's memory; guest code cannot run while it is borrowed.
    pub fn memory(&mut self) -> GuestMemory<'_> {
        // SAFETY: the instance is live, and `self` is borrowed exclusively.
        unsafe { memory_of(self.handle) }
    }

    /// Address, present size and largest size of the linear memory in bytes; `None` without a memory.
    pub fn memory_figures(&self) -> Option<(u64, u64, u64)> {
        // SAFETY: a live instance; a null memory is handled.
        unsafe {
            let memory = sys::wasm_runtime_get_default_memory(self.handle);
            if memory.is_null() {
                return None;
            }
            let page = sys::wasm_memory_get_bytes_per_page(memory);
            Some((
                sys::wasm_memory_get_base_address(memory) as u64,
                sys::wasm_memory_get_cur_page_count(memory) * page,
                sys::wasm_memory_get_max_page_count(memory) * page,
            ))
        }
    }

    fn lookup(&self, name: &str) -> Option<sys::wasm_function_inst_t> {
        let name = CString::new(name).ok()?;
        // SAFETY: a live instance and a terminated string.
        let function = unsafe { sys::wasm_runtime_lookup_function(self.handle, name.as_ptr()) };
        (!function.is_null()).then_some(function)
    }

    /// Whether a function of this name is exported.
    pub fn has_function(&self, name: &str) -> bool {
        self.lookup(name).is_some()
    }

    /// Calls an exported function.
    pub fn call(&mut self, name: &str, arguments: &[Value]) -> Result<Vec<Value>, CallError> {
        let function = self.lookup(name).ok_or(CallError::NoSuchFunction)?;
        let signature = self.signature(name)?;
        check_arguments(&signature.parameters, arguments)?;
        if let Err(error) = self.module.runtime.enter_thread() {
            return Err(CallError::Signature(error.to_string()));
        }
        let mut cells: Vec<sys::wasm_val_t> = arguments.iter().map(|value| to_cell(*value)).collect();
        let mut results = vec![to_cell(Value::I32(0)); signature.results.len()];
        // SAFETY: a live instance, its own function, and exactly as many cells as its type has parameters and
        // results, of the right kinds. The exception of an earlier call is cleared, else the engine refuses.
        let returned = unsafe {
            sys::wasm_runtime_clear_exception(self.handle);
            sys::wasm_runtime_call_wasm_a(
                self.exec_env,
                function,
                results.len() as u32,
                results.as_mut_ptr(),
                cells.len() as u32,
                cells.as_mut_ptr(),
            )
        };
        if !returned {
            return Err(CallError::Trap(self.trap()));
        }
        signature
            .results
            .iter()
            .zip(&results)
            .map(|(kind, cell)| from_cell(*kind, cell))
            .collect()
    }

    fn signature(&self, name: &str) -> Result<crate::FunctionType, CallError> {
        let exports = self.module.exports();
        let found = exports.into_iter().find(|export| export.name == name);
        match found.map(|export| export.kind) {
            Some(crate::ExternType::Function(signature)) => Ok(signature),
            _ => Err(CallError::NoSuchFunction),
        }
    }

    /// The trap that ended the last call.
    fn trap(&self) -> Trap {
        // SAFETY: a live instance; the text lives in it and is copied at once.
        let text = unsafe {
            let exception = sys::wasm_runtime_get_exception(self.handle);
            if exception.is_null() {
                "the engine gave no reason".to_owned()
            } else {
                std::ffi::CStr::from_ptr(exception).to_string_lossy().into_owned()
            }
        };
        let trap = Trap::from_exception(&text, self.trapped_function());
        if trap.kind == TrapKind::OutOfBoundsMemory && self.stack_is_exhausted() {
            return trap.as_stack_overflow();
        }
        trap
    }

    /// Whether the guest's own stack, which lies in its linear memory, has been run off at its lower end: the stack
    /// pointer then is below all data, or has wrapped around beyond its upper end. What traps first is the access.
    fn stack_is_exhausted(&self) -> bool {
        /// Linkers place nothing below, so that null pointers point at nothing.
        const FIRST_DATA: u32 = 1024;
        let Some(top) = names::stack_top(self.module.wasm_bytes()) else {
            return false;
        };
        // An imported global would be the first one.
        let is_global = |import: &crate::Import| matches!(import.kind, ExternType::Global { .. });
        if self.module.imports().iter().any(is_global) {
            return false;
        }
        let mut pointer = 0;
        // SAFETY: a live instance; the value is written where the engine has one.
        let known = unsafe { sys::wpod_first_global(self.handle, &mut pointer) };
        known && (pointer > top || pointer < FIRST_DATA)
    }

    /// The innermost function of the call stack that the engine saved at the trap: `#00: 0x0036 - $f1`, or the
    /// exported name in the place of `$f1`.
    fn trapped_function(&self) -> Option<String> {
        let mut buffer = [0 as c_char; 512];
        // SAFETY: the environment is live; the engine writes at most `len` bytes, terminated.
        unsafe {
            sys::wasm_runtime_dump_call_stack_to_buf(
                self.exec_env,
                buffer.as_mut_ptr(),
                buffer.len() as u32 - 1,
            )
        };
        let text = text_of(&buffer);
        let line = text.lines().find(|line| line.starts_with('#'))?;
        let name = line.split_once(" - ")?.1;
        match name.strip_prefix("$f").and_then(|index| index.parse().ok()) {
            Some(index) => names::function_name(self.module.wasm_bytes(), index),
            None => Some(name.to_owned()),
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // SAFETY: both handles are live and are given up here, the environment first as it refers to the
        // instance; context and module are dropped after.
        unsafe {
            sys::wasm_runtime_destroy_exec_env(self.exec_env);
            sys::wasm_runtime_deinstantiate(self.handle);
        }
    }
}

/// The engine zeroes the whole stack when it makes it. Pages that hold nothing but these zeroes are given back,
/// so that an idle instance does not own a stack it never used.
fn give_back_stack(exec_env: sys::wasm_exec_env_t, stack_bytes: u32) {
    const PAGE_BYTES: usize = 4096;
    let start = exec_env as usize;
    // The environment's own fields are below the stack and far smaller than a page.
    let first = (start + PAGE_BYTES).next_multiple_of(PAGE_BYTES);
    let last = (start + stack_bytes as usize) / PAGE_BYTES * PAGE_BYTES;
    if last > first {
        // SAFETY: the range lies inside one allocation of the C library, which is private anonymous memory, and
        // holds zeroes only; after the call it holds zeroes again.
        unsafe { libc::madvise(first as *mut libc::c_void, last - first, libc::MADV_DONTNEED) };
    }
}

fn check_arguments(parameters: &[ValueType], arguments: &[Value]) -> Result<(), CallError> {
    let matches = |(kind, value): (&ValueType, &Value)| {
        matches!(
            (kind, value),
            (ValueType::I32, Value::I32(_))
                | (ValueType::I64, Value::I64(_))
                | (ValueType::F32, Value::F32(_))
                | (ValueType::F64, Value::F64(_))
        )
    };
    if parameters.len() == arguments.len() && parameters.iter().zip(arguments).all(matches) {
        return Ok(());
    }
    let wanted: Vec<&str> = parameters.iter().map(|kind| kind.name()).collect();
    Err(CallError::Signature(format!(
        "the function takes ({})",
        wanted.join(", ")
    )))
}

fn to_cell(value: Value) -> sys::wasm_val_t {
    let (kind, of) = match value {
        Value::I32(i32) => (sys::WASM_I32, sys::wasm_val_of { i32 }),
        Value::I64(i64) => (sys::WASM_I64, sys::wasm_val_of { i64 }),
        Value::F32(f32) => (sys::WASM_F32, sys::wasm_val_of { f32 }),
        Value::F64(f64) => (sys::WASM_F64, sys::wasm_val_of { f64 }),
    };
    sys::wasm_val_t {
        kind,
        paddings: [0; 7],
        of,
    }
}

fn from_cell(kind: ValueType, cell: &sys::wasm_val_t) -> Result<Value, CallError> {
    // SAFETY: the engine stored the member that belongs to the result's type; all are plain bits.
    unsafe {
        match kind {
            ValueType::I32 => Ok(Value::I32(cell.of.i32)),
            ValueType::I64 => Ok(Value::I64(cell.of.i64)),
            ValueType::F32 => Ok(Value::F32(cell.of.f32)),
            ValueType::F64 => Ok(Value::F64(cell.of.f64)),
            other => Err(CallError::Signature(format!(
                "a result of type {} cannot be returned",
                other.name()
            ))),
        }
    }
}
