//! The document of export and import: a subtree as JSON, a node on each line, parents in front of their children.
//! Judges a foreign document as a whole. Knows no server.

use super::json;
use super::kind::Kind;
use super::path::check;
use crate::proto::acl::{ADMIN, Acl, CREATE, DELETE, READ, WRITE};
use crate::proto::owner::TTL_MAX_MS;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::HashSet;

/// What the document says it is.
pub const FORMAT: &str = "oxkeeper-export";
/// The version of its form.
pub const VERSION: u32 = 1;

/// A node of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Path below the top of the document; empty for the top itself.
    pub path: String,
    /// Its kind.
    pub kind: Kind,
    /// Its access list.
    pub acl: Vec<Acl>,
    /// Its data; none is null.
    pub data: Option<Vec<u8>>,
}

/// A whole document.
#[derive(Debug, PartialEq, Eq)]
pub struct Document {
    /// Where it came from.
    pub path: String,
    /// Its nodes.
    pub nodes: Vec<Entry>,
}

/// A node as one line of the document.
pub fn entry_text(entry: &Entry) -> String {
    let mut object = Map::from_iter([
        ("path".to_owned(), Value::from(entry.path.as_str())),
        ("kind".to_owned(), Value::from(entry.kind.name())),
    ]);
    match entry.kind {
        Kind::Ttl(ms) => object.insert("ttl".into(), ms.into()),
        Kind::Ephemeral(owner) => object.insert("owner".into(), json::hex(owner).into()),
        Kind::Persistent | Kind::Container => None,
    };
    object.insert("acl".into(), json::acl(&entry.acl));
    json::data(&mut object, entry.data.as_deref());
    Value::Object(object).to_string()
}

#[derive(Deserialize)]
struct RawDocument {
    format: String,
    version: u32,
    path: String,
    nodes: Vec<RawEntry>,
}

#[derive(Deserialize)]
struct RawEntry {
    path: String,
    kind: String,
    ttl: Option<i64>,
    acl: Vec<RawAcl>,
    data: Option<String>,
    base64: Option<String>,
}

#[derive(Deserialize)]
struct RawAcl {
    scheme: String,
    id: String,
    permissions: String,
}

impl Document {
    /// Reads a document, or says what is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let raw: RawDocument = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if raw.format != FORMAT || raw.version != VERSION {
            let (format, version) = (&raw.format, raw.version);
            return Err(format!("this is {format} version {version}, not {FORMAT} version {VERSION}"));
        }
        let mut seen = HashSet::new();
        let mut nodes = Vec::with_capacity(raw.nodes.len());
        for entry in raw.nodes {
            let shown = if entry.path.is_empty() { "the top".to_owned() } else { entry.path.clone() };
            let entry = judge(entry).map_err(|why| format!("{shown}: {why}"))?;
            if let Some((parent, _)) = entry.path.rsplit_once('/')
                && !seen.contains(parent)
            {
                return Err(format!("{shown}: its parent does not stand in front of it"));
            }
            if !seen.insert(entry.path.clone()) {
                return Err(format!("{shown}: stands there twice"));
            }
            nodes.push(entry);
        }
        Ok(Document { path: raw.path, nodes })
    }
}

fn judge(raw: RawEntry) -> Result<Entry, String> {
    if !raw.path.is_empty() {
        check(&raw.path, false)?;
    }
    if raw.path == "/" {
        return Err("the top is written as an empty path".into());
    }
    let kind = match (raw.kind.as_str(), raw.ttl) {
        ("persistent", _) => Kind::Persistent,
        ("container", _) => Kind::Container,
        ("ephemeral", _) => Kind::Ephemeral(1),
        ("ttl", Some(ms)) if (1..=TTL_MAX_MS).contains(&ms) => Kind::Ttl(ms),
        ("ttl", _) => return Err(format!("its ttl must be a number from 1 to {TTL_MAX_MS}")),
        (other, _) => return Err(format!("{other} is no kind of node")),
    };
    if raw.acl.is_empty() {
        return Err("its acl is empty".into());
    }
    let acl = raw.acl.iter().map(|entry| Ok(Acl::new(bits(&entry.permissions)?, &entry.scheme, &entry.id)));
    let data = match (raw.data, raw.base64) {
        (Some(_), Some(_)) => return Err("it has both data and base64".into()),
        (Some(text), None) => Some(text.into_bytes()),
        (None, Some(text)) => Some(STANDARD.decode(text).map_err(|error| format!("its base64: {error}"))?),
        (None, None) => None,
    };
    Ok(Entry { path: raw.path, kind, acl: acl.collect::<Result<_, String>>()?, data })
}

fn bits(letters: &str) -> Result<i32, String> {
    letters.chars().try_fold(0, |bits, letter| match letter {
        'c' => Ok(bits | CREATE),
        'd' => Ok(bits | DELETE),
        'r' => Ok(bits | READ),
        'w' => Ok(bits | WRITE),
        'a' => Ok(bits | ADMIN),
        _ => Err(format!("{letter} is no permission")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn document(nodes: &[&str]) -> String {
        let head = format!("\"format\": \"{FORMAT}\", \"version\": {VERSION}, \"path\": \"/a\"");
        format!("{{{head}, \"nodes\": [{}]}}", nodes.join(","))
    }

    #[test]
    fn what_is_written_is_read() {
        let open = Acl::open_unsafe();
        let entries = [
            Entry { path: String::new(), kind: Kind::Persistent, acl: open.clone(), data: None },
            Entry {
                path: "/é".into(),
                kind: Kind::Ttl(5),
                acl: vec![Acl::new(READ, "ip", "::1")],
                data: Some(vec![0xff]),
            },
            Entry { path: "/é/b".into(), kind: Kind::Container, acl: open, data: Some(b"x\"y".to_vec()) },
        ];
        let lines: Vec<_> = entries.iter().map(entry_text).collect();
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        let read = Document::parse(document(&lines).as_bytes()).unwrap();
        assert_eq!((read.path.as_str(), read.nodes.as_slice()), ("/a", &entries[..]));
    }

    #[test]
    fn a_wrong_document_is_refused_as_a_whole() {
        let acl = r#""acl": [{"scheme": "world", "id": "anyone", "permissions": "r"}]"#;
        let top = format!(r#"{{"path": "", "kind": "persistent", {acl}}}"#);
        let node = |path: &str, rest: &str| format!(r#"{{"path": "{path}", {rest}}}"#);
        let rows = [
            (node("/b/c", &format!(r#""kind": "persistent", {acl}"#)), "its parent does not stand in front of it"),
            (node("", &format!(r#""kind": "persistent", {acl}"#)), "stands there twice"),
            (node("b", &format!(r#""kind": "persistent", {acl}"#)), "Path must start with / character"),
            (node("/b", &format!(r#""kind": "odd", {acl}"#)), "odd is no kind of node"),
            (node("/b", &format!(r#""kind": "ttl", {acl}"#)), "its ttl must be a number"),
            (node("/b", r#""kind": "persistent", "acl": []"#), "its acl is empty"),
            (node("/b", &format!(r#""kind": "persistent", "base64": "?", {acl}"#)), "its base64"),
        ];
        for (wrong, why) in rows {
            let error = Document::parse(document(&[&top, &wrong]).as_bytes()).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        assert!(Document::parse(b"{}").is_err());
        assert!(Document::parse(document(&[&top]).replace("\"version\": 1", "\"version\": 2").as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Document::parse(&bytes);
        }
    }
}
