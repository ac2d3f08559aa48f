//! Numbers and layouts of the interface (the `witx` files of WASI preview 1).

/// An error number of WASI, which is not the host's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Errno(pub u16);

/// What a host function gives.
pub(crate) type Result<T = ()> = std::result::Result<T, Errno>;

macro_rules! errnos {
    ($($name:ident = $number:literal $(=> $host:ident)?;)*) => {
        impl Errno {
            $(pub const $name: Errno = Errno($number);)*

            /// The WASI error for one of the host's.
            pub fn from_host(number: i32) -> Errno {
                match number {
                    $($(libc::$host => Errno::$name,)?)*
                    // The kernel's answer to a path that leaves its directory (openat2).
                    libc::EXDEV => Errno::XDEV,
                    libc::EOPNOTSUPP => Errno::NOTSUP,
                    _ => Errno::IO,
                }
            }
        }
    };
}

errnos! {
    SUCCESS = 0;
    TOOBIG = 1 => E2BIG;
    ACCES = 2 => EACCES;
    ADDRINUSE = 3 => EADDRINUSE;
    ADDRNOTAVAIL = 4 => EADDRNOTAVAIL;
    AFNOSUPPORT = 5 => EAFNOSUPPORT;
    AGAIN = 6 => EAGAIN;
    ALREADY = 7 => EALREADY;
    BADF = 8 => EBADF;
    BADMSG = 9 => EBADMSG;
    BUSY = 10 => EBUSY;
    CANCELED = 11 => ECANCELED;
    CHILD = 12 => ECHILD;
    CONNABORTED = 13 => ECONNABORTED;
    CONNREFUSED = 14 => ECONNREFUSED;
    CONNRESET = 15 => ECONNRESET;
    DEADLK = 16 => EDEADLK;
    DESTADDRREQ = 17 => EDESTADDRREQ;
    DOM = 18 => EDOM;
    DQUOT = 19 => EDQUOT;
    EXIST = 20 => EEXIST;
    FAULT = 21 => EFAULT;
    FBIG = 22 => EFBIG;
    HOSTUNREACH = 23 => EHOSTUNREACH;
    IDRM = 24 => EIDRM;
    ILSEQ = 25 => EILSEQ;
    INPROGRESS = 26 => EINPROGRESS;
    INTR = 27 => EINTR;
    INVAL = 28 => EINVAL;
    IO = 29 => EIO;
    ISCONN = 30 => EISCONN;
    ISDIR = 31 => EISDIR;
    LOOP = 32 => ELOOP;
    MFILE = 33 => EMFILE;
    MLINK = 34 => EMLINK;
    MSGSIZE = 35 => EMSGSIZE;
    NAMETOOLONG = 37 => ENAMETOOLONG;
    NETDOWN = 38 => ENETDOWN;
    NETUNREACH = 40 => ENETUNREACH;
    NFILE = 41 => ENFILE;
    NOBUFS = 42 => ENOBUFS;
    NODEV = 43 => ENODEV;
    NOENT = 44 => ENOENT;
    NOLCK = 46 => ENOLCK;
    NOMEM = 48 => ENOMEM;
    NOPROTOOPT = 50 => ENOPROTOOPT;
    NOSPC = 51 => ENOSPC;
    NOSYS = 52 => ENOSYS;
    NOTCONN = 53 => ENOTCONN;
    NOTDIR = 54 => ENOTDIR;
    NOTEMPTY = 55 => ENOTEMPTY;
    NOTSOCK = 57 => ENOTSOCK;
    NOTSUP = 58;
    NOTTY = 59 => ENOTTY;
    NXIO = 60 => ENXIO;
    OVERFLOW = 61 => EOVERFLOW;
    PERM = 63 => EPERM;
    PIPE = 64 => EPIPE;
    RANGE = 68 => ERANGE;
    ROFS = 69 => EROFS;
    SPIPE = 70 => ESPIPE;
    SRCH = 71 => ESRCH;
    STALE = 72 => ESTALE;
    TIMEDOUT = 73 => ETIMEDOUT;
    TXTBSY = 74 => ETXTBSY;
    XDEV = 75;
    NOTCAPABLE = 76;
}

impl Errno {
    /// The error of the system call that has just failed.
    pub(crate) fn last() -> Errno {
        Errno::from_host(
            std::io::Error::last_os_error()
                .raw_os_error()
                .unwrap_or(libc::EIO),
        )
    }
}

