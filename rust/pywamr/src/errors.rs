//! The exceptions of the module, and what raises which.

use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use wamr::{CallError, LoadError};

create_exception!(
    pywamr,
    WamrError,
    PyException,
    "Base of all errors of pywamr. The text is one line."
);
create_exception!(
    pywamr,
    InvalidModule,
    WamrError,
    "The bytes are not a WebAssembly module, or a broken one."
);
create_exception!(
    pywamr,
    UnsupportedFeature,
    InvalidModule,
    "The module needs a feature that the engine lacks."
);
create_exception!(
    pywamr,
    InstantiationError,
    WamrError,
    "The module cannot be instantiated: an unknown import, too little memory, a trap in its start function."
);
create_exception!(
    pywamr,
    CallFailed,
    WamrError,
    "A function is not exported or takes other arguments."
);
create_exception!(
    pywamr,
    Trap,
    WamrError,
    "The guest trapped. `kind` names the trap, `function` where it is known."
);
create_exception!(
    pywamr,
    CompileError,
    WamrError,
    "The AOT compiler failed. `exit_status` is its own."
);

/// Adds the classes to the module.
pub fn register(python: Python<'_>, module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("WamrError", python.get_type::<WamrError>())?;
    module.add("InvalidModule", python.get_type::<InvalidModule>())?;
    module.add("UnsupportedFeature", python.get_type::<UnsupportedFeature>())?;
    module.add("InstantiationError", python.get_type::<InstantiationError>())?;
    module.add("CallFailed", python.get_type::<CallFailed>())?;
    module.add("Trap", python.get_type::<Trap>())?;
    module.add("CompileError", python.get_type::<CompileError>())
}

/// The exception for bytes that do not load.
pub fn load_error(error: &LoadError) -> PyErr {
    match error {
        LoadError::Unsupported(_) => UnsupportedFeature::new_err(error.to_string()),
        _ => InvalidModule::new_err(error.to_string()),
    }
}

/// The exception for a call that gave no results.
pub fn call_error(python: Python<'_>, error: &CallError) -> PyErr {
    match error {
        CallError::Trap(trap) => trap_error(python, trap),
        _ => CallFailed::new_err(error.to_string()),
    }
}

/// A trap, with its kind and function as attributes.
pub fn trap_error(python: Python<'_>, trap: &wamr::Trap) -> PyErr {
    let error = Trap::new_err(trap.to_string());
    let value = error.value(python);
    let attributes = value
        .setattr("kind", trap_kind(trap.kind))
        .and_then(|()| value.setattr("function", trap.function.clone()));
    match attributes {
        Ok(()) => error,
        Err(failure) => failure,
    }
}

fn trap_kind(kind: wamr::TrapKind) -> &'static str {
    use wamr::TrapKind::*;
    match kind {
        Unreachable => "unreachable",
        OutOfBoundsMemory => "out-of-bounds-memory",
        OutOfBoundsTable => "out-of-bounds-table",
        DivideByZero => "divide-by-zero",
        IntegerOverflow => "integer-overflow",
        InvalidConversion => "invalid-conversion",
        IndirectCallType => "indirect-call-type",
        UninitializedElement => "uninitialized-element",
        StackOverflow => "stack-overflow",
        Other => "other",
    }
}
