//! The control socket: one request and one answer for each message (docs/formats.md, "Network holder").

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};

use crate::publication::{Protocol, Publication, Source};

const LIMIT_BYTES: usize = 4096;

/// What a command asks for.
#[derive(Debug)]
pub enum Request {
    Use { container: String, process: OwnedFd },
    Publish(Publication),
    Forget { container: String },
    Helper { name: String, process: OwnedFd },
    List,
}

/// The next request; `None` where the command has gone. An empty error: nothing was said.
pub fn receive(client: &OwnedFd) -> Result<Option<Request>, String> {
    let mut buffer = [0u8; LIMIT_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let got = match rustix::net::recvmsg(client, &mut [IoSliceMut::new(&mut buffer)], &mut control, flags) {
        Ok(got) => got,
        Err(Errno::AGAIN | Errno::INTR) => return Err(String::new()),
        Err(_) => return Ok(None),
    };
    let mut descriptors: Vec<OwnedFd> = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    if got.bytes == 0 {
        return Ok(None);
    }
    let text = std::str::from_utf8(&buffer[..got.bytes]).map_err(|_| "a request that is not text")?;
    parse(text, descriptors).map(Some)
}

fn parse(text: &str, mut descriptors: Vec<OwnedFd>) -> Result<Request, String> {
    let words: Vec<&str> = text.split('\0').collect();
    let given = descriptors.pop();
    if !descriptors.is_empty() {
        return Err("more than one descriptor".to_owned());
    }
    match (words.as_slice(), given) {
        (["use", container], Some(process)) => Ok(Request::Use {
            container: (*container).to_owned(),
            process,
        }),
        (["publish", container, protocol, target, source], Some(socket)) => {
            Ok(Request::Publish(Publication {
                container: (*container).to_owned(),
                protocol: match *protocol {
                    "tcp" => Protocol::Tcp,
                    "udp" => Protocol::Udp,
                    _ => return Err(format!("the protocol {protocol}")),
                },
                target: target.parse().map_err(|_| format!("the target {target}"))?,
                source: match *source {
                    "client" => Source::Client,
                    "plain" => Source::Plain,
                    _ => return Err(format!("the source {source}")),
                },
                socket,
            }))
        }
        (["forget", container], None) => Ok(Request::Forget {
            container: (*container).to_owned(),
        }),
        (["helper", name], Some(process)) => Ok(Request::Helper {
            name: (*name).to_owned(),
            process,
        }),
        (["list"], None) => Ok(Request::List),
        _ => Err(format!("the request {}", words[0])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn null() -> OwnedFd {
        std::fs::File::open("/dev/null").unwrap().into()
    }

    #[test]
    fn requests() {
        assert!(matches!(parse("list", vec![]), Ok(Request::List)));
        assert!(
            matches!(parse("use\0c", vec![null()]), Ok(Request::Use { container, .. }) if container == "c")
        );
        let published = parse("publish\0c\0udp\0[fd00::2]:53\0plain", vec![null()]);
        let Ok(Request::Publish(publication)) = published else {
            panic!("{published:?}")
        };
        assert_eq!(
            (publication.protocol, publication.source),
            (Protocol::Udp, Source::Plain)
        );
        assert_eq!(publication.target.to_string(), "[fd00::2]:53");
    }

    #[test]
    fn what_is_refused() {
        for text in [
            "",
            "list\0x",
            "use\0c",
            "nope",
            "publish\0c\0tcp\0nowhere\0client",
            "publish\0c\0sctp\x0010.0.0.1:1\0client",
            "publish\0c\0tcp\x0010.0.0.1:1\0other",
        ] {
            let descriptors = if text.starts_with("publish") {
                vec![null()]
            } else {
                vec![]
            };
            assert!(parse(text, descriptors).is_err(), "{text:?}");
        }
        assert!(parse("use\0c", vec![null(), null()]).is_err());
        assert!(parse("list", vec![null()]).is_err());
    }
}
