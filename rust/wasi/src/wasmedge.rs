//! Sockets as WasmEdge has them: the same names as WAMR's, with other arguments, by which they are told apart.
//!
//! There are two versions of some. The older one knows addresses of 4 and 16 bytes; the newer one, addresses in a
//! storage of 128 bytes as well, which begins with the version of IP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use wamr::GuestMemory;

use crate::abi::{Errno, Result};
use crate::address::{End, Family};
use crate::context::Context;
use crate::descriptor::{Descriptor, Transport};
use crate::socket::{accept, receive, send, Received};
use crate::socket_names::{look_up, Place, Wish};
use crate::socket_open::{address_of, bind, connect, open};
use crate::socket_options::{self as options, SocketOption};

const FAMILY_ANY: u8 = 0;
const FAMILY_IPV4: u8 = 1;
const FAMILY_IPV6: u8 = 2;
const TYPE_DATAGRAM: u8 = 1;
const TYPE_STREAM: u8 = 2;
const PROTOCOL_TCP: u8 = 1;
const PROTOCOL_UDP: u8 = 2;
const STORAGE_BYTES: u32 = 128;
/// Longer texts are no names.
const MAX_TEXT_BYTES: u32 = 1024;

// `__wasi_addrinfo_t`: flags, family, type, protocol; length and place of the address, place and length of a name, and
// the next one.
const INFORMATION_BYTES: u32 = 28;
const INFORMATION_ADDRESS: u32 = 12;
const INFORMATION_NAME_BYTES: u32 = 20;
const INFORMATION_NEXT: u32 = 24;
/// `__wasi_sockaddr_t`: family, length and place of the data.
const SOCKET_ADDRESS_DATA: u32 = 8;
/// The most places that one look-up is asked for.
const MAX_PLACES: u32 = 1024;

fn family_of(number: u64) -> Result<Family> {
    match number {
        1 => Ok(Family::V4),
        2 => Ok(Family::V6),
        _ => Err(Errno::AFNOSUPPORT),
    }
}

fn family_number(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => FAMILY_IPV4,
        IpAddr::V6(_) => FAMILY_IPV6,
    }
}

/// A guest's `__wasi_address_t`: where the bytes of an address are, and how many.
#[derive(Clone, Copy)]
struct AddressBytes {
    at: u32,
    length: u32,
}

impl AddressBytes {
    fn read(memory: &GuestMemory<'_>, at: u64) -> Result<AddressBytes> {
        let bytes: [u8; 8] = memory.read(at as u32).ok_or(Errno::FAULT)?;
        let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let place = AddressBytes {
            at: number(0),
            length: number(4),
        };
        memory.slice(place.at, place.length).ok_or(Errno::FAULT)?;
        Ok(place)
    }

    /// The address that is there.
    fn address(self, memory: &GuestMemory<'_>) -> Result<IpAddr> {
        let v4 = |at: u32| {
            memory
                .read::<4>(at)
                .map(|bytes| IpAddr::V4(Ipv4Addr::from(bytes)))
        };
        let v6 = |at: u32| {
            memory
                .read::<16>(at)
                .map(|bytes| IpAddr::V6(Ipv6Addr::from(bytes)))
        };
        let address = match self.length {
            4 => v4(self.at),
            16 => v6(self.at),
            STORAGE_BYTES => {
                let family = memory.read::<2>(self.at).ok_or(Errno::FAULT)?;
                match family_of(u64::from(u16::from_le_bytes(family)))? {
                    Family::V4 => v4(self.at + 2),
                    Family::V6 => v6(self.at + 2),
                }
            }
            _ => return Err(Errno::INVAL),
        };
        address.ok_or(Errno::FAULT)
    }

    /// Writes an address there: into a storage with its version, else its bytes alone.
    fn store(self, memory: &mut GuestMemory<'_>, address: IpAddr) -> Result {
        let mut bytes = Vec::with_capacity(18);
        if self.length == STORAGE_BYTES {
            bytes.extend_from_slice(&[family_number(address), 0]);
        }
        match address {
            IpAddr::V4(plain) => bytes.extend_from_slice(&plain.octets()),
            IpAddr::V6(plain) => bytes.extend_from_slice(&plain.octets()),
        }
        if bytes.len() > self.length as usize {
            return Err(Errno::INVAL);
        }
        memory.write(self.at, &bytes).ok_or(Errno::FAULT)
    }
}

pub(crate) fn sock_open(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    memory.slice(a[2] as u32, 4).ok_or(Errno::FAULT)?;
    let family = family_of(a[0])?;
    let transport = match a[1] as u8 {
        TYPE_DATAGRAM => Transport::Datagram,
        TYPE_STREAM => Transport::Stream,
        _ => return Err(Errno::NOTSUP),
    };
    let number = open(context, family, transport)?;
    memory.write_u32(a[2] as u32, number).ok_or(Errno::FAULT)
}

