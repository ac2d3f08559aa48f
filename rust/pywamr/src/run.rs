//! Runs a WASI command inside the Python process, with its standard streams in memory.

use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use pyo3::prelude::*;
use wamr::{CallError, InstanceOptions, Runtime};
use wasi::{Context, ContextBuilder, Errno, ExitRequest, Sink, SocketImports};

use crate::errors::{call_error, InstantiationError, WamrError};

/// What a guest may write to each stream before further writes fail with "no space left".
const OUTPUT_LIMIT_BYTES: usize = 64 << 20;

/// How a command ended and what it wrote.
#[pyclass(frozen, get_all, module = "pywamr")]
pub struct RunResult {
    pub exit_code: u32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

#[pymethods]
impl RunResult {
    fn __repr__(&self) -> String {
        format!(
            "RunResult(exit_code={}, stdout=<{} bytes>)",
            self.exit_code,
            self.stdout.len()
        )
    }
}

/// What a command is given.
pub struct Guest {
    pub arguments: Vec<String>,
    pub environment: Vec<String>,
    pub stdin: Vec<u8>,
    pub max_memory_pages: Option<u32>,
}

/// Makes the WASI functions known to the engine, once per process and before the first module is loaded.
pub fn register_wasi(runtime: Runtime) -> PyResult<()> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    if *REGISTERED.get_or_init(|| wasi::register(runtime, &SocketImports::standard()).is_ok()) {
        Ok(())
    } else {
        Err(WamrError::new_err("the WASI functions could not be registered"))
    }
}

/// Collects what is written to it.
#[derive(Clone, Default)]
struct Collected {
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl Collected {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.bytes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Sink for Collected {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        let mut collected = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let room = OUTPUT_LIMIT_BYTES - collected.len();
        if room == 0 && !bytes.is_empty() {
            return Err(Errno::NOSPC);
        }
        let taken = bytes.len().min(room);
        collected.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn terminal(&self) -> Option<RawFd> {
        None
    }
}

/// Runs `_start` of a new instance. A guest that returns has exit code 0; one that raises a signal 128 and its
/// number.
pub fn run_command(python: Python<'_>, module: &wamr::Module, guest: Guest) -> PyResult<RunResult> {
    let (stdout, stderr) = (Collected::default(), Collected::default());
    let input = in_memory(&guest.stdin)?;
    let context = ContextBuilder::new(input, Box::new(stdout.clone()), Box::new(stderr.clone()))
        .arguments(guest.arguments.into_iter().map(String::into_bytes))
        .environment(guest.environment.into_iter().map(String::into_bytes))
        .build();
    let options = InstanceOptions {
        max_memory_pages: guest.max_memory_pages,
        ..Default::default()
    };
    let ended = python.detach(|| -> Result<_, String> {
        let mut instance = wamr::Instance::new(module, options)?;
        instance.set_context(Box::new(context));
        let called = instance.call("_start", &[]);
        let exit = instance
            .context_mut::<Context>()
            .and_then(|context| context.exit_request());
        Ok((called, exit))
    });
    let exit_code = match ended.map_err(InstantiationError::new_err)? {
        (_, Some(ExitRequest::Code(code))) => code,
        (_, Some(ExitRequest::Signal(number))) => 128 + u32::from(number),
        (Ok(_), None) => 0,
        (Err(error @ CallError::Trap(_)), None) => return Err(call_error(python, &error)),
        (Err(error), None) => {
            return Err(InstantiationError::new_err(format!(
                "not a WASI command: {error}"
            )))
        }
    };
    Ok(RunResult {
        exit_code,
        stdout: stdout.take(),
        stderr: stderr.take(),
    })
}

/// A file of the kernel's memory that holds `bytes` and is read from its start.
fn in_memory(bytes: &[u8]) -> PyResult<OwnedFd> {
    // SAFETY: the name is a terminated literal; the result is checked.
    let descriptor = unsafe { libc::memfd_create(c"stdin".as_ptr(), libc::MFD_CLOEXEC) };
    if descriptor < 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    // SAFETY: a fresh descriptor that nothing else owns.
    let mut file = unsafe { File::from_raw_fd(descriptor) };
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}
