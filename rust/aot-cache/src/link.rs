//! Turns WAMR's AOT file into one that any number of processes execute from the same pages.
//!
//! # Theory of operation
//!
//! WAMR's loader copies the machine code of an AOT file into private memory and writes addresses into it; two
//! containers of one image then share nothing. Its other mode ("XIP", execute in place) leaves the code where it
//! is, but the compiler's side of that mode calls everything through tables and forbids jump tables and inlined
//! memory operations.
//!
//! Here the code is compiled as ordinary position-independent code, and linked when the cache file is written:
//!
//! * The object's data sections (`.rodata…`) move into the text section's *literal* part, the bytes before the
//!   code that WAMR's format allows for processors without immediates. The literal part is padded so that the
//!   code begins on a page boundary.
//! * All relocations are resolved. References within the code and to its constants are relative and need
//!   nothing but arithmetic. A call of an engine function goes to a stub behind the code, `jmp *slot(%rip)`; its
//!   slot lies in the one page after the file's last, which is private memory that the loader fills.
//! * The file says that it is to be executed in place and has no relocation section, so WAMR's loader neither
//!   copies nor writes nor changes the protection of anything in it.
//!
//! An absolute relocation cannot be resolved before the address is known and is refused; position-independent
//! x86-64 code in the small model has none.
//!
//! ```text
//! offset 0    header, names of imports                      read only
//!             AOT file: target, init data (data segments)
//!             text section: size, padding, constants
//! page        text section: code, stubs                     read, execute
//! page        function, export and custom sections          read only
//! page        slots (in the file a hole, or nothing)        private
//! page        pages of the linear memory, where the module has much data: not mapped here, but there
//! ```

use crate::object::{section, DataSection, Object, Relocation};
use crate::{LinkError, HEADER_BYTES, MAX_IMPORTS, PAGE_BYTES};

/// `e_type` of a file whose code is executed where it lies.
const EXECUTE_IN_PLACE: u16 = 4;
/// Where `e_type` stands in the target info section.
const FILE_TYPE_OFFSET: usize = 4;
/// Constants are aligned to a cache line: enough for the widest vector.
const DATA_ALIGNMENT: usize = 64;
/// `jmp *slot(%rip)` and padding.
const STUB_BYTES: usize = 16;
const SLOT_BYTES: usize = 8;
/// An instruction that traps, for the bytes between functions and pages.
const TRAP_INSTRUCTION: u8 = 0xcc;

const R_X86_64_PC32: u32 = 2;
const R_X86_64_PLT32: u32 = 4;
const R_X86_64_GOTPCREL: u32 = 9;
const R_X86_64_PC64: u32 = 24;
const R_X86_64_GOTPCRELX: u32 = 41;
const R_X86_64_REX_GOTPCRELX: u32 = 42;

/// A linked image: everything of a cache file behind its header, and where the parts lie in the file.
pub struct Image {
    /// Bytes from `HEADER_BYTES` on.
    pub content: Vec<u8>,
    pub import_count: u32,
    pub imports_bytes: u64,
    pub aot_offset: u64,
    pub aot_bytes: u64,
    pub text_offset: u64,
    pub text_bytes: u64,
    pub slots_offset: u64,
}

/// What a symbol stands for.
enum Target {
    /// A place in the image, by its offset in the file.
    Place(u64),
    /// A function of the engine, by its index among the imports.
    Import(usize),
}

/// Offsets in the file of everything that relocations refer to.
struct Layout {
    aot_offset: usize,
    /// Of the text section's body.
    text_body: usize,
    data: Vec<usize>,
    code: usize,
    stubs: usize,
    text_end: usize,
    slots: usize,
}

