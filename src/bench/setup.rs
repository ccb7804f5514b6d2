//! The nodes a workload needs, made before and removed after it, not measured. Uses the asynchronous client.

use crate::client::{Client, CreateMode, Error, Op, OpResult};
use crate::jute::Encode;
use crate::proto::acl::{ALL, Acl};
use crate::proto::records::{CreateRequest, SetDataRequest};
use crate::proto::{ErrorCode, OpCode, acl::AclEntry};
use std::borrow::Cow;

/// Requests under way at once.
const WINDOW: usize = 1000;
/// Deletes of one multi.
const DELETES: usize = 100;

/// Creates a node and its missing parents.
pub async fn ensure(client: &Client, path: &str) -> Result<(), Error> {
    let ends = path.char_indices().filter(|&(at, c)| c == '/' && at > 0).map(|(at, _)| at).chain([path.len()]);
    for end in ends {
        match client.create(&path[..end], Some(b""), &Acl::open_unsafe(), CreateMode::Persistent).await {
            Ok(_) | Err(Error::Server(ErrorCode::NODE_EXISTS)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Sees to it that `prefix` + ten digits exist with this data, for so many numbers.
pub async fn numbered(client: &Client, prefix: &str, count: u64, data: &[u8]) -> Result<(), Error> {
    let name = |number: u64| format!("{prefix}{number:010}");
    for first in (0..count).step_by(WINDOW) {
        let numbers = first..count.min(first + WINDOW as u64);
        let mut creates = Vec::new();
        for number in numbers.clone() {
            let entry = AclEntry { perms: ALL, scheme: Some("world".into()), id: Some("anyone".into()) };
            let path = Some(Cow::Owned(name(number)));
            let request = CreateRequest { path, data: Some(data), acl: Some(vec![entry]), flags: 0 };
            creates.push((number, client.send(OpCode::CREATE, request.to_bytes()).await?));
        }
        let mut sets = Vec::new();
        for (number, create) in creates {
            match create.reply().await {
                Ok(_) => {}
                Err(Error::Server(ErrorCode::NODE_EXISTS)) => {
                    let request =
                        SetDataRequest { path: Some(Cow::Owned(name(number))), data: Some(data), version: -1 };
                    sets.push(client.send(OpCode::SET_DATA, request.to_bytes()).await?);
                }
                Err(error) => return Err(error),
            }
        }
        for set in sets {
            set.reply().await?;
        }
    }
    Ok(())
}

/// Removes a node and all below it, and then `root`, if nothing else is there. Nodes that vanish meanwhile are fine.
pub async fn remove(client: &Client, path: &str, root: &str) -> Result<(), Error> {
    remove_all(client, path).await?;
    delete_one(client, root).await.map(drop)
}

async fn remove_all(client: &Client, path: &str) -> Result<(), Error> {
    // Parents are met first and deleted last.
    let mut parents = vec![path.to_owned()];
    let mut at = 0;
    while at < parents.len() {
        let parent = parents[at].clone();
        at += 1;
        let children = match client.children(&parent, false).await {
            Ok((children, _)) => children,
            Err(Error::Server(ErrorCode::NO_NODE)) => continue,
            Err(error) => return Err(error),
        };
        let paths: Vec<String> = children.into_iter().map(|name| format!("{parent}/{name}")).collect();
        for chunk in paths.chunks(DELETES) {
            if !delete_together(client, chunk).await? {
                parents.extend(delete_leaves(client, chunk).await?);
            }
        }
    }
    for parent in parents.iter().rev() {
        delete_one(client, parent).await?;
    }
    Ok(())
}

async fn delete_together(client: &Client, paths: &[String]) -> Result<bool, Error> {
    let ops: Vec<Op> = paths.iter().map(|path| Op::Delete { path, version: -1 }).collect();
    let results = client.multi(&ops).await?;
    Ok(results.iter().all(|result| *result == OpResult::Done))
}

/// Deletes one by one and gives those that have children.
async fn delete_leaves(client: &Client, paths: &[String]) -> Result<Vec<String>, Error> {
    let mut full = Vec::new();
    for path in paths {
        if !delete_one(client, path).await? {
            full.push(path.clone());
        }
    }
    Ok(full)
}

async fn delete_one(client: &Client, path: &str) -> Result<bool, Error> {
    match client.delete(path, -1).await {
        Ok(()) | Err(Error::Server(ErrorCode::NO_NODE)) => Ok(true),
        Err(Error::Server(ErrorCode::NOT_EMPTY)) => Ok(false),
        Err(error) => Err(error),
    }
}
