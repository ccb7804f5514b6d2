//! A snapshot as a tree of sizes, in memory without the data; printed by subtree, or as the JSON that ncdu reads.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use serde_json::json;

use super::{bad, load};
use crate::proto::path;
use crate::proto::{Zxid, acl::Acl, txn::TxnDigest, txn::TxnRecord};
use crate::store::{NodeRefused, Restore, SnapshotNode};
use crate::tools::output::{Failure, Output};

/// Arguments of `stats`.
#[derive(Debug, Args)]
pub struct Stats {
    /// The snapshot file.
    file: PathBuf,
    /// The subtree.
    #[arg(default_value = "/")]
    node: String,
    /// Levels below it that are printed; 0 for all. What is counted does not depend on it.
    #[arg(default_value_t = 0)]
    depth: usize,
    /// One JSON object in each line.
    #[arg(long)]
    json: bool,
}

/// A node.
#[derive(Debug, Clone)]
pub struct Sized {
    /// Whole path; empty for the root.
    pub path: String,
    /// Bytes of its data.
    pub data: u64,
    /// Its children, by position.
    pub children: Vec<usize>,
    /// Components of the path.
    pub depth: usize,
    /// Nodes below.
    pub descendants: u64,
    /// Bytes of its data and of all below.
    pub total: u64,
}

/// Nodes in the order of the file: a parent is always in front of its children. The root is the first.
#[derive(Debug, Default)]
pub struct SizeTree {
    /// All of them.
    pub nodes: Vec<Sized>,
    by_path: HashMap<String, usize>,
}

impl SizeTree {
    /// Reads a snapshot that must be whole.
    pub fn load(file: &Path) -> Result<Self, Failure> {
        Ok(SizeTree::read(file)?.summed())
    }

    /// The same, with nothing counted yet.
    pub fn read(file: &Path) -> Result<Self, Failure> {
        let mut tree = SizeTree::default();
        load(file, &mut tree)?.map_err(|why| bad(file, &why))?;
        Ok(tree)
    }

    /// The nodes directly below one, by name, if it is there.
    pub fn children_of(&self, path: &str) -> Option<Vec<&Sized>> {
        let node = &self.nodes[*self.by_path.get(path)?];
        Some(node.children.iter().map(|id| &self.nodes[*id]).collect())
    }

    fn add(&mut self, path: &str, data: u64) -> Result<(), NodeRefused> {
        let id = self.nodes.len();
        let mut depth = 0;
        if let Some((parent, _)) = path::split(path) {
            let parent =
                *self.by_path.get(parent).ok_or_else(|| NodeRefused(format!("the parent of {path} is missing")))?;
            depth = self.nodes[parent].depth + 1;
            self.nodes[parent].children.push(id);
        } else if id > 0 {
            return Err(NodeRefused(format!("{path:?} stands where a path should")));
        }
        if self.by_path.insert(path.into(), id).is_some() {
            return Err(NodeRefused(format!("{path} stands twice")));
        }
        self.nodes.push(Sized { path: path.into(), data, children: Vec::new(), depth, descendants: 0, total: data });
        Ok(())
    }

    /// Children come behind their parents, so from the back each is complete before it is added to its parent.
    pub fn summed(mut self) -> Self {
        for id in (1..self.nodes.len()).rev() {
            let (parent, _) =
                path::split(&self.nodes[id].path).expect("only the root has no parent, and it is the first");
            let parent = self.by_path[parent];
            let (descendants, total) = (self.nodes[id].descendants + 1, self.nodes[id].total);
            self.nodes[parent].descendants += descendants;
            self.nodes[parent].total += total;
        }
        for id in 0..self.nodes.len() {
            let mut children = std::mem::take(&mut self.nodes[id].children);
            children.sort_by(|a, b| self.nodes[*a].path.cmp(&self.nodes[*b].path));
            self.nodes[id].children = children;
        }
        self
    }
}

impl Restore for SizeTree {
    fn clear(&mut self) {
        *self = SizeTree::default();
    }
    fn session(&mut self, _: i64, _: i32) {}
    fn acl(&mut self, _: i64, _: Vec<Acl>) {}
    fn node(&mut self, node: SnapshotNode<'_>) -> Result<(), NodeRefused> {
        self.add(node.path, node.data.map_or(0, |data| data.len() as u64))
    }
    fn snapshot_done(&mut self, _: Zxid, _: Option<(Zxid, TxnDigest)>, _: Option<Zxid>) {}
    fn replay(&mut self, _: &TxnRecord<'_>, _: &[u8]) {}
}

/// Prints the inner nodes of a subtree with what is below them.
pub fn stats(args: &Stats, out: &mut Output) -> Result<u8, Failure> {
    let tree = SizeTree::load(&args.file)?;
    let wanted = if args.node == "/" { "" } else { &args.node };
    let start = *tree
        .by_path
        .get(wanted)
        .ok_or_else(|| Failure::new(format!("{}: there is no node {}", args.file.display(), args.node)))?;
    let base = tree.nodes[start].depth;
    // A client decides how deep a tree is, so no recursion.
    let mut stack = vec![start];
    while let Some(id) = stack.pop() {
        let node = &tree.nodes[id];
        let level = node.depth - base;
        if node.children.is_empty() || (args.depth > 0 && level > args.depth) {
            continue;
        }
        let shown = if node.path.is_empty() { "/" } else { &node.path };
        if args.json {
            writeln!(out, "{}", json!({"path": shown, "children": node.descendants, "data": node.total}))?;
        } else {
            let dashes = "--".repeat(level);
            writeln!(
                out,
                "{dashes} {shown}\n{dashes}   children: {}\n{dashes}   data: {}",
                node.descendants, node.total
            )?;
        }
        stack.extend(node.children.iter().rev());
    }
    if !args.json {
        writeln!(out)?;
    }
    Ok(0)
}

/// A step of the walk that nests brackets.
enum Step {
    Node(usize),
    Close,
}

/// Prints the form of `SnapshotFormatter -json`, which is that of `ncdu -o`.
pub fn json(file: &Path, out: &mut Output) -> Result<u8, Failure> {
    let tree = SizeTree::load(file)?;
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() as u64);
    let head = json!({"progname": "SnapshotFormatter.java", "progver": "0.01", "timestamp": now_ms});
    write!(out, "[1,0,{head}")?;
    let mut stack = vec![Step::Node(0)];
    let mut number = 1000u64;
    while let Some(step) = stack.pop() {
        let Step::Node(id) = step else {
            write!(out, "]")?;
            continue;
        };
        let node = &tree.nodes[id];
        number += 1;
        let name = if node.path.is_empty() { "/" } else { node.path.rsplit('/').next().unwrap_or_default() };
        let text = json!({"name": name, "asize": node.data, "dsize": node.data, "dev": 0, "ino": number});
        if node.children.is_empty() {
            write!(out, ",{text}")?;
        } else {
            write!(out, ",[{text}")?;
            stack.push(Step::Close);
            stack.extend(node.children.iter().rev().map(|child| Step::Node(*child)));
        }
    }
    write!(out, "]")?;
    Ok(0)
}
