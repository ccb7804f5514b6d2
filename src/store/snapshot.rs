//! Reads snapshots: header, sessions, ACL lists, nodes, and behind them up to two sections without tags, told apart by
//! their length. Every stretch ends in a seal, the Adler-32 of all bytes before it. Fills a [`Restore`]; which file to
//! read is decided in [`super::recovery`], the other direction is [`super::snapshot_writer`].

use std::io::{self, Read};

use super::restore::{Restore, SnapshotNode};
use super::window::Window;
use crate::jute::{Decode, DecodeError, Reader, lossy};
use crate::proto::Zxid;
use crate::proto::acl::Acl;
use crate::proto::records::StatPersisted;
use crate::proto::txn::TxnDigest;

/// `ZKSN`.
pub(super) const MAGIC: [u8; 4] = *b"ZKSN";
/// Version 2, dbid -1.
pub(super) const HEADER_REST: [u8; 12] = [0, 0, 0, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
/// The path that ends the list of nodes, and each seal: the string `/`.
pub(super) const END: [u8; 5] = [0, 0, 0, 1, b'/'];
/// A checksum and [`END`].
const SEAL: usize = 13;
const LAST_ZXID_SECTION: usize = 8 + SEAL;
/// ACL key and stat behind the data of a node.
const NODE_TAIL: usize = 8 + 60;

/// What a snapshot held.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SnapshotSummary {
    /// Sessions.
    pub sessions: u64,
    /// ACL lists.
    pub acls: u64,
    /// Nodes, the root included.
    pub nodes: u64,
    /// Uncompressed bytes.
    pub bytes: u64,
    /// Digest of the tree after the transaction it names.
    pub digest: Option<(Zxid, TxnDigest)>,
    /// Where the walk over the tree ended.
    pub last_zxid: Option<Zxid>,
}

/// Why a file is not a snapshot.
#[derive(Debug, thiserror::Error)]
#[error("offset {offset}: {why}")]
pub struct BadSnapshot {
    /// Position in the uncompressed stream.
    pub offset: u64,
    /// What is wrong there.
    pub why: String,
}

/// Reads the snapshot of `zxid` from the uncompressed `source` into `restore`, which must be clear.
pub fn read_snapshot<R: Read>(
    source: R,
    zxid: Zxid,
    restore: &mut impl Restore,
) -> Result<SnapshotSummary, BadSnapshot> {
    let mut file = SnapshotFile { window: Window::new(source, 0) };
    let mut summary = SnapshotSummary::default();
    file.header()?;
    file.lists(&mut summary, restore)?;
    summary.nodes = file.nodes(restore)?;
    file.seal()?;
    file.sections(&mut summary)?;
    summary.bytes = file.window.position();
    restore.snapshot_done(zxid, summary.digest, summary.last_zxid);
    Ok(summary)
}

/// What ends the copy that a leader sends: the end of the nodes, and a signature.
pub const STREAM_END: [u8; 19] = *b"\0\0\0\x01/\0\0\0\x0aBenWasHere";

/// Reads the copy that a leader sends, a snapshot without header, seals and sections, into `restore`. Returns what was
/// read behind its end.
pub fn read_stream<R: Read>(source: R, zxid: Zxid, restore: &mut impl Restore) -> Result<Vec<u8>, BadSnapshot> {
    restore.clear();
    let mut file = SnapshotFile { window: Window::new(source, 0) };
    file.lists(&mut SnapshotSummary::default(), restore)?;
    file.nodes(restore)?;
    let signature: [u8; 14] = file.array()?;
    if signature != STREAM_END[5..] {
        return Err(file.bad("the copy does not end as it should"));
    }
    restore.snapshot_done(zxid, None, None);
    Ok(file.window.bytes().to_vec())
}

struct SnapshotFile<R> {
    window: Window<R>,
}

impl<R: Read> SnapshotFile<R> {
    fn bad(&self, why: impl Into<String>) -> BadSnapshot {
        BadSnapshot { offset: self.window.position(), why: why.into() }
    }

