//! Operations that read: look up, check the ACL, encode the reply, say which watch to leave. A pure function of the tree at
//! one zxid, so that the reactor and the committing thread (for reads that wait in front of a write of their session)
//! run the same code.

use super::listing::Listings;
use super::watches::{WatchKind, WatcherType};
use crate::auth::{self, Policy};
use crate::jute::{Decode, DecodeError, Encode, List, Reader, Text, put_length, put_text};
use crate::proto::acl::{self, Id};
use crate::proto::records::{
    GetAclResponse, GetDataResponse, MULTI_END, MultiHeader, PathModeRequest, PathRequest, PathWatchRequest,
    ReplyHeader, SetPersistentWatches, SetWatches, WatcherEvent,
};
use crate::proto::session::SessionId;
use crate::proto::{ErrorCode, OpCode};
use crate::tree::{CONTAINER_OWNER, Node, NodeId, Owner, TTL_MAX_MS, TTL_OWNER, Tree};

/// The original's watch tables take a null path like any other; no node ever matches it. A text that nobody sends.
const NULL_PATH: &str = "\u{0}\u{fffe}null";

/// Java's `trim`: everything up to the blank goes, control characters included.
fn trimmed(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}

/// Event types of the wire.
pub mod event {
    /// A node came.
    pub const CREATED: i32 = 1;
    /// A node went.
    pub const DELETED: i32 = 2;
    /// Its data was set.
    pub const DATA_CHANGED: i32 = 3;
    /// Its list of children changed.
    pub const CHILDREN_CHANGED: i32 = 4;
}

/// A frame's request, ready to execute.
#[derive(Debug, Clone, Copy)]
pub struct ReadRequest<'a> {
    /// The client's number.
    pub xid: i32,
    /// Operation.
    pub op: OpCode,
    /// Encoded record.
    pub body: &'a [u8],
    /// Session.
    pub session: SessionId,
    /// Identities of the connection.
    pub identities: &'a [Id],
    /// Longest string or buffer.
    pub field_max: usize,
}

/// What a read asks of the watch tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchAction {
    /// Leave a watch.
    Add(Box<str>, WatchKind),
    /// Answer whether there is such a watch, and remove it if asked: only the tables know.
    Find {
        /// Path.
        path: Box<str>,
        /// Which.
        kind: WatcherType,
        /// Remove it.
        remove: bool,
        /// The client's number, for the reply.
        xid: i32,
    },
}

/// Executes a read: appends the whole reply frame to `out` (for setWatches with the events in front), except for
/// [`WatchAction::Find`], which is answered by who owns the tables.
pub fn execute(
    tree: &Tree,
    policy: &Policy,
    request: &ReadRequest<'_>,
    listings: &mut Listings,
    out: &mut Vec<u8>,
    actions: &mut Vec<WatchAction>,
) {
    let before = actions.len();
    let is_set_watches = matches!(request.op, OpCode::SET_WATCHES | OpCode::SET_WATCHES2);
    let missed = if is_set_watches { replay_missed(tree, request, out, actions) } else { Ok(()) };
    let frame = begin_reply(out, request.xid, tree.zxid().0, ErrorCode::OK);
    let body_at = out.len();
    let result = missed.and_then(|()| Read { tree, policy, request }.run(listings, out, actions));
    if !is_set_watches && matches!(actions.get(before), Some(WatchAction::Find { .. })) {
        out.truncate(frame);
        return;
    }
    if let Err(failure) = result {
        let error = match failure {
            Failure::Code(code) => code,
            Failure::Decode | Failure::Midway => ErrorCode::MARSHALLING_ERROR,
        };
        // An exists on a missing node fails and still leaves its watch; so does what a setWatches had armed already.
        if request.op != OpCode::EXISTS && !is_set_watches {
            actions.truncate(before);
        }
        if !matches!(failure, Failure::Midway) {
            out.truncate(body_at);
        }
        out[body_at - 4..body_at].copy_from_slice(&error.0.to_be_bytes());
    }
    end_reply(out, frame);
}

