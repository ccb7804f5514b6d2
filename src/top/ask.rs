//! Gets the datum from a server: by its four-letter word, or from its admin server.

use crate::admin::top::Top;
use crate::cli::four_letter;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long each step may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer that is read.
const ANSWER_MAX: u64 = 16 << 20;

/// Why there is no datum.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The server cannot be reached.
    #[error("{server}: {error}")]
    Connection {
        /// Which.
        server: String,
        /// Why not.
        error: io::Error,
    },
    /// It answered with something else: that it does not serve, that the word is not allowed.
    #[error("{server} says: {text}")]
    Answer {
        /// Which.
        server: String,
        /// The beginning of what it said.
        text: String,
    },
}

/// By the word `otop`.
pub fn word(server: &str) -> Result<Top, AskError> {
    let connection = |error| AskError::Connection { server: server.into(), error };
    let address = server.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) = address.unwrap_or((server, 2181));
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let answer = four_letter::ask(host, port, "otop").map_err(connection)?;
    if answer.is_empty() {
        let text = "nothing; it does not know the word otop, which only Oxkeeper has".into();
        return Err(AskError::Answer { server: server.into(), text });
    }
    parse(server, &answer)
}

/// By the admin server's command `top`.
pub fn admin(server: &str) -> Result<Top, AskError> {
    let connection = |error| AskError::Connection { server: server.into(), error };
    let answer = get(server, "/commands/top").map_err(connection)?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
    let body = end.map_or(&answer[..0], |end| &answer[end + 4..]);
    match answer.starts_with(b"HTTP/1.0 200 ") || answer.starts_with(b"HTTP/1.1 200 ") {
        true => parse(server, body),
        false => Err(AskError::Answer { server: server.into(), text: beginning(&answer) }),
    }
}

fn parse(server: &str, answer: &[u8]) -> Result<Top, AskError> {
    serde_json::from_slice(answer).map_err(|_| AskError::Answer { server: server.into(), text: beginning(answer) })
}

fn beginning(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(&answer[..answer.len().min(200)]).into_owned();
    text.lines().next().unwrap_or_default().to_owned()
}

/// HTTP/1.0: the answer ends with the connection, and comes in one piece.
fn get(server: &str, path: &str) -> io::Result<Vec<u8>> {
    let mut last = io::Error::other("no address");
    for address in server.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(mut stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                // In one write: who answers the first piece and closes must not be mistaken for a broken connection.
                let request = format!("GET {path} HTTP/1.0\r\nHost: {server}\r\nConnection: close\r\n\r\n");
                stream.write_all(request.as_bytes())?;
                let mut answer = Vec::new();
                stream.take(ANSWER_MAX).read_to_end(&mut answer)?;
                return Ok(answer);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// A server that reads something, answers this and closes.
    fn answering(answer: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 512]);
            let _ = stream.write_all(answer);
        });
        address
    }

    #[test]
    fn an_answer_that_is_no_datum_is_shown_as_it_is() {
        let refused = b"otop is not executed because it is not in the whitelist.\n";
        let error = word(&answering(refused)).unwrap_err().to_string();
        assert!(error.ends_with("says: otop is not executed because it is not in the whitelist."), "{error}");
        let error = word(&answering(b"")).unwrap_err().to_string();
        assert!(error.contains("only Oxkeeper has"), "{error}");
        let error = admin(&answering(b"HTTP/1.1 404 Not Found\r\n\r\n{}")).unwrap_err().to_string();
        assert!(error.ends_with("says: HTTP/1.1 404 Not Found"), "{error}");
        let error = admin(&answering(b"HTTP/1.1 200 OK\r\n\r\n{\"error\": null}")).unwrap_err().to_string();
        assert!(error.ends_with("says: {\"error\": null}"), "{error}");
        assert!(matches!(word("127.0.0.1:1"), Err(AskError::Connection { .. })));
    }
}
