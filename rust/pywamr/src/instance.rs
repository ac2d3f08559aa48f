//! Instances: calling exported functions and looking at the memory.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyTuple};
use wamr::{ExternType, Value, ValueType};

use crate::errors::{call_error, CallFailed};

/// An instance of a module. Calls from several threads wait for each other.
#[pyclass(frozen, module = "pywamr")]
pub struct Instance {
    instance: Mutex<wamr::Instance>,
}

impl Instance {
    pub fn new(instance: wamr::Instance) -> Self {
        Instance {
            instance: Mutex::new(instance),
        }
    }

    /// A trap leaves the instance usable, and so does a panic between calls.
    fn lock(&self) -> MutexGuard<'_, wamr::Instance> {
        self.instance.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Instance {
    /// Call an exported function: None, its one result, or a tuple of them.
    #[pyo3(signature = (name, /, *arguments))]
    fn call<'py>(
        &self,
        python: Python<'py>,
        name: &str,
        arguments: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let parameters = python.detach(|| parameters_of(&self.lock(), name));
        let parameters =
            parameters.ok_or_else(|| CallFailed::new_err("no function of this name is exported"))?;
        if parameters.len() != arguments.len() {
            return Err(CallFailed::new_err(format!(
                "{name} takes {} arguments, not {}",
                parameters.len(),
                arguments.len()
            )));
        }
        let values: Vec<Value> = parameters
            .iter()
            .zip(arguments.iter())
            .map(|(kind, argument)| to_value(*kind, &argument))
            .collect::<PyResult<_>>()?;
        let results = python.detach(|| self.lock().call(name, &values));
        let results = results.map_err(|error| call_error(python, &error))?;
        match results.as_slice() {
            [] => Ok(python.None().into_bound(python)),
            [one] => to_object(python, *one),
            several => {
                let objects: Vec<_> = several
                    .iter()
                    .map(|value| to_object(python, *value))
                    .collect::<PyResult<_>>()?;
                Ok(PyTuple::new(python, objects)?.into_any())
            }
        }
    }

    /// A copy of a range of the linear memory.
    fn read<'py>(&self, python: Python<'py>, address: u32, size_bytes: u32) -> PyResult<Bound<'py, PyBytes>> {
        let mut instance = self.lock();
        let memory = instance.memory();
        let bytes = memory.slice(address, size_bytes).ok_or_else(out_of_memory)?;
        Ok(PyBytes::new(python, bytes))
    }

    /// Store bytes into the linear memory; nothing is changed where they do not fit.
    fn write(&self, address: u32, data: &[u8]) -> PyResult<()> {
        self.lock()
            .memory()
            .write(address, data)
            .ok_or_else(out_of_memory)
    }

    /// The present size of the linear memory.
    #[getter]
    fn memory_bytes(&self) -> u64 {
        self.lock().memory().length_bytes()
    }
}

fn out_of_memory() -> PyErr {
    CallFailed::new_err("the range is outside of the linear memory")
}

fn parameters_of(instance: &wamr::Instance, name: &str) -> Option<Vec<ValueType>> {
    instance
        .module()
        .exports()
        .into_iter()
        .find_map(|export| match export.kind {
            ExternType::Function(function) if export.name == name => Some(function.parameters),
            _ => None,
        })
}

/// Integers are taken as signed or unsigned, as long as they fit the type's bits.
fn to_value(kind: ValueType, object: &Bound<'_, PyAny>) -> PyResult<Value> {
    let wrong = || CallFailed::new_err(format!("{object} is not a value of type {}", kind.name()));
    let integer = object.is_instance_of::<PyInt>() && !object.is_instance_of::<PyBool>();
    match kind {
        ValueType::I32 if integer => {
            let wide: i64 = object.extract().map_err(|_| wrong())?;
            let narrow = i32::try_from(wide).or_else(|_| u32::try_from(wide).map(|value| value as i32));
            narrow.map(Value::I32).map_err(|_| wrong())
        }
        ValueType::I64 if integer => {
            let wide: i128 = object.extract().map_err(|_| wrong())?;
            let narrow = i64::try_from(wide).or_else(|_| u64::try_from(wide).map(|value| value as i64));
            narrow.map(Value::I64).map_err(|_| wrong())
        }
        ValueType::F32 if integer || object.is_instance_of::<PyFloat>() => Ok(Value::F32(object.extract()?)),
        ValueType::F64 if integer || object.is_instance_of::<PyFloat>() => Ok(Value::F64(object.extract()?)),
        _ => Err(wrong()),
    }
}

fn to_object(python: Python<'_>, value: Value) -> PyResult<Bound<'_, PyAny>> {
    Ok(match value {
        Value::I32(value) => value.into_pyobject(python)?.into_any(),
        Value::I64(value) => value.into_pyobject(python)?.into_any(),
        Value::F32(value) => value.into_pyobject(python)?.into_any(),
        Value::F64(value) => value.into_pyobject(python)?.into_any(),
    })
}