/// Starts a reply frame; returns where its length stands.
pub fn begin_reply(out: &mut Vec<u8>, xid: i32, zxid: i64, err: ErrorCode) -> usize {
    let frame = out.len();
    out.extend_from_slice(&[0; 4]);
    ReplyHeader { xid, zxid, err: err.0 }.encode(out);
    frame
}

/// Fills in the length of a frame.
pub fn end_reply(out: &mut [u8], frame: usize) {
    let length = (out.len() - frame - 4) as u32;
    out[frame..frame + 4].copy_from_slice(&length.to_be_bytes());
}

/// Appends a whole event frame.
pub fn put_event(out: &mut Vec<u8>, zxid: i64, kind: i32, path: &str) {
    let frame = begin_reply(out, -1, zxid, ErrorCode::OK);
    WatcherEvent { kind, state: 3, path: Some(path.into()) }.encode(out);
    end_reply(out, frame);
}

enum Failure {
    Code(ErrorCode),
    Decode,
    /// MarshallingError, and what was encoded until then stays behind it: a multiRead that stumbled on its way.
    Midway,
}

impl From<DecodeError> for Failure {
    fn from(_: DecodeError) -> Self {
        Failure::Decode
    }
}

impl From<ErrorCode> for Failure {
    fn from(code: ErrorCode) -> Self {
        Failure::Code(code)
    }
}

struct Read<'r, 'a> {
    tree: &'r Tree,
    policy: &'r Policy,
    request: &'r ReadRequest<'a>,
}

