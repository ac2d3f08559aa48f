//! The header of a cache file: 512 bytes, little endian, the same layout for every version of the format.

use sha2::{Digest, Sha256};
use std::fmt;

/// Bytes of the header; what follows is covered by `content_digest`.
pub const HEADER_BYTES: usize = 512;
/// Changed with every change of the layout.
pub const FORMAT_VERSION: u32 = 2;
/// Mappings cost memory themselves; what needs more of them has no image of its memory.
pub const MAX_MEMORY_RUNS: usize = 4;
/// WAMR's release and the version of its AOT files.
pub const ENGINE_VERSION: &str = "WAMR 2.4.3, AOT 6";
/// Machine code for x86-64.
pub const TARGET_X86_64: u32 = 1;

const MAGIC: &[u8; 8] = b"WPODWAOT";
const HEADER_DIGEST_OFFSET: usize = HEADER_BYTES - 32;

/// How compiled code is kept inside its linear memory and its stack. Code and engine must mean the same:
/// code without checks of its own in an engine that doesn't guard the memory runs, and then goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckMode {
    /// Memory guarded by unmapped pages, the stack checked by the code (`bounds_checks=0`,
    /// `stack_bounds_checks=1`).
    HardwareMemorySoftwareStack,
    /// Memory and stack checked by the code.
    Software,
}

impl CheckMode {
    fn number(self) -> u32 {
        match self {
            CheckMode::HardwareMemorySoftwareStack => 1,
            CheckMode::Software => 2,
        }
    }

    fn from_number(number: u32) -> Option<Self> {
        [CheckMode::HardwareMemorySoftwareStack, CheckMode::Software]
            .into_iter()
            .find(|mode| mode.number() == number)
    }
}

/// The micro-architecture levels of the x86-64 psABI that modules are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CpuLevel {
    /// SSE4.2 and POPCNT: the least that WebAssembly's SIMD can be compiled for.
    V2,
    /// AVX2, BMI2, FMA, LZCNT, MOVBE.
    V3,
}

impl CpuLevel {
    /// The highest level that this machine runs, or None where it is too old for any.
    pub fn of_this_machine() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        {
            let v2 = is_x86_feature_detected!("sse4.2")
                && is_x86_feature_detected!("ssse3")
                && is_x86_feature_detected!("popcnt")
                && is_x86_feature_detected!("cmpxchg16b");
            let v3 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("f16c")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("lzcnt")
                && is_x86_feature_detected!("movbe");
            match (v2, v3) {
                (true, true) => Some(CpuLevel::V3),
                (true, false) => Some(CpuLevel::V2),
                _ => None,
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        None
    }

    /// LLVM's name of it.
    pub fn name(self) -> &'static str {
        match self {
            CpuLevel::V2 => "x86-64-v2",
            CpuLevel::V3 => "x86-64-v3",
        }
    }

    fn number(self) -> u32 {
        match self {
            CpuLevel::V2 => 2,
            CpuLevel::V3 => 3,
        }
    }

    fn from_number(number: u32) -> Option<Self> {
        [CpuLevel::V2, CpuLevel::V3]
            .into_iter()
            .find(|level| level.number() == number)
    }
}

/// Identifies the engine that a file was compiled for (see `build.rs`).
pub fn engine_build() -> [u8; 32] {
    parse_hex(env!("WPOD_ENGINE_BUILD")).expect("the build script writes 64 hex digits")
}

/// Pages of the linear memory, as they are before the guest runs, in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRun {
    /// Where they belong in the linear memory.
    pub memory_offset: u64,
    /// Where they are in the file.
    pub file_offset: u64,
    pub bytes: u64,
}

/// The header, decoded. Offsets and sizes are in bytes from the file's start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// SHA-256 of the wasm module.
    pub module_digest: [u8; 32],
    /// See `engine_build`.
    pub engine_build: [u8; 32],
    pub check_mode: CheckMode,
    pub cpu_level: CpuLevel,
    pub optimization_level: u32,
    /// The address the code must be mapped at; 0: any.
    pub base_address: u64,
    pub file_bytes: u64,
    /// Names of the engine's functions that the code calls, NUL-terminated, one address slot each.
    pub imports_offset: u64,
    pub imports_bytes: u64,
    pub import_count: u32,
    /// WAMR's AOT file inside this one.
    pub aot_offset: u64,
    pub aot_bytes: u64,
    /// The pages to be executed; both whole pages.
    pub text_offset: u64,
    pub text_bytes: u64,
    /// Where the page with the address slots is mapped: behind the file's last page.
    pub slots_offset: u64,
    /// SHA-256 of everything behind the header.
    pub content_digest: [u8; 32],
    /// At most `MAX_MEMORY_RUNS`, ascending; behind the page of the slots.
    pub memory_runs: Vec<MemoryRun>,
}