    fn failed(&self, error: &io::Error) -> BadSnapshot {
        self.bad(format!("cannot read on: {error}"))
    }

    fn truncated(&self) -> BadSnapshot {
        self.bad("the file ends in the middle")
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BadSnapshot> {
        match self.window.array() {
            Ok(Some(array)) => Ok(array),
            Ok(None) => Err(self.truncated()),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn int(&mut self) -> Result<i32, BadSnapshot> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    fn long(&mut self) -> Result<i64, BadSnapshot> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    fn header(&mut self) -> Result<(), BadSnapshot> {
        let magic: [u8; 4] = self.array()?;
        if magic != MAGIC {
            return Err(self.bad(format!("not a snapshot: magic {:#x}", i32::from_be_bytes(magic))));
        }
        // Version and dbid: the original looks at neither; the first seal covers them.
        self.array::<12>()?;
        Ok(())
    }

    /// Sessions and ACL lists.
    fn lists(&mut self, summary: &mut SnapshotSummary, restore: &mut impl Restore) -> Result<(), BadSnapshot> {
        for _ in 0..self.int()? {
            let (id, timeout_ms) = (self.long()?, self.int()?);
            restore.session(id, timeout_ms);
            summary.sessions += 1;
        }
        for _ in 0..self.int()? {
            let (key, acl) = (self.long()?, self.acl()?);
            restore.acl(key, acl);
            summary.acls += 1;
        }
        Ok(())
    }

    fn ensure(&mut self, count: usize) -> Result<(), BadSnapshot> {
        match self.window.ensure(count) {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.truncated()),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// One ACL list. Its length is not written in front of it, so it is parsed again with twice the view when it
    /// reaches out of it.
    fn acl(&mut self) -> Result<Vec<Acl>, BadSnapshot> {
        loop {
            let view = self.window.bytes().len();
            let mut reader = Reader::unlimited(self.window.bytes());
            match reader.list::<Acl>() {
                Ok(list) => {
                    let used = view - reader.rest().len();
                    self.window.consume(used);
                    return Ok(list.unwrap_or_default());
                }
                Err(DecodeError::Truncated { .. }) => {
                    let more = self.window.ensure((view * 2).max(4096)).map_err(|error| self.failed(&error))?;
                    if !more && self.window.bytes().len() == view {
                        return Err(self.truncated());
                    }
                }
                Err(error) => return Err(self.bad(format!("ACL list: {error}"))),
            }
        }
    }

    /// All nodes up to the end mark; says how many.
    fn nodes(&mut self, restore: &mut impl Restore) -> Result<u64, BadSnapshot> {
        let mut count = 0;
        loop {
            match parse_node(self.window.bytes()) {
                Step::Node(node, used) => {
                    if let Err(refused) = restore.node(node) {
                        return Err(self.bad(refused.0));
                    }
                    self.window.consume(used);
                    count += 1;
                }
                Step::Odd(path, data, tail, used) => {
                    let text = lossy(path);
                    let result = node_of(&text, data, tail).map(|node| restore.node(node));
                    match result {
                        Ok(Ok(())) => self.window.consume(used),
                        Ok(Err(refused)) => return Err(self.bad(refused.0)),
                        Err(error) => return Err(self.bad(error.to_string())),
                    }
                    count += 1;
                }
                Step::Want(bytes) => self.ensure(bytes)?,
                Step::End => {
                    self.window.consume(END.len());
                    return Ok(count);
                }
                Step::Bad(why) => return Err(self.bad(why)),
            }
        }
    }

    fn seal(&mut self) -> Result<(), BadSnapshot> {
        let checksum = self.window.checksum();
        let found = self.long()?;
        if found != i64::from(checksum) {
            return Err(self.bad(format!("the seal before it says {found:#x}, the bytes sum to {checksum:#x}")));
        }
        if self.array()? != END {
            return Err(self.bad("the seal before it does not end in /"));
        }
        Ok(())
    }

    /// The sections carry no tags; which are there follows from the switches of the writer, and shows only in how many
    /// bytes are left.
    fn sections(&mut self, summary: &mut SnapshotSummary) -> Result<(), BadSnapshot> {
        let left = self.left()?;
        if left == 0 {
            return Ok(());
        }
        if left != LAST_ZXID_SECTION {
            summary.digest = self.digest()?;
        }
        if self.left()? >= LAST_ZXID_SECTION {
            summary.last_zxid = Some(Zxid(self.long()?));
            self.seal()?;
        } else if self.left()? > 0 {
            return Err(self.truncated());
        }
        Ok(())
    }

    /// Bytes left, as far as sections could reach.
    fn left(&mut self) -> Result<usize, BadSnapshot> {
        self.window.ensure(1 << 10).map_err(|error| self.failed(&error))?;
        Ok(self.window.bytes().len())
    }

    fn digest(&mut self) -> Result<Option<(Zxid, TxnDigest)>, BadSnapshot> {
        let zxid = Zxid(self.long()?);
        let version = self.int()?;
        // Before version 2, in pre-releases of 3.6, the digest was a hexadecimal string; nothing compares it any more.
        let digest = if version < 2 {
            let length = usize::try_from(self.int()?).unwrap_or(0);
            self.ensure(length)?;
            self.window.consume(length);
            None
        } else {
            Some((zxid, TxnDigest { version, tree_digest: self.long()? }))
        };
        self.seal()?;
        Ok(digest)
    }
}

enum Step<'a> {
    /// A node, and the bytes it takes.
    Node(SnapshotNode<'a>, usize),
    /// A node whose path is not UTF-8: path, data, the rest, and the bytes it takes.
    Odd(&'a [u8], Option<&'a [u8]>, &'a [u8], usize),
    /// More bytes are needed in view.
    Want(usize),
    /// The end mark is next.
    End,
    /// Cannot be.
    Bad(String),
}

/// Looks at the next node in `view`, in place.
fn parse_node(view: &[u8]) -> Step<'_> {
    let Some((length, rest)) = view.split_first_chunk::<4>() else { return Step::Want(4) };
    let Ok(path_len) = usize::try_from(i32::from_be_bytes(*length)) else {
        return Step::Bad(format!("unreasonable length {} of a path", i32::from_be_bytes(*length)));
    };
    // The end mark has nothing behind it, so it must be seen before more is asked for.
    let Some((path, rest)) = rest.split_at_checked(path_len) else { return Step::Want(4 + path_len) };
    if path == b"/" {
        return Step::End;
    }
    let Some((length, rest)) = rest.split_first_chunk::<4>() else { return Step::Want(8 + path_len) };
    let length = i32::from_be_bytes(*length);
    let data_len = match usize::try_from(length) {
        Ok(length) => length,
        Err(_) if length == -1 => 0,
        Err(_) => return Step::Bad(format!("unreasonable length {length} of data")),
    };
    let used = 8 + path_len + data_len + NODE_TAIL;
    if view.len() < used {
        return Step::Want(used);
    }
    let (data, rest) = rest.split_at(data_len);
    let (data, tail) = ((length >= 0).then_some(data), &rest[..NODE_TAIL]);
    match std::str::from_utf8(path) {
        Ok(text) => match node_of(text, data, tail) {
            Ok(node) => Step::Node(node, used),
            Err(error) => Step::Bad(error.to_string()),
        },
        Err(_) => Step::Odd(path, data, tail, used),
    }
}

fn node_of<'a>(path: &'a str, data: Option<&'a [u8]>, tail: &[u8]) -> Result<SnapshotNode<'a>, DecodeError> {
    let mut reader = Reader::unlimited(tail);
    Ok(SnapshotNode { path, data, acl_key: reader.long()?, stat: StatPersisted::decode(&mut reader)? })
}
