//! The holder's plan (docs/formats.md, "Network holder").

use std::io::{Read, Seek};
use std::os::fd::FromRawFd;

const LIMIT_BYTES: u64 = 1 << 16;
/// The seals without which a plan could change while it is read.
const SEALS: i32 = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;

/// Where the namespaces come from.
#[derive(PartialEq, Eq, Debug)]
pub enum Namespaces {
    /// New ones; the lines of /proc/PID/uid_map and gid_map, each `INSIDE:OUTSIDE:COUNT`.
    New { users: Vec<String>, groups: Vec<String> },
    /// Those of a holder that was killed, by paths of /proc.
    Of { user: String, network: String },
}

/// What the holder is told.
#[derive(PartialEq, Eq, Debug)]
pub struct Plan {
    pub control: i32,
    pub ready: i32,
    pub namespaces: Namespaces,
}

impl Plan {
    /// Reads the memfd `fd` and closes it.
    pub fn read(fd: i32) -> Result<Plan, String> {
        // SAFETY: the command line names a descriptor that was left open for this process.
        let mut file = unsafe { std::fs::File::from_raw_fd(fd) };
        let mut content = Vec::new();
        if kernel_calls::files::seals(fd).unwrap_or(0) & SEALS != SEALS {
            return Err("the plan is not sealed".to_owned());
        }
        file.rewind()
            .and_then(|()| file.take(LIMIT_BYTES).read_to_end(&mut content))
            .map_err(|error| format!("the plan cannot be read: {error}"))?;
        Plan::parse(&content).map_err(|error| format!("the plan {error}"))
    }

    /// `key NUL value NUL`, the version first. The error goes on after "the plan".
    pub fn parse(content: &[u8]) -> Result<Plan, String> {
        let text = std::str::from_utf8(content).map_err(|_| "is not text")?;
        let text = text.strip_suffix('\0').ok_or("is cut short")?;
        let fields: Vec<&str> = text.split('\0').collect();
        let (mut control, mut ready, mut user, mut network) = (None, None, None, None);
        let (mut users, mut groups) = (Vec::new(), Vec::new());
        if fields.len() % 2 != 0 || fields[..2] != ["version", "1"] {
            return Err("is malformed, or of another version".to_owned());
        }
        for pair in fields[2..].chunks(2) {
            let (key, value) = (pair[0], pair[1]);
            let stands = [
                ("control-fd", control.is_some()),
                ("ready-fd", ready.is_some()),
                ("user-namespace", user.is_some()),
                ("network-namespace", network.is_some()),
            ];
            if stands.contains(&(key, true)) {
                return Err(format!("says {key} twice"));
            }
            match key {
                "control-fd" => control = Some(descriptor(value)?),
                "ready-fd" => ready = Some(descriptor(value)?),
                "uid-map" => users.push(id_map(value)?),
                "gid-map" => groups.push(id_map(value)?),
                "user-namespace" => user = Some(value.to_owned()),
                "network-namespace" => network = Some(value.to_owned()),
                _ => return Err(format!("has an unknown key {key}")),
            }
        }
        let namespaces = match (user, network, users.is_empty() || groups.is_empty()) {
            (Some(user), Some(network), true) => Namespaces::Of { user, network },
            (None, None, false) => Namespaces::New { users, groups },
            _ => return Err("must name either id maps or namespaces".to_owned()),
        };
        Ok(Plan {
            control: control.ok_or("lacks control-fd")?,
            ready: ready.ok_or("lacks ready-fd")?,
            namespaces,
        })
    }
}

fn descriptor(value: &str) -> Result<i32, String> {
    let number = value.parse().ok().filter(|number| *number > 2);
    number.ok_or_else(|| format!("has a wrong descriptor {value}"))
}

fn id_map(value: &str) -> Result<String, String> {
    let numbers: Vec<&str> = value.split(':').collect();
    if numbers.len() == 3 && numbers.iter().all(|number| number.parse::<u32>().is_ok()) {
        return Ok(value.to_owned());
    }
    Err(format!("has a wrong id map {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Plan, String> {
        Plan::parse(
            words
                .iter()
                .map(|word| format!("{word}\0"))
                .collect::<String>()
                .as_bytes(),
        )
    }

    const BEGIN: [&str; 6] = ["version", "1", "control-fd", "5", "ready-fd", "6"];

    #[test]
    fn new_namespaces_or_those_of_another() {
        let new = parsed(&[&BEGIN[..], &["uid-map", "0:1000:1", "gid-map", "0:1000:1"]].concat()).unwrap();
        assert_eq!((new.control, new.ready), (5, 6));
        assert!(matches!(new.namespaces, Namespaces::New { users, .. } if users == ["0:1000:1"]));
        let of =
            parsed(&[&BEGIN[..], &["user-namespace", "/u", "network-namespace", "/n"]].concat()).unwrap();
        assert!(matches!(of.namespaces, Namespaces::Of { user, .. } if user == "/u"));
    }

    #[test]
    fn what_is_refused() {
        let maps = ["uid-map", "0:1000:1", "gid-map", "0:1000:1"];
        for wrong in [
            &BEGIN[..],
            &[&BEGIN[..], &maps[..], &["user-namespace", "/u"]].concat(),
            &[&BEGIN[..], &["uid-map", "0:1000", "gid-map", "0:1000:1"]].concat(),
            &[&BEGIN[..], &maps[..], &["x", "y"]].concat(),
            &[&BEGIN[..], &maps[..], &["ready-fd", "7"]].concat(),
            &[&["version", "2"][..], &maps[..]].concat(),
            &["version", "1", "control-fd", "1"],
            &["version"],
            &[],
        ] {
            assert!(parsed(wrong).is_err(), "{wrong:?}");
        }
        assert!(Plan::parse(b"version\x001").is_err());
    }
}
