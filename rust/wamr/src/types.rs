//! Types of what modules import and export.

use wamr_sys as sys;

/// The type of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ValueType {
    I32,
    I64,
    F32,
    F64,
    V128,
    ExternRef,
    FuncRef,
}

impl ValueType {
    /// The name in the text format.
    pub fn name(self) -> &'static str {
        match self {
            ValueType::I32 => "i32",
            ValueType::I64 => "i64",
            ValueType::F32 => "f32",
            ValueType::F64 => "f64",
            ValueType::V128 => "v128",
            ValueType::ExternRef => "externref",
            ValueType::FuncRef => "funcref",
        }
    }

    pub(crate) fn from_kind(kind: u8) -> ValueType {
        match kind {
            sys::WASM_I64 => ValueType::I64,
            sys::WASM_F32 => ValueType::F32,
            sys::WASM_F64 => ValueType::F64,
            sys::WASM_V128 => ValueType::V128,
            sys::WASM_EXTERNREF => ValueType::ExternRef,
            sys::WASM_FUNCREF => ValueType::FuncRef,
            _ => ValueType::I32,
        }
    }
}

/// The type of a function.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FunctionType {
    pub parameters: Vec<ValueType>,
    pub results: Vec<ValueType>,
}

/// Size limits of a memory (in pages of 64 KiB) or a table (in elements). A maximum that the module does not
/// state is the largest that the engine allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    pub minimum: u32,
    pub maximum: u32,
}

/// The type of an import or export.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExternType {
    Function(FunctionType),
    Table { element: ValueType, limits: Limits },
    Memory(Limits),
    Global { value: ValueType, mutable: bool },
}

/// What a module wants from its host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Import {
    pub module: String,
    pub name: String,
    pub kind: ExternType,
    /// Whether a host function of this name and type is registered.
    pub linked: bool,
}

/// What a module offers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Export {
    pub name: String,
    pub kind: ExternType,
}

/// Reads one of the engine's type descriptions.
///
/// # Safety
/// `kind` and `description` come from one `wasm_import_t` or `wasm_export_t` that the engine filled in for a
/// module that is still loaded.
pub(crate) unsafe fn extern_type(kind: u32, description: sys::wasm_extern_type_t) -> ExternType {
    // SAFETY: the kind tells which member of the union the engine stored; the pointers live with the module.
    unsafe {
        match kind {
            sys::WASM_IMPORT_EXPORT_KIND_TABLE => {
                let table = description.table_type;
                ExternType::Table {
                    element: ValueType::from_kind(sys::wasm_table_type_get_elem_kind(table)),
                    limits: Limits {
                        minimum: sys::wasm_table_type_get_init_size(table),
                        maximum: sys::wasm_table_type_get_max_size(table),
                    },
                }
            }
            sys::WASM_IMPORT_EXPORT_KIND_MEMORY => {
                let memory = description.memory_type;
                ExternType::Memory(Limits {
                    minimum: sys::wasm_memory_type_get_init_page_count(memory),
                    maximum: sys::wasm_memory_type_get_max_page_count(memory),
                })
            }
            sys::WASM_IMPORT_EXPORT_KIND_GLOBAL => {
                let global = description.global_type;
                ExternType::Global {
                    value: ValueType::from_kind(sys::wasm_global_type_get_valkind(global)),
                    mutable: sys::wasm_global_type_get_mutable(global),
                }
            }
            _ => ExternType::Function(function_type(description.func_type)),
        }
    }
}

/// # Safety
/// `function` is a function type of a module that is still loaded, or null (an import the engine knows nothing
/// of).
unsafe fn function_type(function: *mut sys::WASMFuncType) -> FunctionType {
    if function.is_null() {
        return FunctionType::default();
    }
    // SAFETY: the indexes stay below the counts that the engine gives for the same type.
    unsafe {
        FunctionType {
            parameters: (0..sys::wasm_func_type_get_param_count(function))
                .map(|i| ValueType::from_kind(sys::wasm_func_type_get_param_valkind(function, i)))
                .collect(),
            results: (0..sys::wasm_func_type_get_result_count(function))
                .map(|i| ValueType::from_kind(sys::wasm_func_type_get_result_valkind(function, i)))
                .collect(),
        }
    }
}