/// An address and a port, which are two arguments.
fn read_address(memory: &GuestMemory<'_>, address: u64, port: u64) -> Result<SocketAddr> {
    let port = u16::try_from(port).map_err(|_| Errno::INVAL)?;
    Ok(SocketAddr::new(
        AddressBytes::read(memory, address)?.address(memory)?,
        port,
    ))
}

fn socket<'c>(context: &'c Context, a: &[u64; 9]) -> Result<&'c Descriptor> {
    let descriptor = context.table.get(a[0] as u32)?;
    descriptor.require_socket()?;
    Ok(descriptor)
}

pub(crate) fn sock_bind(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    socket(context, a)?;
    bind(context, a[0] as u32, read_address(memory, a[1], a[2])?)
}

pub(crate) fn sock_connect(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    socket(context, a)?;
    connect(context, a[0] as u32, read_address(memory, a[1], a[2])?)
}

/// The older `sock_accept`, without flags.
pub(crate) fn sock_accept(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    accept(context, memory, a[0] as u32, 0, a[1] as u32)
}

/// Where the results of receiving go.
struct Results {
    count: u64,
    flags: u64,
}

fn receive_from(
    context: &mut Context,
    memory: &mut GuestMemory<'_>,
    a: &[u64; 9],
    results: &Results,
) -> Result<(Received, IpAddr, u16)> {
    socket(context, a)?;
    memory.slice(results.count as u32, 4).ok_or(Errno::FAULT)?;
    memory.slice(results.flags as u32, 2).ok_or(Errno::FAULT)?;
    let place = AddressBytes::read(memory, a[3])?;
    let list = (a[1] as u32, a[2] as u32);
    let received = receive(context, memory, a[0] as u32, list, a[4] as u32)?;
    let from = match received.from {
        Some(address) => address,
        None => address_of(context, a[0] as u32, End::Remote)?,
    };
    place.store(memory, from.ip())?;
    memory
        .write_u32(results.count as u32, received.count)
        .ok_or(Errno::FAULT)?;
    memory
        .write(results.flags as u32, &received.output_flags().to_le_bytes())
        .ok_or(Errno::FAULT)?;
    Ok((received, from.ip(), from.port()))
}

/// The older `sock_recv_from`, without a port.
pub(crate) fn sock_recv_from_1(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    let results = Results {
        count: a[5],
        flags: a[6],
    };
    receive_from(context, memory, a, &results).map(|_| ())
}

pub(crate) fn sock_recv_from_2(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    memory.slice(a[5] as u32, 2).ok_or(Errno::FAULT)?;
    let results = Results {
        count: a[6],
        flags: a[7],
    };
    let (_, _, port) = receive_from(context, memory, a, &results)?;
    memory.write(a[5] as u32, &port.to_le_bytes()).ok_or(Errno::FAULT)
}

pub(crate) fn sock_send_to(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    socket(context, a)?;
    memory.slice(a[6] as u32, 4).ok_or(Errno::FAULT)?;
    if a[5] != 0 {
        return Err(Errno::INVAL);
    }
    let target = read_address(memory, a[3], a[4])?;
    let list = (a[1] as u32, a[2] as u32);
    let count = send(context, memory, a[0] as u32, list, Some(target))?;
    memory.write_u32(a[6] as u32, count).ok_or(Errno::FAULT)
}

/// The older address calls: the version of IP is told as 4 or 6.
pub(crate) fn address_1(
    context: &mut Context,
    memory: &mut GuestMemory<'_>,
    a: &[u64; 9],
    end: End,
) -> Result {
    memory.slice(a[2] as u32, 4).ok_or(Errno::FAULT)?;
    memory.slice(a[3] as u32, 4).ok_or(Errno::FAULT)?;
    let place = AddressBytes::read(memory, a[1])?;
    let address = address_of(context, a[0] as u32, end)?;
    place.store(memory, address.ip())?;
    let version = if address.is_ipv4() { 4 } else { 6 };
    memory.write_u32(a[2] as u32, version).ok_or(Errno::FAULT)?;
    memory
        .write_u32(a[3] as u32, u32::from(address.port()))
        .ok_or(Errno::FAULT)
}

pub(crate) fn address_2(
    context: &mut Context,
    memory: &mut GuestMemory<'_>,
    a: &[u64; 9],
    end: End,
) -> Result {
    memory.slice(a[2] as u32, 4).ok_or(Errno::FAULT)?;
    let place = AddressBytes::read(memory, a[1])?;
    let address = address_of(context, a[0] as u32, end)?;
    place.store(memory, address.ip())?;
    memory
        .write_u32(a[2] as u32, u32::from(address.port()))
        .ok_or(Errno::FAULT)
}

