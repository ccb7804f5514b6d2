//! Requests, replies and differences in words. For people only: nothing is decided here, except which of several
//! differences is the first.

use crate::execute::Difference;
use crate::normalize::int;
use crate::plan::{Request, Step};
use crate::side::{Item, Kind};
use oxkeeper::jute::{Decode, Reader, Text};
use oxkeeper::proto::records::{
    AuthPacket, ClientInfo, CreateRequest, CreateTtlRequest, GetAclResponse, GetDataResponse, MultiHeader,
    PathModeRequest, PathRequest, PathVersionRequest, PathWatchRequest, ReconfigRequest, ReplyHeader, SaslToken,
    SetAclRequest, SetDataRequest, SetPersistentWatches, SetWatches, Stat, WatcherEvent,
};
use oxkeeper::proto::{ErrorCode, OpCode};
use std::fmt::{Debug, Write};

/// Longest hex or text shown.
const SHOWN: usize = 240;
/// Requests shown before the one that is answered differently.
const PRECEDING: usize = 16;

/// Bytes as hex, shortened.
pub fn hex(bytes: &[u8]) -> String {
    let mut out: String = bytes.iter().take(SHOWN / 2).map(|byte| format!("{byte:02x}")).collect();
    if bytes.len() > SHOWN / 2 {
        let _ = write!(out, "... ({} bytes)", bytes.len());
    }
    out
}

