//! Reads the AOT file that WAMR's compiler emits: its sections, the object's data sections and the relocations.
//!
//! Only what linking needs is understood; everything else is carried over as bytes. The format is that of
//! `core/iwasm/compilation/aot_emit_aot_file.c`: integers are aligned to their size (64-bit ones to 4), relative
//! to the file, and strings are a 16-bit length with the terminating NUL counted in.

use crate::LinkError;

/// Section types of WAMR's AOT files.
pub mod section {
    pub const TARGET_INFO: u32 = 0;
    pub const INIT_DATA: u32 = 1;
    pub const TEXT: u32 = 2;
    pub const FUNCTION: u32 = 3;
    pub const EXPORT: u32 = 4;
    pub const RELOCATION: u32 = 5;
    pub const CUSTOM: u32 = 100;
}

/// A position in the AOT file; every read is checked against the end of the range it was made for.
struct Cursor<'a> {
    file: &'a [u8],
    position: usize,
    end: usize,
}

impl<'a> Cursor<'a> {
    fn align(&mut self, alignment: usize) {
        self.position = self.position.next_multiple_of(alignment);
    }

    fn bytes(&mut self, size: usize) -> Result<&'a [u8], LinkError> {
        let end = self.position.checked_add(size).filter(|end| *end <= self.end);
        let end = end.ok_or(LinkError::Malformed("a part of it reaches beyond its section"))?;
        let bytes = &self.file[self.position..end];
        self.position = end;
        Ok(bytes)
    }

    fn u16(&mut self) -> Result<u16, LinkError> {
        self.align(2);
        Ok(u16::from_le_bytes(self.bytes(2)?.try_into().expect("2 bytes")))
    }

    fn u32(&mut self) -> Result<u32, LinkError> {
        self.align(4);
        Ok(u32::from_le_bytes(self.bytes(4)?.try_into().expect("4 bytes")))
    }

    fn u64(&mut self) -> Result<u64, LinkError> {
        self.align(4);
        Ok(u64::from_le_bytes(self.bytes(8)?.try_into().expect("8 bytes")))
    }

    fn string(&mut self) -> Result<String, LinkError> {
        let length = self.u16()?;
        let bytes = self.bytes(usize::from(length))?;
        let text = bytes.strip_suffix(b"\0").unwrap_or(bytes);
        String::from_utf8(text.to_vec()).map_err(|_| LinkError::Malformed("a name in it is not UTF-8"))
    }
}

/// One section as it stands in the file.
#[derive(Clone, Copy)]
pub struct Section<'a> {
    pub kind: u32,
    /// Offset of the body in the file.
    pub offset: usize,
    pub body: &'a [u8],
}

/// A data section of the object that LLVM made (`.rodata…`).
pub struct DataSection<'a> {
    pub name: String,
    pub bytes: &'a [u8],
}

/// One relocation, in the section that its group names.
pub struct Relocation {
    /// Offset in the section.
    pub offset: u64,
    pub addend: i64,
    /// `R_X86_64_…`
    pub kind: u32,
    pub symbol: String,
}

/// Relocations of one section.
pub struct RelocationGroup {
    /// `.rela.text` and the like.
    pub section: String,
    pub relocations: Vec<Relocation>,
}

/// A whole AOT file, parsed.
pub struct Object<'a> {
    pub sections: Vec<Section<'a>>,
    /// Bytes of the init data section before the count of data sections.
    pub init_data: &'a [u8],
    pub data_sections: Vec<DataSection<'a>>,
    pub code: &'a [u8],
    /// Offset in the code of each function.
    pub functions: Vec<u64>,
    pub relocations: Vec<RelocationGroup>,
}

impl<'a> Object<'a> {
    /// Parses `file`. `object_data_offset` is where the count of data sections stands, 0 for none (the format
    /// has no way to find it but to parse all the wasm metadata before it; WAMR's loader knows).
    pub fn parse(file: &'a [u8], object_data_offset: usize) -> Result<Self, LinkError> {
        let sections = parse_sections(file)?;
        let find = |kind: u32| {
            let mut found = sections.iter().filter(|section| section.kind == kind);
            found
                .next()
                .copied()
                .ok_or(LinkError::Malformed("a section is missing"))
        };
        let init = find(section::INIT_DATA)?;
        let data_start = if object_data_offset == 0 {
            init.body.len().checked_sub(4)
        } else {
            object_data_offset
                .checked_sub(init.offset)
                .filter(|start| *start < init.body.len())
        };
        let data_start = data_start.ok_or(LinkError::Malformed(
            "its data sections are not where they should be",
        ))?;
        Ok(Object {
            init_data: &init.body[..data_start],
            data_sections: parse_data_sections(file, init, init.offset + data_start)?,
            code: parse_code(find(section::TEXT)?)?,
            functions: parse_functions(file, find(section::FUNCTION)?)?,
            relocations: parse_relocations(file, find(section::RELOCATION)?)?,
            sections,
        })
    }
}

