//! `wpod-network`: what containers with networks need beside their own process.
//!
//! * `apply FILE` sends the link messages of a container or of a bridge, and ends.
//! * `share FILE FD` makes the namespace that the wasm containers of a network are in, and ends.
//! * `hold FD` is the holder of what a user's containers share ([`hold`]).

mod apply;
mod connect;
mod control;
mod datagrams;
mod filter;
mod hold;
mod link_messages;
mod namespaces;
mod plan;
mod publication;
mod relay;

use std::ffi::OsString;
use std::process::ExitCode;

const USAGE: &str =
    "usage: wpod-network apply FILE [PID|PATH] | wpod-network share FILE FD | wpod-network hold FD";
const FAILED: u8 = 1;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let done = match words
        .iter()
        .map(|word| word.to_str())
        .collect::<Vec<_>>()
        .as_slice()
    {
        [Some("apply"), Some(file), rest @ ..] if rest.len() < 2 => {
            apply::run(file, rest.first().copied().flatten())
        }
        [Some("share"), Some(file), Some(fd)] => apply::share(file, fd),
        [Some("hold"), Some(fd)] => hold::run(fd),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("wpod-network: {message}");
            ExitCode::from(FAILED)
        }
    }
}