impl<'a> Read<'_, 'a> {
    fn decode<T: Decode<'a>>(&self) -> Result<T, DecodeError> {
        T::decode(&mut Reader::new(self.request.body, self.request.field_max))
    }

    fn run(&self, listings: &mut Listings, out: &mut Vec<u8>, actions: &mut Vec<WatchAction>) -> Result<(), Failure> {
        match self.request.op {
            OpCode::PING => Ok(()),
            OpCode::EXISTS => {
                let PathWatchRequest { path, watch } = self.decode()?;
                let path = path.ok_or(Failure::Decode)?;
                if path.contains('\0') {
                    return Err(ErrorCode::BAD_ARGUMENTS.into());
                }
                let node = self.tree.get(&path);
                if let Some(node) = node {
                    self.permit(node, acl::READ)?;
                }
                if watch {
                    actions.push(WatchAction::Add(path.as_ref().into(), WatchKind::Data));
                }
                self.tree.stat(node.ok_or(ErrorCode::NO_NODE)?).encode(out);
                Ok(())
            }
            OpCode::GET_DATA => {
                let PathWatchRequest { path, watch } = self.decode()?;
                let path = path.ok_or(Failure::Decode)?;
                let (_, node) = self.readable(&path)?;
                GetDataResponse { data: node.data(), stat: self.tree.stat(node) }.encode(out);
                if watch {
                    actions.push(WatchAction::Add(path.as_ref().into(), WatchKind::Data));
                }
                Ok(())
            }
            op @ (OpCode::GET_CHILDREN | OpCode::GET_CHILDREN2) => {
                let PathWatchRequest { path, watch } = self.decode()?;
                let path = path.ok_or(Failure::Decode)?;
                let (id, node) = self.readable(&path)?;
                listings.put(self.tree, id, node, out);
                if op == OpCode::GET_CHILDREN2 {
                    self.tree.stat(node).encode(out);
                }
                if watch {
                    actions.push(WatchAction::Add(path.as_ref().into(), WatchKind::Child));
                }
                Ok(())
            }
            OpCode::GET_ACL => {
                let PathRequest { path } = self.decode()?;
                let node = self.tree.get(&path.ok_or(Failure::Decode)?).ok_or(ErrorCode::NO_NODE)?;
                self.permit(node, acl::READ | acl::ADMIN)?;
                let list = self.tree.acl(node.acl()).map_or_else(acl::Acl::open_unsafe, |list| list.to_vec());
                let shown = if self.permit(node, acl::ADMIN).is_ok() { list } else { auth::redact(&list) };
                GetAclResponse { acl: Some(shown), stat: self.tree.stat(node) }.encode(out);
                Ok(())
            }
            OpCode::GET_ALL_CHILDREN_NUMBER => {
                let PathRequest { path } = self.decode()?;
                let path = path.ok_or(Failure::Decode)?;
                let (id, _) = self.readable(&path)?;
                // By its empty name the root counts itself, under its other name.
                let count = self.tree.descendant_count(id) + usize::from(path.is_empty());
                (count as i32).encode(out);
                Ok(())
            }
            OpCode::GET_OWNER => {
                let PathRequest { path } = self.decode()?;
                let (_, node) = self.readable(&path.ok_or(Failure::Decode)?)?;
                let owner = match self.tree.owner(node) {
                    Owner::Nobody => 0,
                    Owner::Container => CONTAINER_OWNER,
                    Owner::Ttl(ms) => TTL_OWNER | ms.min(TTL_MAX_MS),
                    Owner::Session(session) => session,
                };
                owner.encode(out);
                Ok(())
            }
            OpCode::GET_EPHEMERALS => {
                let PathRequest { path } = self.decode()?;
                let prefix = path.as_deref().filter(|prefix| !matches!(trimmed(prefix), "" | "/")).unwrap_or("");
                let mut owned: Vec<_> =
                    self.tree.ephemerals(self.request.session).map(|id| self.tree.path(id)).collect();
                owned.retain(|path| path.starts_with(prefix));
                owned.sort_unstable();
                put_length(out, owned.len());
                owned.iter().for_each(|path| put_text(out, path));
                Ok(())
            }
            OpCode::SYNC => {
                let PathRequest { path } = self.decode()?;
                path.encode(out);
                Ok(())
            }
            OpCode::WHO_AM_I => {
                let shown: Vec<_> =
                    self.request.identities.iter().map(|id| (&id.scheme, self.policy.user(id))).collect();
                put_length(out, shown.len());
                for (scheme, user) in shown {
                    put_text(out, scheme);
                    put_text(out, user);
                }
                Ok(())
            }
            OpCode::MULTI_READ => self.multi_read(listings, out),
            OpCode::ADD_WATCH => {
                let PathModeRequest { path, mode } = self.decode()?;
                let kind = match mode {
                    0 => WatchKind::Persistent,
                    1 => WatchKind::PersistentRecursive,
                    _ => return Err(Failure::Decode),
                };
                actions.push(WatchAction::Add(path.as_deref().unwrap_or(NULL_PATH).into(), kind));
                ErrorCode::OK.0.encode(out);
                Ok(())
            }
            op @ (OpCode::CHECK_WATCHES | OpCode::REMOVE_WATCHES) => {
                let PathModeRequest { path, mode } = self.decode()?;
                let kind = WatcherType::from_wire(mode).ok_or(Failure::Decode)?;
                let path = path.as_deref().unwrap_or(NULL_PATH).into();
                let remove = op == OpCode::REMOVE_WATCHES;
                actions.push(WatchAction::Find { path, kind, remove, xid: self.request.xid });
                Ok(())
            }
            OpCode::SET_WATCHES | OpCode::SET_WATCHES2 => Ok(()),
            op => unreachable!("{op} is not a read, the opcode table says so"),
        }
    }

    /// A well-formed multi that holds writes only.
    fn is_multi_of_writes(&self) -> bool {
        crate::engine::is_multi_of_writes(self.request.body, self.request.field_max)
    }

    fn readable(&self, path: &str) -> Result<(NodeId, &Node), Failure> {
        let id = self.tree.find(path).ok_or(ErrorCode::NO_NODE)?;
        let node = self.tree.node(id);
        self.permit(node, acl::READ)?;
        Ok((id, node))
    }

    fn permit(&self, node: &Node, permission: i32) -> Result<(), ErrorCode> {
        if self.tree.world_permissions(node.acl()) & permission != 0 {
            return Ok(());
        }
        let list = self.tree.acl(node.acl()).map(|list| &**list);
        match self.policy.permits(list, permission, self.request.identities) {
            true => Ok(()),
            false => Err(ErrorCode::NO_AUTH),
        }
    }

    /// Parts fail one by one; only what is no record of a multi of reads fails as a whole.
    fn multi_read(&self, listings: &mut Listings, out: &mut Vec<u8>) -> Result<(), Failure> {
        let mut reader = Reader::new(self.request.body, self.request.field_max);
        let mut parts = Vec::new();
        loop {
            let header = MultiHeader::decode(&mut reader)?;
            if header.done {
                break;
            }
            let op = OpCode(header.op);
            if !matches!(op, OpCode::GET_DATA | OpCode::GET_CHILDREN) {
                if !parts.is_empty() || !self.is_multi_of_writes() {
                    return Err(Failure::Decode);
                }
                // Writes are decodable, and refused at the first: with an empty result behind the error.
                MULTI_END.encode(out);
                return Err(Failure::Midway);
            }
            let PathWatchRequest { path, .. } = PathWatchRequest::decode(&mut reader)?;
            parts.push((op, path));
        }
        for (op, path) in parts {
            let Some(path) = path else {
                MULTI_END.encode(out);
                return Err(Failure::Midway);
            };
            match self.readable(&path) {
                Ok((id, node)) => {
                    MultiHeader { op: op.0, done: false, err: 0 }.encode(out);
                    match op {
                        OpCode::GET_DATA => {
                            GetDataResponse { data: node.data(), stat: self.tree.stat(node) }.encode(out);
                        }
                        _ => listings.put(self.tree, id, node, out),
                    }
                }
                Err(Failure::Code(code)) => {
                    MultiHeader { op: -1, done: false, err: code.0 }.encode(out);
                    code.0.encode(out);
                }
                Err(other) => return Err(other),
            }
        }
        MULTI_END.encode(out);
        Ok(())
    }
}

