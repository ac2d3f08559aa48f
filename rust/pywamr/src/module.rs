//! Loaded modules and what they say about themselves.

use pyo3::prelude::*;
use wamr::recognise::{recognise as recognise_bytes, Content};
use wamr::{ExternType, InstanceOptions, ModuleBytes, Runtime};
use wasi::SocketImports;

use crate::errors::{load_error, InstantiationError, InvalidModule, WamrError};
use crate::instance::Instance;
use crate::run::{run_command, Guest, RunResult};
use crate::scan::{scan, Feature, Scan};

/// An import or export: one kind and its type in the text format's words.
#[pyclass(frozen, get_all, module = "pywamr")]
#[derive(Clone)]
pub struct Import {
    pub module: String,
    pub name: String,
    pub kind: &'static str,
    pub r#type: String,
    /// Whether this engine has a host function for it.
    pub known: bool,
}

#[pymethods]
impl Import {
    fn __repr__(&self) -> String {
        format!(
            "Import({:?}, {:?}, {:?}, {:?})",
            self.module, self.name, self.kind, self.r#type
        )
    }
}

/// See `Import`.
#[pyclass(frozen, get_all, module = "pywamr")]
#[derive(Clone)]
pub struct Export {
    pub name: String,
    pub kind: &'static str,
    pub r#type: String,
}

#[pymethods]
impl Export {
    fn __repr__(&self) -> String {
        format!("Export({:?}, {:?}, {:?})", self.name, self.kind, self.r#type)
    }
}

/// Limits of a linear memory in pages of 64 KiB.
#[pyclass(frozen, get_all, module = "pywamr")]
#[derive(Clone, Copy)]
pub struct MemoryLimits {
    pub minimum_pages: u64,
    pub maximum_pages: Option<u64>,
}

#[pymethods]
impl MemoryLimits {
    fn __repr__(&self) -> String {
        let maximum = self
            .maximum_pages
            .map_or_else(|| "None".to_owned(), |pages| pages.to_string());
        format!(
            "MemoryLimits(minimum_pages={}, maximum_pages={maximum})",
            self.minimum_pages
        )
    }
}

/// A module that has been validated and loaded.
#[pyclass(frozen, module = "pywamr")]
pub struct Module {
    module: wamr::Module,
    scan: Scan,
    /// Those of containers are chosen for each module; the engine of this process has one choice of them.
    sockets: SocketImports,
}

/// The engine, started by the first use in this process.
pub fn runtime() -> PyResult<Runtime> {
    let runtime = Runtime::start().map_err(|error| WamrError::new_err(error.to_string()))?;
    crate::run::register_wasi(runtime)?;
    Ok(runtime)
}

fn load(python: Python<'_>, data: &[u8]) -> PyResult<Module> {
    let runtime = runtime()?;
    // The engine writes into the bytes; Python's are immutable.
    let bytes = ModuleBytes::from(data.to_vec());
    let loaded = python.detach(|| wamr::Module::load(runtime, bytes));
    let module = loaded.map_err(|error| load_error(&error))?;
    let scan = python.detach(|| scan(data)).map_err(InvalidModule::new_err)?;
    let sockets = SocketImports::of(data);
    Ok(Module {
        module,
        scan,
        sockets,
    })
}

#[pymethods]
impl Module {
    /// Validate and load the bytes of a module.
    #[staticmethod]
    #[pyo3(name = "load")]
    fn load_bytes(python: Python<'_>, data: &[u8]) -> PyResult<Module> {
        load(python, data)
    }

    /// What the module wants from its host, in the module's order.
    #[getter]
    fn imports(&self) -> Vec<Import> {
        let imports = self.module.imports().into_iter();
        imports
            .map(|import| Import {
                kind: kind_name(&import.kind),
                r#type: type_text(&import.kind),
                known: import.linked || self.sockets.offers(&import.module, &import.name),
                module: import.module,
                name: import.name,
            })
            .collect()
    }

    /// What the module offers, in the module's order.
    #[getter]
    fn exports(&self) -> Vec<Export> {
        let exports = self.module.exports().into_iter();
        exports
            .map(|export| Export {
                kind: kind_name(&export.kind),
                r#type: type_text(&export.kind),
                name: export.name,
            })
            .collect()
    }

