//! What commands say, as values: `text` and `json` are two renderings of them. Knows no stream.

use super::error::Failure;
use super::kind::Kind;
use super::quota::Limits;
use super::session::Notice;
use crate::proto::acl::Acl;
use crate::proto::records::Stat;

/// How data is shown in text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    Plain,
    /// In base64.
    Base64,
    /// As a hex dump.
    Hex,
}

/// One thing that a command says.
#[derive(Debug)]
pub enum Datum<'a> {
    /// A node was created.
    Created {
        /// The path it got.
        path: &'a str,
    },
    /// A node was changed or deleted.
    Done {
        /// The node.
        path: &'a str,
        /// Its new bookkeeping, where the user wants it.
        stat: Option<&'a Stat>,
    },
    /// A subtree was deleted.
    TreeDeleted {
        /// Its root.
        path: &'a str,
        /// Whether all of it is gone.
        whole: bool,
    },
    /// The children of a node.
    Children {
        /// The node.
        path: &'a str,
        /// Their names, sorted.
        names: &'a [String],
        /// Bookkeeping of the node, where the user wants it.
        stat: Option<&'a Stat>,
    },
    /// A node among many.
    Path {
        /// Which.
        path: &'a str,
    },
    /// Data of a node.
    Data {
        /// The node.
        path: &'a str,
        /// The data; none is null.
        data: Option<&'a [u8]>,
        /// How text shows it.
        form: Form,
        /// Bookkeeping, where the user wants it.
        stat: Option<&'a Stat>,
    },
    /// Bookkeeping of a node.
    Stat {
        /// The node.
        path: &'a str,
        /// Its bookkeeping.
        stat: &'a Stat,
    },
    /// An access list.
    Acl {
        /// The node.
        path: &'a str,
        /// Its list.
        acl: &'a [Acl],
        /// Bookkeeping, where the user wants it.
        stat: Option<&'a Stat>,
    },
    /// The access list of a node in a subtree could not be set.
    AclRefused {
        /// Why, in the words of the original.
        message: &'a str,
    },
    /// How many nodes are below a node.
    Count {
        /// The node.
        path: &'a str,
        /// How many.
        count: i32,
    },
    /// Ephemeral nodes of the session.
    Ephemerals {
        /// Their paths.
        paths: &'a [String],
    },
    /// A quota and what it counts.
    Quota {
        /// The node.
        path: &'a str,
        /// What is allowed.
        limits: &'a Limits,
        /// What there is.
        usage: &'a Limits,
    },
    /// Identities of the connection.
    Identities {
        /// Scheme and user of each.
        identities: &'a [(String, String)],
    },
    /// The configuration of the ensemble.
    Configuration {
        /// What stands in front of it in text.
        title: &'a str,
        /// Its text.
        text: &'a str,
        /// Bookkeeping of the node it lives in, where the user wants it.
        stat: Option<&'a Stat>,
    },
    /// The server has caught up, or not.
    Synced {
        /// 0, or a code.
        code: i32,
    },
    /// The version of this program.
    Version {
        /// Its text.
        text: &'a str,
    },
    /// An event of a watch, or news of the session.
    Notice(&'a Notice),
    /// A node in the picture of a tree.
    Branch {
        /// The lines in front of it.
        lines: &'a str,
        /// Its path.
        path: &'a str,
        /// How far below the top it is.
        depth: usize,
        /// Its bookkeeping and kind; without them, why it cannot be seen.
        seen: Result<(&'a Stat, Kind), &'a Failure>,
        /// Children that the picture leaves out.
        hidden: usize,
    },
    /// What a picture of a tree holds.
    TreeSize {
        /// Nodes.
        nodes: u64,
        /// Bytes of data.
        bytes: u64,
    },
    /// A node that was looked for.
    Found {
        /// Its path.
        path: &'a str,
        /// Its bookkeeping.
        stat: &'a Stat,
        /// Its kind.
        kind: Kind,
    },
    /// An event, with the time it came.
    Seen {
        /// When, ms since the Unix epoch.
        unix_ms: i64,
        /// The event.
        notice: &'a Notice,
    },
    /// What an import has done, or would do.
    Imported {
        /// Where to.
        path: &'a str,
        /// Nodes created.
        created: usize,
        /// Nodes overwritten.
        overwritten: usize,
        /// Nodes that were there and stayed as they are.
        kept: usize,
        /// Ephemeral nodes, which no import creates.
        ephemeral: usize,
        /// Whether nothing was done.
        dry: bool,
    },
    /// A piece of a document that has its own form.
    Document(&'a str),
    /// A line of words.
    Line(&'a str),
}
