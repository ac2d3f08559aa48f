//! The engine's global state.

use std::sync::OnceLock;

use wamr_sys as sys;

/// The engine could not be set up: no memory, or its fault handlers could not be installed.
#[derive(Clone, Copy, Debug)]
pub struct InitError;

impl std::fmt::Display for InitError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("the WebAssembly engine could not be started")
    }
}

impl std::error::Error for InitError {}

/// Proof that the engine is up. It stays up until the process ends: taking it down again would pull the fault
/// handlers from under instances that are still there.
#[derive(Clone, Copy, Debug)]
pub struct Runtime {
    _private: (),
}

/// See [`watch_refused_growth`].
pub type GrowthWatcher = Box<dyn Fn(u64) + Send + Sync>;

static GROWTH_WATCHER: OnceLock<GrowthWatcher> = OnceLock::new();

/// Has `watcher` called whenever a guest of this process is refused more memory, with the bytes that it has. It is
/// called within the guest's own call: it must not block or panic. Only the first one in a process counts.
pub fn watch_refused_growth(watcher: GrowthWatcher) {
    if GROWTH_WATCHER.set(watcher).is_ok() {
        // SAFETY: the function lives as long as the process, and expects no user data.
        unsafe {
            sys::wasm_runtime_set_enlarge_mem_error_callback(Some(growth_refused), std::ptr::null_mut())
        }
    }
}

unsafe extern "C" fn growth_refused(
    _pages: u32,
    present_bytes: u64,
    _memory: u32,
    _reason: u32,
    _instance: sys::wasm_module_inst_t,
    _environment: sys::wasm_exec_env_t,
    _data: *mut std::ffi::c_void,
) {
    if let Some(watcher) = GROWTH_WATCHER.get() {
        watcher(present_bytes);
    }
}

static STARTED: OnceLock<bool> = OnceLock::new();

impl Runtime {
    /// Starts the engine, once per process; later calls only return the proof.
    pub fn start() -> Result<Runtime, InitError> {
        if *STARTED.get_or_init(start) {
            Ok(Runtime { _private: () })
        } else {
            Err(InitError)
        }
    }

    /// Makes the calling thread able to run guest code (the engine's fault handling is per thread).
    pub(crate) fn enter_thread(self) -> Result<(), InitError> {
        // SAFETY: the engine is up (a `Runtime` exists); both functions only touch thread-local state.
        let ready = unsafe { sys::wasm_runtime_thread_env_inited() || sys::wasm_runtime_init_thread_env() };
        if ready {
            Ok(())
        } else {
            Err(InitError)
        }
    }
}

fn start() -> bool {
    // SAFETY: all zeroes is a valid value of this C struct of integers and nullable pointers.
    let mut arguments: sys::RuntimeInitArgs = unsafe { std::mem::zeroed() };
    arguments.mem_alloc_type = sys::ALLOC_WITH_SYSTEM_ALLOCATOR;
    arguments.running_mode = sys::MODE_INTERP;
    // SAFETY: called once (OnceLock), with a fully initialised struct that the engine only reads.
    unsafe { sys::wasm_runtime_full_init(&mut arguments) }
}
