//! What a file is that was given as a module, and what the engine's refusal of one means.

use std::fmt;

use crate::LoadError;

/// What bytes are, told from their beginning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Content {
    /// A core WebAssembly module, version 1 (nothing but the header has been looked at).
    Module,
    /// A component (WASI 0.2): the same magic, another layer.
    Component,
    /// The magic with a version nobody knows.
    OtherVersion(u32),
    /// A module in the engine's own compiled form; never accepted from outside.
    Compiled,
    /// An ELF program or library.
    Elf,
    /// WebAssembly's text format.
    Text,
    /// A script with an interpreter line.
    Script,
    /// No bytes.
    Empty,
    /// Fewer bytes than a header, but the beginning of one.
    Truncated,
    /// Anything else.
    Unknown,
}

impl fmt::Display for Content {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Content::Module => out.write_str("a WebAssembly module"),
            Content::Component => out.write_str("a WASI 0.2 component, which needs an engine for components"),
            Content::OtherVersion(version) => write!(out, "WebAssembly of the unknown version {version}"),
            Content::Compiled => out.write_str("a compiled (AOT) file, which is never run from an image"),
            Content::Elf => out.write_str("an ELF program"),
            Content::Text => out.write_str("the WebAssembly text format, which must be assembled first"),
            Content::Script => out.write_str("a script"),
            Content::Empty => out.write_str("an empty file"),
            Content::Truncated => out.write_str("a truncated file"),
            Content::Unknown => out.write_str("no WebAssembly header"),
        }
    }
}

const HEADER_BYTES: usize = 8;

/// Tells from the first bytes what a file is.
pub fn recognise(bytes: &[u8]) -> Content {
    if bytes.is_empty() {
        return Content::Empty;
    }
    if let Some(header) = bytes.first_chunk::<HEADER_BYTES>() {
        if header.starts_with(b"\0asm") {
            let version = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
            return match version {
                1 => Content::Module,
                // The upper half is the layer: 0 for modules, 1 for components.
                v if v >> 16 == 1 => Content::Component,
                v => Content::OtherVersion(v),
            };
        }
    } else if b"\0asm\x01\0\0\0".starts_with(bytes) {
        return Content::Truncated;
    }
    if bytes.starts_with(b"\0aot") {
        return Content::Compiled;
    }
    if bytes.starts_with(b"\x7fELF") {
        return Content::Elf;
    }
    if bytes.starts_with(b"#!") {
        return Content::Script;
    }
    let text = bytes[..bytes.len().min(256)].trim_ascii_start();
    if text.starts_with(b"(module") || text.starts_with(b";;") || text.starts_with(b"(;") {
        return Content::Text;
    }
    Content::Unknown
}

/// Opcodes (or their first bytes) of proposals outside the engine's build, as its messages end.
const OPCODES: &[(&str, &str)] = &[
    ("fe", "threads (atomic operations)"),
    ("fb", "garbage collection"),
    ("06", "exception handling"),
    ("07", "exception handling"),
    ("08", "exception handling"),
    ("09", "exception handling"),
    ("0a", "exception handling"),
    ("18", "exception handling"),
    ("19", "exception handling"),
    ("1f", "exception handling"),
    ("14", "typed function references"),
    ("15", "typed function references"),
];

/// The meaning of the engine's reason for refusing a module.
pub(crate) fn load_error(reason: &str, module: &[u8]) -> LoadError {
    let opcode = reason
        .split_once("unsupported opcode ")
        .map(|(_, code)| code.trim());
    let by_opcode = opcode.and_then(|code| OPCODES.iter().find(|(known, _)| *known == code));
    match by_opcode
        .map(|(_, feature)| *feature)
        .or_else(|| crate::features::missing(module))
    {
        Some(feature) => LoadError::Unsupported(feature.into()),
        None => LoadError::Malformed(reason.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_a_file_is() {
        assert_eq!(recognise(b"\0asm\x01\0\0\0rest"), Content::Module);
        assert_eq!(recognise(b"\0asm\x0d\0\x01\0"), Content::Component);
        assert_eq!(recognise(b"\0asm\x02\0\0\0"), Content::OtherVersion(2));
        assert_eq!(recognise(b"\0asm\x01"), Content::Truncated);
        assert_eq!(recognise(b""), Content::Empty);
        assert_eq!(recognise(b"\x7fELF\x02\x01\x01\0"), Content::Elf);
        assert_eq!(recognise(b"\0aot\x05\0\0\0"), Content::Compiled);
        assert_eq!(recognise(b"  ;; hi\n(module)"), Content::Text);
        assert_eq!(recognise(b"#!/bin/sh\n"), Content::Script);
        assert_eq!(recognise(b"x"), Content::Unknown);
    }
}
