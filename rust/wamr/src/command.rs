//! Prepares a WASI command so that loading and instantiating it runs none of its code.
