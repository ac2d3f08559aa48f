//! Compiled code in the engine: what it computes, how it traps, and which cache files are refused.
//!
//! Each module is compiled by the real compiler and loaded from its cache file, and every result is compared with
//! the interpreter's.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, OnceLock};

use sha2::{Digest, Sha256};
use wamr::cache::{self, CacheRefusal, CodeMemory, LoadedCode};
use wamr::{CallError, Instance, InstanceOptions, Module, ModuleBytes, Runtime, TrapKind, Value};

/// The compiler's program, built beside this test's.
fn compiler() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let test = std::env::current_exe().expect("this test's program");
        let directory = test.parent().and_then(Path::parent).expect("target/PROFILE/deps");
        let mut build = Command::new(env!("CARGO"));
        build
            .args(["build", "--quiet", "--package", "aot-compiler"])
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        build
            .arg("--target-dir")
            .arg(directory.parent().expect("the target directory"));
        if directory.ends_with("release") {
            build.arg("--release");
        }
        assert!(
            build.status().expect("start cargo").success(),
            "the compiler builds"
        );
        directory.join("wpod-aot-compiler")
    })
}

/// A directory of this process that goes with it.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("wpod-aot-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("create a directory");
        Scratch { path }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn hex(wasm: &[u8]) -> String {
    Sha256::digest(wasm)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn compile(wasm: &[u8], directory: &Path) -> Output {
    let module = directory.join("module.wasm");
    fs::write(&module, wasm).expect("write the module");
    Command::new(compiler())
        .arg("--module")
        .arg(&module)
        .args(["--digest", &format!("sha256:{}", hex(wasm))])
        .arg("--output")
        .arg(directory.join("module.waot"))
        .output()
        .expect("start the compiler")
}

fn runtime() -> Runtime {
    Runtime::start().expect("the engine starts")
}

fn load(file: &File, wasm: &[u8]) -> Result<LoadedCode, CacheRefusal> {
    cache::load(
        runtime(),
        file,
        &hex(wasm),
        Some(ModuleBytes::from(wasm.to_vec())),
    )
}

/// Guest code of different tests does not run at once: each of them changes nothing shared, but the engine's
/// fault handlers are per process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Compiled and interpreted instances of a module.
struct Both {
    compiled: Instance,
    interpreted: Instance,
}

impl Both {
    fn of(name: &str, text: &str) -> Both {
        let wasm = wat::parse_str(text).expect("valid text");
        let scratch = Scratch::new(name);
        let output = compile(&wasm, &scratch.path);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let file = File::open(scratch.path.join("module.waot")).expect("the cache file");
        let code = load(&file, &wasm).expect("the cache file loads");
        assert_eq!(code.memory, CodeMemory::Shared);
        let interpreted = Module::load(runtime(), ModuleBytes::from(wasm)).expect("the module loads");
        let options = InstanceOptions {
            stack_bytes: 1 << 18,
            ..Default::default()
        };
        Both {
            compiled: Instance::new(&code.module, options).expect("a compiled instance"),
            interpreted: Instance::new(&interpreted, options).expect("an interpreted instance"),
        }
    }

    /// The result, which must be the same in both.
    fn call(&mut self, name: &str, arguments: &[Value]) -> Result<Vec<Value>, CallError> {
        let _guard = ONE_AT_A_TIME
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let compiled = self.compiled.call(name, arguments);
        let interpreted = self.interpreted.call(name, arguments);
        match (&compiled, &interpreted) {
            (Err(CallError::Trap(one)), Err(CallError::Trap(other))) => {
                assert_eq!(one.kind, other.kind, "{name}")
            }
            _ => assert_eq!(compiled, interpreted, "{name}{arguments:?}"),
        }
        compiled
    }

    fn trap(&mut self, name: &str, arguments: &[Value]) -> TrapKind {
        match self.call(name, arguments) {
            Err(CallError::Trap(trap)) => trap.kind,
            other => panic!("{name} did not trap: {other:?}"),
        }
    }
}

const ARITHMETIC: &str = r#"(module
  (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add)
  (func (export "divide") (param i32 i32) (result i32) local.get 0 local.get 1 i32.div_s)
  (func (export "truncate") (param f64) (result i32) local.get 0 i32.trunc_f64_s)
  (func (export "root") (param f64) (result f64) local.get 0 f64.sqrt)
  (func (export "nearest") (param f64) (result f64) local.get 0 f64.nearest)
  (func $recursive (export "sum") (param i64) (result i64)
    local.get 0 i64.eqz if (result i64) i64.const 0 else
    local.get 0 i64.const 1 i64.sub call $recursive local.get 0 i64.add end)
  (func (export "choose") (param i32) (result i32)
    block block block block block block
    local.get 0 br_table 0 1 2 3 4 5
    end i32.const 10 return end i32.const 21 return end i32.const 32 return
    end i32.const 43 return end i32.const 54 return end i32.const 65)
  (func (export "boom") unreachable)
  (func $forever (export "forever") (result i64) call $forever i64.const 1 i64.add))"#;

