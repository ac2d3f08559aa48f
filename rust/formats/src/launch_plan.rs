//! The launch plan, version 1: what the runner and the monitor are told, in a sealed memfd.
//!
//! A sequence of `key NUL value NUL`. Everything is checked against one table when it is parsed, so that
//! later code takes values without looking again; whatever the table does not know is refused.

use core::ffi::CStr;
use core::fmt;
use core::ptr::NonNull;

use kernel_calls::text::decimal;
use kernel_calls::{files, memory, Errno};

/// The version that this module reads.
pub const VERSION: &[u8] = b"1";
/// A plan is never larger than this; the kernel's own limit of arguments and environment is 6 MiB.
pub const MAX_BYTES: u64 = 16 << 20;
/// The seals without which a plan could change while it is read.
const SEALS: i32 = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;

/// Which program reads the plan; a key of the other one is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Program {
    Runner,
    Monitor,
}

/// Why a plan is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PlanError {
    /// The descriptor cannot be used, or not with this error.
    System(Errno),
    /// Not sealed against changes.
    NotSealed,
    /// Larger than [`MAX_BYTES`], empty, not NUL-terminated, a key without a value.
    Malformed,
    /// Another version, or none.
    Version,
    /// A key that this program does not know; the byte offset of the key.
    UnknownKey(usize),
    /// A key that is missing.
    Missing(&'static str),
    /// A key that stands more often than it may.
    Repeated(&'static str),
    /// A value that its key does not allow.
    Value(&'static str),
}

impl fmt::Display for PlanError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlanError::System(error) => write!(out, "the launch plan cannot be read: {error}"),
            PlanError::NotSealed => out.write_str("the launch plan is not sealed"),
            PlanError::Malformed => out.write_str("the launch plan is malformed"),
            PlanError::Version => out.write_str("the launch plan is of another version"),
            PlanError::UnknownKey(offset) => {
                write!(out, "the launch plan has an unknown key at byte {offset}")
            }
            PlanError::Missing(key) => write!(out, "the launch plan lacks {key}"),
            PlanError::Repeated(key) => write!(out, "the launch plan says {key} twice"),
            PlanError::Value(key) => write!(out, "the launch plan has a wrong value for {key}"),
        }
    }
}

/// What a value must look like.
#[derive(Clone, Copy)]
enum Shape {
    Any,
    Id,
    Path,
    Flag,
    Number,
    Positive,
    Digest,
    Word(&'static [&'static [u8]]),
    Volume,
    Tmpfs,
    Rlimit,
    IdMap,
    Listener,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Times {
    Once,
    AtMostOnce,
    Any,
    AtLeastOnce,
}

struct Key {
    name: &'static str,
    runner: Option<Times>,
    monitor: Option<Times>,
    shape: Shape,
}

const fn both(name: &'static str, times: Times, shape: Shape) -> Key {
    Key {
        name,
        runner: Some(times),
        monitor: Some(times),
        shape,
    }
}

const fn runner(name: &'static str, times: Times, shape: Shape) -> Key {
    Key {
        name,
        runner: Some(times),
        monitor: None,
        shape,
    }
}

const fn monitor(name: &'static str, times: Times, shape: Shape) -> Key {
    Key {
        name,
        runner: None,
        monitor: Some(times),
        shape,
    }
}

