//! Looking names up: `sock_addr_resolve` of WAMR's extension.

use std::net::{IpAddr, SocketAddr};

use wamr::GuestMemory;

use crate::abi::{Errno, Result};
use crate::address::{encode, Family};
use crate::context::Context;
use crate::descriptor::Transport;
use crate::network::Refusal;
use crate::resolver::{families, service_port, Found};

/// `__wasi_addr_info_t`: an address and a type.
const INFORMATION_BYTES: u32 = 28;
/// `__wasi_addr_info_hints_t`: a type, a family, and whether they mean anything.
const HINTS_BYTES: u32 = 12;
const HINT_IPV4: u32 = 0;
const HINT_IPV6: u32 = 1;
const HINT_DATAGRAM: u32 = 0;
const HINT_STREAM: u32 = 1;
/// Longer texts are no names.
const MAX_TEXT_BYTES: u32 = 1024;

/// What a guest wants to know.
pub(crate) struct Wish<'w> {
    pub name: &'w str,
    pub service: &'w str,
    pub family: Option<Family>,
    pub transport: Option<Transport>,
}

/// An address of a name, for one transport.
pub(crate) type Place = (SocketAddr, Transport);

/// Looks a name up. A name or service that there is not has no places.
///
/// Errors: `ACCES` without a name server, and the watcher is told; those of the look-up.
pub(crate) fn look_up(context: &mut Context, wish: &Wish<'_>) -> Result<Vec<Place>> {
    let Ok(port) = service_port(wish.service) else {
        return Ok(Vec::new());
    };
    let own = context.network.own;
    let versions = families(wish.family, own);
    match context.network.resolver.look_up(wish.name, &versions, own)? {
        Found::Addresses(addresses) => Ok(places(&addresses, port, wish.transport)),
        Found::NobodyToAsk => {
            context.refuse(&Refusal::LookUp(wish.name.to_owned()));
            Err(Errno::ACCES)
        }
    }
}

fn places(addresses: &[IpAddr], port: u16, transport: Option<Transport>) -> Vec<Place> {
    let transports: &[Transport] = match transport {
        Some(Transport::Stream) => &[Transport::Stream],
        Some(Transport::Datagram) => &[Transport::Datagram],
        None => &[Transport::Stream, Transport::Datagram],
    };
    let each = |address: &IpAddr| {
        let place = SocketAddr::new(*address, port);
        transports.iter().map(move |transport| (place, *transport))
    };
    addresses.iter().flat_map(each).collect()
}

pub(crate) fn sock_addr_resolve(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    let (output, room, total) = (a[3] as u32, a[4] as u32, a[5] as u32);
    let bytes = u32::try_from(u64::from(room) * u64::from(INFORMATION_BYTES)).map_err(|_| Errno::FAULT)?;
    memory.slice(output, bytes).ok_or(Errno::FAULT)?;
    memory.slice(total, 4).ok_or(Errno::FAULT)?;
    let (family, transport) = read_hints(memory, a[2] as u32)?;
    let name = read_text(memory, a[0] as u32)?.to_owned();
    let service = read_text(memory, a[1] as u32)?.to_owned();
    let wish = Wish {
        name: &name,
        service: &service,
        family,
        transport,
    };
    let places = look_up(context, &wish)?;
    for (index, (address, transport)) in places.iter().take(room as usize).enumerate() {
        let at = output + index as u32 * INFORMATION_BYTES;
        let kind = match transport {
            Transport::Stream => HINT_STREAM,
            Transport::Datagram => HINT_DATAGRAM,
        };
        memory.write(at, &encode(*address)).ok_or(Errno::FAULT)?;
        memory
            .write_u32(at + INFORMATION_BYTES - 4, kind)
            .ok_or(Errno::FAULT)?;
    }
    memory.write_u32(total, places.len() as u32).ok_or(Errno::FAULT)
}

fn read_hints(memory: &GuestMemory<'_>, at: u32) -> Result<(Option<Family>, Option<Transport>)> {
    let bytes = memory.slice(at, HINTS_BYTES).ok_or(Errno::FAULT)?;
    let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    if bytes[8] == 0 {
        return Ok((None, None));
    }
    let transport = match number(0) {
        HINT_STREAM => Some(Transport::Stream),
        HINT_DATAGRAM => Some(Transport::Datagram),
        _ => None,
    };
    let family = match number(4) {
        HINT_IPV4 => Some(Family::V4),
        HINT_IPV6 => Some(Family::V6),
        _ => None,
    };
    Ok((family, transport))
}

/// A terminated text of the guest. What is no UTF-8 is no name, and so is what is too long: both are empty.
fn read_text<'m>(memory: &'m GuestMemory<'_>, at: u32) -> Result<&'m str> {
    let available = memory.length_bytes().saturating_sub(u64::from(at));
    let length = u64::from(MAX_TEXT_BYTES).min(available) as u32;
    let bytes = memory.slice(at, length).ok_or(Errno::FAULT)?;
    let Some(end) = bytes.iter().position(|byte| *byte == 0) else {
        return if length < MAX_TEXT_BYTES {
            Err(Errno::FAULT)
        } else {
            Ok("")
        };
    };
    Ok(std::str::from_utf8(&bytes[..end]).unwrap_or(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_end_within_the_memory() {
        let mut bytes = b"name\0\xff\0rest".to_vec();
        let length = bytes.len() as u32;
        let memory = GuestMemory::over(&mut bytes);
        assert_eq!(read_text(&memory, 0), Ok("name"));
        assert_eq!(read_text(&memory, 4), Ok(""));
        assert_eq!(read_text(&memory, 5), Ok(""));
        assert_eq!(read_text(&memory, 7), Err(Errno::FAULT));
        assert_eq!(read_text(&memory, length), Err(Errno::FAULT));
        assert_eq!(read_text(&memory, length + 1), Err(Errno::FAULT));
        let mut long = vec![b'a'; 4096];
        assert_eq!(read_text(&GuestMemory::over(&mut long), 0), Ok(""));
    }

    #[test]
    fn hints_mean_nothing_unless_they_are_enabled() {
        let mut bytes = vec![0u8; 12];
        assert_eq!(read_hints(&GuestMemory::over(&mut bytes), 0), Ok((None, None)));
        bytes[8] = 1;
        let expected = Ok((Some(Family::V4), Some(Transport::Datagram)));
        assert_eq!(read_hints(&GuestMemory::over(&mut bytes), 0), expected);
        bytes[0..8].copy_from_slice(&[0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0]);
        assert_eq!(read_hints(&GuestMemory::over(&mut bytes), 0), Ok((None, None)));
        assert_eq!(read_hints(&GuestMemory::over(&mut bytes), 1), Err(Errno::FAULT));
    }
}