#[test]
fn computes_what_the_interpreter_computes() {
    let mut both = Both::of("arithmetic", ARITHMETIC);
    assert_eq!(
        both.call("add", &[Value::I32(i32::MAX), Value::I32(1)]),
        Ok(vec![Value::I32(i32::MIN)])
    );
    assert_eq!(
        both.call("divide", &[Value::I32(-7), Value::I32(2)]),
        Ok(vec![Value::I32(-3)])
    );
    assert_eq!(
        both.call("sum", &[Value::I64(1000)]),
        Ok(vec![Value::I64(500_500)])
    );
    assert_eq!(
        both.call("root", &[Value::F64(2.0)]),
        Ok(vec![Value::F64(2.0_f64.sqrt())])
    );
    assert_eq!(
        both.call("nearest", &[Value::F64(2.5)]),
        Ok(vec![Value::F64(2.0)])
    );
    for (index, wanted) in [10, 21, 32, 43, 54, 65, 65].into_iter().enumerate() {
        assert_eq!(
            both.call("choose", &[Value::I32(index as i32)]),
            Ok(vec![Value::I32(wanted)])
        );
    }
}

#[test]
fn traps_and_goes_on() {
    let mut both = Both::of("traps", ARITHMETIC);
    assert_eq!(both.trap("boom", &[]), TrapKind::Unreachable);
    assert_eq!(
        both.trap("divide", &[Value::I32(1), Value::I32(0)]),
        TrapKind::DivideByZero
    );
    assert_eq!(
        both.trap("divide", &[Value::I32(i32::MIN), Value::I32(-1)]),
        TrapKind::IntegerOverflow
    );
    assert_eq!(
        both.trap("truncate", &[Value::F64(f64::NAN)]),
        TrapKind::InvalidConversion
    );
    assert_eq!(both.trap("forever", &[]), TrapKind::StackOverflow);
    assert_eq!(
        both.call("add", &[Value::I32(1), Value::I32(1)]),
        Ok(vec![Value::I32(2)])
    );
}

const MEMORY: &str = r#"(module
  (memory (export "memory") 1 4)
  (data (i32.const 8) "hello, world")
  (data $passive "passive")
  (func (export "load") (param i32) (result i32) local.get 0 i32.load)
  (func (export "far") (param i32) (result i32) local.get 0 i32.load offset=0xfffffff0)
  (func (export "store") (param i32 i32) local.get 0 local.get 1 i32.store)
  (func (export "grow") (param i32) (result i32) local.get 0 memory.grow)
  (func (export "size") (result i32) memory.size)
  (func (export "fill") (param i32 i32 i32) local.get 0 local.get 1 local.get 2 memory.fill)
  (func (export "copy") (param i32 i32 i32) local.get 0 local.get 1 local.get 2 memory.copy)
  (func (export "init") (param i32 i32 i32) local.get 0 local.get 1 local.get 2 memory.init $passive))"#;

