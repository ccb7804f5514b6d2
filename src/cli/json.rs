//! What commands say, as JSON: one object a line, so that `jq` and a `while read` loop can take what comes.
//! 64-bit ids are texts in hexadecimal, since many readers of JSON know no integer above 2^53.
//! Next room: `text`, the other rendering.

use super::datum::Datum;
use super::error::Failure;
use super::quota::Limits;
use super::text::permissions;
use crate::proto::acl::Acl;
use crate::proto::records::Stat;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// A datum as an object; `None` for a document, which is JSON already.
pub fn render(datum: &Datum) -> Option<Value> {
    Some(match datum {
        Datum::Created { path } => json!({"path": path, "created": true}),
        Datum::Done { path, stat: done } => with_stat(json!({"path": path, "done": true}), *done),
        Datum::TreeDeleted { path, whole } => json!({"path": path, "done": whole}),
        Datum::Children { path, names, stat: of } => with_stat(json!({"path": path, "children": names}), *of),
        Datum::Path { path } => json!({"path": path}),
        Datum::Data { path, data: bytes, stat: of, .. } => {
            let mut object = Map::from_iter([("path".to_owned(), json!(path))]);
            data(&mut object, *bytes);
            with_stat(Value::Object(object), *of)
        }
        Datum::Stat { path, stat: of } => with_stat(json!({"path": path}), Some(of)),
        Datum::Acl { path, acl: list, stat: of } => with_stat(json!({"path": path, "acl": acl(list)}), *of),
        Datum::AclRefused { message } => json!({"message": message}),
        Datum::Count { path, count } => json!({"path": path, "count": count}),
        Datum::Ephemerals { paths } => json!({"ephemerals": paths}),
        Datum::Quota { path, limits, usage } => {
            json!({"path": path, "limits": numbers(limits), "usage": numbers(usage)})
        }
        Datum::Identities { identities } => {
            let each = identities.iter().map(|(scheme, user)| json!({"scheme": scheme, "user": user}));
            json!({"identities": each.collect::<Vec<_>>()})
        }
        Datum::Configuration { text, stat: of, .. } => with_stat(json!({"configuration": text}), *of),
        Datum::Synced { code } => json!({"done": *code == 0, "code": code}),
        Datum::Version { text } => json!({"version": text, "oxkeeper": env!("CARGO_PKG_VERSION")}),
        Datum::Notice(notice) => {
            let zxid = (notice.zxid >= 0).then(|| hex(notice.zxid));
            json!({"state": notice.state, "event": notice.kind, "path": notice.path, "zxid": zxid})
        }
        Datum::Branch { path, depth, seen, .. } => match seen {
            Ok((of, kind)) => with_stat(json!({"path": path, "depth": depth, "kind": kind.name()}), Some(of)),
            Err(why) => json!({"path": path, "depth": depth, "message": why.message()}),
        },
        Datum::TreeSize { nodes, bytes } => json!({"nodes": nodes, "bytes": bytes}),
        Datum::Found { path, stat: of, kind } => with_stat(json!({"path": path, "kind": kind.name()}), Some(of)),
        Datum::Seen { unix_ms, notice } => {
            let mut object = render(&Datum::Notice(notice))?;
            if let Value::Object(object) = &mut object {
                object.insert("time".into(), json!(unix_ms));
            }
            object
        }
        Datum::Imported { path, created, overwritten, kept, ephemeral, dry } => json!({
            "path": path, "created": created, "overwritten": overwritten, "kept": kept, "ephemeral": ephemeral, "dry": dry,
        }),
        Datum::Document(_) => return None,
        Datum::Line(line) => json!({"text": line}),
    })
}

/// A failure as an object.
pub fn failure(failure: &Failure) -> Value {
    match failure {
        Failure::Keeper { code, path, trouble } => json!({
            "error": code.name().unwrap_or("Unknown"),
            "code": code.0,
            "path": path,
            "message": failure.message(),
            "cause": trouble,
        }),
        _ => json!({"error": "Command", "message": failure.message()}),
    }
}

/// A zxid or a session.
pub fn hex(number: i64) -> String {
    format!("{number:#x}")
}

/// Data as text where it is text, else in base64.
pub fn data(object: &mut Map<String, Value>, bytes: Option<&[u8]>) {
    match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => object.insert("data".into(), Value::Null),
        Some((_, Ok(text))) => object.insert("data".into(), json!(text)),
        Some((bytes, Err(_))) => object.insert("base64".into(), json!(STANDARD.encode(bytes))),
    };
}

/// An access list, permissions as letters.
pub fn acl(list: &[Acl]) -> Value {
    let each = list
        .iter()
        .map(|entry| json!({"scheme": entry.id.scheme, "id": entry.id.id, "permissions": permissions(entry.perms)}));
    Value::Array(each.collect())
}

/// Bookkeeping, with the names of the text form.
pub fn stat(stat: &Stat) -> Value {
    json!({
        "cZxid": hex(stat.czxid),
        "ctime": stat.ctime,
        "mZxid": hex(stat.mzxid),
        "mtime": stat.mtime,
        "pZxid": hex(stat.pzxid),
        "cversion": stat.cversion,
        "dataVersion": stat.version,
        "aclVersion": stat.aversion,
        "ephemeralOwner": hex(stat.ephemeral_owner),
        "dataLength": stat.data_length,
        "numChildren": stat.num_children,
    })
}

fn with_stat(mut object: Value, of: Option<&Stat>) -> Value {
    if let (Some(of), Value::Object(object)) = (of, &mut object) {
        object.insert("stat".into(), stat(of));
    }
    object
}

fn numbers(limits: &Limits) -> Value {
    Value::Object(limits.iter().map(|(key, value)| (key.to_owned(), json!(value))).collect())
}

#[cfg(test)]
mod tests {
    use super::super::datum::Form;
    use super::*;

    #[test]
    fn data_is_text_where_it_can_be() {
        let rendered = |bytes| render(&Datum::Data { path: "/a", data: bytes, form: Form::Plain, stat: None });
        assert_eq!(rendered(Some(b"x")), Some(json!({"path": "/a", "data": "x"})));
        assert_eq!(rendered(Some(&[0xff])), Some(json!({"path": "/a", "base64": "/w=="})));
        assert_eq!(rendered(None), Some(json!({"path": "/a", "data": null})));
    }

    #[test]
    fn failures_have_the_code_and_the_words() {
        let object = failure(&Failure::keeper(crate::proto::ErrorCode::NO_NODE, Some("/a")));
        assert_eq!(object["error"], "NoNode");
        assert_eq!(object["code"], -101);
        assert_eq!(object["message"], "Node does not exist: /a");
    }
}
