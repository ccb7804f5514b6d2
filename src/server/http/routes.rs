//! Which address is answered by what: the commands below `admin.commandURL`, probes beside them.

use super::super::scrape;
use super::{Shared, commands, page};
use crate::admin::prometheus;
use axum::Router;
use axum::extract::{RawQuery, State};
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
    let probes = Router::new().route("/livez", get(live)).route("/readyz", get(ready)).route("/metrics", get(metrics));
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

/// What the port of metrics shows, whichever provider is configured.
async fn metrics(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    let Some(running) = shared.running.get() else {
        return text(StatusCode::SERVICE_UNAVAILABLE, "nothing is counted yet: the data is being loaded\n");
    };
    let names = scrape::names(query.as_deref().unwrap_or(""));
    ([(header::CONTENT_TYPE, prometheus::CONTENT_TYPE)], running.monitor.scrape(&names).await).into_response()
}

/// A short plain answer.
pub(super) fn text(status: StatusCode, text: &'static str) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")], text)
        .into_response()
}
