//! Replays a recorded conversation with the reference server against another server, and compares the answers after
//! the same masking as everywhere else. The recording is a text of hex frames; `testdata` holds one.

use crate::describe::{self, hex};
use crate::normalize::{Memory, NOTIFICATION, int, long};
use crate::server::Server;
use crate::side::{Kind, Socket};
use oxkeeper::proto::session::password;
use std::collections::{HashMap, VecDeque};

/// One connection of the conversation.
#[derive(Default)]
struct Talk {
    socket: Option<Socket>,
    /// Operations whose replies are due.
    asked: VecDeque<i32>,
    connecting: bool,
}

/// What is in a line of the recording.
enum Line {
    Comment(String),
    Request(Vec<u8>),
    Reply(Vec<u8>),
    Closed,
}

/// Plays the recording; the number of answers that were compared and a list of the differences.
pub fn replay(text: &str, server: &Server) -> Result<(usize, Vec<String>), String> {
    let mut talks: HashMap<String, Talk> = HashMap::new();
    let (mut recorded, mut live) = (Memory::default(), Memory::default());
    // Session ids of the recording and those of this run.
    let mut sessions: HashMap<i64, i64> = HashMap::new();
    let mut comment = String::new();
    let (mut compared, mut differences) = (0, vec![]);
    for (number, line) in text.lines().enumerate() {
        let (name, line) =
            parse(line).ok_or(format!("line {} of the recording is neither comment nor frame", number + 1))?;
        let talk = talks.entry(name).or_default();
        match line {
            Line::Comment(text) => comment = text,
            Line::Request(mut frame) => {
                if talk.socket.is_none() {
                    talk.socket =
                        Some(Socket::open(server.address).map_err(|error| format!("{}: {error}", server.address))?);
                    talk.connecting = true;
                    translate(&mut frame, &sessions);
                } else {
                    talk.asked.push_back(int(&frame, 8));
                }
                if let Some(socket) = &mut talk.socket {
                    socket.send(&frame);
                }
            }
            Line::Reply(mut expected) => {
                let Some(socket) = &mut talk.socket else { return Err(format!("line {}: no connection", number + 1)) };
                compared += 1;
                let mut found = match socket.frame() {
                    Ok(frame) => frame,
                    Err(kind) => {
                        differences
                            .push(format!("{comment}\n    expected: {}\n    found:    {kind:?}", hex(&expected)));
                        continue;
                    }
                };
                let raw = found.clone();
                let mut complaint = None;
                if std::mem::take(&mut talk.connecting) {
                    let ours = live.connect_response(&mut found);
                    if let (Some((theirs, _)), Some((ours, _))) = (recorded.connect_response(&mut expected), ours) {
                        sessions.insert(theirs, ours);
                    }
                } else {
                    let event = int(&found, 0) == NOTIFICATION && int(&expected, 0) == NOTIFICATION;
                    let op = if event { 0 } else { talk.asked.pop_front().unwrap_or(0) };
                    let _ = recorded.reply(op, &mut expected);
                    complaint = live.reply(op, &mut found).err();
                }
                if expected != found || complaint.is_some() {
                    let complaint = complaint.unwrap_or_default();
                    differences.push(format!(
                        "{comment}\n    expected: {}\n    found:    {}\n    unmasked: {} {complaint}",
                        hex(&expected),
                        hex(&found),
                        hex(&raw)
                    ));
                }
            }
            Line::Closed => {
                compared += 1;
                match talk.socket.as_mut().map(Socket::frame) {
                    Some(Err(Kind::Closed)) => {}
                    Some(Err(kind)) => {
                        differences.push(format!("{comment}\n    expected: closed\n    found:    {kind:?}"))
                    }
                    Some(Ok(frame)) => {
                        differences.push(format!("{comment}\n    expected: closed\n    found:    {}", hex(&frame)));
                    }
                    None => return Err(format!("line {}: no connection", number + 1)),
                }
            }
        }
    }
    Ok((compared, differences))
}

/// A connect request of the recording names a session of the recording.
fn translate(frame: &mut [u8], sessions: &HashMap<i64, i64>) {
    const ID: usize = 4 + 4 + 8 + 4;
    let theirs = long(frame, ID);
    if let Some(&ours) = sessions.get(&theirs) {
        frame[ID..ID + 8].copy_from_slice(&ours.to_be_bytes());
        if let Some(secret) = frame.get_mut(ID + 12..ID + 28)
            && *secret == password(theirs)
        {
            secret.copy_from_slice(&password(ours));
        }
    }
}

/// A line, and the name of its connection. Frames that the server sends lose their length, as [`Socket::frame`] does.
fn parse(line: &str) -> Option<(String, Line)> {
    if let Some(comment) = line.strip_prefix('#') {
        return Some((String::new(), Line::Comment(comment.trim().to_owned())));
    }
    let (name, rest) = line.split_once(' ')?;
    let (direction, rest) = rest.split_once(' ')?;
    let line = match (direction, rest) {
        ("<", "closed") => Line::Closed,
        (">", bytes) => Line::Request(describe::unhex(bytes)?),
        ("<", bytes) => Line::Reply(describe::unhex(bytes)?.split_off(4)),
        _ => return None,
    };
    Some((name.to_owned(), line))
}