/// The tables of docs/formats.md.
const KEYS: &[Key] = &[
    both("id", Times::Once, Shape::Id),
    both("state", Times::Once, Shape::Path),
    both("log-directory", Times::AtMostOnce, Shape::Path),
    both("log-max-bytes", Times::AtMostOnce, Shape::Number),
    both("ready-fd", Times::Once, Shape::Number),
    both("terminal", Times::Once, Shape::Flag),
    both("stdin", Times::Once, Shape::Flag),
    both("timeout-seconds", Times::AtMostOnce, Shape::Positive),
    both("cgroup", Times::Any, Shape::Path),
    both("user-namespace", Times::AtMostOnce, Shape::Path),
    both("network-namespace", Times::AtMostOnce, Shape::Path),
    runner("module", Times::Once, Shape::Path),
    runner("module-digest", Times::Once, Shape::Digest),
    runner("aot", Times::Once, Shape::Word(&[b"auto", b"off", b"require"])),
    runner("aot-file", Times::AtMostOnce, Shape::Path),
    runner("argument", Times::AtLeastOnce, Shape::Any),
    runner("environment", Times::Any, Shape::Any),
    runner("workdir", Times::Once, Shape::Path),
    runner(
        "root",
        Times::Once,
        Shape::Word(&[b"copy", b"read-only", b"overlay"]),
    ),
    both("root-path", Times::Once, Shape::Path),
    both("root-upper", Times::AtMostOnce, Shape::Path),
    both("root-work", Times::AtMostOnce, Shape::Path),
    both("root-lower", Times::Any, Shape::Path),
    runner("volume", Times::Any, Shape::Volume),
    runner("tmpfs", Times::Any, Shape::Tmpfs),
    runner("user-id", Times::Once, Shape::Number),
    runner("group-id", Times::Once, Shape::Number),
    runner("supplementary-group", Times::Any, Shape::Number),
    runner("memory-max-bytes", Times::AtMostOnce, Shape::Positive),
    runner("rlimit", Times::Any, Shape::Rlimit),
    runner("listen", Times::Any, Shape::Listener),
    runner("outgoing", Times::Any, Shape::Any),
    runner("own-address", Times::Any, Shape::Any),
    runner("network-fd", Times::AtMostOnce, Shape::Number),
    runner("held-namespace", Times::AtMostOnce, Shape::Path),
    runner("name-server", Times::Any, Shape::Any),
    runner("search", Times::Any, Shape::Any),
    runner("host", Times::Any, Shape::Any),
    runner("resolver-option", Times::Any, Shape::Any),
    runner("listen-inside", Times::Any, Shape::Positive),
    monitor("runtime", Times::Once, Shape::Path),
    monitor("runtime-argument", Times::Any, Shape::Any),
    monitor("bundle", Times::Once, Shape::Path),
    monitor("root-mounter", Times::AtMostOnce, Shape::Any),
    monitor("uid-map", Times::Any, Shape::IdMap),
    monitor("gid-map", Times::Any, Shape::IdMap),
    monitor("hide-unified-cgroup", Times::Once, Shape::Flag),
    monitor("pty", Times::Once, Shape::Flag),
    monitor("cleanup", Times::Any, Shape::Any),
];

impl Shape {
    fn allows(self, value: &[u8]) -> bool {
        match self {
            Shape::Any => true,
            Shape::Id => value.len() == 64 && value.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')),
            Shape::Path => value.first() == Some(&b'/'),
            Shape::Flag => matches!(value, b"0" | b"1"),
            Shape::Number => decimal(value).is_some(),
            Shape::Positive => decimal(value).is_some_and(|number| number > 0),
            Shape::Digest => value
                .strip_prefix(b"sha256:")
                .is_some_and(|hex| Shape::Id.allows(hex)),
            Shape::Word(words) => words.contains(&value),
            Shape::Volume => Volume::parse(value).is_some(),
            Shape::Tmpfs => Tmpfs::parse(value).is_some(),
            Shape::Rlimit => Rlimit::parse(value).is_some(),
            Shape::IdMap => IdMap::parse(value).is_some(),
            Shape::Listener => Listener::parse(value).is_some(),
        }
    }
}

/// A plan that has passed every check; values are borrowed from the bytes it was parsed from.
#[derive(Clone, Copy)]
pub struct LaunchPlan<'a> {
    bytes: &'a [u8],
}

impl<'a> LaunchPlan<'a> {
    /// Checks `bytes` as the plan of `program`.
    pub fn parse(bytes: &'a [u8], program: Program) -> Result<LaunchPlan<'a>, PlanError> {
        if bytes.last() != Some(&0) || bytes.len() as u64 > MAX_BYTES {
            return Err(PlanError::Malformed);
        }
        let mut seen = [0u32; KEYS.len()];
        let mut pairs = Pairs { rest: bytes };
        match pairs.next() {
            Some((b"version", value)) if value.to_bytes() == VERSION => {}
            _ => return Err(PlanError::Version),
        }
        let mut pair_offset = bytes.len() - pairs.rest.len();
        for (name, value) in &mut pairs {
            let index = KEYS
                .iter()
                .position(|key| key.name.as_bytes() == name && key.times(program).is_some());
            let index = index.ok_or(PlanError::UnknownKey(pair_offset))?;
            if !KEYS[index].shape.allows(value.to_bytes()) {
                return Err(PlanError::Value(KEYS[index].name));
            }
            seen[index] += 1;
            pair_offset += name.len() + value.to_bytes().len() + 2;
        }
        if !pairs.rest.is_empty() {
            return Err(PlanError::Malformed);
        }
        for (key, count) in KEYS.iter().zip(seen) {
            match (key.times(program), count) {
                (Some(Times::Once | Times::AtLeastOnce), 0) => return Err(PlanError::Missing(key.name)),
                (Some(Times::Once | Times::AtMostOnce), 2..) => return Err(PlanError::Repeated(key.name)),
                _ => {}
            }
        }
        Ok(LaunchPlan { bytes })
    }

    /// All values of `key`, in order.
    pub fn all(&self, key: &'static str) -> impl Iterator<Item = &'a CStr> + Clone {
        // A misspelt key would read as absent for ever.
        debug_assert!(KEYS.iter().any(|known| known.name == key), "{key} is not a key");
        Pairs { rest: self.bytes }.filter_map(move |(name, value)| (name == key.as_bytes()).then_some(value))
    }

    /// The value of a key that stands at most once.
    pub fn optional(&self, key: &'static str) -> Option<&'a CStr> {
        self.all(key).next()
    }

    /// The value of a key that stands once (empty for one that does not, which `parse` has refused).
    pub fn one(&self, key: &'static str) -> &'a CStr {
        self.optional(key).unwrap_or_default()
    }

    /// A boolean key.
    pub fn flag(&self, key: &'static str) -> bool {
        self.one(key).to_bytes() == b"1"
    }

    /// A number.
    pub fn number(&self, key: &'static str) -> Option<u64> {
        decimal(self.optional(key)?.to_bytes())
    }

    /// The volumes, in order.
    pub fn volumes(&self) -> impl Iterator<Item = Volume<'a>> + Clone {
        self.all("volume")
            .filter_map(|value| Volume::parse(value.to_bytes()))
    }

    /// The tmpfs mounts, in order.
    pub fn tmpfs(&self) -> impl Iterator<Item = Tmpfs<'a>> + Clone {
        self.all("tmpfs")
            .filter_map(|value| Tmpfs::parse(value.to_bytes()))
    }

    /// The resource limits, in order.
    pub fn rlimits(&self) -> impl Iterator<Item = Rlimit<'a>> + Clone {
        self.all("rlimit")
            .filter_map(|value| Rlimit::parse(value.to_bytes()))
    }

    /// The listening sockets, in order.
    pub fn listeners(&self) -> impl Iterator<Item = Listener<'a>> + Clone {
        self.all("listen")
            .filter_map(|value| Listener::parse(value.to_bytes()))
    }

