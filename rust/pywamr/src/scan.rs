//! Which proposals a module uses, found by reading it once: also for modules that the engine refuses.

use std::collections::BTreeSet;

use pyo3::prelude::*;
use wasmparser::{FunctionBody, Operator, Parser, Payload, TypeRef, VisitOperator, VisitSimdOperator};

use crate::errors::InvalidModule;

/// Names of what the engine's build has, as wasmparser calls the proposals.
const SUPPORTED: [&str; 9] = [
    "bulk_memory",
    "extended_const",
    "multi_value",
    "mutable_global",
    "reference_types",
    "saturating_float_to_int",
    "sign_extension",
    "simd",
    "tail_call",
];

/// A feature beyond WebAssembly 1.0 that a module uses.
#[pyclass(frozen, get_all, module = "pywamr")]
#[derive(Clone)]
pub struct Feature {
    pub name: String,
    pub supported: bool,
}

#[pymethods]
impl Feature {
    fn __repr__(&self) -> String {
        format!(
            "Feature(name={:?}, supported={})",
            self.name,
            if self.supported { "True" } else { "False" }
        )
    }
}

/// What reading a module once tells.
#[derive(Default)]
pub struct Scan {
    proposals: BTreeSet<&'static str>,
    /// Minimum and maximum of the first memory, in pages.
    pub memory: Option<(u64, Option<u64>)>,
}

impl Scan {
    /// The features in the order of their names.
    pub fn features(&self) -> Vec<Feature> {
        let used = self.proposals.iter().filter(|name| **name != "mvp");
        used.map(|name| Feature {
            name: name.replace('_', "-"),
            supported: SUPPORTED.contains(name),
        })
        .collect()
    }
}

/// Reads a whole module.
///
/// # Errors
/// One line with the offset at which it stops making sense. The module is not validated.
pub fn scan(bytes: &[u8]) -> Result<Scan, String> {
    let mut seen = Scan::default();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(|error| error.to_string())?;
        scan_payload(&mut seen, payload).map_err(|error| error.to_string())?;
    }
    Ok(seen)
}

fn scan_payload(seen: &mut Scan, payload: Payload<'_>) -> wasmparser::Result<()> {
    match payload {
        Payload::TypeSection(section) => {
            for group in section {
                for kind in group?.into_types() {
                    match kind.composite_type.inner {
                        wasmparser::CompositeInnerType::Func(function) if function.results().len() > 1 => {
                            seen.proposals.insert("multi_value");
                        }
                        wasmparser::CompositeInnerType::Func(_) => {}
                        _ => {
                            seen.proposals.insert("gc");
                        }
                    }
                }
            }
        }
        Payload::ImportSection(section) => {
            for import in section {
                match import?.ty {
                    TypeRef::Memory(memory) => note_memory(seen, &memory),
                    TypeRef::Global(global) if global.mutable => {
                        seen.proposals.insert("mutable_global");
                    }
                    TypeRef::Tag(_) => {
                        seen.proposals.insert("exceptions");
                    }
                    _ => {}
                }
            }
        }
        Payload::MemorySection(section) => {
            for memory in section {
                note_memory(seen, &memory?);
            }
        }
        Payload::GlobalSection(section) => {
            for global in section {
                let operators = global?.init_expr.get_operators_reader();
                let count = operators
                    .into_iter()
                    .filter(|operator| !matches!(operator, Ok(Operator::End)))
                    .count();
                if count > 1 {
                    seen.proposals.insert("extended_const");
                }
            }
        }
        Payload::TagSection(_) => {
            seen.proposals.insert("exceptions");
        }
        Payload::DataCountSection { .. } => {
            seen.proposals.insert("bulk_memory");
        }
        Payload::CodeSectionEntry(body) => scan_body(seen, &body)?,
        _ => {}
    }
    Ok(())
}

fn note_memory(seen: &mut Scan, memory: &wasmparser::MemoryType) {
    if memory.memory64 {
        seen.proposals.insert("memory64");
    }
    if memory.shared {
        seen.proposals.insert("threads");
    }
    if seen.memory.is_some() {
        seen.proposals.insert("multi_memory");
    } else {
        seen.memory = Some((memory.initial, memory.maximum));
    }
}

fn scan_body(seen: &mut Scan, body: &FunctionBody<'_>) -> wasmparser::Result<()> {
    let mut operators = body.get_operators_reader()?;
    let mut visitor = Proposals {
        seen: &mut seen.proposals,
        last: "mvp",
    };
    while !operators.eof() {
        operators.visit_operator(&mut visitor)?;
    }
    Ok(())
}

/// Notes the proposal of every instruction.
struct Proposals<'a> {
    seen: &'a mut BTreeSet<&'static str>,
    /// The one noted last, so that the set is asked only where it changes.
    last: &'static str,
}

impl Proposals<'_> {
    fn note(&mut self, proposal: &'static str) {
        if self.last != proposal {
            self.last = proposal;
            self.seen.insert(proposal);
        }
    }
}

macro_rules! note_each {
    ($( @$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*) )*) => {$(
        fn $visit(&mut self $($(, $arg: $argty)*)?) {
            $($(let _ = $arg;)*)?
            self.note(stringify!($proposal));
        }
    )*};
}

impl<'a> VisitOperator<'a> for Proposals<'_> {
    type Output = ();

    fn simd_visitor(&mut self) -> Option<&mut dyn VisitSimdOperator<'a, Output = ()>> {
        Some(self)
    }

    wasmparser::for_each_visit_operator!(note_each);
}

impl VisitSimdOperator<'_> for Proposals<'_> {
    wasmparser::for_each_visit_simd_operator!(note_each);
}

/// The features of a module that may be one the engine refuses.
#[pyfunction]
pub fn features(python: Python<'_>, data: &[u8]) -> PyResult<Vec<Feature>> {
    let scanned = python.detach(|| scan(data));
    Ok(scanned
        .map_err(|text| InvalidModule::new_err(format!("malformed WebAssembly module: {text}")))?
        .features())
}
