//! The page of metrics on its own port (`metricsProvider.httpHost`, `httpPort`): `GET /metrics`, and what the original's page
//! says to everything else. A thread with a small runtime; a slow or silent caller costs a place, and places are few.

use super::limits::Connections;
use super::monitor::Monitor;
use super::{ServerError, thread};
use crate::admin::prometheus::CONTENT_TYPE;
use crate::config::Config;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE as TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::HashSet;
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

/// Connections at a time; more are closed at once, so that who holds all of them holds up nobody else.
const CONNECTIONS_MAX: usize = 256;
/// Of these, from one address.
const CONNECTIONS_OF_ADDRESS_MAX: usize = 32;
/// A connection without a request for so long is closed.
const SILENCE_MAX: Duration = Duration::from_secs(90);
/// Bytes of a request's head.
const HEAD_MAX: usize = 16 << 10;
/// Pause after a failed accept: there are no file descriptors, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What is answered to a request.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// The readings, or those of them with these sample names.
    Readings(HashSet<String>),
    /// What may be asked.
    Options,
    /// Nothing.
    Refused(StatusCode),
}

/// Listens, if the configured provider has a page.
pub fn listen(config: &Config) -> Result<Option<TcpListener>, ServerError> {
    if super::monitor::provider_of(config) != crate::metrics::Provider::Prometheus {
        return Ok(None);
    }
    let (host, port) = (config.metrics_http_host.as_str(), config.metrics_http_port);
    let unknown = SocketAddr::new([0, 0, 0, 0].into(), port);
    let addresses = (host, port).to_socket_addrs().map_err(|error| ServerError::Listen { address: unknown, error })?;
    let address = addresses.into_iter().next().unwrap_or(unknown);
    let listener = TcpListener::bind(address).map_err(|error| ServerError::Listen { address, error })?;
    Ok(Some(listener))
}

/// Answers on a thread of its own; returns where.
pub fn start(listener: TcpListener, monitor: Arc<Monitor>) -> Result<SocketAddr, ServerError> {
    let failed = |error| ServerError::System { what: "metrics page", error };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    tracing::info!(%address, "metrics are shown at /metrics");
    thread("metrics".into(), move || runtime.block_on(accept(listener, monitor))).map(|_| address)
}

async fn accept(listener: TcpListener, monitor: Arc<Monitor>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the page of metrics cannot be served"),
    };
    let places = Connections::new(CONNECTIONS_OF_ADDRESS_MAX, CONNECTIONS_MAX);
    loop {
        let (socket, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "accept failed on the port of metrics");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if !places.admit(peer.ip()) {
            tracing::debug!(%peer, "too many connections to the page of metrics");
            continue;
        }
        let place = places.guard(peer.ip());
        let monitor = monitor.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| respond(request, &monitor));
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(SILENCE_MAX).max_buf_size(HEAD_MAX);
            if let Err(error) = server.serve_connection(TokioIo::new(socket), service).await {
                tracing::debug!(%error, "a connection to the page of metrics ends");
            }
            drop(place);
        });
    }
}

async fn respond<B>(request: Request<B>, monitor: &Monitor) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::default());
    match answer(request.method(), request.uri().path(), request.uri().query().unwrap_or("")) {
        Answer::Readings(names) => {
            response.headers_mut().insert(TYPE, HeaderValue::from_static(CONTENT_TYPE));
            *response.body_mut() = Full::from(monitor.scrape(&names).await);
        }
        Answer::Options => {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST, TRACE, OPTIONS"));
        }
        Answer::Refused(status) => *response.status_mut() = status,
    }
    Ok(response)
}

/// As the original's page answers (`io.prometheus.client.exporter.MetricsServlet` in Jetty).
fn answer(method: &Method, path: &str, query: &str) -> Answer {
    match *method {
        Method::TRACE => Answer::Refused(StatusCode::FORBIDDEN),
        _ if path != "/metrics" => Answer::Refused(StatusCode::NOT_FOUND),
        Method::GET | Method::HEAD | Method::POST => Answer::Readings(names(query)),
        Method::OPTIONS => Answer::Options,
        _ => Answer::Refused(StatusCode::METHOD_NOT_ALLOWED),
    }
}

/// The values of the parameter `name[]`.
pub fn names(query: &str) -> HashSet<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(name, _)| decoded(name) == "name[]").map(|(_, value)| decoded(value)).collect()
}

/// Without its percent signs; what is no UTF-8 is no name.
fn decoded(text: &str) -> String {
    let (mut out, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        let hex = behind.first_chunk::<2>().filter(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        match (byte, hex.and_then(|hex| std::str::from_utf8(hex).ok())) {
            (b'%', Some(hex)) => {
                out.push(u8::from_str_radix(hex, 16).unwrap_or(b'%'));
                rest = &behind[2..];
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(*byte),
        }
    }
    String::from_utf8(out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asked of the original's page.
    #[test]
    fn only_the_page_is_there() {
        let status = |method: Method, path| match answer(&method, path, "") {
            Answer::Readings(_) | Answer::Options => 200,
            Answer::Refused(status) => status.as_u16(),
        };
        for (method, path, wanted) in [
            (Method::GET, "/metrics", 200),
            (Method::HEAD, "/metrics", 200),
            (Method::POST, "/metrics", 200),
            (Method::OPTIONS, "/metrics", 200),
            (Method::PUT, "/metrics", 405),
            (Method::DELETE, "/metrics", 405),
            (Method::TRACE, "/metrics", 403),
            (Method::TRACE, "/", 403),
            (Method::GET, "/", 404),
            (Method::GET, "/metrics/", 404),
            (Method::GET, "/metrics/x", 404),
        ] {
            assert_eq!(status(method.clone(), path), wanted, "{method} {path}");
        }
    }

    #[test]
    fn names_are_taken_from_the_query() {
        let all = |query: &str| {
            let mut all: Vec<_> = names(query).into_iter().collect();
            all.sort_unstable();
            all
        };
        assert_eq!(all("name[]=uptime&name%5B%5D=a%5fb&x=1"), ["a_b", "uptime"]);
        assert_eq!(all("name=uptime&x"), [""; 0]);
        assert_eq!(all("name[]="), [""]);
        assert_eq!(all("name[]=%ff%"), [""], "no UTF-8, no name");
        assert_eq!(decoded("100%+%2"), "100% %2");
    }
}
