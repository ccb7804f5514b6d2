//! Where the admin server listens.

use super::Bound;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

/// Connections the system holds until they are accepted.
const BACKLOG: i32 = 128;

/// The port could not be had.
#[derive(Debug, thiserror::Error)]
#[error("the admin server cannot listen on {host}:{port}: {error}")]
pub struct Refused {
    host: String,
    port: u16,
    error: io::Error,
}

/// Listens at the first address of `host` that can be had; port 0 takes any.
pub fn bind(host: &str, port: u16) -> Result<Bound, Refused> {
    let open = |address: SocketAddr| -> io::Result<Bound> {
        let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        let listener: std::net::TcpListener = socket.into();
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    let mut failure = io::Error::other("the host has no address");
    let addresses = (host, port).to_socket_addrs();
    for address in addresses.map_err(|error| Refused { host: host.to_owned(), port, error })? {
        match open(address) {
            Ok(bound) => return Ok(bound),
            Err(error) => failure = error,
        }
    }
    Err(Refused { host: host.to_owned(), port, error: failure })
}