/// Hex, with blanks anywhere, as bytes.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
    Some(digits?.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

/// The error code of a reply, or of the first failed member of a multi.
pub fn error_code(item: &Item) -> i32 {
    int(&item.raw, 12)
}

fn shown<'a, T: Decode<'a> + Debug>(reader: &mut Reader<'a>) -> String {
    match T::decode(reader) {
        Ok(record) => {
            let mut text = shortened(&format!("{record:?}"));
            if text.len() > 4 * SHOWN {
                let end = (0..=4 * SHOWN).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
                text.truncate(end);
                text.push_str("...");
            }
            text
        }
        Err(error) => format!("{} -- {error}", hex(reader.rest())),
    }
}

/// A record's text with the bytes of its data as hex, and the usual ACL by name.
fn shortened(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("Some([") {
        let (head, tail) = rest.split_at(at + 6);
        let end = tail.find(']').unwrap_or(tail.len());
        let bytes: Option<Vec<u8>> = tail[..end].split(", ").map(|number| number.parse().ok()).collect();
        out.push_str(head.strip_suffix("Some([").unwrap_or(head));
        match bytes {
            Some(bytes) => {
                let _ = write!(out, "0x{}", hex(&bytes));
                rest = tail[end..].strip_prefix("])").unwrap_or_default();
            }
            None => {
                out.push_str("Some([");
                rest = tail;
            }
        }
    }
    out.push_str(rest);
    out.replace("Some([AclEntry { perms: 31, scheme: Some(\"world\"), id: Some(\"anyone\") }])", "OPEN")
}

fn body(op: i32, reader: &mut Reader<'_>) -> String {
    match op {
        1 | 15 | 19 => shown::<CreateRequest>(reader),
        21 => shown::<CreateTtlRequest>(reader),
        2 | 13 => shown::<PathVersionRequest>(reader),
        3 | 4 | 8 | 12 => shown::<PathWatchRequest>(reader),
        5 => shown::<SetDataRequest>(reader),
        6 | 9 | 103 | 104 => shown::<PathRequest>(reader),
        7 => shown::<SetAclRequest>(reader),
        16 => shown::<ReconfigRequest>(reader),
        17 | 18 | 106 => shown::<PathModeRequest>(reader),
        100 => shown::<AuthPacket>(reader),
        101 => shown::<SetWatches>(reader),
        102 => shown::<SaslToken>(reader),
        105 => shown::<SetWatches>(reader) + " " + &shown::<SetPersistentWatches>(reader),
        14 | 22 => {
            let mut out = String::new();
            while let Ok(header) = MultiHeader::decode(reader) {
                if header.done {
                    return out + "\n      end";
                }
                let _ = write!(out, "\n      {:?} {}", OpCode(header.op), body(header.op, reader));
            }
            out + "\n      no end"
        }
        _ => String::new(),
    }
}

/// A request in words.
pub fn request(request: &Request) -> String {
    let mut reader = Reader::unlimited(&request.body);
    let mut text = format!("xid {} {:?} {}", request.xid, OpCode(request.op), body(request.op, &mut reader));
    if let Some(back) = request.relative_zxid {
        let _ = write!(text, " (relative zxid: last - {back})");
    }
    if !reader.is_empty() {
        let _ = write!(text, " + {} bytes {}", reader.rest().len(), hex(reader.rest()));
    }
    text
}

/// An answer in words.
fn item(item: &Item, requests: &[Request]) -> String {
    let mut reader = Reader::unlimited(&item.raw);
    let text = match item.kind {
        Kind::Closed => format!("closed {}", String::from_utf8_lossy(&item.masked)),
        Kind::Silent => "nothing".to_owned(),
        Kind::Garbled => "bytes that are no frame".to_owned(),
        Kind::Connected => format!("connect response {}", hex(&item.raw)),
        Kind::Event => {
            let header = shown::<ReplyHeader>(&mut reader);
            format!("event {header} {}", shown::<WatcherEvent>(&mut reader))
        }
        Kind::Reply(number) => {
            let op = requests.get(number).map_or(0, |request| request.op);
            let Ok(header) = ReplyHeader::decode(&mut reader) else { return hex(&item.raw) };
            let head = format!("xid {} zxid 0x{:x} {}", header.xid, header.zxid, ErrorCode(header.err));
            if header.err != 0 {
                format!("{head} {}", hex(reader.rest()))
            } else {
                format!("{head} {}", reply(op, &mut reader))
            }
        }
    };
    match &item.complaint {
        Some(complaint) => format!("{text}\n        ! {complaint}"),
        None => text,
    }
}

fn reply(op: i32, reader: &mut Reader<'_>) -> String {
    let mut out = match op {
        1 | 9 => shown::<Text>(reader),
        15 | 19 | 21 => shown::<Text>(reader) + " " + &shown::<Stat>(reader),
        3 | 5 | 7 => shown::<Stat>(reader),
        4 => shown::<GetDataResponse>(reader),
        6 => shown::<GetAclResponse>(reader),
        8 | 103 => shown::<oxkeeper::jute::List<Text>>(reader),
        12 => shown::<oxkeeper::jute::List<Text>>(reader) + " " + &shown::<Stat>(reader),
        104 | 106 => shown::<i32>(reader),
        107 => shown::<oxkeeper::jute::List<ClientInfo>>(reader),
        14 | 22 => results(reader),
        _ => String::new(),
    };
    if !reader.is_empty() {
        let _ = write!(out, " + {}", hex(reader.rest()));
    }
    out
}

fn results(reader: &mut Reader<'_>) -> String {
    let mut out = String::new();
    while let Ok(header) = MultiHeader::decode(reader) {
        if header.done {
            return out + "\n          end";
        }
        let result = match header.op {
            -1 => reader.int().map_or_else(|error| error.to_string(), |err| format!("{:?}", ErrorCode(err))),
            op => format!("{op} {}", reply(op, reader)),
        };
        let _ = write!(out, "\n          {result} (err {})", header.err);
    }
    out + "\n          no end"
}

/// The first difference of two lists, with what was asked and what came before.
pub fn difference(who: &str, requests: &[Request], heard: &[Vec<Item>; 2]) -> Difference {
    let [reference, candidate] = heard;
    let fine = |(a, b): &(&Item, &Item)| a == b && a.complaint.is_none();
    let at = reference.iter().zip(candidate).take_while(fine).count();
    let (ours, theirs) = (candidate.get(at), reference.get(at));
    let number = [theirs, ours].iter().flatten().find_map(|item| match item.kind {
        Kind::Reply(number) => Some(number),
        _ => None,
    });
    let asked = number.and_then(|number| requests.get(number));
    let mut report = format!("{who}\n");
    if let (Some(number), Some(asked)) = (number, asked) {
        for (number, before) in requests.iter().enumerate().take(number).skip(number.saturating_sub(PRECEDING)) {
            let _ = writeln!(report, "    request {number}: {}", request(before));
        }
        let _ = writeln!(report, "    request {number}: {}", request(asked));
        let _ = writeln!(report, "    bytes: {:08x}{:08x}{}", asked.xid, asked.op, hex(&asked.body));
    }
    for before in &reference[at.saturating_sub(2)..at] {
        let _ = writeln!(report, "    both:      {}", item(before, requests));
    }
    for (name, items) in [("reference", reference), ("candidate", candidate)] {
        match items.get(at) {
            None => _ = writeln!(report, "    {name}: nothing more"),
            Some(first) => {
                let _ = writeln!(report, "    {name}: {}", item(first, requests));
                let _ = writeln!(report, "      {} bytes: {}", first.masked.len(), hex(&first.masked));
                for later in items.iter().skip(at + 1).take(2) {
                    let _ = writeln!(report, "      then: {}", item(later, requests));
                }
            }
        }
    }
    if let (Some(theirs), Some(ours)) = (theirs, ours) {
        let same = theirs.masked.iter().zip(&ours.masked).take_while(|(a, b)| a == b).count();
        let around = |bytes: &[u8]| hex(&bytes[same.saturating_sub(8).min(bytes.len())..(same + 24).min(bytes.len())]);
        if !theirs.masked.is_empty() && theirs.masked != ours.masked {
            let (theirs, ours) = (around(&theirs.masked), around(&ours.masked));
            let _ = writeln!(report, "    masked bytes differ from byte {same} on: ..{theirs} / ..{ours}");
        }
    }
    let short = |found: Option<&Item>| match found {
        None => "nothing".to_owned(),
        Some(item) => match item.kind {
            Kind::Reply(_) if item.complaint.is_some() => "complaint".to_owned(),
            Kind::Reply(_) => format!("{}", ErrorCode(error_code(item))),
            kind => format!("{kind:?}"),
        },
    };
    let op = asked.map_or("no request".to_owned(), |asked| format!("{:?}", OpCode(asked.op)));
    let signature = format!("{op}: {} / {}", short(theirs), short(ours));
    Difference { signature, report }
}

/// Two texts, line by line.
pub fn lines(reference: &str, candidate: &str) -> String {
    let mut out = String::new();
    let (mut left, mut right) = (reference.lines(), candidate.lines());
    loop {
        match (left.next(), right.next()) {
            (None, None) => return out,
            (a, b) if a == b => {}
            (a, b) => {
                let _ =
                    writeln!(out, "    reference: {}\n    candidate: {}", a.unwrap_or("(end)"), b.unwrap_or("(end)"));
            }
        }
    }
}

/// A step in words, each request on its line.
pub fn step(step: &Step) -> String {
    let list =
        |requests: &[Request]| -> String { requests.iter().map(|one| format!("\n    {}", request(one))).collect() };
    match step {
        Step::Write { client, requests } => format!("client {client} sends{}", list(requests)),
        Step::Read { bursts } => {
            let mut out = "at the same time".to_owned();
            for (client, requests) in bursts {
                let _ = write!(out, "\n  client {client} sends{}", list(requests));
            }
            out
        }
        Step::Garbage { client, bytes } => format!("client {client} sends the bytes {}", hex(bytes)),
        Step::Drop { client } => format!("client {client} drops its connection"),
        Step::Resume { client, password, connect, requests } => {
            format!("client {client}'s session is resumed, {password:?} password, {connect:?}{}", list(requests))
        }
        Step::Probe { connect, stranger, requests } => {
            format!("a new connection, {connect:?}, session {stranger:x?}{}", list(requests))
        }
        Step::Expire { requests, drop } => {
            format!("a session expires, its connection {}{}", if *drop { "dropped" } else { "open" }, list(requests))
        }
        Step::Word { word } => format!("four-letter word {:?}", String::from_utf8_lossy(word)),
        Step::Restart { swap } => format!("both servers restart{}", if *swap { ", directories exchanged" } else { "" }),
    }
}
