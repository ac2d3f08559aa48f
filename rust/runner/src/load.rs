//! Loading and instantiating the module. Nothing of the container is touched here.

use std::ffi::OsStr;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;

use formats::launch_plan::LaunchPlan;
use formats::state_file::Engine;
use wamr::cache::{self, CodeMemory};
use wamr::{command, ExternType, Instance, InstanceOptions, Module, ModuleBytes, Runtime};
use wasi::SocketImports;

use crate::failure::{Failure, NOT_EXECUTABLE, NOT_FOUND};

/// The unit of linear memory.
const PAGE_BYTES: u64 = 65536;
/// Address space that one instance reserves, with some room for the rest of the process.
const ADDRESS_SPACE_BYTES: u64 = 9 << 30;
/// How many unknown imports a message names.
const NAMED_IMPORTS: usize = 5;

/// A module that is ready to run.
pub struct Loaded {
    pub instance: Instance,
    pub engine: Engine,
    /// Address and size of the machine code; zeroes for the interpreter.
    pub code: (u64, u64),
    /// Why the interpreter runs it although compiled code was allowed.
    pub interpreter_reason: Option<String>,
}

/// Loads the plan's module, compiled where the plan allows it and a usable file is there.
pub fn load(plan: &LaunchPlan<'_>) -> Result<Loaded, Failure> {
    check_address_space(plan)?;
    let runtime = Runtime::start().map_err(|error| Failure::own(error.to_string()))?;
    let bytes = map_module(plan)?;
    let sockets = SocketImports::of(bytes.as_slice());
    wasi::register(runtime, &sockets).map_err(|error| Failure::own(error.to_string()))?;
    let deferred = command::defer_start(bytes.as_slice());
    let chosen = match (plan.one("aot").to_bytes(), deferred) {
        (b"off", None) => Err((bytes, None)),
        (b"off", Some(rewritten)) => Err((rewritten.into(), None)),
        (_, Some(rewritten)) => {
            let reason = "the module has a start function, which runs confined in the interpreter only";
            Err((rewritten.into(), Some(reason.into())))
        }
        (_, None) => load_compiled(plan, runtime, bytes),
    };
    let (module, engine, code, image, interpreter_reason) = match chosen {
        Ok(loaded) => {
            let engine = match loaded.memory {
                CodeMemory::Shared => Engine::AotShared,
                CodeMemory::PrivateCopy => Engine::AotPrivate,
            };
            (
                loaded.module,
                engine,
                (loaded.code_address, loaded.code_bytes),
                loaded.image,
                None,
            )
        }
        Err((_, Some(reason))) if plan.one("aot").to_bytes() == b"require" => {
            let failure = Failure::module(format!("compiled code is required, but {reason}"));
            return Err(failure.with_hint("--wasm-aot=auto falls back to the interpreter"));
        }
        Err((bytes, reason)) => {
            let module = Module::load(runtime, bytes).map_err(|error| Failure::module(error.to_string()))?;
            (module, Engine::Interpreter, (0, 0), None, reason)
        }
    };
    check_sockets(&sockets)?;
    check_imports(&module)?;
    check_entry(&module)?;
    let mut instance = instantiate(plan, &module)?;
    if let Some(image) = image {
        let shared = instance.share_image(&image);
        shared.map_err(|error| Failure::own(format!("cannot map the module's data: {error}")))?;
    }
    Ok(Loaded {
        instance,
        engine,
        code,
        interpreter_reason,
    })
}

fn open_file(path: &std::ffi::CStr) -> std::io::Result<File> {
    // A FIFO in the place of a module must not hold the start.
    File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(OsStr::from_bytes(path.to_bytes()))
}

fn map_module(plan: &LaunchPlan<'_>) -> Result<ModuleBytes, Failure> {
    let unreadable = |error: std::io::Error| {
        let code = if error.kind() == ErrorKind::NotFound {
            NOT_FOUND
        } else {
            NOT_EXECUTABLE
        };
        let errno = kernel_calls::Errno(error.raw_os_error().unwrap_or(libc::EIO));
        Failure {
            code,
            cause: format!("cannot read the module: {errno}"),
            hint: None,
        }
    };
    let file = open_file(plan.one("module")).map_err(unreadable)?;
    let status = file.metadata().map_err(unreadable)?;
    if !status.is_file() {
        return Err(Failure::module("the module is not a regular file"));
    }
    let length = usize::try_from(status.len()).map_err(|_| Failure::module("the module is too large"))?;
    ModuleBytes::map(&file, length).map_err(unreadable)
}

