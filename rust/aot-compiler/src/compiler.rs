//! WAMR's compiler behind one safe function.

use std::ffi::{c_char, CStr, CString};
use std::path::Path;
use std::ptr;

const ERROR_BYTES: usize = 512;

#[repr(C)]
struct CompileOptions {
    target_cpu: *const c_char,
    stack_usage_file: *const c_char,
    optimization_level: u32,
    indirect_mode: u32,
}

#[repr(C)]
struct CompileResult {
    aot_file: *mut u8,
    aot_file_size: u32,
    object_data_offset: u32,
}

extern "C" {
    fn wpod_aot_compile(
        wasm: *mut u8,
        wasm_size: u32,
        options: *const CompileOptions,
        result: *mut CompileResult,
        error: *mut c_char,
        error_size: u32,
    ) -> bool;
    fn wpod_aot_free(aot_file: *mut u8);
}

/// What the compiler made.
pub struct Compiled {
    /// An AOT file of WAMR's.
    pub aot_file: Vec<u8>,
    /// Where its list of data sections begins, 0 for none.
    pub object_data_offset: usize,
}

/// Compiles `wasm` for the processor that LLVM calls `cpu`. WAMR writes the stack sizes of the functions to
/// `scratch` and reads them back. To be called once per process: WAMR's and LLVM's global state is not reset.
///
/// # Errors
/// One line saying why the module is invalid or cannot be compiled.
pub fn compile(
    mut wasm: Vec<u8>,
    cpu: &str,
    optimization_level: u32,
    scratch: &Path,
) -> Result<Compiled, String> {
    let cpu = CString::new(cpu).map_err(|error| error.to_string())?;
    let scratch = CString::new(scratch.as_os_str().as_encoded_bytes()).map_err(|error| error.to_string())?;
    let wasm_size = u32::try_from(wasm.len()).map_err(|_| "the module is larger than 4 GiB".to_owned())?;
    let options = CompileOptions {
        target_cpu: cpu.as_ptr(),
        stack_usage_file: scratch.as_ptr(),
        optimization_level,
        indirect_mode: 0,
    };
    let mut result = CompileResult {
        aot_file: ptr::null_mut(),
        aot_file_size: 0,
        object_data_offset: 0,
    };
    let mut error: [c_char; ERROR_BYTES] = [0; ERROR_BYTES];
    // SAFETY: `wasm` is a writable buffer of the size given, the strings end with NUL, the structures have the
    // layout of compile.c, and all of them outlive the call.
    let done = unsafe {
        wpod_aot_compile(
            wasm.as_mut_ptr(),
            wasm_size,
            &options,
            &mut result,
            error.as_mut_ptr(),
            ERROR_BYTES as u32,
        )
    };
    if !done {
        // SAFETY: the function wrote a NUL-terminated string of at most ERROR_BYTES.
        let message = unsafe { CStr::from_ptr(error.as_ptr()) };
        return Err(message
            .to_string_lossy()
            .lines()
            .next()
            .unwrap_or("the compiler failed")
            .to_owned());
    }
    // SAFETY: on success the result is a buffer of that size, owned by the caller and never written again.
    let aot_file =
        unsafe { std::slice::from_raw_parts(result.aot_file, result.aot_file_size as usize) }.to_vec();
    // SAFETY: the buffer came from wpod_aot_compile and is freed once.
    unsafe { wpod_aot_free(result.aot_file) };
    Ok(Compiled {
        aot_file,
        object_data_offset: result.object_data_offset as usize,
    })
}
