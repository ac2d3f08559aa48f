//! The kernel's account of the mappings of a process, proc_pid_smaps(5), and the parts that wpod divides it into
//! (docs/memory.md). `wpod/sampling/mappings.py` does the same for processes that are looked at one by one.

use formats::meter::Parts;

pub const KIBIBYTE: u64 = 1024;

/// A range of addresses: the linear memory of a wasm guest, empty where there is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Region {
    pub start: u64,
    pub bytes: u64,
}

impl Region {
    fn holds(self, address: u64) -> bool {
        address >= self.start && address - self.start < self.bytes
    }
}

/// Pss, Pss_File and SwapPss of a smaps_rollup, in kilobytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sums {
    pub share: u64,
    pub files: u64,
    pub swap: u64,
}

impl Sums {
    /// `None` where the process has ended.
    pub fn of(rollup: &[u8]) -> Option<Sums> {
        Some(Sums {
            share: field(rollup, b"\nPss:")?,
            files: field(rollup, b"\nPss_File:").unwrap_or(0),
            swap: field(rollup, b"\nSwapPss:").unwrap_or(0),
        })
    }
}

/// What one mapping tells.
#[derive(Default)]
struct Mapping {
    start: u64,
    bytes: u64,
    readable: bool,
    executable: bool,
    share: u64,
    private: u64,
    anonymous: u64,
}

/// The parts of a process. The sum is the rollup's: Pss of a single mapping is cut to whole kilobytes.
pub fn divide(smaps: &[u8], whole: Sums, linear: Region) -> Parts {
    let mut parts = Parts::default();
    let mut mapping = Mapping::default();
    for line in smaps.split(|&byte| byte == b'\n') {
        // A field begins with a capital letter, a mapping with its address.
        match line.first() {
            Some(b'A'..=b'Z') => mapping.take(line),
            Some(_) => {
                mapping.add_to(&mut parts, linear);
                mapping = Mapping::of(line);
            }
            None => {}
        }
    }
    mapping.add_to(&mut parts, linear);
    let told = parts.own + parts.linear + parts.code;
    Parts {
        own: parts.own * KIBIBYTE,
        linear: parts.linear * KIBIBYTE,
        code: parts.code * KIBIBYTE,
        shared: whole.share.saturating_sub(told) * KIBIBYTE,
        swap: whole.swap * KIBIBYTE,
        linear_size: parts.linear_size,
        file_pages: whole.files * KIBIBYTE,
    }
}

impl Mapping {
    /// Kilobytes, but the size of the linear memory.
    fn add_to(&self, parts: &mut Parts, linear: Region) {
        let in_linear = linear.holds(self.start);
        // The state file is told of growth at the guest's next call to the system; the mappings know it at once.
        if in_linear && self.readable {
            parts.linear_size += self.bytes;
        }
        if self.share == 0 {
            return;
        }
        if self.executable {
            parts.code += self.share;
            return;
        }
        // Private pages of a mapped file are the page cache's; what was written to them is anonymous.
        let private = self.anonymous.min(self.private);
        if private > 0 && in_linear {
            parts.linear += private;
        } else {
            parts.own += private;
        }
    }

    /// Of the line `START-END PERMISSIONS OFFSET DEVICE INODE PATH`.
    fn of(line: &[u8]) -> Mapping {
        let text = line.get(..line.len().min(64)).unwrap_or_default();
        let text = String::from_utf8_lossy(text); // the path may be anything, what is before it is ASCII
        let mut words = text.split(' ');
        let (start, end) = words
            .next()
            .and_then(|range| range.split_once('-'))
            .unwrap_or(("0", "0"));
        let number = |digits| u64::from_str_radix(digits, 16).unwrap_or(0);
        let permissions = words.next().unwrap_or_default().as_bytes();
        Mapping {
            start: number(start),
            bytes: number(end).saturating_sub(number(start)),
            readable: permissions.first() == Some(&b'r'),
            executable: permissions.get(2) == Some(&b'x'),
            ..Mapping::default()
        }
    }

