//! Which address is answered by what: the commands below `admin.commandURL`, probes beside them.

use super::{Shared, commands, page};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::net::SocketAddr;
use std::sync::Arc;

/// Who asks: the other end of the connection. What a header says of it is not believed.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// All addresses.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    let probes = Router::new().route("/livez", get(live)).route("/readyz", get(ready));
    let url = &shared.settings.command_url;
    // Commands at the root leave no room for it.
    let routes = if shared.settings.page && !url.is_empty() { probes.merge(page::routes(url)) } else { probes };
    routes.fallback(commands::answer).with_state(shared)
}

/// The process answers. It says nothing of whether clients are served.
async fn live() -> Response {
    text(StatusCode::OK, "ok\n")
}

/// Clients are served.
async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    match (shared.serving(), shared.running.get()) {
        (Some(_), _) => text(StatusCode::OK, "ok\n"),
        (None, Some(_)) => {
            text(StatusCode::SERVICE_UNAVAILABLE, "not serving: there is no leader, or the server ends\n")
        }
        (None, None) => text(StatusCode::SERVICE_UNAVAILABLE, "not serving: the data is being loaded\n"),
    }
}

/// A short plain answer.
pub(super) fn text(status: StatusCode, text: &'static str) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")], text)
        .into_response()
}
