//! The first frame each way: ConnectRequest and its response, as bytes. Knows no sockets, so the asynchronous client
//! and the load generator's own event loop share it.

use super::{Error, Options};
use crate::jute::{Decode, Encode, Reader};
use crate::proto::records::{ConnectRequest, ConnectResponse};
use crate::proto::session::PASSWORD_LEN;

/// A session of the client, enough to resume it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: i64,
    /// Its password.
    pub password: [u8; PASSWORD_LEN],
    /// The negotiated timeout, ms.
    pub timeout_ms: i32,
}

/// The whole first frame, length included.
pub fn connect_request(options: &Options) -> Vec<u8> {
    let (session_id, password) = match &options.resume {
        Some(session) => (session.id, session.password),
        None => (0, [0; PASSWORD_LEN]),
    };
    let mut frame = vec![0; 4];
    ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: options.last_zxid,
        timeout_ms: i32::try_from(options.session_timeout.as_millis()).unwrap_or(i32::MAX),
        session_id,
        password: Some(&password),
    }
    .encode(&mut frame);
    options.read_only.encode(&mut frame);
    let length = (frame.len() - 4) as u32;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame
}

/// The session that the first frame from the server (without its length) grants, and whether the server is read-only.
pub fn session_of(body: &[u8]) -> Result<(Session, bool), Error> {
    let mut reader = Reader::unlimited(body);
    let response = ConnectResponse::decode(&mut reader)?;
    let read_only = !reader.is_empty() && reader.bool()?;
    if response.timeout_ms <= 0 || response.session_id == 0 {
        return Err(Error::SessionRefused);
    }
    let mut password = [0; PASSWORD_LEN];
    let given = response.password.unwrap_or_default();
    let length = given.len().min(PASSWORD_LEN);
    password[..length].copy_from_slice(&given[..length]);
    Ok((Session { id: response.session_id, password, timeout_ms: response.timeout_ms }, read_only))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connect_request_is_45_bytes_and_a_length() {
        let frame = connect_request(&Options::default());
        assert_eq!(frame.len(), 49);
        assert_eq!(frame[..4], 45u32.to_be_bytes());
        assert_eq!(frame[16..20], 30_000i32.to_be_bytes());
    }

    #[test]
    fn a_response_of_zeros_is_a_refusal() {
        let mut body = vec![0; 16];
        body.extend_from_slice(&16i32.to_be_bytes());
        body.extend_from_slice(&[0; 17]);
        assert!(matches!(session_of(&body), Err(Error::SessionRefused)));
    }
}
