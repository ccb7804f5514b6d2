//! Two snapshots side by side, level by level: subtrees that differ by more than so many bytes or nodes.

use std::cmp::Ordering;
use std::io::{BufRead, Read, Write};
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
    /// Ask at each level what to show next: the level, another one, or what is below a node.
    #[arg(short = 'i', long, conflicts_with = "json")]
    interactive: bool,
    /// One JSON object in each line, differences alone.
    #[arg(long)]
    json: bool,
}

impl Compare {
    /// What is below the thresholds is told.
    fn tells_filtered(&self) -> bool {
        (self.debug || self.interactive) && !self.json
    }
}

/// Compares and prints.
pub fn run(args: &Compare, out: &mut Output) -> Result<u8, Failure> {
    compare(args, &mut std::io::stdin().lock(), out)
}

fn compare(args: &Compare, input: &mut dyn BufRead, out: &mut Output) -> Result<u8, Failure> {
    if !args.json {
        writeln!(out, "Successfully parsed options!")?;
    }
    let left_tree = load(&args.left, args.json, out)?;
    let right_tree = load(&args.right, args.json, out)?;
    let (left, right) = (levels(&left_tree), levels(&right_tree));
    if !args.json {
        totals(&left, out)?;
        totals(&right, out)?;
    }
    if args.interactive {
        return Explorer::new(args, [&left_tree, &right_tree]).run(input, out);
    }
    if !args.json {
        thresholds(args, out)?;
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

fn thresholds(args: &Compare, out: &mut Output) -> Result<(), Failure> {
    let Compare { bytes, nodes, .. } = args;
    let what = format!("larger than {bytes} bytes or node count difference larger than {nodes}.");
    Ok(writeln!(out, "Printing analysis for nodes difference {what}")?)
}

/// A longer line is none that somebody types.
const INPUT_BYTES_MAX: u64 = 1 << 20;

const QUESTION: &str = "\
- Press enter to move to print current depth layer;
- Type a number to jump to and print all nodes at a given depth;
- Enter an ABSOLUTE path to print the immediate subtree of a node. Path must start with '/'.";

/// Two trees, to be looked at in any order.
struct Explorer<'a> {
    args: &'a Compare,
    trees: [&'a SizeTree; 2],
    levels: [Vec<Vec<&'a Sized>>; 2],
    /// Where the next line begins.
    depth: usize,
}

impl<'a> Explorer<'a> {
    fn new(args: &'a Compare, trees: [&'a SizeTree; 2]) -> Self {
        Explorer { args, trees, levels: trees.map(levels), depth: 0 }
    }

    fn depths(&self) -> usize {
        self.levels[0].len().max(self.levels[1].len())
    }

    /// Asks what to show until the last level was shown, or the input ends.
    fn run(mut self, input: &mut dyn BufRead, out: &mut Output) -> Result<u8, Failure> {
        while self.depth < self.depths() {
            writeln!(out, "Current depth is {}\n{QUESTION}", self.depth)?;
            out.flush()?;
            let mut line = String::new();
            let read = Read::take(&mut *input, INPUT_BYTES_MAX).read_line(&mut line);
            if read.map_err(|error| Failure::new(format!("cannot read what is typed: {error}")))? == 0 {
                return Ok(0);
            }
            thresholds(self.args, out)?;
            self.answer(line.trim_end_matches(['\n', '\r']), out)?;
        }
        writeln!(out, "All layers compared.")?;
        Ok(0)
    }

    fn answer(&mut self, line: &str, out: &mut Output) -> Result<(), Failure> {
        let range = format!("Depth must be in range [0, {}]", self.depths().saturating_sub(1));
        if line.is_empty() {
            self.show_level(self.depth, out)?;
            self.depth += 1;
        } else if let Ok(number) = line.parse::<i32>() {
            match usize::try_from(number).ok().filter(|number| *number < self.depths()) {
                Some(number) => self.depth = number,
                None => return Ok(writeln!(out, "{range}")?),
            }
            self.show_level(self.depth, out)?;
        } else if line.starts_with('/') {
            self.show_below(line, out)?;
        } else {
            let path = "Path must be an absolute path which starts with '/'.";
            writeln!(out, "Input {line} is not valid. {range}. {path}")?;
        }
        Ok(writeln!(out)?)
    }

    fn show_level(&self, depth: usize, out: &mut Output) -> Result<(), Failure> {
        writeln!(out, "Analysis for depth {depth}")?;
        level_by_level(self.args, level(&self.levels[0], depth), level(&self.levels[1], depth), out)
    }

    fn show_below(&self, path: &str, out: &mut Output) -> Result<(), Failure> {
        writeln!(out, "Analysis for node {path}")?;
        let wanted = if path == "/" { "" } else { path };
        match self.trees.map(|tree| tree.children_of(wanted)) {
            [None, None] => Ok(writeln!(out, "Path {path} is neither found in left tree nor right tree.")?),
            [left, right] => level_by_level(self.args, &left.unwrap_or_default(), &right.unwrap_or_default(), out),
        }
    }
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
    } else if args.tells_filtered() {
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
    } else if args.tells_filtered() {
        writeln!(out, "Filtered {side} node {path} of size {bytes}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, Command, FromArgMatches};

    use super::*;
    use crate::tools::testing::{Shared, golden};

    /// Typed to `SnapshotComparer`, and what it has answered, without its times.
    #[test]
    fn the_interactive_mode_answers_as_the_original_does() {
        let folders = [golden("small"), golden("kinds")];
        let file = |at: usize, name: &str| folders[at].path().join(name).to_str().unwrap().to_owned();
        let (left, right) = (file(0, "data/version-2/snapshot.4a"), file(1, "data/version-2/snapshot.5f"));
        let words = ["compare", "-l", &left, "-r", &right, "-b", "5", "-n", "3", "-i"];
        let command = Compare::augment_args(Command::new("compare"));
        let args = Compare::from_arg_matches(&command.get_matches_from(words)).unwrap();
        let typed = "6\n7\n-1\n/few\n/zookeeper\nabc\n 1\n\n";
        let said = |typed: &str| {
            let shown = Shared::default();
            let code = compare(&args, &mut typed.as_bytes(), &mut Output::to(shown.clone())).unwrap();
            let text = shown.text();
            let lines = text.lines().map(|line| match line.strip_suffix(" seconds") {
                Some(line) => line.rsplit_once(" in ").unwrap().0.to_owned(),
                None => line.to_owned(),
            });
            (code, lines.collect::<Vec<_>>().join("\n"))
        };
        let expected = include_str!("../testdata/compare-interactive.txt").trim_end();
        assert_eq!(said(typed), (0, expected.to_owned()));
        // The original ends with a stack trace here.
        let (code, text) = said("/\n");
        assert!(
            code == 0 && text.contains("Node /few found only in left tree.") && !text.contains("All layers"),
            "{text}"
        );
    }
}