    /// The lines of `uid-map` or `gid-map`, in order.
    pub fn id_map(&self, key: &'static str) -> impl Iterator<Item = IdMap> + Clone + 'a {
        self.all(key).filter_map(|value| IdMap::parse(value.to_bytes()))
    }
}

impl Key {
    fn times(&self, program: Program) -> Option<Times> {
        match program {
            Program::Runner => self.runner,
            Program::Monitor => self.monitor,
        }
    }
}

/// The pairs of a plan; ends early where a NUL is missing, with what is left in `rest`.
#[derive(Clone)]
struct Pairs<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a CStr);

    fn next(&mut self) -> Option<Self::Item> {
        let key = CStr::from_bytes_until_nul(self.rest).ok()?;
        let after_key = self.rest.get(key.count_bytes() + 1..)?;
        let value = CStr::from_bytes_until_nul(after_key).ok()?;
        self.rest = after_key.get(value.count_bytes() + 1..)?;
        Some((key.to_bytes(), value))
    }
}

/// The plans of a file that may hold several, one after another: each begins with its `version`. They are not
/// checked yet; a file without a leading `version` is one plan, which `parse` refuses.
pub fn split(bytes: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    let mut rest = bytes;
    core::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (plan, after) = rest.split_at(first_plan_bytes(rest));
        rest = after;
        Some(plan)
    })
}

/// Where the second plan begins; the whole length where there is none.
fn first_plan_bytes(bytes: &[u8]) -> usize {
    let mut pairs = Pairs { rest: bytes };
    pairs.next();
    loop {
        let begin = bytes.len() - pairs.rest.len();
        match pairs.next() {
            Some((b"version", _)) => return begin,
            Some(_) => {}
            None => return bytes.len(),
        }
    }
}

/// A plan's memfd, mapped.
pub struct PlanFile {
    base: NonNull<u8>,
    length: usize,
}

impl PlanFile {
    /// Maps the sealed memfd `fd`, at the address `hint` where that is free (0: anywhere); closing the
    /// descriptor is the caller's business.
    ///
    /// Errors: [`PlanError::NotSealed`], [`PlanError::Malformed`] for the size, [`PlanError::System`].
    pub fn map(fd: i32, hint: usize) -> Result<PlanFile, PlanError> {
        let seals = files::seals(fd).map_err(|error| match error.0 {
            libc::EINVAL => PlanError::NotSealed,
            _ => PlanError::System(error),
        })?;
        if seals & SEALS != SEALS {
            return Err(PlanError::NotSealed);
        }
        let size = files::status(fd).map_err(PlanError::System)?.size_bytes;
        if size == 0 || size > MAX_BYTES {
            return Err(PlanError::Malformed);
        }
        let length = size as usize;
        let base = memory::map_read_only(fd, length, hint).map_err(PlanError::System)?;
        Ok(PlanFile { base, length })
    }