#[test]
fn memory_is_guarded_and_grows() {
    let mut both = Both::of("memory", MEMORY);
    let i32s = |values: &[i32]| values.iter().map(|value| Value::I32(*value)).collect::<Vec<_>>();
    let hello = i32::from_le_bytes(*b"hell");
    assert_eq!(both.call("load", &i32s(&[8])), Ok(i32s(&[hello])));
    assert_eq!(both.call("load", &i32s(&[65532])), Ok(i32s(&[0])));
    for address in [65533, 65536, 1 << 20, i32::MAX, -4, -1] {
        assert_eq!(
            both.trap("load", &i32s(&[address])),
            TrapKind::OutOfBoundsMemory,
            "load {address}"
        );
        assert_eq!(
            both.trap("store", &i32s(&[address, 1])),
            TrapKind::OutOfBoundsMemory,
            "store {address}"
        );
    }
    assert_eq!(both.trap("far", &i32s(&[-1])), TrapKind::OutOfBoundsMemory);
    assert_eq!(both.call("grow", &i32s(&[2])), Ok(i32s(&[1])));
    assert_eq!(both.call("grow", &i32s(&[2])), Ok(i32s(&[-1])));
    assert_eq!(both.call("size", &[]), Ok(i32s(&[3])));
    assert_eq!(both.call("store", &i32s(&[3 * 65536 - 4, 7])), Ok(vec![]));
    assert_eq!(both.call("load", &i32s(&[3 * 65536 - 4])), Ok(i32s(&[7])));
    assert_eq!(
        both.trap("load", &i32s(&[3 * 65536 - 3])),
        TrapKind::OutOfBoundsMemory
    );
    assert_eq!(both.call("init", &i32s(&[100, 0, 7])), Ok(vec![]));
    assert_eq!(
        both.call("load", &i32s(&[100])),
        Ok(i32s(&[i32::from_le_bytes(*b"pass")]))
    );
    assert_eq!(both.call("copy", &i32s(&[200, 8, 12])), Ok(vec![]));
    assert_eq!(both.call("load", &i32s(&[200])), Ok(i32s(&[hello])));
    assert_eq!(both.call("fill", &i32s(&[300, 1, 4])), Ok(vec![]));
    assert_eq!(both.call("load", &i32s(&[300])), Ok(i32s(&[0x0101_0101])));
    assert_eq!(both.trap("fill", &i32s(&[-1, 1, 4])), TrapKind::OutOfBoundsMemory);
    assert_eq!(both.trap("init", &i32s(&[0, 4, 7])), TrapKind::OutOfBoundsMemory);
}

const TABLES: &str = r#"(module
  (type $unary (func (param i32) (result i32)))
  (type $nullary (func (result i32)))
  (table $table 8 8 funcref)
  (elem (i32.const 0) $double $square $constant)
  (func $double (type $unary) local.get 0 i32.const 2 i32.mul)
  (func $square (type $unary) local.get 0 local.get 0 i32.mul)
  (func $constant (type $nullary) i32.const 7)
  (func (export "call") (param i32 i32) (result i32) local.get 1 local.get 0 call_indirect (type $unary))
  (func $even (export "even") (param i32) (result i32)
    local.get 0 i32.eqz if (result i32) i32.const 1 else
    local.get 0 i32.const 1 i32.sub return_call $odd end)
  (func $odd (param i32) (result i32)
    local.get 0 i32.eqz if (result i32) i32.const 0 else
    local.get 0 i32.const 1 i32.sub return_call $even end)
  (func (export "set") (param i32 i32) local.get 0 local.get 1 table.get $table table.set $table)
  (func (export "two") (param i32 i64) (result i64 i32) local.get 1 local.get 0)
  (func (export "lanes") (param i32) (result i32)
    local.get 0 i32x4.splat v128.const i32x4 1 2 3 4 i32x4.add
    v128.const i32x4 10 20 30 40 i32x4.mul i32x4.extract_lane 3))"#;

#[test]
fn tables_tail_calls_and_vectors() {
    let mut both = Both::of("tables", TABLES);
    let i32s = |values: &[i32]| values.iter().map(|value| Value::I32(*value)).collect::<Vec<_>>();
    assert_eq!(both.call("call", &i32s(&[0, 21])), Ok(i32s(&[42])));
    assert_eq!(both.call("call", &i32s(&[1, 9])), Ok(i32s(&[81])));
    assert_eq!(both.trap("call", &i32s(&[2, 9])), TrapKind::IndirectCallType);
    assert_eq!(both.trap("call", &i32s(&[5, 9])), TrapKind::UninitializedElement);
    assert_eq!(both.trap("call", &i32s(&[9, 9])), TrapKind::OutOfBoundsTable);
    assert_eq!(both.call("set", &i32s(&[5, 1])), Ok(vec![]));
    assert_eq!(both.call("call", &i32s(&[5, 9])), Ok(i32s(&[81])));
    assert_eq!(both.call("even", &i32s(&[1_000_000])), Ok(i32s(&[1])));
    assert_eq!(
        both.call("two", &[Value::I32(1), Value::I64(-2)]),
        Ok(vec![Value::I64(-2), Value::I32(1)])
    );
    assert_eq!(both.call("lanes", &i32s(&[2])), Ok(i32s(&[240])));
}