fn parse_sections(file: &[u8]) -> Result<Vec<Section<'_>>, LinkError> {
    if file.len() < 8 || &file[..4] != b"\0aot" {
        return Err(LinkError::Malformed("it is not an AOT file"));
    }
    let mut cursor = Cursor {
        file,
        position: 8,
        end: file.len(),
    };
    let mut sections = Vec::new();
    while cursor.position < file.len() {
        let kind = cursor.u32()?;
        let size = cursor.u32()?;
        let offset = cursor.position;
        sections.push(Section {
            kind,
            offset,
            body: cursor.bytes(size as usize)?,
        });
    }
    Ok(sections)
}

fn parse_data_sections<'a>(
    file: &'a [u8],
    init: Section<'a>,
    start: usize,
) -> Result<Vec<DataSection<'a>>, LinkError> {
    let end = init.offset + init.body.len();
    let mut cursor = Cursor {
        file,
        position: start,
        end,
    };
    let count = cursor.u32()?;
    let mut data_sections = Vec::new();
    for _ in 0..count {
        let name = cursor.string()?;
        let size = cursor.u32()?;
        data_sections.push(DataSection {
            name,
            bytes: cursor.bytes(size as usize)?,
        });
    }
    if cursor.position != end {
        return Err(LinkError::Malformed(
            "its data sections do not end where they should",
        ));
    }
    Ok(data_sections)
}

fn parse_code(text: Section<'_>) -> Result<&[u8], LinkError> {
    let (size, code) = text
        .body
        .split_at_checked(4)
        .ok_or(LinkError::Malformed("it has no code"))?;
    if size != [0; 4] {
        // Only processors without 32-bit immediates have literals; x86-64 is the one target here.
        return Err(LinkError::Malformed("it has a literal section"));
    }
    Ok(code)
}

fn parse_functions(file: &[u8], functions: Section<'_>) -> Result<Vec<u64>, LinkError> {
    // Per function: 64-bit offset, type index, and the sizes of locals and operand stack.
    const ENTRY_BYTES: usize = 8 + 4 + 4 + 4;
    if functions.body.len() % ENTRY_BYTES != 0 {
        return Err(LinkError::Malformed("its function section has an odd size"));
    }
    let end = functions.offset + functions.body.len();
    let mut cursor = Cursor {
        file,
        position: functions.offset,
        end,
    };
    (0..functions.body.len() / ENTRY_BYTES)
        .map(|_| cursor.u64())
        .collect()
}

fn parse_relocations(file: &[u8], relocation: Section<'_>) -> Result<Vec<RelocationGroup>, LinkError> {
    let end = relocation.offset + relocation.body.len();
    let mut cursor = Cursor {
        file,
        position: relocation.offset,
        end,
    };
    let symbol_count = cursor.u32()?;
    let mut symbol_offsets = Vec::new();
    for _ in 0..symbol_count {
        symbol_offsets.push(cursor.u32()? as usize);
    }
    let names_bytes = cursor.u32()? as usize;
    let names_start = cursor.position;
    let _ = cursor.bytes(names_bytes)?;
    let mut symbols = Vec::with_capacity(symbol_offsets.len());
    for offset in symbol_offsets {
        let position = names_start
            .checked_add(offset)
            .ok_or(LinkError::Malformed("a symbol is out of range"))?;
        symbols.push(
            Cursor {
                file,
                position,
                end: names_start + names_bytes,
            }
            .string()?,
        );
    }
    let symbol = |index: u32| {
        symbols
            .get(index as usize)
            .cloned()
            .ok_or(LinkError::Malformed("a symbol's number is out of range"))
    };
    let mut groups = Vec::new();
    for _ in 0..cursor.u32()? {
        let section = symbol(cursor.u32()?)?;
        let mut relocations = Vec::new();
        for _ in 0..cursor.u32()? {
            let offset = cursor.u64()?;
            let addend = cursor.u64()? as i64;
            let kind = cursor.u32()?;
            relocations.push(Relocation {
                offset,
                addend,
                kind,
                symbol: symbol(cursor.u32()?)?,
            });
        }
        groups.push(RelocationGroup { section, relocations });
    }
    Ok(groups)
}
