//! Answers to getChildren of large nodes, encoded once and sent many times. A list is known by its node's birth, its
//! counters and its length; any change of the children moves one of them, so an entry can be stale but never wrong.

use crate::jute::{put_length, put_text};
use crate::tree::{Node, NodeId, Tree};
use hashbrown::HashMap;

/// Lists shorter than this are as quickly encoded as found.
const CHILDREN_MIN: usize = 32;
/// Bytes of all lists; above, the cache starts over.
const BYTES_MAX: usize = 8 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    czxid: i64,
    pzxid: i64,
    cversion: i32,
    children: usize,
}

/// Encoded lists of children.
#[derive(Debug, Default)]
pub struct Listings {
    lists: HashMap<NodeId, (State, Box<[u8]>)>,
    bytes: usize,
    /// Lists that were found, since the start.
    pub found: u64,
}

impl Listings {
    /// Appends the list of a node's children.
    pub fn put(&mut self, tree: &Tree, id: NodeId, node: &Node, out: &mut Vec<u8>) {
        let children = node.children().len();
        if children < CHILDREN_MIN {
            return put_children(tree, node, out);
        }
        let stat = &node.stat;
        let state = State { czxid: stat.czxid, pzxid: stat.pzxid, cversion: stat.cversion, children };
        if let Some((known, bytes)) = self.lists.get(&id)
            && *known == state
        {
            self.found += 1;
            return out.extend_from_slice(bytes);
        }
        let start = out.len();
        put_children(tree, node, out);
        let bytes: Box<[u8]> = out[start..].into();
        if let Some((_, old)) = self.lists.remove(&id) {
            self.bytes -= old.len();
        }
        if self.bytes + bytes.len() > BYTES_MAX {
            (self.lists, self.bytes) = (HashMap::new(), 0);
        }
        if bytes.len() <= BYTES_MAX {
            self.bytes += bytes.len();
            self.lists.insert(id, (state, bytes));
        }
    }
}

fn put_children(tree: &Tree, node: &Node, out: &mut Vec<u8>) {
    let children = node.children();
    out.reserve(children.len() * 16);
    put_length(out, children.len());
    children.iter().for_each(|id| put_text(out, tree.node(*id).name()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::OpCode;
    use crate::proto::txn::{CreateKind, CreateTxn, Txn, TxnHeader};
    use crate::tree::OwnerRules;

    #[test]
    fn a_list_is_sent_from_memory_until_any_child_comes_or_goes() {
        let mut tree = Tree::new(OwnerRules::default(), false);
        let mut zxid = 0;
        let mut apply = |tree: &mut Tree, op: OpCode, txn: Txn<'_>| {
            zxid += 1;
            tree.apply(&TxnHeader { zxid, op: op.0, ..TxnHeader::default() }, &txn, None);
        };
        let create = |path: String| {
            let kind = CreateKind::Persistent;
            Txn::Create(CreateTxn { path: Some(path.into()), data: None, acl: None, kind, parent_cversion: -1 })
        };
        apply(&mut tree, OpCode::CREATE, create("/a".into()));
        (0..100).for_each(|n| apply(&mut tree, OpCode::CREATE, create(format!("/a/{n}"))));
        let mut listings = Listings::default();
        let mut check = |tree: &Tree| {
            let id = tree.find("/a").unwrap();
            let (mut cached, mut fresh) = (Vec::new(), Vec::new());
            listings.put(tree, id, tree.node(id), &mut cached);
            put_children(tree, tree.node(id), &mut fresh);
            assert_eq!(cached, fresh);
        };
        check(&tree);
        check(&tree);
        apply(&mut tree, OpCode::DELETE, Txn::Delete { path: Some("/a/50".into()) });
        check(&tree);
        apply(&mut tree, OpCode::CREATE, create("/a/new".into()));
        check(&tree);
    }
}
