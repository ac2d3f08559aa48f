//! Prepares a WASI command so that loading and instantiating it runs none of its code.
//!
//! Instantiating runs a module's `start` function, and the engine runs exports of the names
//! `__wasm_call_ctors` and `__post_instantiate` as well. A container's guest must not run before the container is
//! open and confined. So a module that has any of these is rewritten in memory: `start` becomes one more export,
//! which the caller calls when the time has come, and the other two get names that the engine does not know (a
//! command's `_start` calls its constructors itself). Most modules have none of them and stay as they are.

use crate::names::Reader;

/// The export that the `start` function becomes.
pub const START_EXPORT: &str = "wpod:start";

const EXPORTS: u8 = 7;
const START: u8 = 8;
const FUNCTION: u8 = 0;
const RUN_BY_THE_ENGINE: [&[u8]; 2] = [b"__wasm_call_ctors", b"__post_instantiate"];

/// The rewritten module. `None` where nothing is to be done, or where the module is too broken to tell, which
/// loading it finds out.
pub fn defer_start(module: &[u8]) -> Option<Vec<u8>> {
    let header = module.get(..8)?;
    let mut sections: Vec<(u8, &[u8])> = Vec::new();
    let mut reader = Reader::new(&module[8..]);
    while let Some(id) = reader.byte() {
        sections.push((id, reader.sized()?));
    }
    let start = match sections.iter().find(|(id, _)| *id == START) {
        Some((_, body)) => Some(Reader::new(body).u32()?),
        None => None,
    };
    let exports = sections
        .iter()
        .find(|(id, _)| *id == EXPORTS)
        .map(|(_, body)| *body);
    let renames =
        exports.is_some_and(|body| export_names(body).any(|name| RUN_BY_THE_ENGINE.contains(&name)));
    if start.is_none() && !renames {
        return None;
    }
    let new_exports = rewrite_exports(exports.unwrap_or(&[0]), start)?;
    let mut rewritten = header.to_vec();
    for (id, body) in sections {
        match id {
            EXPORTS => put_section(&mut rewritten, EXPORTS, &new_exports),
            // Sections are ordered: exports stand right before the start.
            START if exports.is_none() => put_section(&mut rewritten, EXPORTS, &new_exports),
            START => {}
            _ => put_section(&mut rewritten, id, body),
        }
    }
    Some(rewritten)
}

fn export_names(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut reader = Reader::new(body);
    let count = reader.u32().unwrap_or(0);
    (0..count).map_while(move |_| {
        let name = reader.sized()?;
        reader.byte()?;
        reader.u32()?;
        Some(name)
    })
}

fn rewrite_exports(body: &[u8], start: Option<u32>) -> Option<Vec<u8>> {
    let mut reader = Reader::new(body);
    let count = reader.u32()?;
    let mut rewritten = Vec::with_capacity(body.len() + 24);
    put_number(&mut rewritten, count.checked_add(u32::from(start.is_some()))?);
    for _ in 0..count {
        let name = reader.sized()?;
        if RUN_BY_THE_ENGINE.contains(&name) {
            put_bytes(&mut rewritten, &[b"wpod:", name].concat());
        } else {
            put_bytes(&mut rewritten, name);
        }
        rewritten.push(reader.byte()?);
        put_number(&mut rewritten, reader.u32()?);
    }
    if let Some(function) = start {
        put_bytes(&mut rewritten, START_EXPORT.as_bytes());
        rewritten.push(FUNCTION);
        put_number(&mut rewritten, function);
    }
    Some(rewritten)
}

fn put_section(out: &mut Vec<u8>, id: u8, body: &[u8]) {
    out.push(id);
    put_bytes(out, body);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    // A module is smaller than 4 GiB, and so is each of its parts.
    put_number(out, bytes.len() as u32);
    out.extend_from_slice(bytes);
}

/// LEB128.
fn put_number(out: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assemble(text: &str) -> Vec<u8> {
        wat::parse_str(text).expect("the test's own text")
    }

    #[test]
    fn a_module_without_start_stays() {
        assert_eq!(
            defer_start(&assemble(r#"(module (func (export "_start")))"#)),
            None
        );
        assert_eq!(defer_start(b""), None);
    }

    #[test]
    fn start_becomes_an_export() {
        let before = assemble(r#"(module (func $a) (func $b) (export "_start" (func $a)) (start $b))"#);
        let after = assemble(
            r#"(module (func $a) (func $b) (export "_start" (func $a)) (export "wpod:start" (func $b)))"#,
        );
        assert_eq!(
            without_names(&defer_start(&before).unwrap()),
            without_names(&after)
        );
    }

    #[test]
    fn exports_are_made_where_there_are_none() {
        let before = assemble("(module (func $a) (start $a))");
        let after = assemble(r#"(module (func $a) (export "wpod:start" (func $a)))"#);
        assert_eq!(
            without_names(&defer_start(&before).unwrap()),
            without_names(&after)
        );
    }

    #[test]
    fn constructors_are_hidden_from_the_engine() {
        let before = assemble(r#"(module (func (export "__wasm_call_ctors")) (func (export "_start")))"#);
        let names = |module: &[u8]| {
            let mut reader = Reader::new(&module[8..]);
            while let Some(id) = reader.byte() {
                let body = reader.sized().unwrap();
                if id == EXPORTS {
                    return export_names(body).map(|name| name.to_vec()).collect::<Vec<_>>();
                }
            }
            Vec::new()
        };
        assert_eq!(
            names(&defer_start(&before).unwrap()),
            [b"wpod:__wasm_call_ctors".to_vec(), b"_start".to_vec()]
        );
    }

    #[test]
    fn every_truncation_is_left_alone_or_stays_a_module() {
        let whole = assemble("(module (func $a) (start $a))");
        for length in 0..whole.len() {
            if let Some(rewritten) = defer_start(&whole[..length]) {
                assert!(rewritten.starts_with(b"\0asm"));
            }
        }
    }

    /// Custom sections differ by the names of the test's own text.
    fn without_names(module: &[u8]) -> Vec<u8> {
        let mut kept = module[..8].to_vec();
        let mut reader = Reader::new(&module[8..]);
        while let Some(id) = reader.byte() {
            let body = reader.sized().unwrap();
            if id != 0 {
                put_section(&mut kept, id, body);
            }
        }
        kept
    }
}
