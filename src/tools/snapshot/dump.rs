//! All nodes of a snapshot. The file is read twice: once to know that it is whole and how much there is, once to print,
//! so that a large one takes no memory.

use std::collections::BTreeMap;
use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::{Dump, bad, load, zxid_of};
use crate::admin::java_text::date;
use crate::proto::Zxid;
use crate::proto::acl::Acl;
use crate::proto::path;
use crate::proto::txn::{TxnDigest, TxnRecord};
use crate::store::{NodeRefused, Restore, SnapshotNode};
use crate::tools::output::{Failure, Output, rfc3339};
use crate::tree::{Owner, OwnerRules};

/// Owners with all kinds of nodes: a tool knows no configuration.
const OWNERS: OwnerRules = OwnerRules { extended_types: true, emulate_353: false };

/// What the first reading finds.
#[derive(Default)]
struct Survey {
    nodes: u64,
    sessions: BTreeMap<i64, i32>,
    ephemerals: BTreeMap<i64, u64>,
    acls: BTreeMap<i64, Vec<Acl>>,
    latest: Zxid,
    has_config: bool,
}

impl Restore for Survey {
    fn clear(&mut self) {
        *self = Survey::default();
    }
    fn session(&mut self, id: i64, timeout_ms: i32) {
        self.sessions.insert(id, timeout_ms);
    }
    fn acl(&mut self, key: i64, acl: Vec<Acl>) {
        self.acls.insert(key, acl);
    }
    fn node(&mut self, node: SnapshotNode<'_>) -> Result<(), NodeRefused> {
        self.nodes += 1;
        self.has_config |= node.path == path::CONFIG;
        self.latest = self.latest.max(Zxid(node.stat.mzxid.max(node.stat.pzxid)));
        if let Owner::Session(session) = OWNERS.owner(node.stat.ephemeral_owner) {
            *self.ephemerals.entry(session).or_default() += 1;
        }
        Ok(())
    }
    fn snapshot_done(&mut self, _: Zxid, _: Option<(Zxid, TxnDigest)>, _: Option<Zxid>) {}
    fn replay(&mut self, _: &TxnRecord<'_>, _: &[u8]) {}
}

/// The second reading.
struct Printer<'a> {
    out: &'a mut Output,
    data: bool,
    json: Option<&'a BTreeMap<i64, Vec<Acl>>>,
    failed: Option<Failure>,
}

impl Restore for Printer<'_> {
    fn clear(&mut self) {}
    fn session(&mut self, _: i64, _: i32) {}
    fn acl(&mut self, _: i64, _: Vec<Acl>) {}
    fn node(&mut self, node: SnapshotNode<'_>) -> Result<(), NodeRefused> {
        let printed = match self.json {
            Some(acls) => self.json_node(&node, acls),
            None => self.text_node(&node),
        };
        printed.map_err(|error| {
            self.failed = Some(error.into());
            NodeRefused(String::new())
        })
    }
    fn snapshot_done(&mut self, _: Zxid, _: Option<(Zxid, TxnDigest)>, _: Option<Zxid>) {}
    fn replay(&mut self, _: &TxnRecord<'_>, _: &[u8]) {}
}

impl Printer<'_> {
    fn text_node(&mut self, node: &SnapshotNode<'_>) -> std::io::Result<()> {
        let stat = &node.stat;
        let path = if node.path.is_empty() { "/" } else { node.path };
        let out = &mut *self.out;
        writeln!(out, "----\n{path}")?;
        writeln!(out, "  cZxid = 0x{:014x}\n  ctime = {}", stat.czxid, date(stat.ctime))?;
        writeln!(out, "  mZxid = 0x{:014x}\n  mtime = {}", stat.mzxid, date(stat.mtime))?;
        writeln!(out, "  pZxid = 0x{:014x}\n  cversion = {}", stat.pzxid, stat.cversion)?;
        writeln!(out, "  dataVersion = {}\n  aclVersion = {}", stat.version, stat.aversion)?;
        writeln!(out, "  ephemeralOwner = 0x{:014x}", stat.ephemeral_owner)?;
        let data = node.data.unwrap_or_default();
        if self.data {
            writeln!(out, "  data = {}", BASE64.encode(data))
        } else {
            writeln!(out, "  dataLength = {}", data.len())
        }
    }

    fn json_node(&mut self, node: &SnapshotNode<'_>, acls: &BTreeMap<i64, Vec<Acl>>) -> std::io::Result<()> {
        let stat = &node.stat;
        let hex = |number: i64| format!("{number:#x}");
        let acl = match node.acl_key {
            -1 => json!([[31, "world", "anyone"]]),
            key => acls.get(&key).map_or(Value::Null, |list| {
                list.iter().map(|acl| json!([acl.perms, acl.id.scheme, acl.id.id])).collect()
            }),
        };
        let mut object = json!({
            "path": if node.path.is_empty() { "/" } else { node.path },
            "czxid": hex(stat.czxid), "mzxid": hex(stat.mzxid), "pzxid": hex(stat.pzxid),
            "ctime": rfc3339(stat.ctime), "mtime": rfc3339(stat.mtime),
            "cversion": stat.cversion, "version": stat.version, "aversion": stat.aversion,
            "ephemeralOwner": hex(stat.ephemeral_owner), "acl": acl,
            "dataLength": node.data.map(<[u8]>::len),
        });
        if self.data {
            object["data"] = node.data.map_or(Value::Null, |data| json!(BASE64.encode(data)));
        }
        writeln!(self.out, "{object}")
    }
}

/// Prints a snapshot. One that is damaged is shown as far as it can be read, with exit code 1.
pub fn run(args: &Dump, out: &mut Output) -> Result<u8, Failure> {
    let mut survey = Survey::default();
    let damage = load(&args.file, &mut survey)?.err();
    if let Some(why) = damage.as_ref().filter(|_| survey.nodes == 0) {
        return Err(bad(&args.file, why));
    }
    let last_zxid = zxid_of(&args.file).max(survey.latest);
    // The original counts the root under both of its names.
    let count = survey.nodes + 1;
    if !args.json {
        writeln!(out, "ZNode Details (count={count}):")?;
    }
    let mut printer = Printer { out, data: args.data, json: args.json.then_some(&survey.acls), failed: None };
    // The damage is known already.
    let _ = load(&args.file, &mut printer)?;
    if let Some(failure) = printer.failed {
        return Err(failure);
    }
    if args.json {
        for (id, timeout_ms) in &survey.sessions {
            let ephemerals = survey.ephemerals.get(id).copied().unwrap_or(0);
            writeln!(
                out,
                "{}",
                json!({"session": format!("{id:#x}"), "timeoutMs": timeout_ms, "ephemerals": ephemerals})
            )?;
        }
        let whole = damage.is_none();
        writeln!(out, "{}", json!({"nodes": survey.nodes, "lastZxid": last_zxid.to_string(), "whole": whole}))?;
    } else {
        writeln!(out, "----\nSession Details (sid, timeout, ephemeralCount):")?;
        for (id, timeout_ms) in &survey.sessions {
            writeln!(out, "0x{id:x}, {timeout_ms}, {}", survey.ephemerals.get(id).copied().unwrap_or(0))?;
        }
        writeln!(out, "----\nLast zxid: {last_zxid}")?;
    }
    match damage {
        None => Ok(0),
        Some(why) => {
            out.flush()?;
            Err(Failure::new(format!(
                "{}: {why}. The snapshot is damaged: no server loads it, and what is shown may be wrong",
                args.file.display()
            )))
        }
    }
}
