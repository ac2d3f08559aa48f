//! What a module imports, read from its bytes: before it is loaded, because loading looks for the functions.

use crate::names::Reader;

const TYPES: u8 = 1;
const IMPORTS: u8 = 2;
const FUNCTION_TYPE: u8 = 0x60;

// Kinds of imports.
const FUNCTION: u8 = 0;
const TABLE: u8 = 1;
const MEMORY: u8 = 2;
const GLOBAL: u8 = 3;

/// A function that a module imports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImportedFunction {
    pub name: String,
    /// Its type as [`crate::host::HostFunction`] writes it: `(iI)i`. A type that cannot be written so has a `?`.
    pub signature: String,
}

impl ImportedFunction {
    /// Its type in the words of the text format: `(i32, i64) -> i32`.
    pub fn type_text(&self) -> String {
        let (parameters, results) = self.signature[1..].split_once(')').unwrap_or_default();
        let names = |letters: &str| {
            let names: Vec<&str> = letters.chars().map(type_name).collect();
            names.join(", ")
        };
        match results {
            "" => format!("({})", names(parameters)),
            results => format!("({}) -> {}", names(parameters), names(results)),
        }
    }
}

fn type_name(letter: char) -> &'static str {
    match letter {
        'i' => "i32",
        'I' => "i64",
        'f' => "f32",
        'F' => "f64",
        _ => "?",
    }
}

/// The functions that a module imports from the module `from` and whose names begin with `prefix`. None where the
/// bytes are no module, which loading finds out.
pub fn imported_functions(module: &[u8], from: &str, prefix: &str) -> Vec<ImportedFunction> {
    read(module, from, prefix).unwrap_or_default()
}

fn read(module: &[u8], from: &str, prefix: &str) -> Option<Vec<ImportedFunction>> {
    let mut sections = Reader::new(module.get(8..)?);
    let mut types: &[u8] = &[];
    while let Some(id) = sections.byte() {
        let body = sections.sized()?;
        match id {
            TYPES => types = body,
            IMPORTS => return in_imports(body, types, from, prefix),
            _ => {}
        }
    }
    None
}

fn in_imports(body: &[u8], types: &[u8], from: &str, prefix: &str) -> Option<Vec<ImportedFunction>> {
    let mut reader = Reader::new(body);
    let mut found = Vec::new();
    for _ in 0..reader.u32()? {
        let module = reader.sized()?;
        let name = reader.sized()?;
        match reader.byte()? {
            FUNCTION => {
                let index = reader.u32()?;
                if module == from.as_bytes() && name.starts_with(prefix.as_bytes()) {
                    found.push(ImportedFunction {
                        name: String::from_utf8_lossy(name).into_owned(),
                        signature: signature(types, index)?,
                    });
                }
            }
            TABLE => {
                reader.byte()?;
                skip_limits(&mut reader)?;
            }
            MEMORY => skip_limits(&mut reader)?,
            GLOBAL => {
                reader.byte()?;
                reader.byte()?;
            }
            _ => return None,
        }
    }
    Some(found)
}

fn skip_limits(reader: &mut Reader<'_>) -> Option<()> {
    let flags = reader.byte()?;
    reader.skip_number()?;
    if flags & 1 != 0 {
        reader.skip_number()?;
    }
    Some(())
}

/// The type with this index.
fn signature(types: &[u8], index: u32) -> Option<String> {
    let mut reader = Reader::new(types);
    reader.u32().filter(|count| index < *count)?;
    for _ in 0..index {
        reader.byte().filter(|form| *form == FUNCTION_TYPE)?;
        reader.sized()?;
        reader.sized()?;
    }
    reader.byte().filter(|form| *form == FUNCTION_TYPE)?;
    let letters = |values: &[u8]| values.iter().map(|value| letter(*value)).collect::<String>();
    let parameters = letters(reader.sized()?);
    Some(format!("({parameters}){}", letters(reader.sized()?)))
}

fn letter(value: u8) -> char {
    match value {
        0x7f => 'i',
        0x7e => 'I',
        0x7d => 'f',
        0x7c => 'F',
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imports(text: &str) -> Vec<String> {
        let module = wat::parse_str(text).expect("the test's own text");
        let found = imported_functions(&module, "host", "sock_");
        found
            .into_iter()
            .map(|function| function.name + &function.signature)
            .collect()
    }

    #[test]
    fn functions_are_found_among_other_imports() {
        let found = imports(
            r#"(module
                (import "host" "memory" (memory 1 2)) (import "host" "table" (table 1 funcref))
                (import "host" "global" (global i32)) (import "host" "other" (func (param i32)))
                (import "elsewhere" "sock_open" (func))
                (import "host" "sock_open" (func (param i32 i64 f32 f64) (result i32)))
                (import "host" "sock_close" (func))
                (import "host" "sock_odd" (func (param v128) (result i32 i64))))"#,
        );
        assert_eq!(found, ["sock_open(iIfF)i", "sock_close()", "sock_odd(?)iI"]);
        let text = |signature: &str| {
            let function = ImportedFunction {
                name: String::new(),
                signature: signature.to_owned(),
            };
            function.type_text()
        };
        assert_eq!(text("(iIfF)i"), "(i32, i64, f32, f64) -> i32");
        assert_eq!(text("()"), "()");
    }

    #[test]
    fn what_is_no_module_has_none() {
        let whole = wat::parse_str(r#"(module (import "host" "sock_a" (func (param i32))))"#).expect("text");
        assert_eq!(imported_functions(&whole, "host", "sock_").len(), 1);
        for length in 0..whole.len() {
            assert!(imported_functions(&whole[..length], "host", "sock_").is_empty());
        }
        for at in 8..whole.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bent = whole.clone();
                bent[at] = value;
                imported_functions(&bent, "host", "sock_");
            }
        }
    }
}
