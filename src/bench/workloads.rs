//! What sessions ask for: reads and writes over a set of keys, nodes that come and go, multis, listings. Knows the
//! nodes that `setup` made and the engine's trait; watches have their own file.

use super::connection::Tag;
use super::encode;
use super::engine::Workload;
use super::stats::Class;
use crate::jute::Encode;
use crate::proto::OpCode;
use crate::proto::records::{MULTI_END, MultiHeader};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A small generator of numbers (SplitMix64): the same seed, the same run.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Starts at a seed.
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// So many bytes that do not compress.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }
}

fn tag(class: u8, number: u64) -> Option<Tag> {
    Some(Tag { class, number: number as u32 })
}

/// getData and setData on random keys.
#[derive(Debug)]
pub struct Keyed {
    /// Where the keys are.
    pub prefix: Vec<u8>,
    /// How many.
    pub keys: u64,
    /// What is set.
    pub data: Vec<u8>,
    /// Which reads and writes.
    pub kind: KeyedKind,
    /// Which keys.
    pub random: Random,
}

/// The operations of [`Keyed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyedKind {
    /// getData.
    Get,
    /// exists.
    Exists,
    /// setData.
    Set,
    /// getData, and so many of a hundred setData.
    Mixed(u64),
    /// So many setData in one transaction.
    Multi(usize),
}

impl Workload for Keyed {
    fn classes(&self) -> &'static [Class] {
        match self.kind {
            KeyedKind::Get => const { &[Class::new("get")] },
            KeyedKind::Exists => const { &[Class::new("exists")] },
            KeyedKind::Set => const { &[Class::new("set")] },
            KeyedKind::Mixed(_) => const { &[Class::new("get"), Class::new("set")] },
            KeyedKind::Multi(_) => const { &[Class::new("multi")] },
        }
    }

    fn next(&mut self, _index: usize, _now_ns: u64, out: &mut Vec<u8>) -> Option<Tag> {
        let key = self.random.below(self.keys);
        let write = |out: &mut Vec<u8>| {
            OpCode::SET_DATA.0.encode(out);
            encode::set(out, &self.prefix, key, &self.data);
        };
        match self.kind {
            KeyedKind::Get => encode::read(out, OpCode::GET_DATA, &self.prefix, key, false),
            KeyedKind::Exists => encode::read(out, OpCode::EXISTS, &self.prefix, key, false),
            KeyedKind::Set => write(out),
            KeyedKind::Mixed(percent) => {
                if self.random.below(100) < percent {
                    write(out);
                    return tag(1, key);
                }
                encode::read(out, OpCode::GET_DATA, &self.prefix, key, false);
            }
            KeyedKind::Multi(size) => {
                OpCode::MULTI.0.encode(out);
                for _ in 0..size {
                    MultiHeader { op: OpCode::SET_DATA.0, done: false, err: -1 }.encode(out);
                    encode::set(out, &self.prefix, self.random.below(self.keys), &self.data);
                }
                MULTI_END.encode(out);
            }
        }
        tag(0, key)
    }

    fn hidden_error(&self, _tag: Tag, body: &[u8]) -> i32 {
        if matches!(self.kind, KeyedKind::Multi(_)) { multi_error(body) } else { 0 }
    }
}

/// getChildren of one node.
#[derive(Debug)]
pub struct Listing {
    /// The parent.
    pub path: Vec<u8>,
}

impl Workload for Listing {
    fn classes(&self) -> &'static [Class] {
        const { &[Class::new("getChildren")] }
    }

    fn next(&mut self, _index: usize, _now_ns: u64, out: &mut Vec<u8>) -> Option<Tag> {
        OpCode::GET_CHILDREN.0.encode(out);
        crate::jute::put_bytes(out, &self.path);
        false.encode(out);
        tag(0, 0)
    }
}

/// What happens to the nodes of [`Nodes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodesKind {
    /// Created and left.
    Create,
    /// Deleted, so many of each session, which exist.
    Delete(u64),
    /// Created and deleted again.
    CreateDelete,
    /// Created as ephemeral and deleted again.
    Ephemeral,
}

/// Nodes that come and go, each session below a parent of its own.
#[derive(Debug)]
pub struct Nodes {
    /// Where each session's nodes are.
    pub prefixes: Vec<Vec<u8>>,
    /// How many requests each session has sent.
    pub sent: Vec<u64>,
    /// What is in the nodes.
    pub data: Vec<u8>,
    /// What happens.
    pub kind: NodesKind,
}