/// Compiled code, or the bytes back with the reason why there is none.
fn load_compiled(
    plan: &LaunchPlan<'_>,
    runtime: Runtime,
    bytes: ModuleBytes,
) -> Result<cache::LoadedCode, (ModuleBytes, Option<String>)> {
    let Some(path) = plan.optional("aot-file") else {
        return Err((bytes, Some("the module has not been compiled".into())));
    };
    let file = match open_file(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err((bytes, Some("the module has not been compiled yet".into())));
        }
        Err(error) => {
            let errno = kernel_calls::Errno(error.raw_os_error().unwrap_or(libc::EIO));
            return Err((
                bytes,
                Some(format!("the compiled file cannot be opened: {errno}")),
            ));
        }
    };
    let digest = plan.one("module-digest").to_string_lossy();
    // The mapping of the module costs nothing and is given again where the compiled file is refused.
    match cache::load(runtime, &file, &digest, map_module(plan).ok()) {
        Ok(loaded) => Ok(loaded),
        Err(refusal) => Err((bytes, Some(format!("the compiled file is not used: {refusal}")))),
    }
}

/// Socket calls have several types, by which one knows whose they are.
fn check_sockets(sockets: &SocketImports) -> Result<(), Failure> {
    let misfits = sockets.misfits();
    let Some(import) = misfits.first() else {
        return Ok(());
    };
    let cause = format!(
        "the module imports {} with the type {}, which it has in no socket interface",
        import.name,
        import.type_text()
    );
    let hint = "modules get the sockets of WASI preview 1, of WAMR and of WasmEdge";
    Err(Failure::module(cause).with_hint(hint))
}

/// One line for everything that the module wants and nobody offers.
fn check_imports(module: &Module) -> Result<(), Failure> {
    let imports = module.imports();
    let unknown: Vec<String> = imports
        .iter()
        .filter(|import| !import.linked)
        .map(|import| format!("{}.{}", import.module, import.name))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let mut names = unknown[..unknown.len().min(NAMED_IMPORTS)].join(", ");
    if unknown.len() > NAMED_IMPORTS {
        names.push_str(&format!(" and {} more", unknown.len() - NAMED_IMPORTS));
    }
    let hint = "modules get the functions of WASI preview 1, and nothing else";
    Err(Failure::module(format!("the module has unknown imports: {names}")).with_hint(hint))
}

fn check_entry(module: &Module) -> Result<(), Failure> {
    let exports = module.exports();
    let function = |name: &str| {
        exports
            .iter()
            .find(|export| export.name == name)
            .map(|export| &export.kind)
    };
    match function("_start") {
        Some(ExternType::Function(kind)) if kind.parameters.is_empty() && kind.results.is_empty() => Ok(()),
        Some(_) => Err(Failure::module(
            "the module's _start is not a function without arguments and results",
        )),
        None if function("_initialize").is_some() => Err(Failure::module(
            "the module is a library (it has _initialize, but no _start to run)",
        )),
        None => Err(Failure::module("the module has no _start function to run")
            .with_hint("a WASI command exports _start; compile it as a program, not as a library")),
    }
}

/// The engine reserves the largest possible memory as address space; a limit on that is better told by its name
/// than by a failing mapping.
fn check_address_space(plan: &LaunchPlan<'_>) -> Result<(), Failure> {
    let mut inherited = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: the kernel fills the struct in.
    unsafe { libc::getrlimit(libc::RLIMIT_AS, &mut inherited) };
    let planned = plan
        .rlimits()
        .find(|limit| limit.name == b"as")
        .map_or(u64::MAX, |limit| limit.soft);
    let limit = inherited.rlim_cur.min(planned);
    if limit >= ADDRESS_SPACE_BYTES {
        return Ok(());
    }
    let cause = format!(
        "the limit of address space (RLIMIT_AS) is {limit} bytes, and a wasm container reserves {ADDRESS_SPACE_BYTES}"
    );
    Err(Failure::own(cause).with_hint("limit the memory itself with --memory"))
}

fn instantiate(plan: &LaunchPlan<'_>, module: &Module) -> Result<Instance, Failure> {
    let cap = plan.number("memory-max-bytes");
    let cap_pages = cap.map(|bytes| u32::try_from(bytes / PAGE_BYTES).unwrap_or(u32::MAX));
    let too_small = |minimum: u64| {
        let allowed = cap.unwrap_or(0);
        let cause = format!("the module wants at least {minimum} bytes of memory, and {allowed} are allowed");
        Failure::module(cause).with_hint("give it more with --memory")
    };
    if let (Some(pages), Some(limits)) = (cap_pages, module.memory_limits()) {
        if limits.minimum > pages {
            return Err(too_small(u64::from(limits.minimum) * PAGE_BYTES));
        }
    }
    let options = InstanceOptions {
        max_memory_pages: cap_pages.map(|pages| pages.max(1)),
        ..InstanceOptions::default()
    };
    let instance = Instance::new(module, options)
        .map_err(|reason| Failure::module(format!("the module cannot be instantiated: {reason}")))?;
    // A memory that is neither exported nor imported is only seen now.
    match (cap, instance.memory_figures()) {
        (Some(cap), Some((_, used, _))) if used > cap => Err(too_small(used)),
        _ => Ok(instance),
    }
}
