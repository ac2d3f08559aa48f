//! The part of WAMR's embedding interface (`wasm_export.h` of WAMR 2.4) that wpod uses, declared by hand: some
//! forty functions that have not changed for years do not justify a C parser among the build's dependencies.
//!
//! Nothing here is safe to call without the contracts of WAMR's header; the crate `wamr` is the safe layer.
#![allow(non_camel_case_types)]

use core::ffi::{c_char, c_void};

/// Opaque C types.
macro_rules! opaque {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[repr(C)]
        pub struct $name {
            _private: [u8; 0],
        }
    )*};
}

opaque! {
    /// A loaded module.
    WASMModuleCommon,
    /// An instance of a module.
    WASMModuleInstanceCommon,
    /// A function of an instance.
    WASMFunctionInstanceCommon,
    /// A linear memory of an instance.
    WASMMemoryInstance,
    /// Stack and state of one thread that runs guest code.
    WASMExecEnv,
    /// The type of a function.
    WASMFuncType,
    /// The type of a table.
    WASMTableType,
    /// The type of a global.
    WASMGlobalType,
    /// The type of a memory.
    WASMMemoryType,
}

pub type wasm_module_t = *mut WASMModuleCommon;
pub type wasm_module_inst_t = *mut WASMModuleInstanceCommon;
pub type wasm_function_inst_t = *mut WASMFunctionInstanceCommon;
pub type wasm_memory_inst_t = *mut WASMMemoryInstance;
pub type wasm_exec_env_t = *mut WASMExecEnv;
/// Called where `memory.grow` fails: pages asked for, present size in bytes, memory, reason, and who asked.
pub type enlarge_memory_error_callback_t =
    unsafe extern "C" fn(u32, u64, u32, u32, wasm_module_inst_t, wasm_exec_env_t, *mut c_void);

pub const WASM_IMPORT_EXPORT_KIND_FUNC: u32 = 0;
pub const WASM_IMPORT_EXPORT_KIND_TABLE: u32 = 1;
pub const WASM_IMPORT_EXPORT_KIND_MEMORY: u32 = 2;
pub const WASM_IMPORT_EXPORT_KIND_GLOBAL: u32 = 3;

pub const WASM_I32: u8 = 0;
pub const WASM_I64: u8 = 1;
pub const WASM_F32: u8 = 2;
pub const WASM_F64: u8 = 3;
pub const WASM_V128: u8 = 4;
pub const WASM_EXTERNREF: u8 = 128;
pub const WASM_FUNCREF: u8 = 129;

/// `mem_alloc_type_t`: the platform layer's allocator.
pub const ALLOC_WITH_SYSTEM_ALLOCATOR: u32 = 2;
/// `RunningMode`.
pub const MODE_INTERP: u32 = 1;
/// `package_type_t`.
pub const PACKAGE_TYPE_BYTECODE: u32 = 0;
pub const PACKAGE_TYPE_AOT: u32 = 1;

/// One host function.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NativeSymbol {
    pub symbol: *const c_char,
    pub func_ptr: *mut c_void,
    pub signature: *const c_char,
    pub attachment: *mut c_void,
}

/// Any of the four type pointers; which one, the kind tells.
#[repr(C)]
#[derive(Clone, Copy)]
pub union wasm_extern_type_t {
    pub func_type: *mut WASMFuncType,
    pub table_type: *mut WASMTableType,
    pub global_type: *mut WASMGlobalType,
    pub memory_type: *mut WASMMemoryType,
}

#[repr(C)]
pub struct wasm_import_t {
    pub module_name: *const c_char,
    pub name: *const c_char,
    pub kind: u32,
    pub linked: bool,
    pub u: wasm_extern_type_t,
}

#[repr(C)]
pub struct wasm_export_t {
    pub name: *const c_char,
    pub kind: u32,
    pub u: wasm_extern_type_t,
}

/// The allocator's option where it is the system's: unused, but part of the layout.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MemAllocOption {
    pub malloc_func: *mut c_void,
    pub realloc_func: *mut c_void,
    pub free_func: *mut c_void,
    pub user_data: *mut c_void,
}

#[repr(C)]
pub struct RuntimeInitArgs {
    pub mem_alloc_type: u32,
    pub mem_alloc_option: MemAllocOption,
    pub native_module_name: *const c_char,
    pub native_symbols: *mut NativeSymbol,
    pub n_native_symbols: u32,
    pub max_thread_num: u32,
    pub ip_addr: [c_char; 128],
    pub unused: i32,
    pub instance_port: i32,
    pub fast_jit_code_cache_size: u32,
    pub gc_heap_size: u32,
    pub running_mode: u32,
    pub llvm_jit_opt_level: u32,
    pub llvm_jit_size_level: u32,
    pub segue_flags: u32,
    pub enable_linux_perf: bool,
}

#[repr(C)]
pub struct LoadArgs {
    pub name: *mut c_char,
    pub clone_wasm_binary: bool,
    pub wasm_binary_freeable: bool,
    pub no_resolve: bool,
}

#[repr(C)]
pub struct InstantiationArgs {
    pub default_stack_size: u32,
    pub host_managed_heap_size: u32,
    pub max_memory_pages: u32,
}

