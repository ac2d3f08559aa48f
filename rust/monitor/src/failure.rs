//! Why a container did not start, in podman's words and exit codes.

use core::fmt;

use kernel_calls::text::Text;

/// wpod itself, or the runtime, failed.
pub const FAILED: i32 = 125;
/// The entrypoint is there and cannot be run.
pub const CANNOT_INVOKE: i32 = 126;
/// There is no such entrypoint.
pub const NOT_FOUND: i32 = 127;

/// An exit code and a cause in one line.
pub struct Failure {
    pub code: i32,
    pub cause: Text<512>,
}

impl Failure {
    /// A failure of wpod's own.
    pub fn of(arguments: fmt::Arguments<'_>) -> Failure {
        Failure {
            code: FAILED,
            cause: one_line(Text::<512>::of(arguments).bytes()),
        }
    }

    /// What a runtime called `name` meant by what it wrote to stderr before it ended with `status`.
    pub fn of_runtime(name: &[u8], status: i32, complaint: &[u8]) -> Failure {
        if let Some(reason) = of_hook(complaint) {
            return Failure {
                code: FAILED,
                cause: one_line(reason),
            };
        }
        let line = last_line(complaint);
        let message = message_of(line);
        if message.is_empty() {
            let mut failure = Failure::of(format_args!("ended with status {status} and said nothing"));
            let cause = failure.cause.clone();
            failure.cause = Text::new();
            failure.cause.push(name);
            failure.cause.push(b" ");
            failure.cause.push(cause.bytes());
            return failure;
        }
        let code = classify(message);
        let mut cause = Text::<512>::new();
        if code == FAILED && !message.starts_with(b"wpod-monitor: ") {
            cause.push(name);
            cause.push(b": ");
        }
        cause.push(message.strip_prefix(b"wpod-monitor: ").unwrap_or(message));
        Failure {
            code,
            cause: one_line(cause.bytes()),
        }
    }
}

/// The exit code that podman gives for a runtime's message about the entrypoint.
fn classify(message: &[u8]) -> i32 {
    let about_the_program = contains(message, b"executable")
        || contains(message, b"exec ")
        || contains(message, b"exec: ")
        || contains(message, b"execvp")
        || contains(message, b"chdir");
    if !about_the_program {
        FAILED
    } else if contains(message, b"permission denied")
        || contains(message, b"is a directory")
        || contains(message, b"exec format error")
        || contains(message, b"operation not permitted")
    {
        CANNOT_INVOKE
    } else if contains(message, b"not found") || contains(message, b"no such file") {
        NOT_FOUND
    } else {
        FAILED
    }
}

/// Whether `text` holds `lower` (in lower case), letter case apart.
fn contains(text: &[u8], lower: &[u8]) -> bool {
    text.windows(lower.len())
        .any(|window| window.eq_ignore_ascii_case(lower))
}

/// What the hook that makes the network's links said, before the runtime complained that it had failed.
fn of_hook(text: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"wpod-network: ";
    let start = text.windows(NAME.len()).position(|window| window == NAME)? + NAME.len();
    let said = text.get(start..)?.split(|&byte| byte == b'\n').next()?;
    Some(said.trim_ascii())
}

fn last_line(text: &[u8]) -> &[u8] {
    text.split(|&byte| byte == b'\n')
        .rfind(|line| !line.trim_ascii().is_empty())
        .unwrap_or_default()
        .trim_ascii()
}

/// The message in a line of crun (`TIME: message`) or runc (`time=… level=error msg="…"`).
fn message_of(line: &[u8]) -> &[u8] {
    if let Some(start) = line.windows(5).position(|window| window == b"msg=\"") {
        let message = &line[start + 5..];
        return message.strip_suffix(b"\"").unwrap_or(message);
    }
    let dated =
        line.len() > 20 && line[4] == b'-' && line[10] == b'T' && line[..4].iter().all(u8::is_ascii_digit);
    match line.windows(2).position(|window| window == b": ") {
        Some(end) if dated => &line[end + 2..],
        _ => line,
    }
}

/// Control characters become question marks: the cause is one line of a protocol and goes to a terminal.
fn one_line(text: &[u8]) -> Text<512> {
    let mut line = Text::new();
    for &byte in text {
        line.push(&[if byte.is_ascii_control() { b'?' } else { byte }]);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(complaint: &[u8]) -> (i32, String) {
        let failure = Failure::of_runtime(b"crun", 1, complaint);
        (
            failure.code,
            String::from_utf8(failure.cause.bytes().to_vec()).unwrap(),
        )
    }

    #[test]
    fn messages_of_crun_and_runc() {
        let (code, cause) = of(b"warning\n2026-01-01T00:00:00.000000000Z: executable file `x` not found in $PATH: No such file or directory\n");
        assert_eq!(
            (code, cause.starts_with("executable file `x` not found")),
            (127, true)
        );
        assert_eq!(of(b"open executable: Permission denied").0, 126);
        assert_eq!(
            of(b"time=\"t\" level=error msg=\"runc create failed: exec: \\\"/etc\\\": permission denied\"").0,
            126
        );
        assert_eq!(of(b"exec: \"x\": executable file not found in $PATH").0, 127);
        assert_eq!(
            of(b"mount `/x`: Permission denied"),
            (125, "crun: mount `/x`: Permission denied".into())
        );
        assert_eq!(
            of(b"wpod-monitor: mount overlay: error 5"),
            (125, "mount overlay: error 5".into())
        );
    }

    #[test]
    fn the_hook_is_heard() {
        let crun = b"wpod-network: the kernel refuses the veth of a network: X (os error 9)\ncrun: error executing hook `/x/wpod-network` (exit code: 1)\n";
        assert_eq!(
            of(crun),
            (
                125,
                "the kernel refuses the veth of a network: X (os error 9)".into()
            )
        );
    }

    #[test]
    fn silence_and_control_characters() {
        assert_eq!(
            of(b"\n \n"),
            (125, "crun ended with status 1 and said nothing".into())
        );
        assert_eq!(of(b"a\x1b[31mb").1, "crun: a?[31mb");
    }
}
