//! The feature that a refused module needs. The engine's own words ("invalid limits flags") do not tell.

use crate::names::Reader;

// Sections of the binary format, and those of proposals.
const TYPES: u8 = 1;
const IMPORTS: u8 = 2;
const TABLES: u8 = 4;
const MEMORIES: u8 = 5;
const TAGS: u8 = 13;
const STRINGS: u8 = 14;

const THREADS: &str = "threads (shared memory)";
const LONG_MEMORY: &str = "64-bit memories";
const SEVERAL_MEMORIES: &str = "several memories in one module";
const EXCEPTIONS: &str = "exception handling";
const COLLECTION: &str = "garbage collection";

/// Looks for a feature that the engine is built without. `None` where none is recognised: the module is broken.
pub(crate) fn missing(module: &[u8]) -> Option<&'static str> {
    let mut sections = Reader::new(module.get(8..)?);
    let mut memories = 0;
    while let Some(id) = sections.byte() {
        let mut body = Reader::new(sections.sized()?);
        let found = match id {
            TYPES => in_types(&mut body),
            IMPORTS => in_imports(&mut body, &mut memories),
            TABLES => None,
            MEMORIES => in_memories(&mut body, &mut memories),
            TAGS => Some(EXCEPTIONS),
            STRINGS => Some("strings (stringref)"),
            _ => None,
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

/// A type that is no function (0x60) is of a proposal: structs, arrays, recursion groups, subtypes.
fn in_types(body: &mut Reader<'_>) -> Option<&'static str> {
    let _count = body.u32()?;
    matches!(body.byte()?, 0x4e | 0x4f | 0x50 | 0x5e | 0x5f).then_some(COLLECTION)
}

fn in_imports(body: &mut Reader<'_>, memories: &mut u32) -> Option<&'static str> {
    for _ in 0..body.u32()? {
        body.sized()?;
        body.sized()?;
        match body.byte()? {
            0 => drop(body.u32()?),
            1 => {
                body.byte()?;
                let _ = limits(body)?;
            }
            2 => {
                if let Some(feature) = one_memory(body, memories)? {
                    return Some(feature);
                }
            }
            3 => {
                body.byte()?;
                body.byte()?;
            }
            4 => return Some(EXCEPTIONS),
            _ => return None,
        }
    }
    None
}

fn in_memories(body: &mut Reader<'_>, memories: &mut u32) -> Option<&'static str> {
    for _ in 0..body.u32()? {
        if let Some(feature) = one_memory(body, memories)? {
            return Some(feature);
        }
    }
    None
}

fn one_memory(body: &mut Reader<'_>, memories: &mut u32) -> Option<Option<&'static str>> {
    *memories += 1;
    let flags = limits(body)?;
    Some(match flags {
        _ if flags & 4 != 0 => Some(LONG_MEMORY),
        _ if flags & 2 != 0 => Some(THREADS),
        _ if *memories > 1 => Some(SEVERAL_MEMORIES),
        _ => None,
    })
}

/// Reads limits and gives their flags: 1 a maximum follows, 2 shared, 4 64-bit.
fn limits(body: &mut Reader<'_>) -> Option<u8> {
    let flags = body.byte()?;
    body.skip_number()?;
    if flags & 1 != 0 {
        body.skip_number()?;
    }
    Some(flags)
}