/// Links an AOT file as WAMR's compiler emits it. `object_data_offset` as in `Object::parse`.
pub fn link(aot_file: &[u8], object_data_offset: usize) -> Result<Image, LinkError> {
    let object = Object::parse(aot_file, object_data_offset)?;
    let imports = collect_imports(&object)?;
    let mut names = Vec::new();
    for import in &imports {
        names.extend_from_slice(import.as_bytes());
        names.push(0);
    }
    let tail = tail_sections(&object);
    let layout = plan(&object, names.len(), imports.len(), tail.len());
    let mut image = Builder {
        file: Vec::with_capacity(layout.slots),
    };
    image.file.resize(HEADER_BYTES, 0);
    image.file.extend_from_slice(&names);
    image.pad_to(layout.aot_offset, 0);
    image.head_sections(&object, &layout)?;
    image.text(&object, &layout);
    image.stubs(&layout, imports.len())?;
    image.pad_to(layout.text_end, TRAP_INSTRUCTION);
    image.file.extend_from_slice(&tail);
    relocate(&mut image.file, &object, &imports, &layout)?;
    let file_bytes = image.file.len();
    debug_assert_eq!(file_bytes.next_multiple_of(PAGE_BYTES), layout.slots);
    Ok(Image {
        content: image.file.split_off(HEADER_BYTES),
        import_count: u32::try_from(imports.len()).expect("at most MAX_IMPORTS"),
        imports_bytes: names.len() as u64,
        aot_offset: layout.aot_offset as u64,
        aot_bytes: (file_bytes - layout.aot_offset) as u64,
        text_offset: layout.code as u64,
        text_bytes: (layout.text_end - layout.code) as u64,
        slots_offset: layout.slots as u64,
    })
}

/// The sections behind the code, with their headers, as they are. A custom section without content stands for
/// the relocation section: WAMR's loader wants one of the two to be the last.
fn tail_sections(object: &Object<'_>) -> Vec<u8> {
    let mut tail = Vec::new();
    let kept = object.sections.iter();
    let kept = kept.filter(|s| matches!(s.kind, section::FUNCTION | section::EXPORT | section::CUSTOM));
    for part in kept {
        put_section(&mut tail, part.kind, part.body);
    }
    put_section(&mut tail, section::CUSTOM, &u32::MAX.to_le_bytes());
    tail
}

fn put_section(to: &mut Vec<u8>, kind: u32, body: &[u8]) {
    to.resize(to.len().next_multiple_of(4), 0);
    to.extend_from_slice(&kind.to_le_bytes());
    to.extend_from_slice(
        &u32::try_from(body.len())
            .expect("read from a 32-bit size")
            .to_le_bytes(),
    );
    to.extend_from_slice(body);
    to.resize(to.len().next_multiple_of(4), 0);
}

/// Symbols that are neither code nor data of the object: the engine's functions, in the order of their names.
fn collect_imports(object: &Object<'_>) -> Result<Vec<String>, LinkError> {
    let mut imports: Vec<String> = Vec::new();
    for relocation in object.relocations.iter().flat_map(|group| &group.relocations) {
        let name = &relocation.symbol;
        if function_index(name).is_some()
            || is_text(name)
            || object.data_sections.iter().any(|d| &d.name == name)
        {
            continue;
        }
        if name.is_empty() || name.starts_with('.') || name.contains('\0') {
            return Err(LinkError::Symbol(name.clone()));
        }
        if let Err(position) = imports.binary_search(name) {
            imports.insert(position, name.clone());
        }
    }
    if imports.len() > MAX_IMPORTS as usize {
        return Err(LinkError::Malformed("it calls too many functions of the engine"));
    }
    Ok(imports)
}

fn function_index(symbol: &str) -> Option<usize> {
    symbol.strip_prefix("aot_func#")?.parse().ok()
}

fn is_text(symbol: &str) -> bool {
    matches!(symbol, ".text" | ".ltext")
}

