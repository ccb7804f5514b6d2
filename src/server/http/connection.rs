//! Connections of the admin server: bounded in number, in the size of what comes before the body, and in the time they
//! may be idle.

use super::super::limits::Connections;
use super::routes::Peer;
use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode};
use axum::{Router, response::IntoResponse};
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// Bytes of a request line with its headers.
const HEAD_MAX: usize = 32 << 10;
/// Headers of a request.
const HEADERS_MAX: usize = 64;
/// Pause after the system gave no socket.
const PAUSE: Duration = Duration::from_millis(50);

/// Accepts for ever.
pub async fn accept(listener: TcpListener, limits: Connections, idle: Option<Duration>, routes: Router) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the admin server cannot listen"),
    };
    loop {
        let (socket, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "a connection to the admin server was not accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        if !limits.admit(peer.ip()) {
            tracing::debug!(%peer, "too many connections to the admin server");
            continue;
        }
        let (place, routes) = (limits.guard(peer.ip()), routes.clone());
        tokio::spawn(async move {
            let busy = Arc::new(AtomicUsize::new(0));
            let socket = Idle { socket, limit: idle, timer: None, busy: busy.clone() };
            let routes = TowerToHyperService::new(routes);
            let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
                let (routes, busy) = (routes.clone(), Busy::new(&busy));
                async move {
                    let mut request = request.map(Body::new);
                    request.extensions_mut().insert(Peer(peer));
                    let answered = answer(&routes, request).await;
                    drop(busy);
                    answered
                }
            });
            let mut builder = hyper::server::conn::http1::Builder::new();
            builder.max_buf_size(HEAD_MAX).max_headers(HEADERS_MAX).timer(TokioTimer::new());
            builder.header_read_timeout(idle.unwrap_or(Duration::from_secs(3600)));
            if let Err(error) = builder.serve_connection(TokioIo::new(socket), service).await {
                tracing::debug!(%peer, %error, "a connection to the admin server ends");
            }
            drop(place);
        });
    }
}

async fn answer(
    routes: &TowerToHyperService<Router>,
    request: Request<Body>,
) -> Result<Response<Body>, std::convert::Infallible> {
    if request.method() == Method::TRACE {
        return Ok(StatusCode::FORBIDDEN.into_response());
    }
    routes.call(request).await
}

/// A request is being worked on: the connection is not idle.
struct Busy(Arc<AtomicUsize>);

impl Busy {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Busy(count.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A socket that fails once nothing was read or written for a while and nobody works on a request of it.
struct Idle {
    socket: TcpStream,
    limit: Option<Duration>,
    timer: Option<Pin<Box<Sleep>>>,
    busy: Arc<AtomicUsize>,
}

impl Idle {
    /// `poll` with the timer beside it.
    fn watched<T>(
        &mut self,
        context: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let done = poll(Pin::new(&mut self.socket), context);
        let Some(limit) = self.limit else { return done };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        if done.is_ready() {
            timer.as_mut().reset(Instant::now() + limit);
            return done;
        }
        while timer.as_mut().poll(context).is_ready() {
            if self.busy.load(Ordering::Relaxed) == 0 {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            timer.as_mut().reset(Instant::now() + limit);
        }
        Poll::Pending
    }
}

impl AsyncRead for Idle {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.get_mut().watched(context, |socket, context| socket.poll_read(context, buffer))
    }
}

impl AsyncWrite for Idle {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().watched(context, |socket, context| socket.poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(context)
    }
}
