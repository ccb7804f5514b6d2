//! What zkCli.sh lacks, for moving subtrees: export and import, a JSON document with data, kinds and access lists.
//! An export is no moment in time, and ephemeral nodes and counters of sequences are not part of an import: backups are
//! another matter. Below: `document`, the form of the file.

use super::Context;
use super::explore::UNTOLD;
use crate::cli::datum::Datum;
use crate::cli::document::{Document, Entry, FORMAT, VERSION, entry_text};
use crate::cli::error::Failure;
use crate::cli::json::hex;
use crate::cli::kind::{Kind, Kinds};
use crate::cli::options::{Options, Parsed, flag, valued};
use crate::cli::path::check;
use crate::cli::session::failure;
use crate::cli::walk::{AHEAD, Answer, Order, sort, walk};
use crate::client::{Client, CreateMode, Error, Pending};
use crate::proto::ErrorCode;
use crate::proto::acl::{ALL, Acl, CREATE};
use crate::proto::path::ZOOKEEPER;
use crate::proto::records::Stat;
use std::collections::{HashSet, VecDeque};
use std::fs::OpenOptions;
use std::io::{BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;

pub(super) const EXPORT: Options = Options::any(&[valued("o", "file to write, readable for its owner only")]);
pub(super) const EXPORT_USAGE: &str = "[-o file] [path]";
pub(super) const IMPORT: Options = Options::any(&[
    flag("skip", "nodes that are there stay as they are"),
    flag("overwrite", "nodes that are there get data and ACL of the file"),
    flag("p", "create what is missing above the path"),
    flag("n", "only say what would be done"),
]);
pub(super) const IMPORT_USAGE: &str = "file|- [path] [-skip|-overwrite] [-p] [-n]";

/// Requests under way during an import.
const PIPELINE: usize = 256;

/// All there is to know about a node.
struct Whole {
    names: Vec<String>,
    data: Option<Vec<u8>>,
    acl: Vec<Acl>,
    stat: Stat,
    kind: Kind,
}

impl Answer for Whole {
    fn names(&self) -> &[String] {
        &self.names
    }
}

async fn whole(client: Client, path: String, kinds: Kinds) -> Result<Whole, Error> {
    let (children, data, acl) =
        tokio::try_join!(client.children(&path, false), client.get_data(&path, false), client.acl(&path))?;
    let (mut names, (data, stat), (acl, _)) = (children.0, data, acl);
    // The system's own subtree is no one's to carry over.
    let system = ZOOKEEPER.trim_start_matches('/');
    names.retain(|name| path != "/" || name != system);
    sort(&mut names);
    let kind = kinds.of(&client, &path, &stat).await?;
    Ok(Whole { names, data, acl, stat, kind })
}

pub(super) fn export(cx: &Context, args: &Parsed) -> Result<(), Failure> {
    let top = args.word(1).unwrap_or("/");
    check(top, false).map_err(Failure::Said)?;
    let Some(file) = args.value("o") else {
        return write_export(cx, top, &mut |text| cx.say(&Datum::Document(text)));
    };
    let wrong = |error: std::io::Error| Failure::Said(format!("{file}: {error}"));
    let unfinished = format!("{file}.part");
    let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished);
    let mut out = BufWriter::new(opened.map_err(wrong)?);
    let written = write_export(cx, top, &mut |text| out.write_all(text.as_bytes()).map_err(wrong));
    let done = written.and_then(|()| {
        out.flush().and_then(|()| out.get_ref().sync_all()).map_err(wrong)?;
        std::fs::rename(&unfinished, file).map_err(wrong)
    });
    // Half a document is worse than none.
    done.inspect_err(|_| drop(std::fs::remove_file(&unfinished)))
}