/// Gives the value of a system call, or its error where it is negative.
pub(crate) fn check(value: isize) -> Result<usize> {
    usize::try_from(value).map_err(|_| Errno::last())
}

/// Rights of descriptors.
pub(crate) mod rights {
    pub const FD_DATASYNC: u64 = 1 << 0;
    pub const FD_READ: u64 = 1 << 1;
    pub const FD_SEEK: u64 = 1 << 2;
    pub const FD_FDSTAT_SET_FLAGS: u64 = 1 << 3;
    pub const FD_SYNC: u64 = 1 << 4;
    pub const FD_TELL: u64 = 1 << 5;
    pub const FD_WRITE: u64 = 1 << 6;
    pub const FD_ADVISE: u64 = 1 << 7;
    pub const FD_ALLOCATE: u64 = 1 << 8;
    pub const PATH_CREATE_DIRECTORY: u64 = 1 << 9;
    pub const PATH_CREATE_FILE: u64 = 1 << 10;
    pub const PATH_LINK_SOURCE: u64 = 1 << 11;
    pub const PATH_LINK_TARGET: u64 = 1 << 12;
    pub const PATH_OPEN: u64 = 1 << 13;
    pub const FD_READDIR: u64 = 1 << 14;
    pub const PATH_READLINK: u64 = 1 << 15;
    pub const PATH_RENAME_SOURCE: u64 = 1 << 16;
    pub const PATH_RENAME_TARGET: u64 = 1 << 17;
    pub const PATH_FILESTAT_GET: u64 = 1 << 18;
    pub const PATH_FILESTAT_SET_SIZE: u64 = 1 << 19;
    pub const PATH_FILESTAT_SET_TIMES: u64 = 1 << 20;
    pub const FD_FILESTAT_GET: u64 = 1 << 21;
    pub const FD_FILESTAT_SET_SIZE: u64 = 1 << 22;
    pub const FD_FILESTAT_SET_TIMES: u64 = 1 << 23;
    pub const PATH_SYMLINK: u64 = 1 << 24;
    pub const PATH_REMOVE_DIRECTORY: u64 = 1 << 25;
    pub const PATH_UNLINK_FILE: u64 = 1 << 26;
    pub const POLL_FD_READWRITE: u64 = 1 << 27;
    pub const SOCK_SHUTDOWN: u64 = 1 << 28;
    pub const SOCK_ACCEPT: u64 = 1 << 29;

    /// Whatever changes a file or a directory.
    pub const WRITING: u64 = FD_DATASYNC
        | FD_WRITE
        | FD_ALLOCATE
        | PATH_CREATE_DIRECTORY
        | PATH_CREATE_FILE
        | PATH_LINK_SOURCE
        | PATH_LINK_TARGET
        | PATH_RENAME_SOURCE
        | PATH_RENAME_TARGET
        | PATH_FILESTAT_SET_SIZE
        | PATH_FILESTAT_SET_TIMES
        | FD_FILESTAT_SET_SIZE
        | FD_FILESTAT_SET_TIMES
        | PATH_SYMLINK
        | PATH_REMOVE_DIRECTORY
        | PATH_UNLINK_FILE;
    /// Those of them that act on what a path leads to, not on the descriptor's own file.
    pub const WRITING_BY_PATH: u64 = PATH_CREATE_DIRECTORY
        | PATH_CREATE_FILE
        | PATH_LINK_SOURCE
        | PATH_LINK_TARGET
        | PATH_RENAME_SOURCE
        | PATH_RENAME_TARGET
        | PATH_FILESTAT_SET_SIZE
        | PATH_FILESTAT_SET_TIMES
        | PATH_SYMLINK
        | PATH_REMOVE_DIRECTORY
        | PATH_UNLINK_FILE;
    /// Rights that need the file opened for writing.
    pub const OPENED_FOR_WRITING: u64 = FD_WRITE | FD_ALLOCATE | FD_FILESTAT_SET_SIZE;
    /// All that a regular file can have.
    pub const FILE: u64 = FD_DATASYNC
        | FD_READ
        | FD_SEEK
        | FD_FDSTAT_SET_FLAGS
        | FD_SYNC
        | FD_TELL
        | FD_WRITE
        | FD_ADVISE
        | FD_ALLOCATE
        | FD_FILESTAT_GET
        | FD_FILESTAT_SET_SIZE
        | FD_FILESTAT_SET_TIMES
        | POLL_FD_READWRITE;
    /// All that a directory can have.
    pub const DIRECTORY: u64 = FD_FDSTAT_SET_FLAGS
        | FD_SYNC
        | FD_ADVISE
        | PATH_CREATE_DIRECTORY
        | PATH_CREATE_FILE
        | PATH_LINK_SOURCE
        | PATH_LINK_TARGET
        | PATH_OPEN
        | FD_READDIR
        | PATH_READLINK
        | PATH_RENAME_SOURCE
        | PATH_RENAME_TARGET
        | PATH_FILESTAT_GET
        | PATH_FILESTAT_SET_SIZE
        | PATH_FILESTAT_SET_TIMES
        | FD_FILESTAT_GET
        | FD_FILESTAT_SET_TIMES
        | PATH_SYMLINK
        | PATH_REMOVE_DIRECTORY
        | PATH_UNLINK_FILE
        | POLL_FD_READWRITE;
    /// Standard streams, pipes.
    pub const STREAM: u64 = FD_READ | FD_WRITE | FD_FDSTAT_SET_FLAGS | FD_FILESTAT_GET | POLL_FD_READWRITE;
    /// Connected sockets.
    pub const SOCKET: u64 = STREAM | SOCK_SHUTDOWN;
    /// Those that the guest makes: they may come to accept.
    pub const OPENED_SOCKET: u64 = SOCKET | SOCK_ACCEPT;
    /// Listening sockets.
    pub const LISTENER: u64 = SOCK_ACCEPT | FD_FDSTAT_SET_FLAGS | FD_FILESTAT_GET | POLL_FD_READWRITE;
}