/// What an option holds.
enum Value {
    /// A number of 32 bits that may be set.
    Number(SocketOption),
    /// Two numbers of 32 bits.
    Linger,
    /// Seconds and microseconds, 64 bits each.
    Time(SocketOption),
    Type,
    Error,
    /// A number that may only be read.
    Fixed(i32),
    Device,
}

/// `__wasi_sock_opt_so_t`, of the one level that there is.
fn option(level: u64, name: u64) -> Result<Value> {
    if level != 0 {
        return Err(Errno::NOPROTOOPT);
    }
    Ok(match name {
        0 => Value::Number(options::REUSE_ADDRESS),
        1 => Value::Type,
        2 => Value::Error,
        3 => Value::Fixed(libc::SO_DONTROUTE),
        4 => Value::Number(options::BROADCAST),
        5 => Value::Number(options::SEND_BUFFER),
        6 => Value::Number(options::RECEIVE_BUFFER),
        7 => Value::Number(options::KEEP_ALIVE),
        8 => Value::Fixed(libc::SO_OOBINLINE),
        9 => Value::Linger,
        10 => Value::Fixed(libc::SO_RCVLOWAT),
        11 => Value::Time(options::RECEIVE_TIMEOUT),
        12 => Value::Time(options::SEND_TIMEOUT),
        13 => Value::Fixed(libc::SO_ACCEPTCONN),
        14 => Value::Device,
        _ => return Err(Errno::NOPROTOOPT),
    })
}

pub(crate) fn sock_getsockopt(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    let descriptor = socket(context, a)?;
    let room = memory.read_u32(a[4] as u32).ok_or(Errno::FAULT)?;
    memory.slice(a[3] as u32, room).ok_or(Errno::FAULT)?;
    let number = |option: SocketOption| options::get::<i32>(context, a[0], option);
    let of_socket = |name: i32| SocketOption {
        level: libc::SOL_SOCKET,
        name,
    };
    let bytes = match option(a[1], a[2])? {
        Value::Number(option) => number(option)?.to_le_bytes().to_vec(),
        Value::Fixed(name) => number(of_socket(name))?.to_le_bytes().to_vec(),
        Value::Type => {
            let datagram = descriptor.kind() == crate::abi::filetype::SOCKET_DGRAM;
            let kind = if datagram { TYPE_DATAGRAM } else { TYPE_STREAM };
            i32::from(kind).to_le_bytes().to_vec()
        }
        Value::Error => {
            let error = match number(of_socket(libc::SO_ERROR))? {
                0 => Errno::SUCCESS,
                error => Errno::from_host(error),
            };
            i32::from(error.0).to_le_bytes().to_vec()
        }
        Value::Linger => {
            pair(options::get::<[i32; 2]>(context, a[0], options::LINGER)?.map(i32::to_le_bytes))
        }
        Value::Time(option) => pair(options::get::<[i64; 2]>(context, a[0], option)?.map(i64::to_le_bytes)),
        // None of the host's devices are the guest's business.
        Value::Device => Vec::new(),
    };
    if bytes.len() > room as usize {
        return Err(Errno::INVAL);
    }
    memory.write(a[3] as u32, &bytes).ok_or(Errno::FAULT)?;
    memory
        .write_u32(a[4] as u32, bytes.len() as u32)
        .ok_or(Errno::FAULT)
}

fn pair<const N: usize>(halves: [[u8; N]; 2]) -> Vec<u8> {
    halves.concat()
}

pub(crate) fn sock_setsockopt(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    socket(context, a)?;
    let (at, length) = (a[3] as u32, a[4] as u32);
    memory.slice(at, length).ok_or(Errno::FAULT)?;
    let exactly = |wanted: u32| (length == wanted).then_some(()).ok_or(Errno::INVAL);
    match option(a[1], a[2])? {
        Value::Number(option) => {
            exactly(4)?;
            let value = memory.read_u32(at).ok_or(Errno::FAULT)?;
            options::set(context, a[0], option, value as i32)
        }
        Value::Linger => {
            exactly(8)?;
            let bytes: [u8; 8] = memory.read(at).ok_or(Errno::FAULT)?;
            options::set(context, a[0], options::LINGER, bytes)
        }
        Value::Time(option) => {
            exactly(16)?;
            let bytes: [u8; 16] = memory.read(at).ok_or(Errno::FAULT)?;
            options::set(context, a[0], option, bytes)
        }
        Value::Type | Value::Error | Value::Fixed(_) => Err(Errno::NOPROTOOPT),
        Value::Device => Err(Errno::ACCES),
    }
}

/// A text of the guest, with or without a NUL at its end. What is no UTF-8 is no name, and so is what is too long.
fn read_text(memory: &GuestMemory<'_>, at: u64, length: u64) -> Result<String> {
    let bytes = memory.slice(at as u32, length as u32).ok_or(Errno::FAULT)?;
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    if bytes.len() > MAX_TEXT_BYTES as usize {
        return Ok(String::new());
    }
    Ok(String::from_utf8(bytes.to_vec()).unwrap_or_default())
}