    /// The plan's bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `map` mapped `length` readable bytes, which the seals keep from changing or vanishing.
        unsafe { core::slice::from_raw_parts(self.base.as_ptr(), self.length) }
    }
}

impl Drop for PlanFile {
    fn drop(&mut self) {
        // SAFETY: the mapping of `map`; slices borrowed from `self` are gone.
        unsafe { memory::unmap(self.base, self.length) };
    }
}

/// `ro:` or `rw:`, `d:` or `f:`, 8 hex digits, `:`, source, `:`, target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Volume<'a> {
    pub read_only: bool,
    /// A directory (a preopen); else a file that is bound over the target.
    pub directory: bool,
    /// Absolute, on the host.
    pub source: &'a [u8],
    /// Absolute, in the guest.
    pub target: &'a [u8],
}

impl<'a> Volume<'a> {
    fn parse(value: &'a [u8]) -> Option<Self> {
        let (mode, rest) = (value.get(..3)?, value.get(3..)?);
        let (kind, rest) = (rest.get(..2)?, rest.get(2..)?);
        let (digits, rest) = (rest.get(..8)?, rest.get(8..)?);
        let mut length = 0usize;
        for &digit in digits {
            length = length * 16 + (digit as char).to_digit(16)? as usize;
        }
        let rest = rest.strip_prefix(b":")?;
        let (source, rest) = (rest.get(..length)?, rest.get(length..)?);
        let target = rest.strip_prefix(b":")?;
        let volume = Volume {
            read_only: match mode {
                b"ro:" => true,
                b"rw:" => false,
                _ => return None,
            },
            directory: match kind {
                b"d:" => true,
                b"f:" => false,
                _ => return None,
            },
            source,
            target,
        };
        (source.first() == Some(&b'/') && target.first() == Some(&b'/')).then_some(volume)
    }
}

/// `SIZE_BYTES:TARGET`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tmpfs<'a> {
    /// 0: the kernel's default.
    pub size_bytes: u64,
    /// Absolute, in the guest.
    pub target: &'a [u8],
}

impl<'a> Tmpfs<'a> {
    fn parse(value: &'a [u8]) -> Option<Self> {
        let colon = value.iter().position(|&byte| byte == b':')?;
        let target = &value[colon + 1..];
        (target.first() == Some(&b'/')).then_some(())?;
        Some(Tmpfs {
            size_bytes: decimal(&value[..colon])?,
            target,
        })
    }
}

/// `NAME:SOFT:HARD`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rlimit<'a> {
    /// As in setrlimit(2), lower case, without `rlimit_`.
    pub name: &'a [u8],
    /// `u64::MAX` is unlimited.
    pub soft: u64,
    /// As `soft`.
    pub hard: u64,
}

impl<'a> Rlimit<'a> {
    fn parse(value: &'a [u8]) -> Option<Self> {
        let mut fields = value.split(|&byte| byte == b':');
        let (name, soft, hard) = (fields.next()?, fields.next()?, fields.next()?);
        let limit = |text: &[u8]| {
            if text == b"-1" {
                Some(u64::MAX)
            } else {
                decimal(text)
            }
        };
        let named = !name.is_empty() && name.iter().all(u8::is_ascii_lowercase);
        (named && fields.next().is_none()).then_some(())?;
        Some(Rlimit {
            name,
            soft: limit(soft)?,
            hard: limit(hard)?,
        })
    }
}

/// `FD:NAME`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listener<'a> {
    /// A descriptor that was inherited.
    pub descriptor: i32,
    /// What the guest finds in LISTEN_FDNAMES (sd_listen_fds(3)).
    pub name: &'a [u8],
}

impl<'a> Listener<'a> {
    fn parse(value: &'a [u8]) -> Option<Self> {
        let colon = value.iter().position(|&byte| byte == b':')?;
        let (number, name) = (&value[..colon], &value[colon + 1..]);
        let descriptor = i32::try_from(decimal(number)?)
            .ok()
            .filter(|number| *number > 2)?;
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
        (!name.is_empty() && name.len() < 256 && name.iter().all(plain))
            .then_some(Listener { descriptor, name })
    }
}

/// `INSIDE:OUTSIDE:COUNT`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IdMap {
    pub inside: u32,
    pub outside: u32,
    pub count: u32,
}

impl IdMap {
    fn parse(value: &[u8]) -> Option<Self> {
        let mut fields = value
            .split(|&byte| byte == b':')
            .map(|field| decimal(field).and_then(|n| u32::try_from(n).ok()));
        let map = IdMap {
            inside: fields.next()??,
            outside: fields.next()??,
            count: fields.next()??,
        };
        (map.count > 0 && fields.next().is_none()).then_some(map)
    }
}

#[cfg(test)]
#[path = "launch_plan_tests.rs"]
mod tests;
