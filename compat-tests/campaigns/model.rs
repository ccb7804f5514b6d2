//! What a session believes about its own part of the tree: pure, exact, and small enough to be copied. It predicts the
//! outcome of each write, so that a reply, or a tree after a crash, can be compared with it. Knows no sockets.

use oxkeeper::jute::{Encode, List, Text};
use oxkeeper::proto::acl::AclEntry;
use oxkeeper::proto::records::{
    CreateRequest, MULTI_END, MultiHeader, PathVersionRequest, SetAclRequest, SetDataRequest, Stat,
};
use oxkeeper::proto::{ErrorCode, OpCode};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A write. Paths are whole, data tells who wrote it and when.
#[derive(Debug, Clone)]
pub enum Action {
    Create {
        path: String,
        data: Vec<u8>,
        acl: u8,
        ephemeral: bool,
        sequential: bool,
    },
    Set {
        path: String,
        data: Vec<u8>,
        version: i32,
    },
    SetAcl {
        path: String,
        acl: u8,
    },
    Delete {
        path: String,
        version: i32,
    },
    Check {
        path: String,
        version: i32,
    },
    Multi(Vec<Action>),
    /// A set of a node that all sessions share, which is judged apart.
    Shared {
        path: String,
        data: Vec<u8>,
    },
}

/// A node as it must be. A zxid is `None` where no reply told it.
#[derive(Debug, Clone)]
pub struct Node {
    pub data: Vec<u8>,
    pub acl: u8,
    pub version: i32,
    pub aversion: i32,
    pub creates: i32,
    pub children: i32,
    pub owner: i64,
    pub czxid: Option<i64>,
    pub mzxid: Option<i64>,
    pub pzxid: Option<i64>,
}

/// The part of the tree that belongs to one session.
#[derive(Debug, Clone, Default)]
pub struct Model {
    pub nodes: BTreeMap<String, Node>,
}

/// The parent of a path.
pub fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

impl Model {
    /// Applies a write of `session`; the code that the server must answer. A refused write changes nothing.
    pub fn apply(&mut self, action: &Action, session: i64, zxid: Option<i64>) -> ErrorCode {
        match action {
            Action::Multi(parts) => {
                let mut copy = self.clone();
                for part in parts {
                    let code = copy.apply(part, session, zxid);
                    if code != ErrorCode::OK {
                        return code;
                    }
                }
                *self = copy;
                ErrorCode::OK
            }
            Action::Create { path, data, acl, ephemeral, sequential } => {
                let Some(above) = self.nodes.get_mut(parent(path)) else { return ErrorCode::NO_NODE };
                let name = if *sequential { format!("{path}{:010}", above.creates) } else { path.clone() };
                let above_owner = above.owner;
                if self.nodes.contains_key(&name) {
                    return ErrorCode::NODE_EXISTS;
                }
                if above_owner != 0 {
                    return ErrorCode::NO_CHILDREN_FOR_EPHEMERALS;
                }
                if let Some(above) = self.nodes.get_mut(parent(path)) {
                    above.creates += 1;
                    above.children += 1;
                    above.pzxid = zxid;
                }
                let owner = if *ephemeral { session } else { 0 };
                let node = Node {
                    data: data.clone(),
                    acl: *acl,
                    version: 0,
                    aversion: 0,
                    creates: 0,
                    children: 0,
                    owner,
                    czxid: zxid,
                    mzxid: zxid,
                    pzxid: zxid,
                };
                self.nodes.insert(name, node);
                ErrorCode::OK
            }
            Action::Set { path, data, version } => match self.at(path, *version) {
                Err(code) => code,
                Ok(node) => {
                    node.data.clone_from(data);
                    node.version += 1;
                    node.mzxid = zxid;
                    ErrorCode::OK
                }
            },
            Action::SetAcl { path, acl } => match self.at(path, -1) {
                Err(code) => code,
                Ok(node) => {
                    node.acl = *acl;
                    node.aversion += 1;
                    ErrorCode::OK
                }
            },
            Action::Delete { path, version } => {
                match self.at(path, *version) {
                    Err(code) => return code,
                    Ok(node) if node.children > 0 => return ErrorCode::NOT_EMPTY,
                    Ok(_) => {}
                }
                self.nodes.remove(path);
                if let Some(above) = self.nodes.get_mut(parent(path)) {
                    above.children -= 1;
                    above.pzxid = zxid;
                }
                ErrorCode::OK
            }
            Action::Check { path, version } => self.at(path, *version).map_or_else(|code| code, |_| ErrorCode::OK),
            Action::Shared { .. } => ErrorCode::OK,
        }
    }

