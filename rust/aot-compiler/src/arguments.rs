//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

const USAGE: &str =
    "usage: wpod-aot-compiler --module FILE --digest sha256:HEX --output FILE [--optimization 0-3] \
                     [--note FILE] [--lock DESCRIPTOR] [--niced] | --identity";

/// What to do.
pub enum Command {
    /// Print the build id of the engine that the files are for.
    Identity,
    Compile(Arguments),
}

/// One compilation.
pub struct Arguments {
    pub module: PathBuf,
    /// SHA-256 that the module must have.
    pub digest: [u8; 32],
    pub output: PathBuf,
    /// LLVM's level; None: by the module's size.
    pub optimization: Option<u32>,
    /// Where to write why the module cannot be compiled; removed when it has been.
    pub note: Option<PathBuf>,
    /// Give way to everything else on the machine.
    pub niced: bool,
}

/// Parses the arguments after the program's name.
///
/// # Errors
/// One line that names the wrong argument.
pub fn parse(mut words: impl Iterator<Item = OsString>) -> Result<Command, String> {
    let (mut module, mut digest, mut output) = (None, None, None);
    let (mut optimization, mut note, mut niced) = (None, None, false);
    while let Some(word) = words.next() {
        let name = word.to_str().unwrap_or_default().to_owned();
        let mut value = || {
            words
                .next()
                .ok_or_else(|| format!("{name} needs a value; {USAGE}"))
        };
        match name.as_str() {
            "--identity" => return Ok(Command::Identity),
            "--niced" => niced = true,
            "--module" => module = Some(PathBuf::from(value()?)),
            "--note" => note = Some(PathBuf::from(value()?)),
            // Held open, and thereby locked, until this process ends; there is nothing else to do with it.
            "--lock" => drop(value()?),
            "--output" => output = Some(PathBuf::from(value()?)),
            "--digest" => {
                let text = value()?;
                let parsed = text.to_str().and_then(aot_cache::parse_digest);
                digest = Some(
                    parsed.ok_or_else(|| format!("--digest: {} is not a SHA-256", text.to_string_lossy()))?,
                );
            }
            "--optimization" => {
                let text = value()?;
                let level = text
                    .to_str()
                    .and_then(|text| text.parse().ok())
                    .filter(|level| *level <= 3);
                optimization =
                    Some(level.ok_or_else(|| {
                        format!("--optimization: {} is not 0 to 3", text.to_string_lossy())
                    })?);
            }
            _ => return Err(format!("unknown argument {}; {USAGE}", word.to_string_lossy())),
        }
    }
    match (module, digest, output) {
        (Some(module), Some(digest), Some(output)) => Ok(Command::Compile(Arguments {
            module,
            digest,
            output,
            optimization,
            note,
            niced,
        })),
        _ => Err(USAGE.to_owned()),
    }
}
