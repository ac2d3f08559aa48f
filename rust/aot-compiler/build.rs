//! Builds WAMR's compiler from the sources that the crate `wamrx-sys` carries, against the system's LLVM.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const SOURCE_CRATE: &str = "wamrx-sys-0.3.0";
/// WAMR 2.4 compiles with several releases of LLVM; this is the one it is tested with here.
const LLVM_MAJOR: &str = "19";
const DEFAULT_LLVM: &str = "/usr/lib/llvm-19";

fn main() {
    for file in ["c/CMakeLists.txt", "c/compile.c", "build.rs"] {
        println!("cargo::rerun-if-changed={file}");
    }
    println!("cargo::rerun-if-env-changed=WPOD_LLVM_DIRECTORY");
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let build = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo")).join("build");
    let llvm = PathBuf::from(env::var("WPOD_LLVM_DIRECTORY").unwrap_or_else(|_| DEFAULT_LLVM.into()));
    let config = llvm.join("lib/cmake/llvm");
    assert!(
        config.is_dir(),
        "{} is missing: install llvm-{LLVM_MAJOR}-dev",
        config.display()
    );
    let sources = source_directory(&manifest).join("wasm-micro-runtime");
    fs::create_dir_all(&build).expect("create the build directory");
    run(Command::new("cmake")
        .arg("-S")
        .arg(manifest.join("c"))
        .arg("-B")
        .arg(&build)
        .arg("-DCMAKE_BUILD_TYPE=Release")
        .arg("-DWAMR_BUILD_TARGET=X86_64")
        .arg(format!("-DWAMR_ROOT_DIR={}", sources.display()))
        .arg(format!("-DLLVM_DIR={}", config.display())));
    run(Command::new("cmake")
        .arg("--build")
        .arg(&build)
        .args(["--parallel", "2"]));

    println!("cargo::rustc-link-search=native={}", build.display());
    println!("cargo::rustc-link-search=native={}", llvm.join("lib").display());
    println!("cargo::rustc-link-lib=static=wpodaot");
    println!("cargo::rustc-link-lib=dylib=LLVM-{LLVM_MAJOR}");
    println!("cargo::rustc-link-lib=dylib=stdc++");
    println!("cargo::rustc-link-lib=dylib=m");
    println!("cargo::rustc-link-arg-bins=-Wl,--wrap=LLVMCreateTargetMachineWithOpts");
}

/// The directory of the crate with the sources, as cargo resolved it from Cargo.lock.
fn source_directory(manifest: &Path) -> PathBuf {
    let output = Command::new(env::var_os("CARGO").expect("set by cargo"))
        .args(["metadata", "--format-version", "1", "--manifest-path"])
        .arg(manifest.join("Cargo.toml"))
        .output()
        .expect("start cargo metadata");
    let text = String::from_utf8_lossy(&output.stdout);
    // One path out of a large document: the quoted string that ends so. No JSON parser is worth it.
    let end = format!("{SOURCE_CRATE}/Cargo.toml\"");
    let Some(position) = text.find(&end) else {
        panic!(
            "cargo metadata does not name {SOURCE_CRATE}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    let start = text[..position]
        .rfind('"')
        .expect("a JSON string has an opening quote")
        + 1;
    PathBuf::from(&text[start..position]).join(SOURCE_CRATE)
}

fn run(command: &mut Command) {
    let status = command
        .status()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}