    fn at(&mut self, path: &str, version: i32) -> Result<&mut Node, ErrorCode> {
        let node = self.nodes.get_mut(path).ok_or(ErrorCode::NO_NODE)?;
        if version == -1 || version == node.version { Ok(node) } else { Err(ErrorCode::BAD_VERSION) }
    }
}

impl Node {
    /// The first difference to what a server shows.
    pub fn differs(&self, data: &[u8], acl: u8, stat: &Stat) -> Option<String> {
        let known = |zxid: Option<i64>, found: i64| zxid.is_none_or(|zxid| zxid == found);
        let cversion = self.creates * 2 - self.children;
        let same = [
            ("data", self.data == data),
            ("acl", self.acl == acl),
            ("version", self.version == stat.version),
            ("aversion", self.aversion == stat.aversion),
            ("cversion", cversion == stat.cversion),
            ("numChildren", self.children == stat.num_children),
            ("ephemeralOwner", self.owner == stat.ephemeral_owner),
            ("czxid", known(self.czxid, stat.czxid)),
            ("mzxid", known(self.mzxid, stat.mzxid)),
            ("pzxid", known(self.pzxid, stat.pzxid)),
        ];
        let what = same.iter().find(|(_, same)| !same)?.0;
        Some(format!("{what}: expected {self:?}, found {stat:?} data {:?} acl {acl}", String::from_utf8_lossy(data)))
    }

    /// Takes over the zxids that no reply told.
    pub fn learn(&mut self, stat: &Stat) {
        (self.czxid, self.mzxid, self.pzxid) = (Some(stat.czxid), Some(stat.mzxid), Some(stat.pzxid));
    }
}

/// Access list number `n`: everybody may do everything, and somebody else may read.
fn acl(number: u8) -> List<AclEntry<'static>> {
    let entry =
        |perms, scheme, id: String| AclEntry { perms, scheme: Some(Cow::Borrowed(scheme)), id: Some(Cow::Owned(id)) };
    let mut list = vec![entry(31, "world", "anyone".into())];
    if number > 0 {
        list.push(entry(1, "ip", format!("10.0.0.{number}")));
    }
    Some(list)
}

/// The number of an access list that a server shows; 255 for one that nobody set.
pub fn acl_number(list: &[oxkeeper::proto::acl::Acl]) -> u8 {
    let number = match list {
        [_] => Some(0),
        [_, second] if second.perms == 1 => second.id.id.strip_prefix("10.0.0.").and_then(|id| id.parse().ok()),
        _ => None,
    };
    let open = list.first().is_some_and(|first| first.perms == 31 && first.id.id == "anyone");
    number.filter(|_| open).unwrap_or(255)
}

fn text(path: &str) -> Text<'_> {
    Some(Cow::Borrowed(path))
}

impl Action {
    /// Operation and body on the wire.
    pub fn request(&self) -> (OpCode, Vec<u8>) {
        match self {
            Action::Create { path, data, acl: number, ephemeral, sequential } => {
                let flags = i32::from(*ephemeral) + 2 * i32::from(*sequential);
                let request = CreateRequest { path: text(path), data: Some(data), acl: acl(*number), flags };
                (OpCode::CREATE2, request.to_bytes())
            }
            Action::Set { path, data, version } => {
                let request = SetDataRequest { path: text(path), data: Some(data), version: *version };
                (OpCode::SET_DATA, request.to_bytes())
            }
            Action::Shared { path, data } => {
                (OpCode::SET_DATA, SetDataRequest { path: text(path), data: Some(data), version: -1 }.to_bytes())
            }
            Action::SetAcl { path, acl: number } => {
                (OpCode::SET_ACL, SetAclRequest { path: text(path), acl: acl(*number), version: -1 }.to_bytes())
            }
            Action::Delete { path, version } => {
                (OpCode::DELETE, PathVersionRequest { path: text(path), version: *version }.to_bytes())
            }
            Action::Check { path, version } => {
                (OpCode::CHECK, PathVersionRequest { path: text(path), version: *version }.to_bytes())
            }
            Action::Multi(parts) => {
                let mut out = Vec::new();
                for part in parts {
                    let (op, body) = part.request();
                    MultiHeader { op: op.0, done: false, err: -1 }.encode(&mut out);
                    out.extend_from_slice(&body);
                }
                MULTI_END.encode(&mut out);
                (OpCode::MULTI, out)
            }
        }
    }
}