fn write_export(cx: &Context, top: &str, write: &mut dyn FnMut(&str) -> Result<(), Failure>) -> Result<(), Failure> {
    let mut first = true;
    let kinds = Kinds::default();
    let ask = |client, path| whole(client, path, kinds.clone());
    walk(cx.session, top, (Order::Depth, AHEAD), ask, |node| {
        let found = node.answer?;
        if found.acl.iter().any(is_redacted) {
            let why = "its access list is shown without secrets to who may not set it; addauth helps";
            return Err(Failure::Said(format!("{}: {why}", node.path)));
        }
        if first {
            let path = serde_json::Value::from(top);
            write(&format!(
                "{{\"format\": \"{FORMAT}\", \"version\": {VERSION}, \"path\": {path}, \"mzxid\": \"{}\", \"nodes\": [\n",
                hex(found.stat.mzxid)
            ))?;
        }
        let below = if top == "/" { &node.path[..] } else { &node.path[top.len()..] };
        let entry = Entry {
            path: if below == "/" { String::new() } else { below.to_owned() },
            kind: found.kind,
            acl: found.acl.clone(),
            data: found.data.clone(),
        };
        write(&format!("{}{}", if first { "" } else { ",\n" }, entry_text(&entry)))?;
        first = false;
        Ok(Some(found))
    })?;
    if kinds.untold() {
        cx.remark(&format!("{UNTOLD}: all are exported as persistent"));
    }
    write("\n]}\n")
}

/// What a server shows instead of the hash of a password.
fn is_redacted(entry: &Acl) -> bool {
    entry.id.scheme == "digest" && entry.id.id.ends_with(":x")
}

fn read_document(file: &str) -> Result<Document, String> {
    let mut bytes = Vec::new();
    let read = match file {
        "-" => std::io::stdin().lock().read_to_end(&mut bytes).map(drop),
        _ => std::fs::File::open(file).and_then(|mut opened| opened.read_to_end(&mut bytes)).map(drop),
    };
    read.map_err(|error| format!("{file}: {error}"))?;
    Document::parse(&bytes).map_err(|why| format!("{file}: {why}"))
}

/// What is done with one node.
struct Step<'d> {
    path: String,
    entry: &'d Entry,
    mode: CreateMode,
    exists: bool,
}

pub(super) fn import(cx: &Context, args: &Parsed) -> Result<(), Failure> {
    let (skip, overwrite) = (args.has("skip"), args.has("overwrite"));
    if skip && overwrite {
        return Err(Failure::Said("-skip and -overwrite do not go together".into()));
    }
    // All of it is read and judged before anything is changed.
    let document = read_document(args.path()).map_err(Failure::Said)?;
    let top = args.word(2).unwrap_or(&document.path).to_owned();
    check(&top, false).map_err(Failure::Said)?;
    let (steps, ephemeral) = plan(&document, &top)?;
    let steps = look_up(cx, steps)?;
    let there: Vec<_> = steps.iter().filter(|step| step.exists && step.path != "/").collect();
    if let Some(step) = there.first().filter(|_| !skip && !overwrite) {
        let more = there.len();
        return Err(Failure::Said(format!(
            "Node already exists: {} ({more} of {} do); -skip keeps them, -overwrite does what it says",
            step.path,
            steps.len()
        )));
    }
    let kept = if overwrite { 0 } else { steps.iter().filter(|step| step.exists).count() };
    let overwritten = steps.iter().filter(|step| step.exists).count() - kept;
    let created = steps.len() - kept - overwritten;
    let dry = args.has("n");
    if !dry {
        if args.has("p") {
            create_above(cx, &top)?;
        }
        carry_out(cx, &steps, overwrite)?;
    }
    cx.say(&Datum::Imported { path: &top, created, overwritten, kept, ephemeral, dry })
}

/// The nodes with their new paths, and how many ephemeral ones are left out.
fn plan<'d>(document: &'d Document, top: &str) -> Result<(Vec<Step<'d>>, usize), Failure> {
    let mut steps = Vec::new();
    let mut ephemeral = 0;
    for entry in &document.nodes {
        let path = match (top, entry.path.as_str()) {
            (_, "") => top.to_owned(),
            ("/", below) => below.to_owned(),
            (_, below) => format!("{top}{below}"),
        };
        check(&path, false).map_err(Failure::Said)?;
        match entry.kind.mode() {
            Some(mode) => steps.push(Step { path, entry, mode, exists: false }),
            None => ephemeral += 1,
        }
    }
    Ok((steps, ephemeral))
}

