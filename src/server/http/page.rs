//! The web page at the root of the admin port, and what it asks for below `/api`: everything is in the program, nothing
//! comes from elsewhere. It only looks. The tree is shown with the permissions of the identity that the request proves.

use super::commands::{peer, proven};
use super::routes::text;
use super::{Shared, query};
use crate::admin::commands::named;
use crate::admin::{Part, View};
use crate::auth;
use crate::proto::acl::{self, Id};
use crate::tree::{Node, Owner, Tree};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use serde_json::{Map, Value, json};
use std::path::Path;
use std::sync::Arc;

/// Children in one answer.
const CHILDREN_MAX: usize = 200;
/// Children that are sorted; of more, each answer has some, in the order of the tree: sorting holds up writers.
const SORTED_MAX: usize = 5_000;
/// Bytes of a node's data that are shown.
const DATA_MAX: usize = 64 << 10;
/// What the page may load: itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; \
                      img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Files of the page: address, type, content.
const FILES: [(&str, &str, &str); 5] = [
    ("/page.css", "text/css; charset=utf-8", include_str!("page/page.css")),
    ("/page.js", "text/javascript; charset=utf-8", include_str!("page/page.js")),
    ("/chart.js", "text/javascript; charset=utf-8", include_str!("page/chart.js")),
    ("/parts.js", "text/javascript; charset=utf-8", include_str!("page/parts.js")),
    ("/tree.js", "text/javascript; charset=utf-8", include_str!("page/tree.js")),
];

/// The page and what it asks for.
pub(super) fn routes(commands: &str) -> Router<Arc<Shared>> {
    let index = include_str!("page/index.html").replace("{commands}", &escaped(commands));
    let mut routes = Router::new()
        .route("/", get(move || async move { asset("text/html; charset=utf-8", index) }))
        .route("/api/overview", get(overview))
        .route("/api/connections", get(connections))
        .route("/api/watches", get(watches))
        .route("/api/top", get(top))
        .route("/api/node", get(node));
    for (address, kind, content) in FILES {
        routes = routes.route(address, get(move || async move { asset(kind, content) }));
    }
    routes
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}

fn asset(kind: &'static str, content: impl IntoResponse) -> Response {
    let nosniff = (HeaderName::from_static("x-content-type-options"), "nosniff");
    let policy = (header::CONTENT_SECURITY_POLICY, POLICY);
    let referrer = (header::REFERRER_POLICY, "no-referrer");
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache"), nosniff, policy, referrer], content)
        .into_response()
}

fn answer(value: &Value) -> Response {
    asset("application/json", value.to_string())
}

fn not_loaded() -> Response {
    text(StatusCode::SERVICE_UNAVAILABLE, "the data is being loaded\n")
}

/// The fields of a command, of a view that has its parts.
fn fields(name: &str, view: &View) -> Value {
    named(name).map_or(Value::Null, |command| Value::Object(command.answer(view)))
}

async fn overview(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let Some(running) = shared.running.get() else { return not_loaded() };
    let since = query::parameters(request.uri().query()).get("since").and_then(|since| since.parse().ok());
    let parts = [Part::Statistics, Part::Sizes, Part::Settings, Part::Ensemble, Part::Snapshot];
    let view = running.words.view(&parts).await;
    let mut out = Map::new();
    out.insert("serving".into(), view.serving.into());
    out.insert("zxid".into(), format!("0x{:x}", view.statistics.zxid.0).into());
    out.insert("peer_state".into(), view.statistics.peer_state.clone().into());
    for name in ["server_stats", "voting_view", "observers", "leader", "last_snapshot", "configuration"] {
        out.insert(name.into(), fields(name, &view));
    }
    let (free, total) = space(Path::new(&view.settings.data_dir));
    out.insert("disk".into(), json!({ "free": free, "total": total }));
    out.insert("history".into(), shared.history.since(since.unwrap_or(0)));
    answer(&Value::Object(out))
}

/// Free and all bytes of the disk that holds a folder; 0 where the system does not say.
fn space(folder: &Path) -> (u64, u64) {
    rustix::fs::statvfs(folder).map_or((0, 0), |disk| (disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize))
}

/// Session ids have more digits than a browser's numbers: they are texts here.
async fn connections(State(shared): State<Arc<Shared>>) -> Response {
    let Some(running) = shared.running.get() else { return not_loaded() };
    let view = running.words.view(&[Part::Connections]).await;
    let mut shown = fields("connections", &view);
    for connection in shown["connections"].as_array_mut().into_iter().flatten() {
        let session = connection["session_id"].as_i64().filter(|session| *session != 0);
        connection["session_id"] = session.map(|session| format!("0x{session:x}")).into();
        for name in ["last_zxid", "last_cxid", "last_response_time"] {
            connection.as_object_mut().and_then(|connection| connection.shift_remove(name));
        }
    }
    answer(&shown)
}

