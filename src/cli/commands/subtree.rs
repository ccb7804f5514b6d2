//! Many nodes at once: ls, deleteall.

use super::{Context, number};
use crate::cli::datum::Datum;
use crate::cli::error::Failure;
use crate::cli::options::{Options, Parsed, flag, valued};
use crate::cli::path::child;
use crate::cli::session::failure;
use crate::cli::walk::{AHEAD, Children, Order, children, sort, walk};
use crate::client::{Op, OpResult, Pending, multi_results};
use std::collections::VecDeque;

pub(super) const LIST: Options =
    Options::any(&[flag("?", "help"), flag("s", "stat"), flag("w", "watch"), flag("R", "recurse")]);
pub(super) const DELETE_ALL: Options = Options::any(&[valued("b", "batch size")]);

/// Deletions in one transaction, without a word.
const BATCH: i32 = 1000;
/// Transactions under way (`ZKUtil.deleteInBatch`).
const BATCHES_MAX: usize = 10;

pub(super) fn list(cx: &Context, args: &Parsed) -> Result<(), Failure> {
    if args.has("?") {
        cx.say(&Datum::Line(&format!("usage: ls [options] path\n{}", LIST.help().trim_end())))?;
    }
    let watch = super::nodes::watching(cx, args, "ls", "[-w]");
    let Some(path) = args.word(1) else {
        return Err(Failure::Said(super::find("ls").map(super::Command::usage).unwrap_or_default()));
    };
    if args.has("R") {
        return list_below(cx, path, watch);
    }
    let (mut names, stat) = cx.session.children(path, watch)?;
    sort(&mut names);
    cx.say(&Datum::Children { path, names: &names, stat: args.has("s").then_some(&stat) })
}

/// A node, then its children, then what is below each of them (`ZKUtil.visitSubTreeDFS`).
fn list_below(cx: &Context, path: &str, watch: bool) -> Result<(), Failure> {
    cx.session.data(path, watch)?;
    cx.say(&Datum::Path { path })?;
    if watch {
        return list_watching(cx, path);
    }
    walk(cx.session, path, (Order::Depth, AHEAD), children, |node| {
        let answer = node.answer?;
        show(cx, &node.path, &answer.names)?;
        Ok(Some(answer))
    })
}

fn show(cx: &Context, path: &str, names: &[String]) -> Result<(), Failure> {
    names.iter().try_for_each(|name| cx.say(&Datum::Path { path: &child(path, name) }))
}

/// The same with a watch on each node: one question after the other, so that a failure leaves no watch behind it.
fn list_watching(cx: &Context, path: &str) -> Result<(), Failure> {
    let mut next = vec![path.to_owned()];
    while let Some(path) = next.pop() {
        let mut names = match cx.session.children(&path, true) {
            Ok((names, _)) => names,
            Err(failure) if failure.code() == Some(crate::proto::ErrorCode::NO_NODE) => continue,
            Err(failure) => return Err(failure),
        };
        sort(&mut names);
        show(cx, &path, &names)?;
        next.extend(names.iter().rev().map(|name| child(&path, name)));
    }
    Ok(())
}

pub(super) fn delete_all(cx: &Context, args: &Parsed) -> Result<(), Failure> {
    let batch: i32 = match args.value("b") {
        Some(text) => number(text).map_err(|_| Failure::Said("-b argument must be an int value".into()))?,
        None => BATCH,
    };
    let path = args.path();
    crate::cli::path::check(path, false).map_err(Failure::Said)?;
    let mut found = Vec::new();
    walk(cx.session, path, (Order::Breadth, AHEAD), children, |node| {
        let answer: Children = node.answer?;
        found.push(node.path);
        Ok(Some(answer))
    })?;
    // The leaves first, the root of the subtree last.
    found.reverse();
    let whole = match usize::try_from(batch).ok().filter(|batch| *batch > 0) {
        Some(batch) => delete_in_batches(cx, &found, batch)?,
        None => found.iter().try_for_each(|path| cx.session.delete(path, -1)).map(|()| true)?,
    };
    cx.say(&Datum::TreeDeleted { path, whole })
}

/// Deletes in transactions, some of them under way at a time. After a failure no more are begun.
fn delete_in_batches(cx: &Context, paths: &[String], batch: usize) -> Result<bool, Failure> {
    let finish = async |pending: Pending| match pending.reply().await {
        Ok(reply) => multi_results(&reply)
            .is_ok_and(|results| results.iter().all(|result| !matches!(result, OpResult::Failed(_)))),
        Err(_) => false,
    };
    let work = async {
        let client = cx.session.client().await?;
        let mut under_way = VecDeque::new();
        let mut whole = true;
        for chunk in paths.chunks(batch) {
            if under_way.len() == BATCHES_MAX {
                whole &= finish(under_way.pop_front().expect("a full queue has a first")).await;
            }
            if !whole {
                break;
            }
            let paths: Vec<_> = chunk.iter().map(|path| cx.session.server_path(path)).collect();
            let ops: Vec<_> = paths.iter().map(|path| Op::Delete { path, version: -1 }).collect();
            under_way.push_back(client.send_multi(&ops).await.map_err(|error| failure(error, None))?);
        }
        for pending in under_way {
            whole &= finish(pending).await;
        }
        Ok(whole)
    };
    cx.session.wait(work)?
}
