//! `oxkeeper 4lw`: asks a server one of the four-letter words and prints the answer
//! (`org.apache.zookeeper.client.FourLetterWordMain`). zkServer.sh and health checks use it, which so need no netcat.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// What is printed when the words make no sense.
const USAGE: &str = "Usage: oxkeeper 4lw <host> <port> <word> [secure: true|false]";
/// How long each step may take, as in the original.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer: a dump of very many watches.
const ANSWER_MAX: u64 = 1 << 30;

/// Asks, and returns the exit code.
pub fn run(words: impl IntoIterator<Item = String>) -> u8 {
    let words: Vec<_> = words.into_iter().collect();
    let mut err = std::io::stderr();
    let (host, port, word) = match words.as_slice() {
        [host, port, word] => (host, port, word),
        [host, port, word, secure] if secure == "false" => (host, port, word),
        [_, _, _, secure] if secure == "true" => {
            let _ = writeln!(err, "this client has no TLS yet");
            return 1;
        }
        _ => {
            let _ = writeln!(err, "{USAGE}");
            return 2;
        }
    };
    let asked = port.parse().map_err(|_| std::io::Error::other(format!("{port} is no port")));
    match asked.and_then(|port| ask(host, port, word)).and_then(|answer| std::io::stdout().write_all(&answer)) {
        Ok(()) => 0,
        Err(error) => {
            let _ = writeln!(err, "{host}:{port}: {error}");
            1
        }
    }
}

/// One question, to the first address of the host that answers.
pub fn ask(host: &str, port: u16, word: &str) -> std::io::Result<Vec<u8>> {
    let mut last = std::io::Error::other("no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE).and_then(|stream| converse(stream, word)) {
            Ok(answer) => return Ok(answer),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn converse(mut stream: TcpStream, word: &str) -> std::io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(word.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_sent_and_the_answer_is_read_to_its_end() {
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let told = std::thread::spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            let mut word = [0; 4];
            stream.read_exact(&mut word).unwrap();
            stream.write_all(b"Mode: standalone\n").unwrap();
            word
        });
        assert_eq!(ask("127.0.0.1", port, "srvr").unwrap(), b"Mode: standalone\n");
        assert_eq!(&told.join().unwrap(), b"srvr");
        assert_eq!(run(["127.0.0.1".to_owned()]), 2);
    }
}
