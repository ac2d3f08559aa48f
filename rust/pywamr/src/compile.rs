//! Starts the AOT compiler, which is a process of its own: LLVM is never loaded into Python.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use pyo3::prelude::*;
use sha2::{Digest, Sha256};

use crate::errors::CompileError;

/// Compile the module in a file into a cache file.
#[pyfunction]
#[pyo3(signature = (module_path, output, *, compiler, digest=None, optimization=None))]
pub fn compile(
    python: Python<'_>,
    module_path: PathBuf,
    output: PathBuf,
    compiler: PathBuf,
    digest: Option<String>,
    optimization: Option<u32>,
) -> PyResult<()> {
    let digest = match digest {
        Some(digest) => digest,
        None => {
            let bytes = fs::read(&module_path)?;
            Sha256::digest(&bytes)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect()
        }
    };
    let mut command = Command::new(&compiler);
    command
        .arg("--module")
        .arg(&module_path)
        .args(["--digest", &digest])
        .arg("--output")
        .arg(&output);
    if let Some(level) = optimization {
        command.args(["--optimization", &level.to_string()]);
    }
    command.stdin(Stdio::null());
    let finished = python.detach(|| command.output())?;
    if finished.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&finished.stderr);
    let reason = text.lines().next().map_or("the compiler was killed", |line| {
        line.trim_start_matches("error: ")
    });
    let error = CompileError::new_err(reason.to_owned());
    error
        .value(python)
        .setattr("exit_status", finished.status.code())?;
    Err(error)
}