    fn take(&mut self, line: &[u8]) {
        if let Some(rest) = line.strip_prefix(b"Pss:") {
            self.share = decimal(rest);
        } else if let Some(rest) = line
            .strip_prefix(b"Private_Clean:")
            .or_else(|| line.strip_prefix(b"Private_Dirty:"))
        {
            self.private += decimal(rest);
        } else if let Some(rest) = line.strip_prefix(b"Anonymous:") {
            self.anonymous = decimal(rest);
        }
    }
}

/// The number after a name that begins a line, in the file's own unit.
pub fn field(text: &[u8], name: &[u8]) -> Option<u64> {
    let at = text.windows(name.len()).position(|window| window == name)?;
    Some(decimal(text.get(at + name.len()..)?))
}

/// The number that a text begins with, after blanks; the rest counts for nothing. 0 where there is none.
fn decimal(text: &[u8]) -> u64 {
    let digits = text.trim_ascii_start();
    let end = digits
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(digits.len());
    kernel_calls::text::decimal(&digits[..end]).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &[u8] = b"\
00400000-00410000 r-xp 00001000 08:01 77 /usr/bin/Pss: 9 kB
Size:                 64 kB
Rss:                  60 kB
Pss:                  20 kB
Pss_Dirty:             4 kB
Shared_Clean:         56 kB
Shared_Dirty:          0 kB
Private_Clean:         0 kB
Private_Dirty:         4 kB
Referenced:           60 kB
Anonymous:             4 kB
VmFlags: rd ex mr mw me
10000000-10020000 rw-p 00000000 00:00 0
Pss:                 100 kB
Private_Clean:         0 kB
Private_Dirty:       100 kB
Anonymous:           100 kB
10020000-20000000 ---p 00000000 00:00 0
Pss:                   0 kB
7f0000000000-7f0000002000 r--p 00000000 08:01 78 /lib/x.so
Pss:                   8 kB
Private_Clean:         8 kB
Private_Dirty:         0 kB
Anonymous:             0 kB
7ffc00000000-7ffc00003000 rw-p 00000000 00:00 0 [stack]
Pss:                  12 kB
Private_Dirty:        12 kB
Anonymous:            12 kB
";
    const ROLLUP: &[u8] = b"00400000-7ffc00003000 ---p 00000000 00:00 0 [rollup]
Rss:                 180 kB
Pss:                 141 kB
Pss_Dirty:           116 kB
Pss_Anon:            116 kB
Pss_File:             25 kB
SwapPss:               3 kB
";

    const NOTHING_BUT_SHARE: Sums = Sums {
        share: 141,
        files: 0,
        swap: 0,
    };

    #[test]
    fn a_process_is_divided() {
        let whole = Sums::of(ROLLUP).unwrap();
        let expected = Sums {
            share: 141,
            files: 25,
            swap: 3,
        };
        assert_eq!(whole, expected);
        let region = Region {
            start: 0x1000_0000,
            bytes: 0x1000_0000,
        };
        let parts = divide(SMAPS, whole, region);
        assert_eq!(
            parts,
            Parts {
                own: 12 * KIBIBYTE,
                linear: 100 * KIBIBYTE,
                code: 20 * KIBIBYTE,
                shared: 9 * KIBIBYTE,
                swap: 3 * KIBIBYTE,
                linear_size: 0x20000,
                file_pages: 25 * KIBIBYTE,
            }
        );
    }

    #[test]
    fn without_a_region_nothing_is_linear() {
        let parts = divide(SMAPS, NOTHING_BUT_SHARE, Region { start: 0, bytes: 0 });
        assert_eq!(
            (parts.linear, parts.linear_size, parts.own),
            (0, 0, 112 * KIBIBYTE)
        );
    }

    #[test]
    fn an_ended_process_has_no_sums() {
        assert_eq!(Sums::of(b""), None);
        assert_eq!(field(b"Name:\tx\nVmPTE:\t     44 kB\n", b"\nVmPTE:"), Some(44));
        assert_eq!(field(b"Name:\tx\n", b"\nVmPTE:"), None);
    }

    #[test]
    fn any_bytes_are_taken() {
        for text in [
            &b"-"[..],
            b"\xff\xff",
            b"zz-yy r",
            b"Pss:",
            b"Anonymous: 99999999999999999999999 kB\n",
        ] {
            divide(text, NOTHING_BUT_SHARE, Region { start: 0, bytes: 0 });
        }
    }
}