/// The value part of [`wasm_val_t`].
#[repr(C)]
#[derive(Clone, Copy)]
pub union wasm_val_of {
    pub i32: i32,
    pub i64: i64,
    pub f32: f32,
    pub f64: f64,
    pub foreign: usize,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct wasm_val_t {
    pub kind: u8,
    pub paddings: [u8; 7],
    pub of: wasm_val_of,
}

extern "C" {
    /// From where on later mappings of the engine shall lie, one after the other; 0: anywhere.
    pub fn wpod_place_mappings_at(address: usize);
    /// The place of the next mapping, of `length` bytes.
    pub fn wpod_next_place(length: usize) -> *mut c_void;
    pub fn wasm_runtime_full_init(init_args: *mut RuntimeInitArgs) -> bool;
    pub fn wasm_runtime_destroy();
    pub fn wasm_runtime_init_thread_env() -> bool;
    pub fn wasm_runtime_thread_env_inited() -> bool;
    pub fn wasm_runtime_register_natives_raw(
        module_name: *const c_char,
        native_symbols: *mut NativeSymbol,
        n_native_symbols: u32,
    ) -> bool;
    pub fn wasm_runtime_get_file_package_type(buf: *const u8, size: u32) -> u32;

    pub fn wasm_runtime_load_ex(
        buf: *mut u8,
        size: u32,
        args: *const LoadArgs,
        error_buf: *mut c_char,
        error_buf_size: u32,
    ) -> wasm_module_t;
    pub fn wasm_runtime_unload(module: wasm_module_t);
    pub fn wasm_runtime_get_import_count(module: wasm_module_t) -> i32;
    pub fn wasm_runtime_get_import_type(
        module: wasm_module_t,
        import_index: i32,
        import_type: *mut wasm_import_t,
    );
    pub fn wasm_runtime_get_export_count(module: wasm_module_t) -> i32;
    pub fn wasm_runtime_get_export_type(
        module: wasm_module_t,
        export_index: i32,
        export_type: *mut wasm_export_t,
    );

    pub fn wasm_func_type_get_param_count(func_type: *mut WASMFuncType) -> u32;
    pub fn wasm_func_type_get_param_valkind(func_type: *mut WASMFuncType, param_index: u32) -> u8;
    pub fn wasm_func_type_get_result_count(func_type: *mut WASMFuncType) -> u32;
    pub fn wasm_func_type_get_result_valkind(func_type: *mut WASMFuncType, result_index: u32) -> u8;
    pub fn wasm_global_type_get_valkind(global_type: *mut WASMGlobalType) -> u8;
    pub fn wasm_global_type_get_mutable(global_type: *mut WASMGlobalType) -> bool;
    pub fn wasm_memory_type_get_init_page_count(memory_type: *mut WASMMemoryType) -> u32;
    pub fn wasm_memory_type_get_max_page_count(memory_type: *mut WASMMemoryType) -> u32;
    pub fn wasm_table_type_get_elem_kind(table_type: *mut WASMTableType) -> u8;
    pub fn wasm_table_type_get_init_size(table_type: *mut WASMTableType) -> u32;
    pub fn wasm_table_type_get_max_size(table_type: *mut WASMTableType) -> u32;

    pub fn wasm_runtime_instantiate_ex(
        module: wasm_module_t,
        args: *const InstantiationArgs,
        error_buf: *mut c_char,
        error_buf_size: u32,
    ) -> wasm_module_inst_t;
    pub fn wasm_runtime_deinstantiate(module_inst: wasm_module_inst_t);
    pub fn wasm_runtime_lookup_function(
        module_inst: wasm_module_inst_t,
        name: *const c_char,
    ) -> wasm_function_inst_t;
    pub fn wasm_runtime_create_exec_env(module_inst: wasm_module_inst_t, stack_size: u32) -> wasm_exec_env_t;
    pub fn wasm_runtime_destroy_exec_env(exec_env: wasm_exec_env_t);
    pub fn wasm_runtime_get_module_inst(exec_env: wasm_exec_env_t) -> wasm_module_inst_t;
    pub fn wasm_runtime_call_wasm_a(
        exec_env: wasm_exec_env_t,
        function: wasm_function_inst_t,
        num_results: u32,
        results: *mut wasm_val_t,
        num_args: u32,
        args: *mut wasm_val_t,
    ) -> bool;
    pub fn wasm_runtime_get_exception(module_inst: wasm_module_inst_t) -> *const c_char;
    pub fn wasm_runtime_set_exception(module_inst: wasm_module_inst_t, exception: *const c_char);
    pub fn wasm_runtime_clear_exception(module_inst: wasm_module_inst_t);
    pub fn wasm_runtime_dump_call_stack_to_buf(exec_env: wasm_exec_env_t, buf: *mut c_char, len: u32) -> u32;
    pub fn wasm_runtime_set_enlarge_mem_error_callback(
        callback: Option<enlarge_memory_error_callback_t>,
        user_data: *mut c_void,
    );
    pub fn wasm_runtime_set_custom_data(module_inst: wasm_module_inst_t, custom_data: *mut c_void);
    pub fn wasm_runtime_get_custom_data(module_inst: wasm_module_inst_t) -> *mut c_void;

    /// Of wpod's own `c/globals.c`.
    pub fn wpod_first_global(module_inst: wasm_module_inst_t, value: *mut u32) -> bool;

    pub fn wasm_runtime_get_default_memory(module_inst: wasm_module_inst_t) -> wasm_memory_inst_t;
    pub fn wasm_memory_get_cur_page_count(memory_inst: wasm_memory_inst_t) -> u64;
    pub fn wasm_memory_get_max_page_count(memory_inst: wasm_memory_inst_t) -> u64;
    pub fn wasm_memory_get_bytes_per_page(memory_inst: wasm_memory_inst_t) -> u64;
    pub fn wasm_memory_get_base_address(memory_inst: wasm_memory_inst_t) -> *mut c_void;
}
