//! `wpod-aot-compiler`: compiles one WebAssembly module into one cache file and ends.
//!
//! A process of its own, because LLVM is large, its state is global, and a module is hostile input: whatever it
//! does to the compiler ends with this process, whose time and memory are limited. Errors are one line on
//! standard error; the exit status says which kind (see `Failure`).

mod arguments;
mod compiler;
mod limits;
mod memory_image;

use aot_cache::{CacheKey, CheckMode, CpuLevel};
use arguments::{Arguments, Command};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};

/// Larger modules are left to the interpreter: LLVM would need gigabytes for them.
const MODULE_LIMIT_BYTES: u64 = 64 << 20;

/// Why there is no cache file, by exit status.
enum Failure {
    /// 1: the module is valid, but cannot be compiled.
    Compile(String),
    /// 2: wrong arguments.
    Usage(String),
    /// 3: the module is not valid, or not the one announced.
    Module(String),
    /// 4: a file cannot be read or written.
    File(String),
    /// 5: this machine's processor is not supported.
    Machine(String),
}

impl Failure {
    fn status(&self) -> u8 {
        match self {
            Failure::Compile(_) => 1,
            Failure::Usage(_) => 2,
            Failure::Module(_) => 3,
            Failure::File(_) => 4,
            Failure::Machine(_) => 5,
        }
    }

    fn message(&self) -> &str {
        let (Failure::Compile(text)
        | Failure::Usage(text)
        | Failure::Module(text)
        | Failure::File(text)
        | Failure::Machine(text)) = self;
        text
    }
}

fn main() -> ExitCode {
    let done = match arguments::parse(std::env::args_os().skip(1)) {
        Ok(Command::Identity) => {
            println!("{}", identity());
            Ok(())
        }
        Ok(Command::Compile(arguments)) => {
            let done = compile(&arguments);
            leave_note(&arguments, &done);
            done
        }
        Err(message) => Err(Failure::Usage(message)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {}", failure.message());
            ExitCode::from(failure.status())
        }
    }
}

fn identity() -> String {
    aot_cache::engine_build()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Tells later starts that trying again is useless: build id, a count that no longer matters, reason. What has
/// to do with files and not with the module is worth another try and leaves the note as it was.
fn leave_note(arguments: &Arguments, done: &Result<(), Failure>) {
    let Some(note) = &arguments.note else { return };
    let written = match done {
        Ok(()) => fs::remove_file(note),
        Err(Failure::File(_) | Failure::Usage(_)) => Ok(()),
        Err(failure) => fs::write(note, format!("{}\n1\n{}", identity(), failure.message())),
    };
    if let Err(error) = written {
        eprintln!("warning: {}: {error}", note.display());
    }
}

fn compile(arguments: &Arguments) -> Result<(), Failure> {
    let cpu_level = CpuLevel::of_this_machine()
        .ok_or_else(|| Failure::Machine("this processor lacks SSE4.2, which compiled code needs".into()))?;
    let wasm = read_module(&arguments.module, &arguments.digest)?;
    let optimization_level = arguments.optimization.unwrap_or_else(|| level_for(wasm.len()));
    limits::confine(wasm.len() as u64, arguments.niced).map_err(|error| Failure::File(error.to_string()))?;

    let memory = memory_image::of(&wasm);
    let scratch = scratch_path(&arguments.output);
    let compiled = compiler::compile(wasm, cpu_level.name(), optimization_level, &scratch);
    // It may not exist: the compiler can fail before it gets there.
    let _ = fs::remove_file(&scratch);
    let compiled = compiled.map_err(|message| {
        if message.starts_with("invalid module") {
            Failure::Module(message)
        } else {
            Failure::Compile(message)
        }
    })?;
    let image = aot_cache::link(&compiled.aot_file, compiled.object_data_offset)
        .map_err(|error| Failure::Compile(error.to_string()))?;
    let key = CacheKey {
        module_digest: arguments.digest,
        check_mode: CheckMode::HardwareMemorySoftwareStack,
        cpu_level,
        optimization_level,
    };
    aot_cache::write(&arguments.output, &key, &image, &memory)
        .map_err(|error| Failure::File(format!("cannot write {}: {error}", arguments.output.display())))
}

/// Reads the module and makes sure that it is the announced one: the cache file's name and key are its digest.
fn read_module(path: &Path, digest: &[u8; 32]) -> Result<Vec<u8>, Failure> {
    let unreadable = |error| Failure::File(format!("cannot read {}: {error}", path.display()));
    let mut file = File::open(path).map_err(unreadable)?;
    let wasm = aot_cache::read_limited(&mut file, MODULE_LIMIT_BYTES).map_err(unreadable)?;
    let found: [u8; 32] = Sha256::digest(&wasm).into();
    if &found != digest {
        return Err(Failure::Module(format!(
            "{} is not the module with that digest",
            path.display()
        )));
    }
    Ok(wasm)
}

/// Big modules get fewer passes: what -O3 gains does not pay for a minute of compiling.
fn level_for(module_bytes: usize) -> u32 {
    const SMALL: usize = 512 << 10;
    if module_bytes <= SMALL {
        3
    } else {
        2
    }
}

fn scratch_path(output: &Path) -> PathBuf {
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    output.with_file_name(format!(".{name}.{}.stack", process::id()))
}