/// Why a header is not usable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderError {
    Truncated,
    NotACacheFile,
    FormatVersion(u32),
    Damaged,
    EngineVersion(String),
    Target(u32),
    CheckMode(u32),
    CpuLevel(u32),
    Layout,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeaderError::Truncated => f.write_str("it is truncated"),
            HeaderError::NotACacheFile => f.write_str("it is not a file of compiled code"),
            HeaderError::FormatVersion(version) => {
                write!(f, "its format version is {version}, not {FORMAT_VERSION}")
            }
            HeaderError::Damaged => f.write_str("its header is damaged"),
            HeaderError::EngineVersion(version) => {
                write!(f, "it was compiled for {version}, not {ENGINE_VERSION}")
            }
            HeaderError::Target(target) => write!(f, "its target {target} is not this machine's"),
            HeaderError::CheckMode(mode) => write!(f, "its check mode {mode} is unknown"),
            HeaderError::CpuLevel(level) => write!(f, "its processor level {level} is unknown"),
            HeaderError::Layout => f.write_str("its layout is inconsistent"),
        }
    }
}

impl std::error::Error for HeaderError {}

/// Writes the fields in their order; `Reader` reads them in the same one.
struct Writer {
    bytes: [u8; HEADER_BYTES],
    position: usize,
}

impl Writer {
    fn put(&mut self, field: &[u8]) {
        self.bytes[self.position..self.position + field.len()].copy_from_slice(field);
        self.position += field.len();
    }

    fn u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }
}

struct Reader<'a> {
    bytes: &'a [u8; HEADER_BYTES],
    position: usize,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let field = self.bytes[self.position..self.position + N]
            .try_into()
            .expect("N bytes");
        self.position += N;
        field
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }
}

