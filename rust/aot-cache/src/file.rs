//! Cache files on disk: written whole or not at all, and judged before they are used.

use crate::{
    engine_build, CheckMode, CpuLevel, Header, HeaderError, Image, MemoryRun, HEADER_BYTES, PAGE_BYTES,
};
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::{fmt, process};

/// What a cache file is made for, beside the engine's build.
#[derive(Clone, Copy, Debug)]
pub struct CacheKey {
    /// SHA-256 of the wasm module.
    pub module_digest: [u8; 32],
    pub check_mode: CheckMode,
    pub cpu_level: CpuLevel,
    pub optimization_level: u32,
}

/// Pages of the linear memory as the module's data segments leave them.
pub struct MemoryPages {
    /// Where they begin in the linear memory; a multiple of the page size.
    pub memory_offset: u64,
    /// Whole pages.
    pub bytes: Vec<u8>,
}

/// Why a cache file is not used. The text says it in one line.
#[derive(Debug)]
pub enum FileError {
    Io(io::Error),
    /// Not a regular file of root's or the user's own that nobody else can write.
    Ownership(String),
    Header(HeaderError),
    /// The file has another size than its header says.
    Truncated,
    /// The digest of the content is not the header's.
    ContentDigest,
    OtherModule,
    OtherEngine,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileError::Io(error) => write!(f, "cannot read it: {error}"),
            FileError::Ownership(why) => f.write_str(why),
            FileError::Header(error) => error.fmt(f),
            FileError::Truncated => f.write_str("it is truncated"),
            FileError::ContentDigest => f.write_str("its content is damaged"),
            FileError::OtherModule => f.write_str("it was compiled from another module"),
            FileError::OtherEngine => f.write_str("it was compiled for another build of the engine"),
        }
    }
}

impl std::error::Error for FileError {}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        FileError::Io(error)
    }
}

impl From<HeaderError> for FileError {
    fn from(error: HeaderError) -> Self {
        FileError::Header(error)
    }
}

/// Writes the cache file: a temporary file beside it, synced, mode 0444, renamed over `path`. `memory` are at most
/// `MAX_MEMORY_RUNS` runs in ascending order.
///
/// # Errors
/// Those of the file system; the temporary file is then removed.
pub fn write(path: &Path, key: &CacheKey, image: &Image, memory: &[MemoryPages]) -> io::Result<()> {
    let (content, memory_runs) = with_memory(image, memory);
    let header = Header {
        module_digest: key.module_digest,
        engine_build: engine_build(),
        check_mode: key.check_mode,
        cpu_level: key.cpu_level,
        optimization_level: key.optimization_level,
        base_address: 0,
        file_bytes: (HEADER_BYTES + content.len()) as u64,
        imports_offset: HEADER_BYTES as u64,
        imports_bytes: image.imports_bytes,
        import_count: image.import_count,
        aot_offset: image.aot_offset,
        aot_bytes: image.aot_bytes,
        text_offset: image.text_offset,
        text_bytes: image.text_bytes,
        slots_offset: image.slots_offset,
        content_digest: Sha256::digest(&content).into(),
        memory_runs,
    };
    let directory = path
        .parent()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let directory = if directory.as_os_str().is_empty() {
        Path::new(".")
    } else {
        directory
    };
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?
        .to_string_lossy();
    let temporary = directory.join(format!(".{name}.{}", process::id()));
    let written = write_whole(&temporary, &header.encode(), &content)
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| File::open(directory)?.sync_all());
    if written.is_err() {
        // The first error is the one worth telling; what is left would be removed by the next pruning.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// The content with the memory's pages behind the page of the slots, and where they lie.
fn with_memory(image: &Image, memory: &[MemoryPages]) -> (Vec<u8>, Vec<MemoryRun>) {
    let mut content = image.content.clone();
    let mut runs = Vec::new();
    for pages in memory {
        if runs.is_empty() {
            content.resize(image.slots_offset as usize + PAGE_BYTES - HEADER_BYTES, 0);
        }
        runs.push(MemoryRun {
            memory_offset: pages.memory_offset,
            file_offset: (HEADER_BYTES + content.len()) as u64,
            bytes: pages.bytes.len() as u64,
        });
        content.extend_from_slice(&pages.bytes);
    }
    (content, runs)
}

fn write_whole(path: &Path, header: &[u8], content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(header)?;
    file.write_all(content)?;
    file.set_permissions(Permissions::from_mode(0o444))?;
    file.sync_all()
}

/// Refuses a file that somebody else could have written, or could write now. Asks the open file, not a path.
pub fn check_ownership(file: &File) -> Result<u64, FileError> {
    const WRITABLE_BY_OTHERS: u32 = 0o022;
    let metadata = file.metadata()?;
    // SAFETY: geteuid has no preconditions and cannot fail.
    let own = unsafe { libc::geteuid() };
    if !metadata.is_file() {
        return Err(FileError::Ownership("it is not a regular file".into()));
    }
    if metadata.uid() != 0 && metadata.uid() != own {
        return Err(FileError::Ownership(format!(
            "it belongs to user {}",
            metadata.uid()
        )));
    }
    if metadata.mode() & WRITABLE_BY_OTHERS != 0 {
        return Err(FileError::Ownership(format!(
            "others may write it (mode {:04o})",
            metadata.mode() & 0o7777
        )));
    }
    Ok(metadata.len())
}

/// Judges the file as its user does at every start: ownership, header, size, module and engine.
pub fn read_header(file: &File, module_digest: &[u8; 32]) -> Result<Header, FileError> {
    let size = check_ownership(file)?;
    let mut bytes = [0; HEADER_BYTES];
    if size < HEADER_BYTES as u64 {
        return Err(FileError::Truncated);
    }
    file.read_exact_at(&mut bytes, 0)?;
    let header = Header::decode(&bytes)?;
    if header.file_bytes != size {
        return Err(FileError::Truncated);
    }
    if header.engine_build != engine_build() {
        return Err(FileError::OtherEngine);
    }
    if &header.module_digest != module_digest {
        return Err(FileError::OtherModule);
    }
    Ok(header)
}

/// As `read_header`, and the digest of the whole content: for the check of a store, not for a start.
pub fn verify_full(file: &File, module_digest: &[u8; 32]) -> Result<Header, FileError> {
    let header = read_header(file, module_digest)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut position = HEADER_BYTES as u64;
    loop {
        let count = file.read_at(&mut buffer, position)?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        position += count as u64;
    }
    let digest: [u8; 32] = hasher.finalize().into();
    if digest == header.content_digest {
        Ok(header)
    } else {
        Err(FileError::ContentDigest)
    }
}

/// Reads a whole module, at most `limit` bytes of it.
pub fn read_limited(file: &mut File, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::other(format!("it is larger than {limit} bytes")));
    }
    Ok(bytes)
}
