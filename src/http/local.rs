//! Distinguishes errors of this machine from errors of the receiver.

use std::io;

use crate::domain::attempt::LocalTrouble;

/// The local trouble behind a system error, if it is one of this machine.
pub fn trouble(error: &io::Error) -> Option<LocalTrouble> {
    if is_refused_here(error) {
        return Some(LocalTrouble(format!("this process may not open network connections: {error}")));
    }
    let text = match error.raw_os_error()? {
        code if is_out_of_files(error) => match code {
            codes::ALL_FILES => "too many open files on this machine",
            _ => "too many open files (raise the limit with ulimit -n)",
        },
        codes::MEMORY => "not enough memory",
        codes::BUFFERS => "not enough memory for network connections",
        codes::SPACE => "no space left on the disk",
        _ => return None,
    };
    Some(LocalTrouble(text.to_owned()))
}

/// Whether the process or the machine has run out of file descriptors. Then no request was sent: only connecting needs one.
pub fn is_out_of_files(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(codes::FILES | codes::ALL_FILES))
}

/// The error of a failed look-up, or the local error that caused it.
///
/// For a local error too, the system's resolver reports "temporary failure" or "name not known". The thread's errno usually
/// has the reason; if it was overwritten, opening another socket fails for the same reason.
pub fn look_up_error(error: io::Error) -> io::Error {
    let left_behind = io::Error::last_os_error();
    let causes = [Some(left_behind), open_socket().err()];
    causes.into_iter().flatten().find(|cause| trouble(cause).is_some()).unwrap_or(error)
}

/// A firewall that refuses one connection gives the same error code as a policy that refuses every socket.
fn is_refused_here(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
        && open_socket().is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

#[cfg(unix)]
fn open_socket() -> io::Result<()> {
    use rustix::net::{AddressFamily, SocketType, socket};
    Ok(socket(AddressFamily::INET, SocketType::DGRAM, None).map(drop)?)
}

#[cfg(not(unix))]
fn open_socket() -> io::Result<()> {
    std::net::UdpSocket::bind("0.0.0.0:0").map(drop)
}

/// The limit on open files of this process; `None` if there is none.
#[cfg(unix)]
pub fn most_open_files() -> Option<usize> {
    use rustix::process::{Resource, getrlimit};
    getrlimit(Resource::Nofile).current.and_then(|limit| usize::try_from(limit).ok())
}

#[cfg(not(unix))]
pub fn most_open_files() -> Option<usize> {
    None
}

#[cfg(unix)]
mod codes {
    use rustix::io::Errno;

    pub const FILES: i32 = Errno::MFILE.raw_os_error();
    pub const ALL_FILES: i32 = Errno::NFILE.raw_os_error();
    pub const MEMORY: i32 = Errno::NOMEM.raw_os_error();
    pub const BUFFERS: i32 = Errno::NOBUFS.raw_os_error();
    pub const SPACE: i32 = Errno::NOSPC.raw_os_error();
}

/// WSAEMFILE, ERROR_TOO_MANY_OPEN_FILES, ERROR_NOT_ENOUGH_MEMORY, WSAENOBUFS, ERROR_DISK_FULL.
#[cfg(not(unix))]
mod codes {
    pub const FILES: i32 = 10024;
    pub const ALL_FILES: i32 = 4;
    pub const MEMORY: i32 = 8;
    pub const BUFFERS: i32 = 10055;
    pub const SPACE: i32 = 112;
}
