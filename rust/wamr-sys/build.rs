//! Builds WAMR's runtime library with cmake from the sources that the crate `wamrx-sys` carries.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const SOURCE_CRATE: &str = "wamrx-sys-0.3.0";
/// Where Debian's `libsimde-dev` puts the header-only SIMD library that WAMR's interpreter uses.
const SIMDE_DIRECTORY: &str = "/usr/include";

fn main() {
    for file in ["CMakeLists.txt", "platform.cmake", "platform.c", "globals.c"] {
        println!("cargo::rerun-if-changed=c/{file}");
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=WPOD_SIMDE_DIRECTORY");

    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo"));
    let wamr_root = source_directory(&manifest).join("wasm-micro-runtime");
    let build = out.join("build");
    fs::create_dir_all(&build).expect("create the build directory");
    configure(&manifest, &wamr_root, &build);
    run(Command::new("cmake")
        .arg("--build")
        .arg(&build)
        .arg("--parallel")
        .arg("2"));

    println!("cargo::rustc-link-search=native={}", build.display());
    println!("cargo::rustc-link-lib=static=iwasm");
    println!("cargo::rustc-link-lib=m");
    println!("cargo::metadata=wamr_root={}", wamr_root.display());
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

fn configure(manifest: &Path, wamr_root: &Path, build: &Path) {
    let simde = env::var("WPOD_SIMDE_DIRECTORY").unwrap_or_else(|_| SIMDE_DIRECTORY.into());
    let header = Path::new(&simde).join("simde/wasm/simd128.h");
    assert!(
        header.exists(),
        "{} is missing: install libsimde-dev",
        header.display()
    );
    let static_program =
        env::var("CARGO_CFG_TARGET_FEATURE").is_ok_and(|f| f.split(',').any(|f| f == "crt-static"));
    let target = match env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
        Ok("aarch64") => "AARCH64",
        _ => "X86_64",
    };
    let software_checks = env::var_os("CARGO_FEATURE_SOFTWARE_BOUNDS_CHECKS").is_some();
    run(Command::new("cmake")
        .arg("-S")
        .arg(manifest.join("c"))
        .arg("-B")
        .arg(build)
        .arg("-DCMAKE_BUILD_TYPE=Release")
        .arg(format!("-DWAMR_ROOT_DIR={}", wamr_root.display()))
        .arg(format!("-DWAMR_BUILD_TARGET={target}"))
        .arg(format!("-DFETCHCONTENT_SOURCE_DIR_SIMDE={simde}"))
        .arg(format!(
            "-DWAMR_DISABLE_HW_BOUND_CHECK={}",
            u8::from(software_checks)
        ))
        .arg(format!(
            "-DWPOD_POSITION_INDEPENDENT={}",
            u8::from(!static_program)
        )));
}

fn run(command: &mut Command) {
    let status = command
        .status()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}
