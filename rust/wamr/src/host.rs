//! Host functions: how guest code calls into Rust.
//!
//! A host function is an `unsafe extern "C" fn(exec_env, arguments)` registered under a module and a name. The
//! engine hands it the raw argument cells; [`Caller`] wraps them. One registration serves the whole process;
//! what belongs to one instance is its context ([`crate::Instance::set_context`]).

use std::any::Any;
use std::ffi::{c_void, CStr, CString};
use std::marker::PhantomData;

use wamr_sys as sys;

use crate::memory::GuestMemory;
use crate::Runtime;

/// A host function as the engine calls it: the arguments in order, one 64-bit cell each; the result goes into
/// the first cell.
pub type RawFunction = unsafe extern "C" fn(ExecEnv, *mut u64);

/// The engine's side of a thread that runs guest code.
pub type ExecEnv = sys::wasm_exec_env_t;

/// One host function to register.
#[derive(Clone, Copy)]
pub struct HostFunction {
    pub name: &'static CStr,
    /// `(iI)i`: `i` is a 32-bit integer, `I` a 64-bit one.
    pub signature: &'static CStr,
    pub function: RawFunction,
}

/// Makes host functions known to modules that are loaded later. Call it once per module name.
///
/// Errors: `false` from the engine, which means that it has no memory.
pub fn register(
    _runtime: Runtime,
    module: &'static CStr,
    functions: &[HostFunction],
) -> Result<(), crate::InitError> {
    // The engine keeps the table and sorts it in place, for the rest of the process: it is given away.
    let table: Vec<sys::NativeSymbol> = functions
        .iter()
        .map(|function| sys::NativeSymbol {
            symbol: function.name.as_ptr(),
            func_ptr: function.function as *mut c_void,
            signature: function.signature.as_ptr(),
            attachment: std::ptr::null_mut(),
        })
        .collect();
    let table = Box::leak(table.into_boxed_slice());
    let count = u32::try_from(table.len()).map_err(|_| crate::InitError)?;
    // SAFETY: the engine is up; names, signatures and table are 'static; the functions have the raw form.
    let registered =
        unsafe { sys::wasm_runtime_register_natives_raw(module.as_ptr(), table.as_mut_ptr(), count) };
    if registered {
        Ok(())
    } else {
        Err(crate::InitError)
    }
}

/// What a context is stored as: a thin pointer to a wide one.
pub(crate) type StoredContext = Box<dyn Any>;

/// The guest's side of one host call.
pub struct Caller<'call> {
    instance: sys::wasm_module_inst_t,
    arguments: *mut u64,
    count: usize,
    _call: PhantomData<&'call mut ()>,
}

impl Caller<'_> {
    /// # Safety
    /// `exec_env` and `arguments` are what the engine passed to a [`RawFunction`] whose signature has `count`
    /// parameters, and the value does not outlive that call.
    pub unsafe fn new(exec_env: sys::wasm_exec_env_t, arguments: *mut u64, count: usize) -> Self {
        // SAFETY: a live environment, by contract.
        let instance = unsafe { sys::wasm_runtime_get_module_inst(exec_env) };
        Caller {
            instance,
            arguments,
            count,
            _call: PhantomData,
        }
    }

    /// The argument at an index below the number of parameters, as it is in its cell.
    fn cell(&self, index: usize) -> u64 {
        assert!(index < self.count, "a host function has no argument {index}");
        // SAFETY: the engine passes one cell for each parameter of the signature.
        unsafe { self.arguments.add(index).read() }
    }

    /// A 32-bit argument.
    pub fn u32(&self, index: usize) -> u32 {
        self.cell(index) as u32
    }

    /// A 64-bit argument.
    pub fn u64(&self, index: usize) -> u64 {
        self.cell(index)
    }

    /// Sets the 32-bit result. The engine has a first cell even where there are no parameters.
    pub fn set_result(&mut self, value: u32) {
        // SAFETY: the engine's cell array holds at least the result.
        unsafe { self.arguments.cast::<u32>().write(value) };
    }

    /// Ends the guest's run: the call that started it returns a trap of this reason.
    pub fn trap(&mut self, reason: &str) {
        let text = CString::new(reason.replace('\0', " ")).unwrap_or_default();
        // SAFETY: the instance is live; the engine copies the text.
        unsafe { sys::wasm_runtime_set_exception(self.instance, text.as_ptr()) };
    }

    /// The memory of the calling instance and its context, both for the time of this call. `None` where no
    /// context of this type has been set. A module without a memory has one of no bytes.
    pub fn parts<T: 'static>(&mut self) -> Option<(GuestMemory<'_>, &mut T)> {
        // SAFETY: the pointer is null or was stored by `Instance::set_context`, which keeps the value alive until
        // the instance is gone. Only one host call of an instance runs at a time and `self` is borrowed, so the
        // reference is the only one.
        let context = unsafe {
            sys::wasm_runtime_get_custom_data(self.instance)
                .cast::<StoredContext>()
                .as_mut()
        };
        let context = context?.downcast_mut::<T>()?;
        // SAFETY: the instance is live, and its guest waits for this call.
        Some((unsafe { memory_of(self.instance) }, context))
    }
}

/// The default memory of an instance as it is now.
///
/// # Safety
/// The instance is live and its guest code does not run for the lifetime.
pub(crate) unsafe fn memory_of<'call>(instance: sys::wasm_module_inst_t) -> GuestMemory<'call> {
    // SAFETY: as the caller promises; a null memory is handled; pages times size is what is mapped.
    unsafe {
        let memory = sys::wasm_runtime_get_default_memory(instance);
        if memory.is_null() {
            return GuestMemory::new(std::ptr::NonNull::dangling().as_ptr(), 0);
        }
        let length =
            sys::wasm_memory_get_cur_page_count(memory) * sys::wasm_memory_get_bytes_per_page(memory);
        let base = sys::wasm_memory_get_base_address(memory).cast::<u8>();
        if base.is_null() {
            return GuestMemory::new(std::ptr::NonNull::dangling().as_ptr(), 0);
        }
        GuestMemory::new(base, length)
    }
}