async fn watches(State(shared): State<Arc<Shared>>) -> Response {
    let Some(running) = shared.running.get() else { return not_loaded() };
    answer(&fields("watch_summary", &running.words.view(&[Part::WatchSummary]).await))
}

/// Who loads the server.
async fn top(State(shared): State<Arc<Shared>>) -> Response {
    let Some(running) = shared.running.get() else { return not_loaded() };
    let Some(command) = named("top") else { return text(StatusCode::NOT_FOUND, "talkers are not counted\n") };
    answer(&Value::Object(command.answer(&running.words.view(command.parts).await)))
}

async fn node(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let Some(running) = shared.serving() else {
        return text(StatusCode::SERVICE_UNAVAILABLE, "clients are not served\n");
    };
    let parameters = query::parameters(request.uri().query());
    let path = parameters.get("path").map_or("/", String::as_str);
    let offset = parameters.get("offset").and_then(|offset| offset.parse().ok()).unwrap_or(0);
    let policy = &shared.settings.policy;
    let mut identities = match request.headers().get(header::AUTHORIZATION).map(|_| proven(policy, &request)) {
        None => Vec::new(),
        Some(Some(identities)) => identities,
        Some(None) => return text(StatusCode::UNAUTHORIZED, "these credentials prove nothing\n"),
    };
    // Every client is its address.
    identities.extend(peer(&request).map(auth::ip_identity));
    if !policy.admits(&identities) {
        return text(StatusCode::FORBIDDEN, "this server asks every client who it is: give credentials\n");
    }
    match running.pipeline.gate.read(|tree| shown(&shared, tree, path, offset, &identities)) {
        Some(shown) => answer(&shown),
        None => text(StatusCode::NOT_FOUND, "there is no such node\n"),
    }
}

/// A node as far as these identities may see it: as for any client, its stat and kind are for everybody, its data and the
/// names of its children for readers, its access list for readers and administrators.
fn shown(shared: &Shared, tree: &Tree, path: &str, offset: usize, identities: &[Id]) -> Option<Value> {
    let policy = &shared.settings.policy;
    let node = tree.get(path)?;
    let list = tree.acl(node.acl());
    let may = |wanted| policy.permits(list.map(|list| &**list), wanted, identities);
    let readable = may(acl::READ);
    let stat = tree.stat(node);
    let zxid = |zxid: i64| format!("0x{zxid:x}");
    let mut out = Map::new();
    out.insert("path".into(), path.into());
    let owner = (stat.ephemeral_owner != 0).then(|| zxid(stat.ephemeral_owner));
    out.insert("kind".into(), kind(tree, node).into());
    out.insert("owner".into(), owner.filter(|_| matches!(tree.owner(node), Owner::Session(_))).into());
    out.insert(
        "stat".into(),
        json!({
            "czxid": zxid(stat.czxid), "mzxid": zxid(stat.mzxid), "pzxid": zxid(stat.pzxid),
            "ctime": stat.ctime, "mtime": stat.mtime,
            "version": stat.version, "cversion": stat.cversion, "aversion": stat.aversion,
            "data_length": stat.data_length, "num_children": stat.num_children,
        }),
    );
    out.insert("readable".into(), readable.into());
    if readable {
        let data = node.data().map(|data| &data[..data.len().min(DATA_MAX)]);
        out.insert("data_truncated".into(), (node.data_len() > DATA_MAX).into());
        let text = data.map(|data| base64::engine::general_purpose::STANDARD.encode(data));
        out.insert("data".into(), text.into());
        let children = node.children();
        let names = children.iter().map(|id| tree.node(*id).name());
        let names: Vec<&str> = if children.len() <= SORTED_MAX {
            let mut names: Vec<&str> = names.collect();
            names.sort_unstable();
            names.into_iter().skip(offset).take(CHILDREN_MAX).collect()
        } else {
            names.skip(offset).take(CHILDREN_MAX).collect()
        };
        out.insert("children_total".into(), children.len().into());
        out.insert("children".into(), json!(names));
    }
    // As getACL: who may not administrate sees no digests of passwords.
    let list = match list {
        Some(list) if may(acl::ADMIN) => Some(list.to_vec()),
        Some(list) if readable => Some(auth::redact(list)),
        None if readable => Some(acl::Acl::open_unsafe()),
        _ => None,
    };
    let list = list.map(|list| {
        let entry = |entry: &acl::Acl| json!({"perms": entry.perms, "scheme": entry.id.scheme, "id": entry.id.id});
        list.iter().map(entry).collect::<Vec<_>>()
    });
    out.insert("acl".into(), list.into());
    Some(Value::Object(out))
}

fn kind(tree: &Tree, node: &Node) -> &'static str {
    match tree.owner(node) {
        Owner::Session(_) => "ephemeral",
        Owner::Container => "container",
        Owner::Ttl(_) => "TTL",
        Owner::Nobody => "persistent",
    }
}