/// A compiled module on disk, to be spoilt.
struct Spoilt {
    scratch: Scratch,
    wasm: Vec<u8>,
    bytes: Vec<u8>,
}

impl Spoilt {
    fn new(name: &str) -> Self {
        let wasm = wat::parse_str(ARITHMETIC).expect("valid text");
        let scratch = Scratch::new(name);
        let output = compile(&wasm, &scratch.path);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let bytes = fs::read(scratch.path.join("module.waot")).expect("the cache file");
        Spoilt { scratch, wasm, bytes }
    }

    fn file(&self, bytes: &[u8]) -> File {
        let path = self.scratch.path.join("spoilt.waot");
        let _ = fs::remove_file(&path);
        fs::write(&path, bytes).expect("write");
        File::open(&path).expect("open")
    }

    fn refusal(&self, bytes: &[u8]) -> String {
        let loaded = load(&self.file(bytes), &self.wasm);
        loaded
            .err()
            .map_or_else(|| "loaded".to_owned(), |refusal| refusal.to_string())
    }
}

#[test]
fn damaged_files_are_refused() {
    let spoilt = Spoilt::new("damaged");
    assert_eq!(spoilt.refusal(&spoilt.bytes), "loaded");
    for length in [
        0,
        1,
        7,
        511,
        512,
        4096,
        spoilt.bytes.len() / 2,
        spoilt.bytes.len() - 1,
    ] {
        assert_eq!(
            spoilt.refusal(&spoilt.bytes[..length]),
            "it is truncated",
            "{length} bytes"
        );
    }
    let mut longer = spoilt.bytes.clone();
    longer.push(0);
    assert_eq!(spoilt.refusal(&longer), "it is truncated");
    for bit in 0..512 * 8 {
        let mut flipped = spoilt.bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_ne!(spoilt.refusal(&flipped), "loaded", "header bit {bit}");
    }
}

#[test]
fn a_flipped_bit_in_the_content_is_found_by_the_full_check() {
    let spoilt = Spoilt::new("content");
    let digest: [u8; 32] = Sha256::digest(&spoilt.wasm).into();
    assert!(aot_cache::verify_full(&spoilt.file(&spoilt.bytes), &digest).is_ok());
    for position in [512, 4096, spoilt.bytes.len() - 1] {
        let mut flipped = spoilt.bytes.clone();
        flipped[position] ^= 0x10;
        let checked = aot_cache::verify_full(&spoilt.file(&flipped), &digest);
        assert_eq!(
            checked.expect_err("it is damaged").to_string(),
            "its content is damaged"
        );
    }
}

#[test]
fn files_that_others_can_write_are_refused() {
    let spoilt = Spoilt::new("owner");
    let file = spoilt.file(&spoilt.bytes);
    for mode in [0o666, 0o664, 0o646] {
        file.set_permissions(Permissions::from_mode(mode)).expect("chmod");
        let refusal = load(&file, &spoilt.wasm).err().expect("refused").to_string();
        assert_eq!(refusal, format!("others may write it (mode {mode:04o})"));
    }
    file.set_permissions(Permissions::from_mode(0o444))
        .expect("chmod");
    assert!(load(&file, &spoilt.wasm).is_ok());
    let directory = File::open(&spoilt.scratch.path).expect("a directory");
    assert_eq!(
        load(&directory, &spoilt.wasm).err().expect("refused").to_string(),
        "it is not a regular file"
    );
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } == 0 {
        std::os::unix::fs::fchown(&file, Some(12345), None).expect("chown");
        assert_eq!(
            load(&file, &spoilt.wasm).err().expect("refused").to_string(),
            "it belongs to user 12345"
        );
    } else {
        println!("not root: a file of another user cannot be made");
    }
}

#[test]
fn code_for_another_module_is_refused() {
    let spoilt = Spoilt::new("module");
    let refusal = cache::load(runtime(), &spoilt.file(&spoilt.bytes), &"0".repeat(64), None);
    assert_eq!(
        refusal.err().expect("refused").to_string(),
        "it was compiled from another module"
    );
    let refusal = cache::load(runtime(), &spoilt.file(&spoilt.bytes), "sha256:xyz", None);
    assert!(matches!(refusal, Err(CacheRefusal::Digest(_))));
}

