//! A subtree node by node, with questions asked ahead: what a command sees has the order of one question after the
//! other, but most answers are there already. Knows no command.

use super::error::Failure;
use super::kind::{Kind, Kinds};
use super::path::child;
use super::session::{Session, failure};
use crate::client::{Client, Error};
use crate::proto::ErrorCode;
use crate::proto::records::Stat;
use std::collections::VecDeque;
use tokio::task::JoinHandle;

/// Questions under way for the nodes that come next.
pub const AHEAD: usize = 64;

/// Which nodes come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// A node, then everything below it.
    Depth,
    /// A node, then its neighbours.
    Breadth,
}

/// What is asked about each node.
pub trait Answer: Send + 'static {
    /// The names of its children.
    fn names(&self) -> &[String];
}

/// Names of children, sorted.
#[derive(Debug)]
pub struct Children {
    /// The names.
    pub names: Vec<String>,
}

impl Answer for Children {
    fn names(&self) -> &[String] {
        &self.names
    }
}

/// The question that most commands ask.
pub async fn children(client: Client, path: String) -> Result<Children, Error> {
    let (mut names, _) = client.children(&path, false).await?;
    sort(&mut names);
    Ok(Children { names })
}

/// Names of children, sorted, bookkeeping and kind.
#[derive(Debug)]
pub struct Known {
    /// The names.
    pub names: Vec<String>,
    /// The bookkeeping.
    pub stat: Stat,
    /// The kind.
    pub kind: Kind,
}

impl Answer for Known {
    fn names(&self) -> &[String] {
        &self.names
    }
}

/// The question of commands that show kinds.
pub async fn known(client: Client, path: String, kinds: Kinds) -> Result<Known, Error> {
    let (mut names, stat) = client.children(&path, false).await?;
    sort(&mut names);
    let kind = kinds.of(&client, &path, &stat).await?;
    Ok(Known { names, stat, kind })
}

/// Names in the order of Java's strings, which is that of UTF-16.
pub fn sort(names: &mut [String]) {
    names.sort_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
}

/// A node on the way.
pub struct Node<T> {
    /// Its path, as the session names it.
    pub path: String,
    /// How far below the first node it is.
    pub depth: usize,
    /// What was answered. A node that went away meanwhile does not come at all, unless it is the first.
    pub answer: Result<T, Failure>,
}

struct Next<T> {
    path: String,
    depth: usize,
    answer: Option<JoinHandle<Result<T, Error>>>,
}

/// Visits a node and all below it. `visit` says whether to go below.
pub fn walk<T: Answer, F: Future<Output = Result<T, Error>> + Send + 'static>(
    session: &Session,
    root: &str,
    (order, ahead): (Order, usize),
    ask: impl Fn(Client, String) -> F,
    mut visit: impl FnMut(Node<T>) -> Result<Option<T>, Failure>,
) -> Result<(), Failure> {
    let mut next: VecDeque<Next<T>> = VecDeque::from([Next { path: root.to_owned(), depth: 0, answer: None }]);
    while !next.is_empty() {
        let client = session.wait(session.client())??;
        for node in next.iter_mut().take(ahead.max(1)).filter(|node| node.answer.is_none()) {
            let question = ask(client.clone(), session.server_path(&node.path));
            node.answer = Some(session.runtime().spawn(question));
        }
        let Some(Next { path, depth, answer: Some(answer) }) = next.pop_front() else { break };
        let answer = match session.wait(answer)? {
            Ok(answer) => answer.map_err(|error| failure(error, Some(&path))),
            Err(_) => Err(Failure::keeper(ErrorCode::CONNECTION_LOSS, Some(&path))),
        };
        if depth > 0 && answer.as_ref().is_err_and(|failure| failure.code() == Some(ErrorCode::NO_NODE)) {
            continue;
        }
        let Some(answer) = visit(Node { path: path.clone(), depth, answer })? else { continue };
        let below = answer.names().iter().map(|name| Next { path: child(&path, name), depth: depth + 1, answer: None });
        match order {
            Order::Breadth => next.extend(below),
            Order::Depth => below.rev().for_each(|node| next.push_front(node)),
        }
    }
    Ok(())
}