    /// The limits of the module's memory; None where it has none.
    #[getter]
    fn memory(&self) -> Option<MemoryLimits> {
        self.scan
            .memory
            .map(|(minimum_pages, maximum_pages)| MemoryLimits {
                minimum_pages,
                maximum_pages,
            })
    }

    /// The version of WASI that it imports from: "preview1", "unstable", or None.
    #[getter]
    fn wasi(&self) -> Option<&'static str> {
        let imports = self.module.imports();
        let from = |module: &str| imports.iter().any(|import| import.module == module);
        if from("wasi_snapshot_preview1") {
            Some("preview1")
        } else if from("wasi_unstable") {
            Some("unstable")
        } else {
            None
        }
    }

    /// The features beyond WebAssembly 1.0 that it uses.
    #[getter]
    fn features(&self) -> Vec<Feature> {
        self.scan.features()
    }

    /// Make an instance: memory allocated, data copied, the start function run.
    #[pyo3(signature = (*, max_memory_pages=None, stack_bytes=1 << 20))]
    fn instantiate(
        &self,
        python: Python<'_>,
        max_memory_pages: Option<u32>,
        stack_bytes: u32,
    ) -> PyResult<Instance> {
        self.refuse_unknown_imports()?;
        let options = InstanceOptions {
            stack_bytes,
            max_memory_pages,
        };
        let made = python.detach(|| wamr::Instance::new(&self.module, options));
        made.map(Instance::new).map_err(InstantiationError::new_err)
    }

    /// Run the module as a WASI command in this process and collect what it wrote.
    #[pyo3(signature = (arguments=Vec::new(), environment=Vec::new(), *, stdin=None, max_memory_pages=None))]
    fn run(
        &self,
        python: Python<'_>,
        arguments: Vec<String>,
        environment: Vec<String>,
        stdin: Option<Vec<u8>>,
        max_memory_pages: Option<u32>,
    ) -> PyResult<RunResult> {
        self.refuse_unknown_imports()?;
        let guest = Guest {
            arguments,
            environment,
            stdin: stdin.unwrap_or_default(),
            max_memory_pages,
        };
        run_command(python, &self.module, guest)
    }
}

impl Module {
    fn refuse_unknown_imports(&self) -> PyResult<()> {
        let imports = self.module.imports();
        let unknown: Vec<String> = imports
            .iter()
            .filter(|import| !import.linked)
            .map(|import| format!("{}.{}", import.module, import.name))
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        Err(InstantiationError::new_err(format!(
            "unknown imports: {}",
            unknown.join(", ")
        )))
    }
}

fn kind_name(kind: &ExternType) -> &'static str {
    match kind {
        ExternType::Function(_) => "function",
        ExternType::Table { .. } => "table",
        ExternType::Memory(_) => "memory",
        ExternType::Global { .. } => "global",
    }
}

fn type_text(kind: &ExternType) -> String {
    match kind {
        ExternType::Function(function) => {
            let names =
                |types: &[wamr::ValueType]| types.iter().map(|t| t.name()).collect::<Vec<_>>().join(", ");
            format!(
                "({}) -> ({})",
                names(&function.parameters),
                names(&function.results)
            )
        }
        ExternType::Table { element, limits } => {
            format!("{} {}..{}", element.name(), limits.minimum, limits.maximum)
        }
        ExternType::Memory(limits) => format!("{}..{}", limits.minimum, limits.maximum),
        ExternType::Global { value, mutable } => {
            format!("{}{}", if *mutable { "mutable " } else { "" }, value.name())
        }
    }
}

/// What bytes are, told from their beginning.
#[pyfunction]
pub fn recognise(data: &[u8]) -> &'static str {
    match recognise_bytes(data) {
        Content::Module => "module",
        Content::Component => "component",
        Content::OtherVersion(_) => "other-version",
        Content::Compiled => "compiled",
        Content::Elf => "elf",
        Content::Text => "text",
        Content::Script => "script",
        Content::Empty => "empty",
        Content::Truncated => "truncated",
        Content::Unknown => "unknown",
    }
}

/// Raises what `Module.load` would raise, and gives the memory back.
#[pyfunction]
pub fn validate(python: Python<'_>, data: &[u8]) -> PyResult<()> {
    load(python, data).map(drop)
}
