//! Requests below `admin.commandURL`: finds the command, asks who may run it, runs it, and sends its fields as JSON
//! (`org.apache.zookeeper.server.admin.Commands`, `JettyAdminServer`).

use super::routes::{Peer, text};
use super::{Running, Shared, query, restore, snapshot};
use crate::admin::commands::{COMMANDS, named};
use crate::admin::json::{self, Fields};
use crate::admin::{Command, Work, jackson};
use crate::auth::{AuthOutcome, Policy};
use crate::proto::acl::{self, Id};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Everything that has no address of its own.
pub(super) async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let path = request.uri().path();
    let below =
        path.strip_prefix(shared.settings.command_url.as_str()).filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let Some(below) = below else { return text(StatusCode::NOT_FOUND, "there is nothing here\n") };
    let post = match *request.method() {
        Method::GET | Method::HEAD => false,
        Method::POST => true,
        Method::OPTIONS => return (StatusCode::OK, [(header::ALLOW, ALLOWED)]).into_response(),
        _ => return not_allowed(ALLOWED),
    };
    match below.strip_prefix('/').unwrap_or_default() {
        "" => index(&shared.settings.command_url),
        called => {
            let called = query::decoded(called, false);
            run(&shared, &called, post, request).await
        }
    }
}

const ALLOWED: &str = "GET, HEAD, POST, OPTIONS";

fn not_allowed(allowed: &'static str) -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, allowed)], "the method is not allowed here\n").into_response()
}

/// The names of all commands as links. The original names no content type, and so does this.
fn index(url: &str) -> Response {
    let mut page = String::new();
    for Command { name, .. } in COMMANDS {
        writeln!(page, "<a href=\"{url}/{name}\">{name}</a>\n<br/>").expect("a string takes everything");
    }
    Response::new(Body::from(page))
}

/// Fields as a JSON document.
pub(super) fn document(status: StatusCode, fields: &Fields) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], jackson::document(fields)).into_response()
}

async fn run(shared: &Arc<Shared>, called: &str, post: bool, request: Request) -> Response {
    let Some(command) = named(called) else {
        return document(StatusCode::OK, &json::refusal(called, &format!("Unknown command: {called}")));
    };
    let serving = shared.serving();
    // Whoever saves a snapshot or sends one looks at the status: 200 with an error inside, as the original answers, would
    // pass for success.
    let absent = if command.work == Work::Answer { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if command.needs_server && serving.is_none() {
        return document(absent, &json::not_serving(called));
    }
    if command.work != Work::Answer {
        let Some(running) = serving else { return document(absent, &json::not_serving(called)) };
        if let Err((status, why)) = authorize(shared, running, &request) {
            tracing::warn!(command = command.name, why, "a command of the admin server is refused");
            return document(status, &json::refusal(called, why));
        }
    }
    if post != (command.work == Work::Restore) {
        return not_allowed(if post { "GET, HEAD" } else { "POST" });
    }
    let parameters = query::parameters(request.uri().query());
    match (command.work, serving) {
        (Work::Snapshot, Some(running)) => snapshot::send(shared, running, command, &parameters).await,
        (Work::Restore, Some(_)) => restore::take(shared, command, request.into_body()).await,
        _ => fields(shared, command, &parameters).await,
    }
}

async fn fields(
    shared: &Shared,
    command: &Command,
    parameters: &std::collections::BTreeMap<String, String>,
) -> Response {
    let running = shared.running.get();
    let serving = shared.serving().is_some();
    if command.name == "monitor" && !serving {
        // The original has no metrics to show without a server and fails.
        return document(StatusCode::INTERNAL_SERVER_ERROR, &json::not_serving(command.name));
    }
    match command.effect_of_query(serving, parameters) {
        Err(error) => return document(StatusCode::OK, &json::failure(command, &error)),
        Ok(Some(crate::admin::Effect::SetTraceMask(mask))) => shared.trace_mask.store(mask, Ordering::Relaxed),
        Ok(Some(effect)) => {
            if let Some(running) = running {
                running.words.perform(effect).await;
            }
        }
        Ok(None) => {}
    }
    let mut view = match running {
        Some(running) => running.words.view(command.parts).await,
        None => shared.unloaded(),
    };
    view.properties.clone_from(&shared.settings.properties);
    document(StatusCode::OK, &command.answer(&view))
}

/// Whether the caller has every permission on the root node, by the one identity that the header proves.
fn authorize(shared: &Shared, running: &Running, request: &Request) -> Result<(), (StatusCode, &'static str)> {
    if !request.headers().contains_key(header::AUTHORIZATION) {
        return Err((StatusCode::UNAUTHORIZED, "Auth info is missing for the command"));
    }
    let policy = &shared.settings.policy;
    let identities = proven(policy, request).ok_or((StatusCode::UNAUTHORIZED, "Not authenticated"))?;
    let permitted = running.pipeline.gate.read(|tree| {
        let list = tree.get("/").and_then(|root| tree.acl(root.acl()));
        policy.permits_each(list.map(|list| &**list), acl::ALL, &identities)
    });
    if permitted { Ok(()) } else { Err((StatusCode::FORBIDDEN, "Not authorized")) }
}

/// Where the caller is: the other end of the connection, whatever headers say.
pub(super) fn peer(request: &Request) -> Option<IpAddr> {
    request.extensions().get::<Peer>().map(|Peer(peer)| peer.ip().to_canonical())
}

/// What the header `Authorization: scheme [credentials]` proves; at least one identity.
pub(super) fn proven(policy: &Policy, request: &Request) -> Option<Vec<Id>> {
    let header = String::from_utf8_lossy(request.headers().get(header::AUTHORIZATION)?.as_bytes());
    // As Java splits: empty pieces at the end do not count.
    let mut words: Vec<&str> = header.split(' ').collect();
    while words.last().is_some_and(|word| word.is_empty()) {
        words.pop();
    }
    let (scheme, credentials) = match words[..] {
        [scheme] => (scheme, None),
        [scheme, credentials] => (scheme, Some(credentials.as_bytes())),
        _ => return None,
    };
    match policy.authenticate(Some(scheme), credentials, peer(request)?, &[]) {
        AuthOutcome::Accepted(identities) if !identities.is_empty() => Some(identities),
        _ => None,
    }
}