fn plan(object: &Object<'_>, names_bytes: usize, import_count: usize, tail_bytes: usize) -> Layout {
    let aot_offset = (HEADER_BYTES + names_bytes).next_multiple_of(16);
    let target_info = object.sections.first().map_or(0, |first| first.body.len());
    // magic and version, then two whole sections, then this one's type and size
    let text_body = aot_offset
        + 8
        + (8 + target_info).next_multiple_of(4)
        + (8 + object.init_data.len() + 4).next_multiple_of(4)
        + 8;
    let mut position = text_body + 4;
    let mut data = Vec::new();
    for part in &object.data_sections {
        position = position.next_multiple_of(DATA_ALIGNMENT);
        data.push(position);
        position += part.bytes.len();
    }
    let code = position.next_multiple_of(PAGE_BYTES);
    let stubs = (code + object.code.len()).next_multiple_of(STUB_BYTES);
    let text_end = (stubs + import_count * STUB_BYTES).next_multiple_of(PAGE_BYTES);
    let slots = (text_end + tail_bytes).next_multiple_of(PAGE_BYTES);
    Layout {
        aot_offset,
        text_body,
        data,
        code,
        stubs,
        text_end,
        slots,
    }
}

struct Builder {
    file: Vec<u8>,
}

impl Builder {
    fn pad_to(&mut self, offset: usize, with: u8) {
        debug_assert!(self.file.len() <= offset);
        self.file.resize(offset, with);
    }

    fn u32(&mut self, value: usize) -> Result<(), LinkError> {
        let value = u32::try_from(value).map_err(|_| LinkError::Malformed("it is larger than 4 GiB"))?;
        self.file.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }

    /// Everything before the text section's body.
    fn head_sections(&mut self, object: &Object<'_>, layout: &Layout) -> Result<(), LinkError> {
        self.file.extend_from_slice(b"\0aot");
        self.file
            .extend_from_slice(&crate::AOT_FILE_VERSION.to_le_bytes());
        let info = object
            .sections
            .first()
            .filter(|first| first.kind == section::TARGET_INFO);
        let info = info.ok_or(LinkError::Malformed("it does not begin with its target"))?;
        let mut target = info.body.to_vec();
        let file_type = target.get_mut(FILE_TYPE_OFFSET..FILE_TYPE_OFFSET + 2);
        file_type
            .ok_or(LinkError::Malformed("its target is incomplete"))?
            .copy_from_slice(&EXECUTE_IN_PLACE.to_le_bytes());
        // The whole file begins at a multiple of 8, so do the sections: alignment within them is kept.
        put_section(&mut self.file, section::TARGET_INFO, &target);
        let mut init_data = object.init_data.to_vec();
        init_data.extend_from_slice(&0u32.to_le_bytes());
        put_section(&mut self.file, section::INIT_DATA, &init_data);
        self.u32(section::TEXT as usize)?;
        self.u32(layout.text_end - layout.text_body)?;
        debug_assert_eq!(self.file.len(), layout.text_body);
        // the size of the literal part, which ends where the code begins
        self.u32(layout.code - layout.text_body - 4)
    }

    fn text(&mut self, object: &Object<'_>, layout: &Layout) {
        for (DataSection { bytes, .. }, offset) in object.data_sections.iter().zip(&layout.data) {
            self.pad_to(*offset, 0);
            self.file.extend_from_slice(bytes);
        }
        self.pad_to(layout.code, 0);
        self.file.extend_from_slice(object.code);
        self.pad_to(layout.stubs, TRAP_INSTRUCTION);
    }

    fn stubs(&mut self, layout: &Layout, import_count: usize) -> Result<(), LinkError> {
        const JUMP_BYTES: usize = 6;
        for index in 0..import_count {
            let slot = layout.slots + index * SLOT_BYTES;
            let stub = layout.stubs + index * STUB_BYTES;
            self.file.extend_from_slice(&[0xff, 0x25]);
            self.u32(slot - (stub + JUMP_BYTES))?;
            self.pad_to(stub + STUB_BYTES, TRAP_INSTRUCTION);
        }
        Ok(())
    }
}

