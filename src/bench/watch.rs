//! Watch fan-out: one session writes, all others are notified; a key is written again once the last of them knows.
//! Measures from the writing of the setData to each notification. Knows the engine's trait, nothing of output.

use super::connection::Tag;
use super::encode;
use super::engine::Workload;
use super::stats::Class;
use crate::jute::{Encode, put_bytes};
use crate::proto::OpCode;
use std::collections::VecDeque;

const NOTIFICATION: u8 = 0;
const SET: u8 = 1;
const ARM: u8 = 2;
const WRITER: usize = 0;
/// The mode of addWatch that covers a subtree.
const RECURSIVE: i32 = 1;

/// The kind of watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchKind {
    /// getData with a watch, set anew after each event, as clients do.
    OneShot,
    /// One persistent recursive watch on the parent.
    Recursive,
}

/// Session 0 writes, the others watch.
#[derive(Debug)]
pub struct Fanout {
    kind: WatchKind,
    parent: Vec<u8>,
    prefix: Vec<u8>,
    data: Vec<u8>,
    watchers: usize,
    /// By key: watchers that are not ready for the next write of it.
    missing: Vec<usize>,
    /// By key: when it was written, ns.
    written_ns: Vec<u64>,
    /// Keys that may be written.
    ready: VecDeque<usize>,
    /// By session: keys to set a watch on; for a recursive watch, any entry stands for the one watch.
    to_arm: Vec<VecDeque<usize>>,
}

impl Fanout {
    /// `sessions` counts the writer; `keys` below `parent` are written at the same time.
    pub fn new(kind: WatchKind, parent: &str, name: &str, sessions: usize, keys: usize, data: Vec<u8>) -> Self {
        let arms = if kind == WatchKind::OneShot { keys } else { 1 };
        let watchers = sessions - 1;
        Fanout {
            kind,
            parent: parent.as_bytes().to_vec(),
            prefix: format!("{parent}/{name}").into_bytes(),
            data,
            watchers,
            missing: vec![watchers; keys],
            written_ns: vec![0; keys],
            ready: VecDeque::new(),
            to_arm: (0..sessions)
                .map(|index| if index == WRITER { VecDeque::new() } else { (0..arms).collect() })
                .collect(),
        }
    }

    fn have(&mut self, key: usize, wake: &mut Vec<usize>) {
        // A server that tells twice must not confuse the count.
        if self.missing[key] == 0 {
            return;
        }
        self.missing[key] -= 1;
        if self.missing[key] == 0 {
            self.ready.push_back(key);
            wake.push(WRITER);
        }
    }
}

impl Workload for Fanout {
    fn classes(&self) -> &'static [Class] {
        const { &[Class::new("notification"), Class::aside("set"), Class::aside("arm")] }
    }

    fn next(&mut self, index: usize, now_ns: u64, out: &mut Vec<u8>) -> Option<Tag> {
        if index == WRITER {
            let key = self.ready.pop_front()?;
            self.missing[key] = self.watchers;
            self.written_ns[key] = now_ns;
            OpCode::SET_DATA.0.encode(out);
            encode::set(out, &self.prefix, key as u64, &self.data);
            return Some(Tag { class: SET, number: key as u32 });
        }
        let key = self.to_arm[index].pop_front()?;
        match self.kind {
            WatchKind::OneShot => encode::read(out, OpCode::GET_DATA, &self.prefix, key as u64, true),
            WatchKind::Recursive => {
                OpCode::ADD_WATCH.0.encode(out);
                put_bytes(out, &self.parent);
                RECURSIVE.encode(out);
            }
        }
        Some(Tag { class: ARM, number: key as u32 })
    }

    fn answered(&mut self, _index: usize, tag: Tag, wake: &mut Vec<usize>) {
        match (tag.class, self.kind) {
            (ARM, WatchKind::OneShot) => self.have(tag.number as usize, wake),
            (ARM, WatchKind::Recursive) => (0..self.missing.len()).for_each(|key| self.have(key, wake)),
            _ => {}
        }
    }

    fn notified(&mut self, index: usize, path: &[u8], wake: &mut Vec<usize>) -> Option<(u8, u64)> {
        let key = encode::number(path).map(|key| key as usize).filter(|&key| key < self.missing.len())?;
        match self.kind {
            WatchKind::OneShot => {
                self.to_arm[index].push_back(key);
                wake.push(index);
            }
            WatchKind::Recursive => self.have(key, wake),
        }
        Some((NOTIFICATION, self.written_ns[key]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_again_when_all_watchers_have_seen_it() {
        let mut fanout = Fanout::new(WatchKind::Recursive, "/b", "k", 3, 1, vec![]);
        let (mut out, mut wake) = (Vec::new(), Vec::new());
        assert_eq!(fanout.next(0, 1, &mut out), None);
        for index in [1, 2] {
            let tag = fanout.next(index, 1, &mut out).unwrap();
            fanout.answered(index, tag, &mut wake);
        }
        assert_eq!(wake, [0]);
        assert_eq!(fanout.next(0, 5, &mut out).unwrap().class, SET);
        assert_eq!(fanout.next(0, 6, &mut out), None);
        assert_eq!(fanout.notified(1, b"/b/k0000000000", &mut wake), Some((NOTIFICATION, 5)));
        assert_eq!(fanout.next(0, 6, &mut out), None);
        fanout.notified(2, b"/b/k0000000000", &mut wake);
        assert!(fanout.next(0, 6, &mut out).is_some());
    }
}