/// Which of them are there already.
fn look_up<'d>(cx: &Context, mut steps: Vec<Step<'d>>) -> Result<Vec<Step<'d>>, Failure> {
    for chunk in steps.chunks_mut(PIPELINE) {
        let asked = async {
            let client = cx.session.client().await?;
            let questions: Vec<_> = chunk
                .iter()
                .map(|step| {
                    let (client, path) = (client.clone(), cx.session.server_path(&step.path));
                    tokio::spawn(async move { client.exists(&path, false).await })
                })
                .collect();
            for (step, question) in chunk.iter_mut().zip(questions) {
                let answer = question.await.map_err(|_| Failure::keeper(ErrorCode::CONNECTION_LOSS, None))?;
                step.exists = answer.map_err(|error| failure(error, Some(&step.path)))?.is_some();
            }
            Ok::<(), Failure>(())
        };
        cx.session.wait(asked)??;
    }
    Ok(steps)
}

fn create_above(cx: &Context, top: &str) -> Result<(), Failure> {
    for (end, _) in top.match_indices('/').skip(1) {
        match cx.session.create(&top[..end], None, &Acl::open_unsafe(), CreateMode::Persistent) {
            Err(failure) if failure.code() != Some(ErrorCode::NODE_EXISTS) => return Err(failure),
            _ => {}
        }
    }
    Ok(())
}

/// The list that lets nobody but us in, for as long as the children of a node are on their way.
fn only_us(cx: &Context) -> Option<Vec<Acl>> {
    let identities = cx.session.identities().ok()?;
    if identities.iter().any(|(scheme, _)| scheme != "ip") {
        return Some(vec![Acl::new(ALL, "auth", "")]);
    }
    let (_, address) = identities.first()?;
    Some(vec![Acl::new(ALL, "ip", address)])
}

fn lets_all_create(acl: &[Acl]) -> bool {
    acl.iter().any(|entry| entry.perms & CREATE != 0 && entry.id.scheme == "world")
}

/// Creates and overwrites in the order of the document, many requests under way; then the lists of those nodes whose
/// own list might have kept their children out.
fn carry_out(cx: &Context, steps: &[Step], overwrite: bool) -> Result<(), Failure> {
    let parents: HashSet<&str> = steps.iter().filter_map(|step| step.path.rsplit_once('/')).map(|(up, _)| up).collect();
    let us = only_us(cx);
    let mut lists_later = Vec::new();
    let work = async {
        let client = cx.session.client().await?;
        let mut under_way: VecDeque<(&str, Pending)> = VecDeque::new();
        for step in steps.iter().filter(|step| !step.exists || overwrite) {
            if under_way.len() >= PIPELINE {
                finish(under_way.pop_front()).await?;
            }
            let (path, data) = (cx.session.server_path(&step.path), step.entry.data.as_deref());
            let sent = if step.exists {
                if step.path != "/" {
                    lists_later.push(step);
                }
                client.send_set_data(&path, data, -1).await
            } else {
                let later = parents.contains(step.path.as_str()) && !lets_all_create(&step.entry.acl);
                let acl = us.as_ref().filter(|_| later).unwrap_or(&step.entry.acl);
                if later && us.is_some() {
                    lists_later.push(step);
                }
                client.send_create(&path, data, acl, step.mode).await
            };
            let pending = sent.map_err(|error| failure(error, Some(&step.path)))?;
            under_way.push_back((&step.path, pending));
        }
        for one in under_way {
            finish(Some(one)).await?;
        }
        Ok::<(), Failure>(())
    };
    cx.session.wait(work)??;
    lists_later.iter().rev().try_for_each(|step| cx.session.set_acl(&step.path, &step.entry.acl, -1).map(drop))
}

async fn finish(one: Option<(&str, Pending)>) -> Result<(), Failure> {
    match one {
        Some((path, pending)) => pending.reply().await.map(drop).map_err(|error| failure(error, Some(path))),
        None => Ok(()),
    }
}
