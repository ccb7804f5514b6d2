//! Transactions as they stand in the log and in proposals (`zookeeper.jute`, module `txn`): header, typed body, digest.
//! One decoder serves recovery, the leader's own apply and, later, learners.

use super::acl::Acl;
use super::{OpCode, Zxid};
use crate::jute::{Buffer, Decode, DecodeError, Encode, List, Reader, Text, put_length};

/// The version of the tree digest that is written.
pub const DIGEST_VERSION: i32 = 2;

crate::jute! {
    /// Who did what when.
    pub struct TxnHeader {
        /// Session, or 0 for the server's own.
        client_id: i64,
        /// The client's xid.
        cxid: i32,
        /// Transaction id.
        zxid: i64,
        /// Leader's wall clock, ms since the Unix epoch.
        time_ms: i64,
        /// The request's opcode, or -1 for a failed one.
        op: i32,
    }

    /// Digest of the whole tree after the transaction.
    pub struct TxnDigest {
        /// Format, 2.
        version: i32,
        /// Sum of the node digests.
        tree_digest: i64,
    }
}

impl TxnHeader {
    /// The transaction id as its type.
    pub fn zxid(&self) -> Zxid {
        Zxid(self.zxid)
    }
}

/// How a created node is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateKind {
    /// Until deleted.
    Persistent,
    /// Until its session ends.
    Ephemeral,
    /// Until its last child is gone.
    Container,
    /// Until so many ms have passed without change.
    Ttl(i64),
}

/// A new node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateTxn<'a> {
    /// Path, sequence number included.
    pub path: Text<'a>,
    /// Data.
    pub data: Buffer<'a>,
    /// ACL.
    pub acl: List<Acl>,
    /// Kind.
    pub kind: CreateKind,
    /// The parent's child creation counter afterwards; -1 in logs older than it.
    pub parent_cversion: i32,
}

