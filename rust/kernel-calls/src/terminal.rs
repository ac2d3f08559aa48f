//! Terminals: raw mode and window size.

use crate::{system_call, Result};

/// The settings of a terminal, as the kernel keeps them (`struct termios`, without the C library's speeds).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    input: u32,
    output: u32,
    control: u32,
    local: u32,
    line: u8,
    characters: [u8; 19],
}

/// The settings of the terminal `fd`. Errors: `ENOTTY` where it is none.
pub fn settings(fd: i32) -> Result<Settings> {
    let mut settings = Settings {
        input: 0,
        output: 0,
        control: 0,
        local: 0,
        line: 0,
        characters: [0; 19],
    };
    // SAFETY: TCGETS writes the kernel's `struct termios`, 36 bytes, which `Settings` is.
    unsafe {
        system_call!(
            libc::SYS_ioctl,
            fd as isize,
            libc::TCGETS,
            &mut settings as *mut Settings
        )?
    };
    Ok(settings)
}

/// Changes the settings once pending output has been written (TCSETSW).
pub fn apply(fd: i32, settings: &Settings) -> Result<()> {
    // SAFETY: TCSETSW reads the kernel's `struct termios`, which `Settings` is.
    unsafe {
        system_call!(
            libc::SYS_ioctl,
            fd as isize,
            libc::TCSETSW,
            settings as *const Settings
        )
    }
    .map(drop)
}

impl Settings {
    /// The same terminal in raw mode (cfmakeraw(3)): bytes pass as they are, no signals from keys.
    pub fn raw(mut self) -> Settings {
        self.input &= !(libc::IGNBRK
            | libc::BRKINT
            | libc::PARMRK
            | libc::ISTRIP
            | libc::INLCR
            | libc::IGNCR
            | libc::ICRNL
            | libc::IXON);
        self.output &= !libc::OPOST;
        self.local &= !(libc::ECHO | libc::ECHONL | libc::ICANON | libc::ISIG | libc::IEXTEN);
        self.control = (self.control & !(libc::CSIZE | libc::PARENB)) | libc::CS8;
        self.characters[libc::VMIN] = 1;
        self.characters[libc::VTIME] = 0;
        self
    }
}

/// Gives the terminal `to` the window size of the terminal `from`.
pub fn copy_window_size(from: i32, to: i32) -> Result<()> {
    let mut size = libc::winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: the kernel writes a `struct winsize` that lives through the call.
    unsafe {
        system_call!(
            libc::SYS_ioctl,
            from as isize,
            libc::TIOCGWINSZ,
            &mut size as *mut libc::winsize
        )?
    };
    // SAFETY: the kernel reads the same struct.
    unsafe {
        system_call!(
            libc::SYS_ioctl,
            to as isize,
            libc::TIOCSWINSZ,
            &size as *const libc::winsize
        )
    }
    .map(drop)
}