/// Flags of descriptors (`fdflags`).
pub(crate) mod fdflags {
    pub const APPEND: u16 = 1;
    pub const DSYNC: u16 = 2;
    pub const NONBLOCK: u16 = 4;
    pub const RSYNC: u16 = 8;
    pub const SYNC: u16 = 16;
    pub const ALL: u16 = 31;
}

/// Flags of `path_open`.
pub(crate) mod oflags {
    pub const CREAT: u16 = 1;
    pub const DIRECTORY: u16 = 2;
    pub const EXCL: u16 = 4;
    pub const TRUNC: u16 = 8;
    pub const ALL: u16 = 15;
}

/// `lookupflags`: follow a link in the last component.
pub(crate) const SYMLINK_FOLLOW: u32 = 1;

/// Kinds of files.
pub(crate) mod filetype {
    pub const UNKNOWN: u8 = 0;
    pub const BLOCK_DEVICE: u8 = 1;
    pub const CHARACTER_DEVICE: u8 = 2;
    pub const DIRECTORY: u8 = 3;
    pub const REGULAR_FILE: u8 = 4;
    pub const SOCKET_DGRAM: u8 = 5;
    pub const SOCKET_STREAM: u8 = 6;
    pub const SYMBOLIC_LINK: u8 = 7;

    /// The kind in a file's mode.
    pub fn of_mode(mode: u32) -> u8 {
        match mode & libc::S_IFMT {
            libc::S_IFBLK => BLOCK_DEVICE,
            libc::S_IFCHR => CHARACTER_DEVICE,
            libc::S_IFDIR => DIRECTORY,
            libc::S_IFREG => REGULAR_FILE,
            libc::S_IFSOCK => SOCKET_STREAM,
            libc::S_IFLNK => SYMBOLIC_LINK,
            _ => UNKNOWN,
        }
    }

    /// The kind in a directory entry.
    pub fn of_entry(kind: u8) -> u8 {
        match kind {
            libc::DT_BLK => BLOCK_DEVICE,
            libc::DT_CHR => CHARACTER_DEVICE,
            libc::DT_DIR => DIRECTORY,
            libc::DT_REG => REGULAR_FILE,
            libc::DT_SOCK => SOCKET_STREAM,
            libc::DT_LNK => SYMBOLIC_LINK,
            _ => UNKNOWN,
        }
    }
}

/// Which of the two module names a guest imports from; layouts differ in a few places.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Version {
    /// `wasi_unstable`.
    Unstable,
    /// `wasi_snapshot_preview1`.
    Preview1,
}
