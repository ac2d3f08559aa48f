//! Why a container could not be started.

use std::fmt::Display;

/// wpod's own failure, as podman's code for it.
pub const WPOD_FAILED: i32 = 125;
/// The module cannot be run.
pub const NOT_EXECUTABLE: i32 = 126;
/// There is no module.
pub const NOT_FOUND: i32 = 127;

/// A failed start, as the readiness protocol tells it.
#[derive(Debug)]
pub struct Failure {
    pub code: i32,
    /// One line.
    pub cause: String,
    /// What the user can do, where there is something.
    pub hint: Option<&'static str>,
}

impl Failure {
    /// wpod cannot do what the plan says.
    pub fn own(cause: impl Into<String>) -> Failure {
        Failure {
            code: WPOD_FAILED,
            cause: cause.into(),
            hint: None,
        }
    }

    /// The module is at fault.
    pub fn module(cause: impl Into<String>) -> Failure {
        Failure {
            code: NOT_EXECUTABLE,
            cause: cause.into(),
            hint: None,
        }
    }

    pub fn with_hint(self, hint: &'static str) -> Failure {
        Failure {
            hint: Some(hint),
            ..self
        }
    }

    /// A system call failed; `what` is what was being done, an infinitive: "mount the root".
    pub fn system(what: impl Display) -> Failure {
        Failure::own(format!("cannot {what}: {}", last_error()))
    }
}

/// The error of the last system call, without Rust's "(os error N)".
pub fn last_error() -> kernel_calls::Errno {
    kernel_calls::Errno(
        std::io::Error::last_os_error()
            .raw_os_error()
            .unwrap_or(libc::EIO),
    )
}

/// Gives the value of a system call that is negative on failure.
pub fn check(value: i64, what: impl Display) -> Result<i64, Failure> {
    if value < 0 {
        Err(Failure::system(what))
    } else {
        Ok(value)
    }
}

/// A path as text for messages.
pub fn shown(path: &std::ffi::CStr) -> String {
    path.to_string_lossy().into_owned()
}
