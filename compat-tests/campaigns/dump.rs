//! The whole tree as a client sees it: every node with its data, access list and bookkeeping; and two trees compared.

use crate::model::acl_number;
use crate::wire::{Wire, path_body, read_body};
use oxkeeper::jute::{Decode, List, Reader, Text};
use oxkeeper::proto::OpCode;
use oxkeeper::proto::acl::Acl;
use oxkeeper::proto::records::{GetAclResponse, GetDataResponse, Stat};
use std::collections::BTreeMap;

/// Nodes asked for at a time.
const WINDOW: usize = 200;

/// A node as the server shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub data: Vec<u8>,
    pub acl: Vec<Acl>,
    pub stat: Stat,
}

impl Seen {
    pub fn acl_number(&self) -> u8 {
        acl_number(&self.acl)
    }
}

/// A tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dump {
    pub nodes: BTreeMap<String, Seen>,
}

impl Dump {
    /// Reads the tree over one connection.
    pub fn read(wire: &mut Wire) -> Result<Dump, String> {
        let mut dump = Dump::default();
        let mut todo = vec!["/".to_owned()];
        while !todo.is_empty() {
            let now: Vec<String> = todo.drain(todo.len().saturating_sub(WINDOW)..).collect();
            for path in &now {
                wire.put(1, OpCode::GET_DATA, &read_body(path));
                wire.put(1, OpCode::GET_ACL, &path_body(path));
                wire.put(1, OpCode::GET_CHILDREN, &read_body(path));
            }
            wire.flush().map_err(|error| format!("reading the tree: {error}"))?;
            for path in now {
                let data = body(wire, &path)?;
                let acl = body(wire, &path)?;
                let children = body(wire, &path)?;
                let odd = |error| format!("{path}: unreadable answer: {error}");
                let got = GetDataResponse::decode(&mut Reader::unlimited(&data)).map_err(odd)?;
                let acl = GetAclResponse::decode(&mut Reader::unlimited(&acl)).map_err(odd)?.acl.unwrap_or_default();
                let names: List<Text<'_>> = Reader::unlimited(&children).list().map_err(odd)?;
                let above = if path == "/" { "" } else { &path };
                todo.extend(names.unwrap_or_default().into_iter().flatten().map(|name| format!("{above}/{name}")));
                let seen = Seen { data: got.data.unwrap_or_default().to_vec(), acl, stat: got.stat };
                dump.nodes.insert(path, seen);
            }
        }
        Ok(dump)
    }

    /// The first difference of two trees.
    pub fn differs(&self, other: &Dump) -> Option<String> {
        let here = self.nodes.iter().find(|(path, seen)| other.nodes.get(*path) != Some(seen));
        if let Some((path, seen)) = here {
            return Some(format!("{path}: {seen:?} and {:?}", other.nodes.get(path)));
        }
        let more = other.nodes.keys().find(|path| !self.nodes.contains_key(*path))?;
        Some(format!("{more} is in the second tree only"))
    }

    /// The highest zxid that any node carries.
    pub fn last_zxid(&self) -> i64 {
        let zxids = self.nodes.values().map(|seen| seen.stat.czxid.max(seen.stat.mzxid).max(seen.stat.pzxid));
        zxids.max().unwrap_or(0)
    }
}

fn body(wire: &mut Wire, path: &str) -> Result<Vec<u8>, String> {
    let answer = wire.take().map_err(|error| format!("reading {path}: {error}"))?;
    if answer.header.err == 0 { Ok(answer.body) } else { Err(format!("reading {path}: error {}", answer.header.err)) }
}