/// A header that says something else, with a checksum that fits.
fn with_header(spoilt: &Spoilt, change: impl FnOnce(&mut aot_cache::Header)) -> Vec<u8> {
    let mut header = aot_cache::Header::decode(&spoilt.bytes).expect("a good header");
    change(&mut header);
    [&header.encode()[..], &spoilt.bytes[aot_cache::HEADER_BYTES..]].concat()
}

#[test]
fn another_check_mode_engine_or_layout_is_refused() {
    let spoilt = Spoilt::new("key");
    let software = with_header(&spoilt, |header| {
        header.check_mode = aot_cache::CheckMode::Software
    });
    assert_eq!(
        spoilt.refusal(&software),
        "its checks (Software) are not this engine's"
    );
    let engine = with_header(&spoilt, |header| header.engine_build[0] ^= 1);
    assert_eq!(
        spoilt.refusal(&engine),
        "it was compiled for another build of the engine"
    );
    let beyond = with_header(&spoilt, |header| header.text_bytes += 1 << 20);
    assert_eq!(spoilt.refusal(&beyond), "its layout is inconsistent");
    let imports = with_header(&spoilt, |header| header.import_count += 1);
    assert!(spoilt.refusal(&imports).starts_with("it calls"));
}

#[test]
fn hostile_modules_are_errors_of_one_line() {
    let good = wat::parse_str(MEMORY).expect("valid text");
    let cases: [(&str, Vec<u8>); 7] = [
        ("empty", Vec::new()),
        ("garbage", b"\x7fELF and so on".to_vec()),
        ("text", b"(module)".to_vec()),
        ("component", b"\0asm\x0d\0\x01\0".to_vec()),
        ("truncated", good[..good.len() / 2].to_vec()),
        ("header only, cut", good[..6].to_vec()),
        (
            "wrong type",
            wat::parse_str("(module (func (result i32) unreachable))")
                .map(|mut m| {
                    let last = m.len() - 2;
                    m[last] = 0x0f;
                    m[last - 1] = 0x2f;
                    m
                })
                .expect("valid text"),
        ),
    ];
    for (name, wasm) in cases {
        let scratch = Scratch::new("hostile");
        let output = compile(&wasm, &scratch.path);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{name}: {text}");
        assert!(
            text.starts_with("error: ") && text.lines().count() == 1,
            "{name}: {text}"
        );
        let left: Vec<_> = fs::read_dir(&scratch.path)
            .expect("list")
            .flatten()
            .map(|e| e.file_name())
            .collect();
        assert_eq!(left, ["module.wasm"], "{name}");
    }
}

#[test]
fn the_module_must_have_the_digest() {
    let scratch = Scratch::new("digest");
    let module = scratch.path.join("module.wasm");
    fs::write(&module, wat::parse_str(MEMORY).expect("valid text")).expect("write");
    let output = Command::new(compiler())
        .arg("--module")
        .arg(&module)
        .args(["--digest", &"0".repeat(64)])
        .arg("--output")
        .arg(scratch.path.join("module.waot"))
        .output()
        .expect("start the compiler");
    assert_eq!(output.status.code(), Some(3));
    assert!(!scratch.path.join("module.waot").exists());
}

#[test]
fn no_page_of_the_file_is_written() {
    let spoilt = Spoilt::new("private");
    let file = spoilt.file(&spoilt.bytes);
    let code = load(&file, &spoilt.wasm).expect("loads");
    let mut instance = Instance::new(&code.module, InstanceOptions::default()).expect("an instance");
    assert!(instance.call("add", &[Value::I32(1), Value::I32(2)]).is_ok());
    let smaps = fs::read_to_string("/proc/self/smaps").expect("smaps");
    let path = spoilt.scratch.path.join("spoilt.waot").display().to_string();
    let mut mappings = 0;
    let mut lines = smaps.lines().peekable();
    while let Some(line) = lines.next() {
        if !line.ends_with(&path) {
            continue;
        }
        mappings += 1;
        let permissions = line.split_whitespace().nth(1).expect("permissions");
        assert!(!permissions.contains('w'), "{line}");
        while let Some(field) = lines.next_if(|line| !line.contains('-')) {
            // A copy made by a write is anonymous memory.
            if field.starts_with("Anonymous:") {
                assert!(field.contains(" 0 kB"), "{path}: {field}");
            }
        }
    }
    assert!(mappings >= 2, "code and constants of {path} are mapped");
    let mut header = [0; 8];
    file.read_exact_at(&mut header, 0).expect("read");
    assert_eq!(&header, b"WPODWAOT");
}

