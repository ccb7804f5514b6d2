//! A transaction as JSON, for programs: everything that stands in the record, data in base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};

use crate::jute::DecodeError;
use crate::proto::OpCode;
use crate::proto::acl::Acl;
use crate::proto::txn::{CreateKind, Txn, TxnRecord};
use crate::tools::output::rfc3339;

/// The record that stands in `body`, found at `offset`.
pub fn record(body: &[u8], offset: u64, good: bool) -> Result<Value, DecodeError> {
    let record = TxnRecord::decode(body)?;
    let header = &record.header;
    let mut out = json!({
        "offset": offset,
        "zxid": hex(header.zxid),
        "session": hex(header.client_id),
        "cxid": header.cxid,
        "time": rfc3339(header.time_ms),
        "timeMs": header.time_ms,
    });
    let fields = txn(OpCode(header.op), &record.txn);
    if let Value::Object(map) = &mut out {
        map.extend(fields);
        map.insert("digest".into(), record.digest.map_or(Value::Null, |digest| json!(hex(digest.tree_digest))));
        map.insert("good".into(), json!(good));
    }
    Ok(out)
}

fn hex(number: i64) -> String {
    format!("{number:#x}")
}

fn txn(op: OpCode, txn: &Txn<'_>) -> Map<String, Value> {
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| drop(out.insert(key.into(), value));
    put("type", json!(op.to_string()));
    match txn {
        Txn::Create(create) => {
            put("path", json!(create.path));
            put("data", data(create.data));
            put("acl", acl(create.acl.as_deref()));
            match create.kind {
                CreateKind::Ttl(ttl_ms) => put("ttlMs", json!(ttl_ms)),
                CreateKind::Container => put("container", json!(true)),
                kind => put("ephemeral", json!(kind == CreateKind::Ephemeral)),
            }
            put("parentCversion", json!(create.parent_cversion));
        }
        Txn::Delete { path } => put("path", json!(path)),
        Txn::SetData { path, data: bytes, version } => {
            put("path", json!(path));
            put("data", data(*bytes));
            put("version", json!(version));
        }
        Txn::SetAcl { path, acl: list, version } => {
            put("path", json!(path));
            put("acl", acl(list.as_deref()));
            put("version", json!(version));
        }
        Txn::CreateSession { timeout_ms } => put("timeoutMs", json!(timeout_ms)),
        Txn::CloseSession { paths } => put("paths", json!(paths)),
        Txn::Error { err } => put("error", json!(err)),
        Txn::Check { path, version } => {
            put("path", json!(path));
            put("version", json!(version));
        }
        Txn::Multi(items) => put("items", items.iter().map(|(op, item)| Value::Object(self::txn(*op, item))).collect()),
    }
    out
}

fn data(bytes: Option<&[u8]>) -> Value {
    bytes.map_or(Value::Null, |bytes| json!(BASE64.encode(bytes)))
}

fn acl(list: Option<&[Acl]>) -> Value {
    list.map_or(Value::Null, |list| list.iter().map(|acl| json!([acl.perms, acl.id.scheme, acl.id.id])).collect())
}
