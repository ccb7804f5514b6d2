//! Two snapshots side by side, level by level: subtrees that differ by more than so many bytes or nodes.

use std::cmp::Ordering;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use serde_json::json;

use super::sizes::{SizeTree, Sized};
use crate::tools::output::{Failure, Output};

/// Arguments of `compare`.
#[derive(Debug, Args)]
pub struct Compare {
    /// The left snapshot file.
    #[arg(short = 'l', long)]
    left: PathBuf,
    /// The right snapshot file.
    #[arg(short = 'r', long)]
    right: PathBuf,
    /// A node is printed when its subtree differs by more bytes than these.
    #[arg(short = 'b', long)]
    bytes: i64,
    /// A node is printed when its subtree differs by more nodes than these.
    #[arg(short = 'n', long)]
    nodes: i64,
    /// Tell of every comparison.
    #[arg(short = 'd', long)]
    debug: bool,
    /// One JSON object in each line, differences alone.
    #[arg(long)]
    json: bool,
}

/// Compares and prints.
pub fn run(args: &Compare, out: &mut Output) -> Result<u8, Failure> {
    if !args.json {
        writeln!(out, "Successfully parsed options!")?;
    }
    let left = load(&args.left, args.json, out)?;
    let right = load(&args.right, args.json, out)?;
    let (left, right) = (levels(&left), levels(&right));
    if !args.json {
        totals(&left, out)?;
        totals(&right, out)?;
        writeln!(
            out,
            "Printing analysis for nodes difference larger than {} bytes or node count difference larger than {}.",
            args.bytes, args.nodes
        )?;
    }
    for depth in 0..left.len().max(right.len()) {
        if !args.json {
            writeln!(out, "Analysis for depth {depth}")?;
        }
        level_by_level(args, level(&left, depth), level(&right, depth), out)?;
    }
    if !args.json {
        writeln!(out, "All layers compared.")?;
    }
    Ok(0)
}

fn load(file: &Path, quiet: bool, out: &mut Output) -> Result<SizeTree, Failure> {
    let started = Instant::now();
    let tree = SizeTree::read(file)?;
    let read = started.elapsed();
    let tree = tree.summed();
    if !quiet {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        writeln!(out, "Deserialized snapshot in {name} in {:.6} seconds", read.as_secs_f64())?;
        writeln!(out, "Processed data tree in {:.6} seconds", (started.elapsed() - read).as_secs_f64())?;
    }
    Ok(tree)
}

fn level<'a, 'b>(levels: &'a [Vec<&'b Sized>], depth: usize) -> &'a [&'b Sized] {
    levels.get(depth).map_or(&[], Vec::as_slice)
}

/// Nodes by depth, each level sorted by path.
fn levels(tree: &SizeTree) -> Vec<Vec<&Sized>> {
    let mut levels: Vec<Vec<&Sized>> = Vec::new();
    for node in &tree.nodes {
        if levels.len() <= node.depth {
            levels.resize(node.depth + 1, Vec::new());
        }
        levels[node.depth].push(node);
    }
    levels.iter_mut().for_each(|level| level.sort_by(|a, b| a.path.cmp(&b.path)));
    levels
}

fn totals(levels: &[Vec<&Sized>], out: &mut Output) -> Result<(), Failure> {
    let count: usize = levels.iter().map(Vec::len).sum();
    let root = levels.first().and_then(|level| level.first());
    writeln!(
        out,
        "Node count: {count}\nTotal size: {}\nMax depth: {}",
        root.map_or(0, |root| root.total),
        levels.len()
    )?;
    for (depth, level) in levels.iter().enumerate() {
        writeln!(out, "Count of nodes at depth {depth}: {}", level.len())?;
    }
    Ok(writeln!(out)?)
}

fn level_by_level(args: &Compare, left: &[&Sized], right: &[&Sized], out: &mut Output) -> Result<(), Failure> {
    let (mut lefts, mut rights) = (left.iter().peekable(), right.iter().peekable());
    loop {
        let order = match (lefts.peek(), rights.peek()) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(left), Some(right)) => {
                let order = left.path.cmp(&right.path);
                if args.debug && !args.json {
                    let word = match order {
                        Ordering::Less => "left is less",
                        Ordering::Equal => "same",
                        Ordering::Greater => "right is less",
                    };
                    writeln!(out, "Comparing {} to {}\n{word}", left.path, right.path)?;
                }
                order
            }
        };
        let left = if order == Ordering::Greater { None } else { lefts.next() };
        let right = if order == Ordering::Less { None } else { rights.next() };
        match (left, right) {
            (Some(left), Some(right)) => both(args, left, right, out)?,
            (Some(node), None) => one(args, "left", node, out)?,
            (None, Some(node)) => one(args, "right", node, out)?,
            (None, None) => return Ok(()),
        }
    }
}

fn both(args: &Compare, left: &Sized, right: &Sized, out: &mut Output) -> Result<(), Failure> {
    let bytes = right.total as i64 - left.total as i64;
    let nodes = right.descendants as i64 - left.descendants as i64;
    let path = &left.path;
    if bytes.abs() > args.bytes || nodes.abs() > args.nodes {
        if args.json {
            writeln!(out, "{}", json!({"path": path, "in": "both", "bytes": bytes, "descendants": nodes}))?;
        } else {
            writeln!(out, "Node {path} found in both trees. Delta: {bytes} bytes, {nodes} descendants")?;
        }
    } else if args.debug && !args.json {
        writeln!(out, "Filtered node {path} of left size {}, right size {}", left.total, right.total)?;
    }
    Ok(())
}

fn one(args: &Compare, side: &str, node: &Sized, out: &mut Output) -> Result<(), Failure> {
    let (path, bytes, nodes) = (&node.path, node.total, node.descendants);
    if bytes as i64 > args.bytes || nodes as i64 > args.nodes {
        if args.json {
            writeln!(out, "{}", json!({"path": path, "in": side, "bytes": bytes, "descendants": nodes}))?;
        } else {
            let line = format!("Node {path} found only in {side} tree.");
            writeln!(out, "{line} Descendant size: {bytes}. Descendant count: {nodes}")?;
        }
    } else if args.debug && !args.json {
        writeln!(out, "Filtered {side} node {path} of size {bytes}")?;
    }
    Ok(())
}