/// The body of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Txn<'a> {
    /// Types 1, 15, 19 and 21.
    Create(CreateTxn<'a>),
    /// Types 2 and 20.
    Delete {
        /// Path.
        path: Text<'a>,
    },
    /// Types 5 and 16.
    SetData {
        /// Path.
        path: Text<'a>,
        /// New data.
        data: Buffer<'a>,
        /// New version.
        version: i32,
    },
    /// Type 7.
    SetAcl {
        /// Path.
        path: Text<'a>,
        /// New list.
        acl: List<Acl>,
        /// New ACL version.
        version: i32,
    },
    /// Type -10.
    CreateSession {
        /// Timeout, ms.
        timeout_ms: i32,
    },
    /// Type -11; `None` where the log names no paths and the session's own list counts.
    CloseSession {
        /// Ephemerals that go with the session.
        paths: Option<Vec<Text<'a>>>,
    },
    /// Type -1: a failed request.
    Error {
        /// Error code.
        err: i32,
    },
    /// Type 13, inside a multi only; changes nothing.
    Check {
        /// Path.
        path: Text<'a>,
        /// Version found.
        version: i32,
    },
    /// Type 14.
    Multi(Vec<(OpCode, Txn<'a>)>),
}

impl<'a> Txn<'a> {
    /// Appends the body as type `op` writes it.
    pub fn encode(&self, op: OpCode, out: &mut Vec<u8>) {
        match self {
            Txn::Create(txn) => {
                txn.path.encode(out);
                txn.data.encode(out);
                txn.acl.encode(out);
                if matches!(op, OpCode::CREATE | OpCode::CREATE2) {
                    (txn.kind == CreateKind::Ephemeral).encode(out);
                }
                txn.parent_cversion.encode(out);
                if let CreateKind::Ttl(ttl_ms) = txn.kind {
                    ttl_ms.encode(out);
                }
            }
            Txn::Delete { path } => path.encode(out),
            Txn::SetData { path, data, version } => {
                path.encode(out);
                data.encode(out);
                version.encode(out);
            }
            Txn::SetAcl { path, acl, version } => {
                path.encode(out);
                acl.encode(out);
                version.encode(out);
            }
            Txn::CreateSession { timeout_ms } => timeout_ms.encode(out),
            Txn::CloseSession { paths } => {
                if let Some(paths) = paths {
                    put_length(out, paths.len());
                    paths.iter().for_each(|path| path.encode(out));
                }
            }
            Txn::Error { err } => err.encode(out),
            Txn::Check { path, version } => {
                path.encode(out);
                version.encode(out);
            }
            Txn::Multi(items) => {
                put_length(out, items.len());
                for (op, item) in items {
                    op.0.encode(out);
                    let start = out.len();
                    out.extend_from_slice(&[0; 4]);
                    item.encode(*op, out);
                    let length = (out.len() - start - 4) as u32;
                    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
                }
            }
        }
    }

    /// Reads the body of type `op`.
    pub fn decode(op: OpCode, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(match op {
            OpCode::CREATE | OpCode::CREATE2 => {
                let (path, data, acl) = (reader.text()?, reader.buffer()?, reader.list()?);
                let kind = if reader.bool()? { CreateKind::Ephemeral } else { CreateKind::Persistent };
                // Logs of 3.4 before the field existed end here.
                let parent_cversion = if reader.is_empty() { -1 } else { reader.int()? };
                Txn::Create(CreateTxn { path, data, acl, kind, parent_cversion })
            }
            OpCode::CREATE_CONTAINER | OpCode::CREATE_TTL => {
                let (path, data, acl) = (reader.text()?, reader.buffer()?, reader.list()?);
                let parent_cversion = reader.int()?;
                let kind =
                    if op == OpCode::CREATE_TTL { CreateKind::Ttl(reader.long()?) } else { CreateKind::Container };
                Txn::Create(CreateTxn { path, data, acl, kind, parent_cversion })
            }
            OpCode::DELETE | OpCode::DELETE_CONTAINER => Txn::Delete { path: reader.text()? },
            OpCode::SET_DATA | OpCode::RECONFIG => {
                Txn::SetData { path: reader.text()?, data: reader.buffer()?, version: reader.int()? }
            }
            OpCode::SET_ACL => Txn::SetAcl { path: reader.text()?, acl: reader.list()?, version: reader.int()? },
            OpCode::CREATE_SESSION => Txn::CreateSession { timeout_ms: reader.int()? },
            OpCode::CLOSE_SESSION => Txn::CloseSession { paths: close_session_paths(reader) },
            OpCode::ERROR => Txn::Error { err: reader.int()? },
            OpCode::CHECK => Txn::Check { path: reader.text()?, version: reader.int()? },
            OpCode::MULTI => {
                let count = reader.int()?;
                let mut items = Vec::new();
                for _ in 0..count.max(0) {
                    let op = OpCode(reader.int()?);
                    // A multi inside a multi would let a hostile file nest without end.
                    if !op.is_multi_member() {
                        return Err(DecodeError::Type(op.0));
                    }
                    let mut body = Reader::unlimited(reader.buffer()?.unwrap_or_default());
                    items.push((op, Txn::decode(op, &mut body)?));
                }
                Txn::Multi(items)
            }
            other => return Err(DecodeError::Type(other.0)),
        })
    }
}

impl OpCode {
    /// True for the transaction types that may stand inside a multi.
    fn is_multi_member(self) -> bool {
        matches!(
            self,
            OpCode::CREATE
                | OpCode::CREATE2
                | OpCode::CREATE_TTL
                | OpCode::CREATE_CONTAINER
                | OpCode::DELETE
                | OpCode::DELETE_CONTAINER
                | OpCode::SET_DATA
                | OpCode::ERROR
                | OpCode::CHECK
        )
    }
}

/// The body of a closeSession is not tagged: a vector of paths that ends exactly at the end, or a digest before it,
/// is a list; anything else is an old log without one.
fn close_session_paths<'a>(reader: &mut Reader<'a>) -> Option<Vec<Text<'a>>> {
    let mut probe = reader.clone();
    let paths = probe.list::<Text<'a>>().ok()??;
    // A digest that reads as a vector has strings that no path can be.
    let is_path = |path: &Text<'a>| path.as_ref().is_some_and(|path| path.starts_with('/'));
    if !matches!(probe.rest().len(), 0 | 12) || !paths.iter().all(is_path) {
        return None;
    }
    *reader = probe;
    Some(paths)
}

/// A whole log record: header, body and, where the writer kept one, the digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxnRecord<'a> {
    /// Header.
    pub header: TxnHeader,
    /// Body.
    pub txn: Txn<'a>,
    /// Digest of the tree afterwards.
    pub digest: Option<TxnDigest>,
}

impl<'a> TxnRecord<'a> {
    /// Reads a record that fills `bytes`.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::unlimited(bytes);
        let header = TxnHeader::decode(&mut reader)?;
        let txn = Txn::decode(OpCode(header.op), &mut reader)?;
        let digest = if reader.rest().len() >= 12 { Some(TxnDigest::decode(&mut reader)?) } else { None };
        Ok(TxnRecord { header, txn, digest })
    }

    /// Appends header, body and digest.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.header.encode(out);
        self.txn.encode(OpCode(self.header.op), out);
        if let Some(digest) = &self.digest {
            digest.encode(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jute::Encode;

    #[test]
    fn a_digest_behind_an_empty_close_session_is_not_a_list_of_paths() {
        for tree_digest in [0, -1] {
            let mut bytes = Vec::new();
            TxnHeader { client_id: 5, cxid: 1, zxid: 9, time_ms: 2, op: OpCode::CLOSE_SESSION.0 }.encode(&mut bytes);
            // As a vector: two strings, both empty or both null.
            TxnDigest { version: DIGEST_VERSION, tree_digest }.encode(&mut bytes);
            let record = TxnRecord::decode(&bytes).unwrap();
            assert_eq!(record.txn, Txn::CloseSession { paths: None });
            assert_eq!(record.digest.map(|digest| digest.tree_digest), Some(tree_digest));
        }
    }
}