/// What a client that comes back has missed since its zxid is told at once, in front of the reply; the rest is armed
/// again. These events carry zxid -1 and are not filtered by ACLs (`DataTree.setWatches`). A null list or path fails the
/// request where it stands; what came before it is done.
fn replay_missed(
    tree: &Tree,
    request: &ReadRequest<'_>,
    out: &mut Vec<u8>,
    actions: &mut Vec<WatchAction>,
) -> Result<(), Failure> {
    let mut reader = Reader::new(request.body, request.field_max);
    let standard = SetWatches::decode(&mut reader)?;
    let persistent = match request.op {
        OpCode::SET_WATCHES2 => Some(SetPersistentWatches::decode(&mut reader)?),
        _ => None,
    };
    let since = standard.relative_zxid;
    let mut each = |list: &List<Text<'_>>, kind, missed: &dyn Fn(&str) -> Option<i32>| -> Result<(), Failure> {
        for path in list.as_deref().ok_or(Failure::Decode)? {
            let path = match path.as_deref() {
                Some(path) => path,
                None if matches!(kind, WatchKind::Persistent | WatchKind::PersistentRecursive) => NULL_PATH,
                None => return Err(Failure::Decode),
            };
            match missed(path) {
                Some(event) => put_event(out, -1, event, path),
                None => actions.push(WatchAction::Add(path.into(), kind)),
            }
        }
        Ok(())
    };
    each(&standard.data_watches, WatchKind::Data, &|path| match tree.get(path) {
        None => Some(event::DELETED),
        Some(node) => (node.stat.mzxid > since).then_some(event::DATA_CHANGED),
    })?;
    each(&standard.exist_watches, WatchKind::Data, &|path| tree.get(path).map(|_| event::CREATED))?;
    each(&standard.child_watches, WatchKind::Child, &|path| match tree.get(path) {
        None => Some(event::DELETED),
        Some(node) => (node.stat.pzxid > since).then_some(event::CHILDREN_CHANGED),
    })?;
    if let Some(persistent) = &persistent {
        each(&persistent.persistent_watches, WatchKind::Persistent, &|_| None)?;
        each(&persistent.persistent_recursive_watches, WatchKind::PersistentRecursive, &|_| None)?;
    }
    Ok(())
}
