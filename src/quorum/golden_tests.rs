//! Every different message of the election that was captured between real servers of 3.8 and 3.9: read, and written again
//! byte for byte. A line of the file is: capture, kind, bytes.

use super::{Greeting, Notification};
use crate::config::Member;

fn captures() -> impl Iterator<Item = (&'static str, &'static str, Vec<u8>)> {
    include_str!("testdata/captures.txt").lines().map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let [capture, kind, hex] = words[..] else { panic!("{line}") };
        let bytes = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
        (capture, kind, bytes.collect())
    })
}

#[test]
fn captured_messages_are_read_and_written_byte_for_byte() {
    let (mut greetings, mut notifications) = (0, 0);
    for (capture, kind, bytes) in captures() {
        let again = match kind {
            "INITIAL" => {
                greetings += 1;
                assert_eq!(Greeting::wanted(&bytes), Ok(0), "{capture}");
                Greeting::decode(&bytes).unwrap().encode()
            }
            "NOTIFICATION" => {
                notifications += 1;
                let (length, payload) = bytes.split_at(4);
                assert_eq!(length, (payload.len() as u32).to_be_bytes(), "{capture}");
                let body = Notification::decode(payload).unwrap().encode();
                [length, &body].concat()
            }
            _ => panic!("{capture}: {kind}"),
        };
        assert_eq!(again, bytes, "{capture}: {kind}");
    }
    assert!(greetings >= 5 && notifications >= 50, "{greetings} and {notifications}: captures are missing");
}

/// The addresses, sorted, and what follows the last of them.
fn pieces(value: &str) -> (Vec<String>, &str) {
    let role = value.find(":participant").or(value.find(":observer")).unwrap();
    let mut addresses: Vec<_> = value[..role].split('|').map(str::to_owned).collect();
    addresses.sort();
    (addresses, &value[role..])
}

#[test]
fn members_in_captured_votes_are_read_and_written_alike() {
    let mut members = 0;
    for (capture, kind, bytes) in captures() {
        if kind != "NOTIFICATION" {
            continue;
        }
        let text = String::from_utf8(Notification::decode(&bytes[4..]).unwrap().config).unwrap();
        for line in text.lines().filter_map(|line| line.strip_prefix("server.")) {
            let (id, value) = line.split_once('=').unwrap();
            let again = Member::parse(id.parse().unwrap(), value).unwrap().to_string();
            // Java writes the addresses of one host in the order of a hash set, so only their set is compared.
            assert_eq!(pieces(&again), pieces(value), "{capture}");
            members += 1;
        }
    }
    assert!(members > 100, "{members} members");
}

#[test]
fn a_damaged_capture_is_an_error_or_another_message_and_never_a_panic() {
    for (_, kind, bytes) in captures() {
        for at in 0..bytes.len().min(64) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xff;
            match kind {
                "INITIAL" => drop(Greeting::wanted(&damaged).and_then(|_| Greeting::decode(&damaged))),
                _ => drop(Notification::decode(&damaged[4..])),
            }
            drop(Greeting::decode(&bytes[..at]));
            drop(Notification::decode(&bytes[4.min(at)..at]));
        }
    }
}