/// A module of 100 kB of data behind its first page, with functions that read and write a byte.
fn with_data() -> String {
    let data = "abcdefgh".repeat(12_500);
    format!(
        r#"(module (memory (export "memory") 4) (data (i32.const 5000) "{data}") (data (i32.const 5001) "XY")
             (func (export "read") (param i32) (result i32) (i32.load8_u (local.get 0)))
             (func (export "write") (param i32 i32) (i32.store8 (local.get 0) (local.get 1))))"#
    )
}

#[test]
fn data_is_mapped_from_the_file_and_each_instance_writes_to_its_own() {
    let wasm = wat::parse_str(with_data()).expect("valid text");
    let scratch = Scratch::new("image");
    assert!(compile(&wasm, &scratch.path).status.success());
    let path = scratch.path.join("module.waot");
    let file = File::open(&path).expect("the cache file");
    let before = fs::read(&path).expect("read");
    let code = load(&file, &wasm).expect("loads");
    let image = code.image.as_ref().expect("an image of the data");
    let mut plain = Instance::new(&code.module, InstanceOptions::default()).expect("an instance");
    let mut shared = [0, 1].map(|_| {
        let mut instance = Instance::new(&code.module, InstanceOptions::default()).expect("an instance");
        instance.share_image(image).expect("the image is mapped");
        instance
    });
    let read = |instance: &mut Instance, address: usize| {
        let found = instance.call("read", &[Value::I32(address as i32)]);
        found.expect("inside the memory")
    };
    for address in [
        0, 4095, 4999, 5000, 5001, 5002, 5003, 104_999, 105_000, 106_495, 106_496, 262_143,
    ] {
        let expected = read(&mut plain, address);
        assert_eq!(read(&mut shared[0], address), expected, "at {address}");
    }
    let written = [Value::I32(5000), Value::I32(7)];
    shared[0].call("write", &written).expect("inside the memory");
    assert_eq!(read(&mut shared[0], 5000), [Value::I32(7)]);
    assert_eq!(read(&mut shared[1], 5000), [Value::I32(i32::from(b'a'))]);
    assert_eq!(fs::read(&path).expect("read"), before);
    let one_past = shared[0].call("read", &[Value::I32(262_144)]);
    assert!(
        matches!(one_past, Err(CallError::Trap(_))),
        "the guard is in place"
    );
}

#[test]
fn pages_of_memory_outside_of_the_file_or_the_memory_are_refused() {
    let wasm = wat::parse_str(with_data()).expect("valid text");
    let scratch = Scratch::new("runs");
    assert!(compile(&wasm, &scratch.path).status.success());
    let bytes = fs::read(scratch.path.join("module.waot")).expect("read");
    let header = aot_cache::Header::decode(&bytes).expect("a good header");
    let refused = |change: &dyn Fn(&mut aot_cache::Header)| {
        let mut changed = header.clone();
        change(&mut changed);
        aot_cache::Header::decode(&changed.encode()) == Err(aot_cache::HeaderError::Layout)
    };
    assert!(!refused(&|_| ()));
    assert!(refused(&|header| header.memory_runs[0].bytes += 4096));
    assert!(refused(&|header| header.memory_runs[0].bytes -= 1));
    assert!(refused(&|header| header.memory_runs[0].file_offset -= 4096));
    assert!(refused(&|header| header.memory_runs[0].memory_offset += 1));
    assert!(refused(&|header| header.memory_runs[0].memory_offset = 1 << 32));
    assert!(refused(&|header| header.memory_runs.clear()));
    assert!(refused(&|header| header.file_bytes += 4096));
    assert!(refused(&|header| {
        let run = header.memory_runs[0];
        header.memory_runs.push(aot_cache::MemoryRun {
            file_offset: run.file_offset + run.bytes,
            ..run
        });
        header.file_bytes += run.bytes;
    }));
}