pub(crate) fn sock_getaddrinfo(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    let most = (a[6] as u32).min(MAX_PLACES);
    memory.slice(a[7] as u32, 4).ok_or(Errno::FAULT)?;
    let mut next = memory.read_u32(a[5] as u32).ok_or(Errno::FAULT)?;
    let hints: [u8; 5] = memory.read(a[4] as u32).ok_or(Errno::FAULT)?;
    let family = match hints[2] {
        FAMILY_ANY => None,
        number => Some(family_of(u64::from(number))?),
    };
    let transport = match (hints[3], hints[4]) {
        (TYPE_DATAGRAM, _) | (0, PROTOCOL_UDP) => Some(Transport::Datagram),
        (TYPE_STREAM, _) | (0, PROTOCOL_TCP) => Some(Transport::Stream),
        _ => None,
    };
    let (name, service) = (read_text(memory, a[0], a[1])?, read_text(memory, a[2], a[3])?);
    let wish = Wish {
        name: &name,
        service: &service,
        family,
        transport,
    };
    let places = look_up(context, &wish)?;
    let count = places.len().min(most as usize);
    for place in &places[..count] {
        next = store_place(memory, next, place)?;
    }
    memory.write_u32(a[7] as u32, count as u32).ok_or(Errno::FAULT)
}

/// Fills in one entry of a guest's list, which has room for everything; gives the next one's place.
fn store_place(memory: &mut GuestMemory<'_>, at: u32, place: &Place) -> Result<u32> {
    let (address, transport) = *place;
    memory.slice(at, INFORMATION_BYTES).ok_or(Errno::FAULT)?;
    let number = |memory: &GuestMemory<'_>, at: u32| memory.read_u32(at).ok_or(Errno::FAULT);
    let socket_address = number(memory, at + INFORMATION_ADDRESS)?;
    let (kind, protocol) = match transport {
        Transport::Datagram => (TYPE_DATAGRAM, PROTOCOL_UDP),
        Transport::Stream => (TYPE_STREAM, PROTOCOL_TCP),
    };
    let family = family_number(address.ip());
    // As the data of the host's own layout: the port first, in network order.
    let mut data = address.port().to_be_bytes().to_vec();
    match address.ip() {
        IpAddr::V4(plain) => {
            data.extend_from_slice(&plain.octets());
            data.extend_from_slice(&[0; 8]);
        }
        IpAddr::V6(plain) => {
            data.extend_from_slice(&[0; 4]);
            data.extend_from_slice(&plain.octets());
            data.extend_from_slice(&[0; 4]);
        }
    }
    let length = data.len() as u32;
    memory
        .write(at + 2, &[family, kind, protocol])
        .ok_or(Errno::FAULT)?;
    memory.write_u32(at + 8, length + 2).ok_or(Errno::FAULT)?;
    memory
        .write_u32(at + INFORMATION_NAME_BYTES, 0)
        .ok_or(Errno::FAULT)?;
    memory
        .slice(socket_address, SOCKET_ADDRESS_DATA + 4)
        .ok_or(Errno::FAULT)?;
    memory.write(socket_address, &[family]).ok_or(Errno::FAULT)?;
    memory.write_u32(socket_address + 4, length).ok_or(Errno::FAULT)?;
    let place = number(memory, socket_address + SOCKET_ADDRESS_DATA)?;
    memory.write(place, &data).ok_or(Errno::FAULT)?;
    number(memory, at + INFORMATION_NEXT)
}

/// Plain addresses of a name, one after another.
pub(crate) fn sock_lookup_ip(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    memory.slice(a[3] as u32, a[4] as u32).ok_or(Errno::FAULT)?;
    memory.slice(a[5] as u32, 4).ok_or(Errno::FAULT)?;
    let family = family_of(a[2])?;
    let name = read_text(memory, a[0], a[1])?;
    let wish = Wish {
        name: &name,
        service: "",
        family: Some(family),
        transport: Some(Transport::Stream),
    };
    let mut bytes = Vec::new();
    let mut count = 0;
    for (address, _) in look_up(context, &wish)? {
        let before = bytes.len();
        match address.ip() {
            IpAddr::V4(plain) => bytes.extend_from_slice(&plain.octets()),
            IpAddr::V6(plain) => bytes.extend_from_slice(&plain.octets()),
        }
        if bytes.len() > a[4] as usize {
            bytes.truncate(before);
            break;
        }
        count += 1;
    }
    memory.write(a[3] as u32, &bytes).ok_or(Errno::FAULT)?;
    memory.write_u32(a[5] as u32, count).ok_or(Errno::FAULT)
}
