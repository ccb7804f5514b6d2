//! Connect strings: `host:port,host:port`, as every ZooKeeper tool takes them. Resolves names; opens nothing.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

/// The port of an address that names none.
pub const DEFAULT_PORT: u16 = 2181;

/// The addresses of a connect string, in its order, every address of a name included. A chroot is not understood here.
pub fn addresses(connect: &str) -> io::Result<Vec<SocketAddr>> {
    let mut found = Vec::new();
    for server in connect.split(',').map(str::trim).filter(|server| !server.is_empty()) {
        let (host, port) = split(server)?;
        let before = found.len();
        let resolved = (host, port).to_socket_addrs();
        found.extend(resolved.map_err(|error| io::Error::new(error.kind(), format!("{server}: {error}")))?);
        if found.len() == before {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("{server}: no address")));
        }
    }
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no server address was given"));
    }
    Ok(found)
}

/// Host and port of one server. IPv6 addresses with a port stand in brackets.
fn split(server: &str) -> io::Result<(&str, u16)> {
    let bad = || io::Error::new(io::ErrorKind::InvalidInput, format!("{server}: not host:port"));
    if let Some(rest) = server.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or_else(bad)?;
        let port = match port.strip_prefix(':') {
            Some(port) => port.parse().map_err(|_| bad())?,
            None if port.is_empty() => DEFAULT_PORT,
            None => return Err(bad()),
        };
        return Ok((host, port));
    }
    match server.rsplit_once(':') {
        Some((host, _)) if host.contains(':') => Ok((server, DEFAULT_PORT)),
        Some((host, "")) => Ok((host, DEFAULT_PORT)),
        Some((host, port)) => Ok((host, port.parse().map_err(|_| bad())?)),
        None => Ok((server, DEFAULT_PORT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connect_string_is_a_list_with_default_ports() {
        let found = addresses("127.0.0.1:2182, 127.0.0.2,[::1]:7").unwrap();
        assert_eq!(
            found.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["127.0.0.1:2182", "127.0.0.2:2181", "[::1]:7"]
        );
        assert_eq!(split("::1").unwrap(), ("::1", 2181));
        assert_eq!(split("[::1]").unwrap(), ("::1", 2181));
        assert_eq!(split("localhost:").unwrap(), ("localhost", 2181));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        assert!(addresses("").is_err());
        assert!(addresses("127.0.0.1:port").is_err());
        assert!(addresses("[::1").is_err());
        assert!(addresses("[::1]x").is_err());
    }
}
