//! The command `snapshot`: writes one as the server does by itself, and sends the file.

use super::commands::document;
use super::{Running, Shared};
use crate::admin::{Command, View};
use crate::metrics;
use crate::proto::Zxid;
use crate::store::StoreError;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use std::collections::BTreeMap;
use std::fs::File;
use tokio::sync::oneshot;
use tokio_util::io::ReaderStream;

/// Bytes of the file in memory at a time.
const CHUNK: usize = 64 << 10;

/// Takes a snapshot; with `streaming=false` it stays on the server.
pub(super) async fn send(
    shared: &Shared,
    running: &Running,
    command: &Command,
    parameters: &BTreeMap<String, String>,
) -> Response {
    let plain = |status| document(status, &command.answer(&View::not_serving()));
    if !shared.settings.snapshot_enabled {
        tracing::warn!("a snapshot was asked for, and admin.snapshot.enabled is off");
        return plain(StatusCode::SERVICE_UNAVAILABLE);
    }
    if !shared.settings.last_zxid {
        tracing::warn!("a snapshot was asked for, and serializeLastProcessedZxid.enabled is off");
        return plain(StatusCode::INTERNAL_SERVER_ERROR);
    }
    if let Some(limited) = shared.settings.snapshots.too_early(command) {
        running.measures.with(|readings| readings.add(metrics::SNAPSHOT_RATE_LIMITED_COUNT, 1));
        return limited;
    }
    let streaming = parameters.get("streaming").is_none_or(|value| value.eq_ignore_ascii_case("true"));
    match taken(running).await {
        Ok((zxid, file, size)) => {
            let mut response = plain(StatusCode::OK);
            if streaming {
                response = Response::new(Body::from_stream(ReaderStream::with_capacity(
                    tokio::fs::File::from_std(file),
                    CHUNK,
                )));
                let octets = HeaderValue::from_static("application/octet-stream");
                response.headers_mut().insert(header::CONTENT_TYPE, octets);
            }
            for (name, value) in [("last_zxid", format!("0x{:x}", zxid.0)), ("snapshot_size", size.to_string())] {
                if let Ok(value) = HeaderValue::from_str(&value) {
                    response.headers_mut().insert(HeaderName::from_static(name), value);
                }
            }
            response
        }
        Err(why) => {
            running.measures.with(|readings| readings.add(metrics::SNAPSHOT_ERROR_COUNT, 1));
            tracing::error!(why, "the snapshot that the admin server was asked for failed");
            plain(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

/// Writes the snapshot on a thread of its own; the file, open, so that a purge does not take it away.
async fn taken(running: &Running) -> Result<(Zxid, File, u64), String> {
    let (to, from) = oneshot::channel();
    let snapshotter = running.snapshotter.clone();
    let spawned = std::thread::Builder::new().name("snapshot".into()).spawn(move || {
        let open = || -> Result<(Zxid, File, u64), StoreError> {
            let (zxid, path) = snapshotter.take_in_turn()?;
            let opened = File::open(&path).and_then(|file| file.metadata().map(|data| (file, data.len())));
            let (file, size) = opened.map_err(StoreError::io(&path, "open the snapshot"))?;
            Ok((zxid, file, size))
        };
        // Nobody waits any more when the caller hung up.
        let _ = to.send(open().map_err(|error| error.to_string()));
    });
    spawned.map_err(|error| error.to_string())?;
    from.await.unwrap_or_else(|_| Err("the thread of the snapshot is gone".into()))
}
