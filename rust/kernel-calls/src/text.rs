//! Text of bounded length on the stack, for paths and messages where there is no heap.

use core::ffi::CStr;
use core::fmt;

/// Up to `N - 1` bytes and a NUL. What does not fit is cut off, and [`Text::is_cut`] tells.
#[derive(Clone)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
    length: usize,
    cut: bool,
}

impl<const N: usize> Text<N> {
    /// An empty text.
    pub const fn new() -> Self {
        Text {
            bytes: [0; N],
            length: 0,
            cut: false,
        }
    }

    /// The text of `format_args!(…)`.
    pub fn of(arguments: fmt::Arguments<'_>) -> Self {
        let mut text = Self::new();
        let _ = fmt::Write::write_fmt(&mut text, arguments);
        text
    }

    /// Appends bytes; a NUL ends the text as a C string sees it, so it is left out.
    pub fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == 0 {
                continue;
            }
            if self.length + 1 >= N {
                self.cut = true;
                return;
            }
            self.bytes[self.length] = byte;
            self.length += 1;
        }
    }

    /// The bytes without the NUL.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// As a C string.
    pub fn c_str(&self) -> &CStr {
        // `bytes[length]` is 0 always: `push` stops one short of the end and nothing shrinks.
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }

    /// Whether something did not fit.
    pub fn is_cut(&self) -> bool {
        self.cut
    }
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> fmt::Write for Text<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

/// The decimal number that `bytes` is, `None` where it is anything else or does not fit.
pub fn decimal(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    bytes.iter().try_fold(0u64, |sum, byte| {
        byte.is_ascii_digit().then_some(())?;
        sum.checked_mul(10)?.checked_add(u64::from(byte - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_and_stays_terminated() {
        let mut text = Text::<4>::new();
        text.push(b"ab\0cdef");
        assert_eq!(text.bytes(), b"abc");
        assert_eq!(text.c_str().to_bytes(), b"abc");
        assert!(text.is_cut());
    }

    #[test]
    fn decimals_are_strict() {
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        for bad in [&b""[..], b"18446744073709551616", b"+1", b"-1", b"1 ", b"0x1"] {
            assert_eq!(decimal(bad), None);
        }
    }
}
