//! Computes the engine's build id: a digest of everything that decides what machine code and engine must agree
//! on. Every program built from one tree gets the same one, so that they accept each other's files, and a
//! changed engine refuses what an older one compiled.

use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::{env, fs};

/// What decides it, relative to the workspace: the flags of both builds of WAMR, how its output is linked, and
/// this format. WAMR's own version and checksum are taken from Cargo.lock.
const INPUTS: [&str; 5] = [
    "wamr-sys/c/CMakeLists.txt",
    "aot-compiler/c/CMakeLists.txt",
    "aot-compiler/c/compile.c",
    "aot-cache/src/link.rs",
    "aot-cache/src/header.rs",
];

fn main() {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let workspace = manifest.parent().expect("a member of the workspace");
    let mut hasher = Sha256::new();
    for input in INPUTS {
        let path = workspace.join(input);
        println!("cargo::rerun-if-changed={}", path.display());
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(&bytes);
    }
    hasher.update(locked_sources(&workspace.join("Cargo.lock")));
    let id: String = hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    println!("cargo::rustc-env=WPOD_ENGINE_BUILD={id}");
}

/// The entry of the crate with WAMR's sources: its version and checksum.
fn locked_sources(lock: &Path) -> String {
    println!("cargo::rerun-if-changed={}", lock.display());
    let text = fs::read_to_string(lock).unwrap_or_else(|error| panic!("{}: {error}", lock.display()));
    let entry = text
        .split("[[package]]")
        .find(|entry| entry.contains("name = \"wamrx-sys\""));
    entry
        .unwrap_or_else(|| panic!("{} does not name wamrx-sys", lock.display()))
        .trim()
        .to_owned()
}