impl Header {
    /// The header's bytes, with the checksum of itself.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut writer = Writer {
            bytes: [0; HEADER_BYTES],
            position: 0,
        };
        writer.put(MAGIC);
        writer.u32(FORMAT_VERSION);
        writer.u32(TARGET_X86_64);
        let mut version = [0; 32];
        version[..ENGINE_VERSION.len()].copy_from_slice(ENGINE_VERSION.as_bytes());
        writer.put(&version);
        writer.put(&self.module_digest);
        writer.put(&self.engine_build);
        writer.u32(self.check_mode.number());
        writer.u32(self.cpu_level.number());
        writer.u32(self.optimization_level);
        writer.u32(self.import_count);
        for value in [
            self.base_address,
            self.file_bytes,
            self.imports_offset,
            self.imports_bytes,
            self.aot_offset,
            self.aot_bytes,
            self.text_offset,
            self.text_bytes,
            self.slots_offset,
        ] {
            writer.u64(value);
        }
        writer.put(&self.content_digest);
        writer.u64(self.memory_runs.len() as u64);
        for run in &self.memory_runs {
            writer.u64(run.memory_offset);
            writer.u64(run.file_offset);
            writer.u64(run.bytes);
        }
        let digest: [u8; 32] = Sha256::digest(&writer.bytes[..HEADER_DIGEST_OFFSET]).into();
        writer.bytes[HEADER_DIGEST_OFFSET..].copy_from_slice(&digest);
        writer.bytes
    }

    /// Decodes and checks the first bytes of a file. Whether the file belongs to a certain module and engine
    /// is the caller's to ask.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        let bytes: &[u8; HEADER_BYTES] = bytes
            .get(..HEADER_BYTES)
            .ok_or(HeaderError::Truncated)?
            .try_into()
            .expect("512 bytes");
        let mut reader = Reader { bytes, position: 0 };
        if &reader.take::<8>() != MAGIC {
            return Err(HeaderError::NotACacheFile);
        }
        let format_version = reader.u32();
        if format_version != FORMAT_VERSION {
            return Err(HeaderError::FormatVersion(format_version));
        }
        let digest: [u8; 32] = Sha256::digest(&bytes[..HEADER_DIGEST_OFFSET]).into();
        if digest != bytes[HEADER_DIGEST_OFFSET..] {
            return Err(HeaderError::Damaged);
        }
        let target = reader.u32();
        if target != TARGET_X86_64 || !cfg!(target_arch = "x86_64") {
            return Err(HeaderError::Target(target));
        }
        let version: [u8; 32] = reader.take();
        let version = String::from_utf8_lossy(&version)
            .trim_end_matches('\0')
            .to_owned();
        if version != ENGINE_VERSION {
            return Err(HeaderError::EngineVersion(version));
        }
        let header = Self::decode_fields(&mut reader)?;
        header.check_layout()?;
        Ok(header)
    }

    fn decode_fields(reader: &mut Reader<'_>) -> Result<Self, HeaderError> {
        let module_digest = reader.take();
        let engine_build = reader.take();
        let check_mode = reader.u32();
        let cpu_level = reader.u32();
        Ok(Header {
            module_digest,
            engine_build,
            check_mode: CheckMode::from_number(check_mode).ok_or(HeaderError::CheckMode(check_mode))?,
            cpu_level: CpuLevel::from_number(cpu_level).ok_or(HeaderError::CpuLevel(cpu_level))?,
            optimization_level: reader.u32(),
            import_count: reader.u32(),
            base_address: reader.u64(),
            file_bytes: reader.u64(),
            imports_offset: reader.u64(),
            imports_bytes: reader.u64(),
            aot_offset: reader.u64(),
            aot_bytes: reader.u64(),
            text_offset: reader.u64(),
            text_bytes: reader.u64(),
            slots_offset: reader.u64(),
            content_digest: reader.take(),
            memory_runs: Self::decode_runs(reader)?,
        })
    }

    fn decode_runs(reader: &mut Reader<'_>) -> Result<Vec<MemoryRun>, HeaderError> {
        let count = usize::try_from(reader.u64()).unwrap_or(usize::MAX);
        if count > MAX_MEMORY_RUNS {
            return Err(HeaderError::Layout);
        }
        let mut run = || MemoryRun {
            memory_offset: reader.u64(),
            file_offset: reader.u64(),
            bytes: reader.u64(),
        };
        Ok((0..count).map(|_| run()).collect())
    }

    /// The relations between the offsets that the loader's arithmetic relies on.
    fn check_layout(&self) -> Result<(), HeaderError> {
        const PAGE: u64 = crate::PAGE_BYTES as u64;
        let end = |offset: u64, size: u64| offset.checked_add(size);
        let aot_end = end(self.aot_offset, self.aot_bytes);
        let text_end = end(self.text_offset, self.text_bytes);
        let fits = self.file_bytes <= u64::from(u32::MAX)
            && self.imports_offset == HEADER_BYTES as u64
            && end(self.imports_offset, self.imports_bytes).is_some_and(|end| end <= self.aot_offset)
            && aot_end
                .is_some_and(|end| end <= self.file_bytes && self.slots_offset == end.next_multiple_of(PAGE))
            && self.memory_fits()
            && self.text_offset >= self.aot_offset
            && text_end.is_some_and(|text| aot_end.is_some_and(|aot| text <= aot))
            && self.aot_offset % 8 == 0
            && self.text_offset % PAGE == 0
            && self.text_bytes % PAGE == 0
            && self.import_count <= crate::MAX_IMPORTS;
        if fits {
            Ok(())
        } else {
            Err(HeaderError::Layout)
        }
    }

    /// Where the AOT file ends.
    pub fn aot_end(&self) -> u64 {
        self.aot_offset + self.aot_bytes
    }

    /// Whether the pages of the memory fill the rest of the file, one run after the other, and overlap nowhere.
    fn memory_fits(&self) -> bool {
        const PAGE: u64 = crate::PAGE_BYTES as u64;
        let mut file_offset = self.slots_offset + PAGE;
        let mut memory_end = 0;
        for run in &self.memory_runs {
            let aligned = run.memory_offset % PAGE == 0 && run.bytes % PAGE == 0 && run.bytes > 0;
            let end = run.memory_offset.checked_add(run.bytes);
            let in_memory = end.is_some_and(|end| end <= 1 << 32) && run.memory_offset >= memory_end;
            if !aligned || !in_memory || run.file_offset != file_offset {
                return false;
            }
            file_offset += run.bytes;
            memory_end = run.memory_offset + run.bytes;
        }
        let end = if self.memory_runs.is_empty() {
            self.aot_end()
        } else {
            file_offset
        };
        end == self.file_bytes
    }
}

/// The 32 bytes of a SHA-256 digest written as 64 hex digits, with or without `sha256:` before them.
pub fn parse_digest(text: &str) -> Option<[u8; 32]> {
    parse_hex(text.strip_prefix("sha256:").unwrap_or(text))
}

fn parse_hex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; 32];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}
