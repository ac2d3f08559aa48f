//! The table of host functions: names, signatures, and the way from the engine's call to ours.

use std::ffi::{CStr, CString};

use wamr::host::{self, Caller, HostFunction};
use wamr::{GuestMemory, ImportedFunction, InitError, Runtime};

use crate::abi::{Errno, Result, Version};
use crate::address::End;
use crate::context::Context;
use crate::socket_options as options;
use crate::{
    clock, directory, file, input_output, path, poll, process, socket, socket_names, socket_open, status,
    wasmedge,
};

/// The arguments of a call; none has more than nine.
type Arguments = [u64; 9];

/// One host function of this crate.
type Function = fn(&mut Context, &mut GuestMemory<'_>, &Arguments) -> Result;

/// Parameters of a signature: the letters between its parentheses.
const fn parameters(signature: &[u8]) -> usize {
    let mut count = 0;
    while signature[count + 1] != b')' {
        count += 1;
    }
    count
}

fn run(caller: &mut Caller<'_>, signature: &[u8], function: Function) -> Result {
    let mut arguments = [0u64; 9];
    for (index, letter) in signature[1..=parameters(signature)].iter().enumerate() {
        arguments[index] = if *letter == b'I' {
            caller.u64(index)
        } else {
            u64::from(caller.u32(index))
        };
    }
    let Some((mut memory, context)) = caller.parts::<Context>() else {
        return Err(Errno::NOSYS);
    };
    context.observe_memory(memory.length_bytes());
    let result = function(context, &mut memory, &arguments);
    if context.exit.is_some() {
        // Unwinds the guest; who called it finds the request in the context.
        caller.trap("the guest has ended");
    }
    result
}

macro_rules! table {
    ($($name:literal $signature:literal $function:expr;)*) => {
        vec![$({
            unsafe extern "C" fn entry(exec_env: wamr::host::ExecEnv, arguments: *mut u64) {
                const COUNT: usize = parameters($signature.to_bytes());
                // SAFETY: called by the engine only, for the signature that stands beside this function.
                let mut caller = unsafe { Caller::new(exec_env, arguments, COUNT) };
                let result = run(&mut caller, $signature.to_bytes(), $function);
                if $signature.to_bytes().ends_with(b"i") {
                    caller.set_result(u32::from(result.err().unwrap_or(Errno::SUCCESS).0));
                }
            }
            HostFunction { name: $name, signature: $signature, function: entry }
        }),*]
    };
}

/// The module name of WASI preview 1, and of the sockets that come with it.
const PREVIEW1: &CStr = c"wasi_snapshot_preview1";
/// What the names of socket calls begin with.
const SOCKET_PREFIX: &str = "sock_";
/// What WasmEdge adds to the names of the newer calls where a module says which it means.
const NEWER_SUFFIX: &str = "_v2";

/// The socket calls that a module imports. Several have the same name and are told apart by their types.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SocketImports(Vec<ImportedFunction>);

impl SocketImports {
    /// Those of these bytes of a module.
    pub fn of(module: &[u8]) -> SocketImports {
        let from = PREVIEW1.to_str().unwrap_or_default();
        SocketImports(wamr::imported_functions(module, from, SOCKET_PREFIX))
    }

    /// Those of preview 1 and of WAMR, for a process that loads more than one module.
    pub fn standard() -> SocketImports {
        let mut functions = preview1_sockets();
        functions.extend(socket_extension());
        functions.extend(socket_extension_options());
        let text = |bytes: &CStr| bytes.to_string_lossy().into_owned();
        let imports = functions.into_iter().map(|function| ImportedFunction {
            name: text(function.name),
            signature: text(function.signature),
        });
        SocketImports(imports.collect())
    }

    /// Those whose name is known, and whose type none of the name has.
    pub fn misfits(&self) -> Vec<&ImportedFunction> {
        let known = known_sockets();
        let has_name = |import: &ImportedFunction| known.iter().any(|function| has_name(function, import));
        let fits = |import: &ImportedFunction| known.iter().any(|function| is(function, import));
        let imports = self.0.iter();
        imports
            .filter(|import| has_name(import) && !fits(import))
            .collect()
    }

    /// Whether this import is one of them that can be had.
    pub fn offers(&self, module: &str, name: &str) -> bool {
        let known = known_sockets();
        let import = self.0.iter().find(|import| import.name == name);
        module.as_bytes() == PREVIEW1.to_bytes()
            && import.is_some_and(|import| known.iter().any(|function| is(function, import)))
    }
}

fn has_name(function: &HostFunction, import: &ImportedFunction) -> bool {
    let name = import.name.strip_suffix(NEWER_SUFFIX).unwrap_or(&import.name);
    function.name.to_bytes() == name.as_bytes()
}

fn is(function: &HostFunction, import: &ImportedFunction) -> bool {
    has_name(function, import) && function.signature.to_bytes() == import.signature.as_bytes()
}

/// All socket calls; several may have one name.
fn known_sockets() -> Vec<HostFunction> {
    let mut known = preview1_sockets();
    known.extend(socket_extension());
    known.extend(socket_extension_options());
    known.extend(wasmedge_sockets());
    known
}

/// Makes WASI known to the engine; once per process, before modules are loaded. Of socket calls only those are there
/// that the module imports, of functions of the same name that which has the import's type.
pub fn register(runtime: Runtime, sockets: &SocketImports) -> std::result::Result<(), InitError> {
    let mut preview1 = common();
    preview1.extend(preview1_only());
    if !sockets.0.is_empty() {
        let known = known_sockets();
        let chosen = sockets.0.iter().filter_map(|import| {
            let function = known.iter().find(|function| is(function, import))?;
            // The engine keeps the name for ever, as the table.
            let name = CString::new(import.name.as_str()).ok()?;
            Some(HostFunction {
                name: Box::leak(name.into_boxed_c_str()),
                ..*function
            })
        });
        preview1.extend(chosen);
    }
    host::register(runtime, PREVIEW1, &preview1)?;
    let mut unstable = common();
    unstable.extend(unstable_sockets());
    unstable.extend(unstable_only());
    host::register(runtime, c"wasi_unstable", &unstable)
}

/// Functions that are the same under both names.
fn common() -> Vec<HostFunction> {
    table! {
        c"args_get" c"(ii)i" process::args_get;
        c"args_sizes_get" c"(ii)i" process::args_sizes_get;
        c"environ_get" c"(ii)i" process::environ_get;
        c"environ_sizes_get" c"(ii)i" process::environ_sizes_get;
        c"clock_res_get" c"(ii)i" clock::clock_res_get;
        c"clock_time_get" c"(iIi)i" clock::clock_time_get;
        c"fd_advise" c"(iIIi)i" file::fd_advise;
        c"fd_allocate" c"(iII)i" file::fd_allocate;
        c"fd_close" c"(i)i" file::fd_close;
        c"fd_datasync" c"(i)i" file::fd_datasync;
        c"fd_fdstat_get" c"(ii)i" file::fd_fdstat_get;
        c"fd_fdstat_set_flags" c"(ii)i" file::fd_fdstat_set_flags;
        c"fd_fdstat_set_rights" c"(iII)i" file::fd_fdstat_set_rights;
        c"fd_filestat_set_size" c"(iI)i" status::fd_filestat_set_size;
        c"fd_filestat_set_times" c"(iIIi)i" status::fd_filestat_set_times;
        c"fd_pread" c"(iiiIi)i" input_output::fd_pread;
        c"fd_prestat_get" c"(ii)i" file::fd_prestat_get;
        c"fd_prestat_dir_name" c"(iii)i" file::fd_prestat_dir_name;
        c"fd_pwrite" c"(iiiIi)i" input_output::fd_pwrite;
        c"fd_read" c"(iiii)i" input_output::fd_read;
        c"fd_readdir" c"(iiiIi)i" directory::fd_readdir;
        c"fd_renumber" c"(ii)i" file::fd_renumber;
        c"fd_sync" c"(i)i" file::fd_sync;
        c"fd_tell" c"(ii)i" file::fd_tell;
        c"fd_write" c"(iiii)i" input_output::fd_write;
        c"path_create_directory" c"(iii)i" path::path_create_directory;
        c"path_filestat_set_times" c"(iiiiIIi)i" status::path_filestat_set_times;
        c"path_link" c"(iiiiiii)i" path::path_link;
        c"path_open" c"(iiiiiIIii)i" path::path_open;
        c"path_readlink" c"(iiiiii)i" path::path_readlink;
        c"path_remove_directory" c"(iii)i" path::path_remove_directory;
        c"path_rename" c"(iiiiii)i" path::path_rename;
        c"path_symlink" c"(iiiii)i" path::path_symlink;
        c"path_unlink_file" c"(iii)i" path::path_unlink_file;
        c"proc_exit" c"(i)" process::proc_exit;
        c"proc_raise" c"(i)i" process::proc_raise;
        c"random_get" c"(ii)i" process::random_get;
        c"sched_yield" c"()i" process::sched_yield;
    }
}

fn preview1_only() -> Vec<HostFunction> {
    const VERSION: Version = Version::Preview1;
    table! {
        c"fd_filestat_get" c"(ii)i" |context, memory, a| status::fd_filestat_get(context, memory, a, VERSION);
        c"fd_seek" c"(iIii)i" |context, memory, a| file::fd_seek(context, memory, a, VERSION);
        c"path_filestat_get" c"(iiiii)i" |context, memory, a| status::path_filestat_get(context, memory, a, VERSION);
        c"poll_oneoff" c"(iiii)i" |context, memory, a| poll::poll_oneoff(context, memory, a, VERSION);
    }
}

fn unstable_only() -> Vec<HostFunction> {
    const VERSION: Version = Version::Unstable;
    table! {
        c"fd_filestat_get" c"(ii)i" |context, memory, a| status::fd_filestat_get(context, memory, a, VERSION);
        c"fd_seek" c"(iIii)i" |context, memory, a| file::fd_seek(context, memory, a, VERSION);
        c"path_filestat_get" c"(iiiii)i" |context, memory, a| status::path_filestat_get(context, memory, a, VERSION);
        c"poll_oneoff" c"(iiii)i" |context, memory, a| poll::poll_oneoff(context, memory, a, VERSION);
    }
}

/// Sockets of the older name of WASI, which has no others.
fn unstable_sockets() -> Vec<HostFunction> {
    table! {
        c"sock_recv" c"(iiiiii)i" socket::sock_recv;
        c"sock_send" c"(iiiii)i" socket::sock_send;
        c"sock_shutdown" c"(ii)i" socket::sock_shutdown;
    }
}

/// Those of preview 1 itself.
fn preview1_sockets() -> Vec<HostFunction> {
    let mut sockets = unstable_sockets();
    sockets.extend(table! {
        c"sock_accept" c"(iii)i" socket::sock_accept;
    });
    sockets
}

/// WAMR's sockets that a guest makes itself.
fn socket_extension() -> Vec<HostFunction> {
    table! {
        c"sock_addr_local" c"(ii)i" socket_open::sock_addr_local;
        c"sock_addr_remote" c"(ii)i" socket_open::sock_addr_remote;
        c"sock_addr_resolve" c"(iiiiii)i" socket_names::sock_addr_resolve;
        c"sock_bind" c"(ii)i" socket_open::sock_bind;
        c"sock_close" c"(i)i" file::fd_close;
        c"sock_connect" c"(ii)i" socket_open::sock_connect;
        c"sock_listen" c"(ii)i" socket_open::sock_listen;
        c"sock_open" c"(iiii)i" socket_open::sock_open;
        c"sock_recv_from" c"(iiiiii)i" socket::sock_recv_from;
        c"sock_send_to" c"(iiiiii)i" socket::sock_send_to;
    }
}

/// The options of WAMR's sockets.
fn socket_extension_options() -> Vec<HostFunction> {
    table! {
        c"sock_get_broadcast" c"(ii)i" |context, memory, a| options::get_switch(context, memory, a, options::BROADCAST);
        c"sock_get_ip_multicast_loop" c"(iii)i" options::get_multicast_loop;
        c"sock_get_ip_multicast_ttl" c"(ii)i" |context, memory, a| options::get_byte(context, memory, a, options::MULTICAST_TIME_TO_LIVE);
        c"sock_get_ip_ttl" c"(ii)i" |context, memory, a| options::get_byte(context, memory, a, options::TIME_TO_LIVE);
        c"sock_get_ipv6_only" c"(ii)i" |context, memory, a| options::get_switch(context, memory, a, options::V6_ONLY);
        c"sock_get_keep_alive" c"(ii)i" |context, memory, a| options::get_switch(context, memory, a, options::KEEP_ALIVE);
        c"sock_get_linger" c"(iii)i" options::get_linger;
        c"sock_get_recv_buf_size" c"(ii)i" |context, memory, a| options::get_number(context, memory, a, options::RECEIVE_BUFFER);
        c"sock_get_recv_timeout" c"(ii)i" |context, memory, a| options::get_time(context, memory, a, options::RECEIVE_TIMEOUT);
        c"sock_get_reuse_addr" c"(ii)i" |context, memory, a| options::get_switch(context, memory, a, options::REUSE_ADDRESS);
        c"sock_get_reuse_port" c"(ii)i" |context, memory, a| options::get_switch(context, memory, a, options::REUSE_PORT);
        c"sock_get_send_buf_size" c"(ii)i" |context, memory, a| options::get_number(context, memory, a, options::SEND_BUFFER);
        c"sock_get_send_timeout" c"(ii)i" |context, memory, a| options::get_time(context, memory, a, options::SEND_TIMEOUT);
        c"sock_get_tcp_fastopen_connect" c"(ii)i" |context, memory, a| options::get_switch(context, memory, a, options::FAST_OPEN_CONNECT);
        c"sock_get_tcp_keep_idle" c"(ii)i" |context, memory, a| options::get_number(context, memory, a, options::KEEP_IDLE);
        c"sock_get_tcp_keep_intvl" c"(ii)i" |context, memory, a| options::get_number(context, memory, a, options::KEEP_INTERVAL);
        c"sock_get_tcp_no_delay" c"(ii)i" |context, memory, a| options::get_switch(context, memory, a, options::NO_DELAY);
        c"sock_get_tcp_quick_ack" c"(ii)i" |context, memory, a| options::get_switch(context, memory, a, options::QUICK_ACKNOWLEDGEMENT);
        c"sock_set_broadcast" c"(ii)i" |context, _, a| options::set_number(context, a, options::BROADCAST);
        c"sock_set_ip_add_membership" c"(iii)i" options::membership;
        c"sock_set_ip_drop_membership" c"(iii)i" options::membership;
        c"sock_set_ip_multicast_loop" c"(iii)i" options::set_multicast_loop;
        c"sock_set_ip_multicast_ttl" c"(ii)i" |context, _, a| options::set_number(context, a, options::MULTICAST_TIME_TO_LIVE);
        c"sock_set_ip_ttl" c"(ii)i" |context, _, a| options::set_number(context, a, options::TIME_TO_LIVE);
        c"sock_set_ipv6_only" c"(ii)i" |context, _, a| options::set_number(context, a, options::V6_ONLY);
        c"sock_set_keep_alive" c"(ii)i" |context, _, a| options::set_number(context, a, options::KEEP_ALIVE);
        c"sock_set_linger" c"(iii)i" options::set_linger;
        c"sock_set_recv_buf_size" c"(ii)i" |context, _, a| options::set_number(context, a, options::RECEIVE_BUFFER);
        c"sock_set_recv_timeout" c"(iI)i" |context, _, a| options::set_time(context, a, options::RECEIVE_TIMEOUT);
        c"sock_set_reuse_addr" c"(ii)i" |context, _, a| options::set_number(context, a, options::REUSE_ADDRESS);
        c"sock_set_reuse_port" c"(ii)i" |context, _, a| options::set_number(context, a, options::REUSE_PORT);
        c"sock_set_send_buf_size" c"(ii)i" |context, _, a| options::set_number(context, a, options::SEND_BUFFER);
        c"sock_set_send_timeout" c"(iI)i" |context, _, a| options::set_time(context, a, options::SEND_TIMEOUT);
        c"sock_set_tcp_fastopen_connect" c"(ii)i" |context, _, a| options::set_number(context, a, options::FAST_OPEN_CONNECT);
        c"sock_set_tcp_keep_idle" c"(ii)i" |context, _, a| options::set_number(context, a, options::KEEP_IDLE);
        c"sock_set_tcp_keep_intvl" c"(ii)i" |context, _, a| options::set_number(context, a, options::KEEP_INTERVAL);
        c"sock_set_tcp_no_delay" c"(ii)i" |context, _, a| options::set_number(context, a, options::NO_DELAY);
        c"sock_set_tcp_quick_ack" c"(ii)i" |context, _, a| options::set_number(context, a, options::QUICK_ACKNOWLEDGEMENT);
    }
}

/// WasmEdge's sockets, as far as their types are others.
fn wasmedge_sockets() -> Vec<HostFunction> {
    table! {
        c"sock_accept" c"(ii)i" wasmedge::sock_accept;
        c"sock_bind" c"(iii)i" wasmedge::sock_bind;
        c"sock_connect" c"(iii)i" wasmedge::sock_connect;
        c"sock_getaddrinfo" c"(iiiiiiii)i" wasmedge::sock_getaddrinfo;
        c"sock_getlocaladdr" c"(iiii)i" |context, memory, a| wasmedge::address_1(context, memory, a, End::Local);
        c"sock_getlocaladdr" c"(iii)i" |context, memory, a| wasmedge::address_2(context, memory, a, End::Local);
        c"sock_getpeeraddr" c"(iiii)i" |context, memory, a| wasmedge::address_1(context, memory, a, End::Remote);
        c"sock_getpeeraddr" c"(iii)i" |context, memory, a| wasmedge::address_2(context, memory, a, End::Remote);
        c"sock_getsockopt" c"(iiiii)i" wasmedge::sock_getsockopt;
        c"sock_lookup_ip" c"(iiiiii)i" wasmedge::sock_lookup_ip;
        c"sock_open" c"(iii)i" wasmedge::sock_open;
        c"sock_recv_from" c"(iiiiiii)i" wasmedge::sock_recv_from_1;
        c"sock_recv_from" c"(iiiiiiii)i" wasmedge::sock_recv_from_2;
        c"sock_send_to" c"(iiiiiii)i" wasmedge::sock_send_to;
        c"sock_setsockopt" c"(iiiii)i" wasmedge::sock_setsockopt;
    }
}
