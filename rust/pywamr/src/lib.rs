//! `pywamr`: WebAssembly modules in Python, over the same engine that runs wpod's containers.
//!
//! The engine's state is global to the process; it is started by the first use and never taken down. Python's
//! lock is released while the engine loads, instantiates and runs, so other threads go on. Another extension
//! that carries an engine of its own does not get in the way: this one's symbols are not exported, and its fault
//! handlers pass on what did not happen in guest code.

mod compile;
mod errors;
mod instance;
mod module;
mod run;
mod scan;

use pyo3::prelude::*;

/// See `pywamr.pyi` for the contracts.
#[pymodule]
fn pywamr(python: Python<'_>, module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("ENGINE_VERSION", wamr::ENGINE_VERSION)?;
    errors::register(python, module)?;
    module.add_class::<module::Module>()?;
    module.add_class::<module::Import>()?;
    module.add_class::<module::Export>()?;
    module.add_class::<module::MemoryLimits>()?;
    module.add_class::<scan::Feature>()?;
    module.add_class::<instance::Instance>()?;
    module.add_class::<run::RunResult>()?;
    module.add_function(wrap_pyfunction!(module::recognise, module)?)?;
    module.add_function(wrap_pyfunction!(module::validate, module)?)?;
    module.add_function(wrap_pyfunction!(scan::features, module)?)?;
    module.add_function(wrap_pyfunction!(compile::compile, module)?)?;
    Ok(())
}