impl Workload for Nodes {
    fn classes(&self) -> &'static [Class] {
        match self.kind {
            NodesKind::Create => const { &[Class::new("create")] },
            NodesKind::Delete(_) => const { &[Class::new("delete")] },
            NodesKind::CreateDelete | NodesKind::Ephemeral => const { &[Class::new("create"), Class::new("delete")] },
        }
    }

    fn next(&mut self, index: usize, _now_ns: u64, out: &mut Vec<u8>) -> Option<Tag> {
        let (turn, prefix) = (self.sent[index], &self.prefixes[index]);
        let (number, deletes, flags) = match self.kind {
            NodesKind::Create => (turn, false, 0),
            NodesKind::Delete(most) if turn >= most => return None,
            NodesKind::Delete(_) => (turn, true, 0),
            NodesKind::CreateDelete => (turn / 2, turn % 2 == 1, 0),
            NodesKind::Ephemeral => (turn / 2, turn % 2 == 1, 1),
        };
        if deletes {
            OpCode::DELETE.0.encode(out);
            encode::delete(out, prefix, number);
        } else {
            OpCode::CREATE.0.encode(out);
            encode::create(out, prefix, number, &self.data, flags);
        }
        self.sent[index] += 1;
        let both = self.classes().len() > 1;
        tag(u8::from(deletes && both), number)
    }

    fn exhausted(&self) -> bool {
        matches!(self.kind, NodesKind::Delete(most) if self.sent.iter().all(|sent| *sent >= most))
    }
}

/// Nodes of one filled directory.
pub const FILL_DIRECTORY: u64 = 1000;

/// Creates a given number of nodes, one by one or with multis, in directories of a thousand.
#[derive(Debug)]
pub struct Fill {
    /// Where the directories are.
    pub prefix: String,
    /// The first node nobody has taken yet; shared by all threads.
    pub taken: Arc<AtomicU64>,
    /// How many nodes in all.
    pub nodes: u64,
    /// Nodes of one multi; with 1, plain creates.
    pub batch: u64,
    /// What is in them.
    pub data: Vec<u8>,
}

impl Workload for Fill {
    fn classes(&self) -> &'static [Class] {
        const { &[Class::new("create")] }
    }

    fn next(&mut self, _index: usize, _now_ns: u64, out: &mut Vec<u8>) -> Option<Tag> {
        let first = self.taken.fetch_add(self.batch, Ordering::Relaxed);
        if first >= self.nodes {
            return None;
        }
        let prefix = |number: u64| format!("{}{:010}/n", self.prefix, number / FILL_DIRECTORY).into_bytes();
        if self.batch == 1 {
            OpCode::CREATE.0.encode(out);
            encode::create(out, &prefix(first), first, &self.data, 0);
            return tag(0, first);
        }
        OpCode::MULTI.0.encode(out);
        for number in first..(first + self.batch).min(self.nodes) {
            MultiHeader { op: OpCode::CREATE.0, done: false, err: -1 }.encode(out);
            encode::create(out, &prefix(number), number, &self.data, 0);
        }
        MULTI_END.encode(out);
        tag(0, first)
    }

    fn hidden_error(&self, _tag: Tag, body: &[u8]) -> i32 {
        if self.batch == 1 { 0 } else { multi_error(body) }
    }

    fn exhausted(&self) -> bool {
        self.taken.load(Ordering::Relaxed) >= self.nodes
    }
}

/// The error of a multi, whose header always says Ok: a failed one answers each part with type -1, false, the code, and
/// the code again.
fn multi_error(body: &[u8]) -> i32 {
    const PART: usize = 13;
    let code = |part: &[u8]| i32::from_be_bytes([part[5], part[6], part[7], part[8]]);
    body.chunks_exact(PART)
        .take_while(|part| part[..5] == [0xff, 0xff, 0xff, 0xff, 0])
        .map(code)
        .find(|&code| code != 0)
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_multi_is_seen_behind_its_ok_header() {
        let mut body = Vec::new();
        for code in [0, -101, -2] {
            MultiHeader { op: -1, done: false, err: code }.encode(&mut body);
            code.encode(&mut body);
        }
        MULTI_END.encode(&mut body);
        assert_eq!(multi_error(&body), -101);
        let mut body = Vec::new();
        MultiHeader { op: 2, done: false, err: 0 }.encode(&mut body);
        MULTI_END.encode(&mut body);
        assert_eq!(multi_error(&body), 0);
        assert_eq!(multi_error(&[]), 0);
    }

    #[test]
    fn random_numbers_stay_below_their_bound_and_repeat_with_the_seed() {
        let mut random = Random::new(7);
        assert!((0..1000).all(|_| random.below(10) < 10));
        assert_eq!(Random::new(7).bytes(13), Random::new(7).bytes(13));
        assert_ne!(Random::new(7).bytes(13), Random::new(8).bytes(13));
    }

    #[test]
    fn create_delete_pairs_follow_each_other() {
        let mut nodes =
            Nodes { prefixes: vec![b"/b/s".to_vec()], sent: vec![0], data: vec![], kind: NodesKind::CreateDelete };
        let tags: Vec<_> = (0..4).map(|_| nodes.next(0, 0, &mut Vec::new()).unwrap()).collect();
        let seen: Vec<_> = tags.iter().map(|tag| (tag.class, tag.number)).collect();
        assert_eq!(seen, [(0, 0), (1, 0), (0, 1), (1, 1)]);
    }
}