fn relocate(
    file: &mut [u8],
    object: &Object<'_>,
    imports: &[String],
    layout: &Layout,
) -> Result<(), LinkError> {
    for group in &object.relocations {
        let name = group
            .section
            .strip_prefix(".rela")
            .ok_or_else(|| LinkError::Symbol(group.section.clone()))?;
        let (start, size) = if is_text(name) {
            (layout.code, object.code.len())
        } else {
            let index = object.data_sections.iter().position(|data| data.name == name);
            let index = index.ok_or_else(|| LinkError::Symbol(group.section.clone()))?;
            (layout.data[index], object.data_sections[index].bytes.len())
        };
        for relocation in &group.relocations {
            let target = resolve(&relocation.symbol, object, imports, layout)?;
            let field = &mut file[start..start + size];
            apply(field, start as u64, relocation, &target, layout)?;
        }
    }
    Ok(())
}

fn resolve(
    symbol: &str,
    object: &Object<'_>,
    imports: &[String],
    layout: &Layout,
) -> Result<Target, LinkError> {
    if let Some(index) = function_index(symbol) {
        let offset = object
            .functions
            .get(index)
            .filter(|offset| **offset < object.code.len() as u64);
        let offset = offset.ok_or_else(|| LinkError::Symbol(symbol.to_owned()))?;
        return Ok(Target::Place(layout.code as u64 + offset));
    }
    if is_text(symbol) {
        return Ok(Target::Place(layout.code as u64));
    }
    if let Some(index) = object.data_sections.iter().position(|data| data.name == symbol) {
        return Ok(Target::Place(layout.data[index] as u64));
    }
    let index = imports.binary_search_by(|import| import.as_str().cmp(symbol));
    index
        .map(Target::Import)
        .map_err(|_| LinkError::Symbol(symbol.to_owned()))
}

/// Writes one relocation's value into its section, whose first byte lies at `start` in the image.
fn apply(
    section: &mut [u8],
    start: u64,
    relocation: &Relocation,
    target: &Target,
    layout: &Layout,
) -> Result<(), LinkError> {
    let out_of_range = || LinkError::OutOfRange(relocation.symbol.clone());
    let offset = usize::try_from(relocation.offset).map_err(|_| out_of_range())?;
    let stub = |index: usize| (layout.stubs + index * STUB_BYTES) as u64;
    let slot = |index: usize| (layout.slots + index * SLOT_BYTES) as u64;
    let address = match (relocation.kind, target) {
        (R_X86_64_PC32 | R_X86_64_PLT32 | R_X86_64_PC64, Target::Place(place)) => *place,
        (R_X86_64_PC32 | R_X86_64_PLT32, Target::Import(index)) => stub(*index),
        (R_X86_64_GOTPCREL | R_X86_64_GOTPCRELX | R_X86_64_REX_GOTPCRELX, Target::Import(index)) => {
            slot(*index)
        }
        (R_X86_64_GOTPCRELX | R_X86_64_REX_GOTPCRELX, Target::Place(place)) => {
            relax_load(section, offset).ok_or(LinkError::Relocation(relocation.kind))?;
            *place
        }
        (kind, _) => return Err(LinkError::Relocation(kind)),
    };
    let value = address
        .wrapping_add_signed(relocation.addend)
        .wrapping_sub(start + relocation.offset) as i64;
    let (bytes, size) = if relocation.kind == R_X86_64_PC64 {
        (value.to_le_bytes(), 8)
    } else {
        let narrow = i32::try_from(value).map_err(|_| out_of_range())?;
        (i64::from(narrow).to_le_bytes(), 4)
    };
    let field = offset
        .checked_add(size)
        .and_then(|end| section.get_mut(offset..end));
    field.ok_or_else(out_of_range)?.copy_from_slice(&bytes[..size]);
    Ok(())
}

/// Makes `mov slot(%rip), %reg` a `lea place(%rip), %reg`: a place in the image needs no slot. The field begins
/// two bytes after the opcode.
fn relax_load(section: &mut [u8], field: usize) -> Option<()> {
    const MOV: u8 = 0x8b;
    const LEA: u8 = 0x8d;
    let opcode = section.get_mut(field.checked_sub(2)?)?;
    if *opcode != MOV {
        return None;
    }
    *opcode = LEA;
    Some(())
}
