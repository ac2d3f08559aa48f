//! The one use of sockets here: receiving a descriptor over a listening Unix socket.

use crate::{system_call, Errno, Fd, Result};

/// A listening Unix stream socket, close-on-exec and not blocking, bound to `name` (at most 107 bytes).
pub fn listen(name: &[u8]) -> Result<Fd> {
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: numbers only.
    let raw = unsafe { system_call!(libc::SYS_socket, libc::AF_UNIX, kind, 0usize)? };
    let socket = Fd::own(raw as i32);
    let mut address = libc::sockaddr_un {
        sun_family: libc::AF_UNIX as u16,
        sun_path: [0; 108],
    };
    if name.len() >= address.sun_path.len() {
        return Err(Errno(libc::EINVAL));
    }
    for (place, byte) in address.sun_path.iter_mut().zip(name) {
        *place = *byte as libc::c_char;
    }
    let length = core::mem::size_of::<libc::sockaddr_un>();
    // SAFETY: the kernel reads a whole `sockaddr_un` that lives through the call.
    unsafe {
        system_call!(
            libc::SYS_bind,
            socket.raw(),
            &address as *const libc::sockaddr_un,
            length
        )?
    };
    // SAFETY: numbers only.
    unsafe { system_call!(libc::SYS_listen, socket.raw(), 1usize)? };
    Ok(socket)
}

/// Accepts one connection. Errors: `EAGAIN` where nobody has connected.
pub fn accept(listener: i32) -> Result<Fd> {
    // SAFETY: null address and length are allowed and mean that the peer's name is not wanted.
    let raw = unsafe {
        system_call!(
            libc::SYS_accept4,
            listener as isize,
            0usize,
            0usize,
            libc::SOCK_CLOEXEC
        )?
    };
    Ok(Fd::own(raw as i32))
}

/// Room for one control message with one descriptor, aligned as the kernel wants it.
#[repr(C, align(8))]
struct Control {
    header: libc::cmsghdr,
    descriptor: i32,
    padding: i32,
}

/// Receives a descriptor sent with SCM_RIGHTS. Errors: `EBADF` where the message carries none.
pub fn receive_descriptor(socket: i32) -> Result<Fd> {
    let mut byte = [0u8; 256];
    let mut vector = libc::iovec {
        iov_base: byte.as_mut_ptr().cast(),
        iov_len: byte.len(),
    };
    // SAFETY: all-zero is a valid value of these plain structs.
    let mut control: Control = unsafe { core::mem::zeroed() };
    // SAFETY: as above.
    let mut message: libc::msghdr = unsafe { core::mem::zeroed() };
    message.msg_iov = &mut vector;
    message.msg_iovlen = 1;
    message.msg_control = (&mut control as *mut Control).cast();
    message.msg_controllen = core::mem::size_of::<Control>();
    // SAFETY: the kernel writes into the buffers that `message` describes, which live through the call.
    unsafe {
        system_call!(
            libc::SYS_recvmsg,
            socket as isize,
            &mut message as *mut libc::msghdr,
            libc::MSG_CMSG_CLOEXEC
        )?
    };
    let rights =
        control.header.cmsg_level == libc::SOL_SOCKET && control.header.cmsg_type == libc::SCM_RIGHTS;
    if !rights || control.header.cmsg_len < core::mem::size_of::<libc::cmsghdr>() + 4 {
        return Err(Errno(libc::EBADF));
    }
    Ok(Fd::own(control.descriptor))
}
