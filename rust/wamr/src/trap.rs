//! Traps: why guest code ended without returning.

use std::fmt;

/// The kinds of traps that callers tell apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TrapKind {
    Unreachable,
    OutOfBoundsMemory,
    OutOfBoundsTable,
    DivideByZero,
    IntegerOverflow,
    InvalidConversion,
    IndirectCallType,
    UninitializedElement,
    StackOverflow,
    /// A host function set the exception, or the engine has a reason of its own.
    Other,
}

/// One trap.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trap {
    pub kind: TrapKind,
    /// The reason, in the words of the specification where it has some.
    pub reason: String,
    /// The function that trapped, where the engine and the module's names tell.
    pub function: Option<String>,
}

impl fmt::Display for Trap {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "wasm trap: {}", self.reason)?;
        match &self.function {
            Some(name) => write!(out, " (in function {name})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Trap {}

/// A part of the engine's text, the kind, and the words that are shown.
const REASONS: &[(&str, TrapKind, &str)] = &[
    ("unreachable", TrapKind::Unreachable, "unreachable"),
    ("stack overflow", TrapKind::StackOverflow, "stack overflow"),
    (
        "out of bounds memory access",
        TrapKind::OutOfBoundsMemory,
        "out of bounds memory access",
    ),
    (
        "out of bounds table access",
        TrapKind::OutOfBoundsTable,
        "out of bounds table access",
    ),
    (
        "undefined element",
        TrapKind::OutOfBoundsTable,
        "undefined element",
    ),
    (
        "uninitialized element",
        TrapKind::UninitializedElement,
        "uninitialized element",
    ),
    (
        "indirect call type mismatch",
        TrapKind::IndirectCallType,
        "indirect call type mismatch",
    ),
    (
        "integer divide by zero",
        TrapKind::DivideByZero,
        "integer divide by zero",
    ),
    ("integer overflow", TrapKind::IntegerOverflow, "integer overflow"),
    (
        "invalid conversion to integer",
        TrapKind::InvalidConversion,
        "invalid conversion to integer",
    ),
];

impl Trap {
    /// Understands the engine's exception text.
    pub(crate) fn from_exception(exception: &str, function: Option<String>) -> Trap {
        let text = exception.strip_prefix("Exception: ").unwrap_or(exception);
        let known = REASONS.iter().find(|(part, ..)| text.contains(part));
        let (kind, reason) = match known {
            Some((_, kind, words)) => (*kind, (*words).to_owned()),
            None => (TrapKind::Other, text.to_owned()),
        };
        Trap {
            kind,
            reason,
            function,
        }
    }

    /// The same trap with the knowledge that the guest's stack was exhausted: compiled code that runs off the
    /// stack reports the access that hit its end.
    pub fn as_stack_overflow(self) -> Trap {
        Trap {
            kind: TrapKind::StackOverflow,
            reason: "stack overflow".into(),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_for_every_stack_overflow() {
        for text in [
            "Exception: wasm operand stack overflow",
            "Exception: native stack overflow",
        ] {
            let trap = Trap::from_exception(text, None);
            assert_eq!(trap.kind, TrapKind::StackOverflow);
            assert_eq!(trap.to_string(), "wasm trap: stack overflow");
        }
    }

    #[test]
    fn names_the_function() {
        let trap = Trap::from_exception("Exception: unreachable", Some("boom".into()));
        assert_eq!(trap.to_string(), "wasm trap: unreachable (in function boom)");
    }

    #[test]
    fn an_unknown_reason_is_kept() {
        let trap = Trap::from_exception("Exception: something new", None);
        assert_eq!(
            (trap.kind, trap.reason.as_str()),
            (TrapKind::Other, "something new")
        );
    }
}
