//! The program begins in `entry`, before the C library does.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let variable = |name| std::env::var(name).unwrap_or_default();
    let static_program = variable("CARGO_CFG_TARGET_FEATURE")
        .split(',')
        .any(|feature| feature == "crt-static");
    if variable("CARGO_CFG_TARGET_ARCH") == "x86_64" && static_program {
        println!("cargo:rustc-cfg=own_entry");
        println!("cargo:rustc-link-arg-bins=-Wl,-e,wpod_start");
    }
    println!("cargo:rustc-check-cfg=cfg(own_entry)");
}
