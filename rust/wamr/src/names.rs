//! Names of functions, read from a module's `name` section when they are asked for (after a trap).
//!
//! The section follows the appendix "Custom Sections" of the specification. Broken names are no names: the
//! section has no bearing on what the module does.

/// The bytes of a module that are left to read. Every method gives `None` where they end too early.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(length)?;
        self.0 = tail;
        Some(head)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    /// An unsigned LEB128 number of at most 32 bits.
    pub(crate) fn u32(&mut self) -> Option<u32> {
        let mut value = 0u64;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).ok();
            }
        }
        None
    }

    /// Passes over a LEB128 number of any size.
    pub(crate) fn skip_number(&mut self) -> Option<()> {
        while self.byte()? & 0x80 != 0 {}
        Some(())
    }

    /// Bytes that follow their own length.
    pub(crate) fn sized(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()?;
        self.take(length as usize)
    }
}

/// The name of the function with this index (imports count first), if the module has one for it.
pub fn function_name(module: &[u8], index: u32) -> Option<String> {
    const CUSTOM_SECTION: u8 = 0;
    const FUNCTION_NAMES: u8 = 1;
    let mut sections = Reader(module.get(8..)?);
    while let Some(id) = sections.byte() {
        let mut body = Reader(sections.sized()?);
        if id != CUSTOM_SECTION || body.sized()? != b"name" {
            continue;
        }
        while let Some(id) = body.byte() {
            let subsection = Reader(body.sized()?);
            if id == FUNCTION_NAMES {
                return find(subsection, index);
            }
        }
    }
    None
}

/// The initial value of a module's first global where that is what compilers of C, C++ and Rust make of the stack
/// pointer: a mutable i32 that begins with a constant, the stack's upper end. Imports are the caller's to look at: the
/// engine overwrites their names' lengths in a loaded module.
pub fn stack_top(module: &[u8]) -> Option<u32> {
    const GLOBALS: u8 = 6;
    const I32: u8 = 0x7f;
    const MUTABLE: u8 = 1;
    const I32_CONST: u8 = 0x41;
    let mut sections = Reader(module.get(8..)?);
    while let Some(id) = sections.byte() {
        let mut body = Reader(sections.sized()?);
        if id != GLOBALS {
            continue;
        }
        body.u32()?;
        if body.byte()? != I32 || body.byte()? != MUTABLE || body.byte()? != I32_CONST {
            return None;
        }
        // A stack's end is a small positive number: the signed and the unsigned form are the same.
        return body.u32();
    }
    None
}

fn find(mut names: Reader<'_>, index: u32) -> Option<String> {
    for _ in 0..names.u32()? {
        let found = names.u32()?;
        let name = names.sized()?;
        if found == index {
            return Some(String::from_utf8_lossy(name).into_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module() -> Vec<u8> {
        let mut bytes = b"\0asm\x01\0\0\0".to_vec();
        bytes.extend(b"\0\x13\x04name\x01\x0c\x02\0\x03foo\x81\x00\x03bar");
        bytes
    }

    #[test]
    fn finds_names_by_index() {
        assert_eq!(function_name(&module(), 0).as_deref(), Some("foo"));
        assert_eq!(function_name(&module(), 1).as_deref(), Some("bar"));
        assert_eq!(function_name(&module(), 2), None);
    }

    #[test]
    fn the_stack_pointer_is_the_first_global() {
        let top = |text: &str| stack_top(&wat::parse_str(text).expect("the test's own text"));
        assert_eq!(top("(module (global (mut i32) (i32.const 66560)))"), Some(66560));
        assert_eq!(top("(module (global i32 (i32.const 66560)))"), None);
        assert_eq!(top("(module (global (mut i64) (i64.const 1)))"), None);
        assert_eq!(top("(module)"), None);
    }

    #[test]
    fn every_truncation_is_no_name() {
        let whole = module();
        for length in 0..whole.len() {
            assert_eq!(function_name(&whole[..length], 1), None);
        }
    }
}
