//! What a transaction changed, as watches need to know it. Who watches belongs to the reactors.

use super::acl::AclList;
use crate::proto::Zxid;

/// What happened to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was created; its parent has one child more.
    Created,
    /// It was deleted; its parent has one child less.
    Deleted,
    /// Its data was set.
    DataSet,
}

/// Who may hear of a change.
#[derive(Debug, Clone)]
pub enum Audience {
    /// Everybody.
    Everyone,
    /// Who has READ by this list.
    List(AclList),
}

/// One node changed by one transaction.
#[derive(Debug, Clone)]
pub struct Change {
    /// The transaction.
    pub zxid: Zxid,
    /// What happened.
    pub kind: ChangeKind,
    /// To which node.
    pub path: Box<str>,
    /// Who may hear of it: the list of the node, a deleted one's last.
    pub audience: Audience,
    /// Who may hear that the parent's children changed.
    pub parent_audience: Audience,
}
