//! The command `restore`: the body of a POST, a snapshot, takes the place of all data. The stream is read into a new tree
//! beside the old one; only a whole and sound snapshot is put in its place, and it is on disk before anybody is served.

use super::Shared;
use super::commands::document;
use crate::admin::environment::memory_available;
use crate::admin::json::{self, Fields};
use crate::admin::{Command, View};
use crate::engine::Replay;
use crate::metrics;
use crate::proto::Zxid;
use crate::proto::acl::Acl;
use crate::proto::txn::{TxnDigest, TxnRecord};
use crate::store::{BadSnapshot, Compression, Decompress, NodeRefused, Restore, SnapshotNode, read_snapshot};
use crate::tree::{OwnerRules, Tree};
use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::Response;
use http_body_util::BodyExt;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// Pieces of the body that wait to be read.
const PIECES_MAX: usize = 8;
/// Bytes that a sender must manage in each [`PACE_TIME`], or it is cut off.
const PACE_BYTES: u64 = 256 << 10;
const PACE_TIME: Duration = Duration::from_secs(30);
/// A tree takes up to so many times the bytes of its snapshot.
const TREE_SIZE_RATIO: u64 = 3;
/// What may be restored whatever the system says of its memory.
const BYTES_MIN: u64 = 64 << 20;

/// One call in an interval (`RateLimiter`).
#[derive(Debug)]
pub(super) struct Rate {
    interval: Duration,
    last: Mutex<Option<Instant>>,
}

impl Rate {
    pub(super) fn new(interval: Duration) -> Self {
        Rate { interval, last: Mutex::new(None) }
    }

    /// Takes the turn of a call; if it is too early for one, what says when the next may be.
    pub(super) fn too_early(&self, command: &Command) -> Option<Response> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = last.and_then(|last| self.interval.checked_sub(last.elapsed()));
        let Some(wait) = wait.filter(|_| !self.interval.is_zero()) else {
            *last = Some(Instant::now());
            return None;
        };
        let (seconds, each) = (wait.as_secs() + 1, self.interval.as_millis());
        let why = format!("one call in {each} ms (admin.rateLimiterIntervalInMS): the next in {seconds} s");
        tracing::warn!(command = command.name, why, "a command of the admin server is refused");
        let mut response = document(StatusCode::TOO_MANY_REQUESTS, &json::refusal(command.name, &why));
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        Some(response)
    }

    /// The call before came to nothing.
    fn give_back(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Reads the body and puts it in the place of the tree.
pub(super) async fn take(shared: &Arc<Shared>, command: &'static Command, mut body: Body) -> Response {
    let Some(running) = shared.serving() else {
        return document(StatusCode::SERVICE_UNAVAILABLE, &json::not_serving(command.name));
    };
    let plain = |status| document(status, &command.answer(&View::not_serving()));
    let failed = |why: &str| document(StatusCode::INTERNAL_SERVER_ERROR, &json::refusal(command.name, why));
    if !shared.settings.restore_enabled {
        tracing::warn!("a restore was asked for, and admin.restore.enabled is off");
        return plain(StatusCode::SERVICE_UNAVAILABLE);
    }
    if !shared.settings.last_zxid {
        tracing::warn!("a restore was asked for, and serializeLastProcessedZxid.enabled is off");
        return plain(StatusCode::INTERNAL_SERVER_ERROR);
    }
    if running.ensemble {
        return failed("a member of an ensemble takes no foreign data: use oxkeeper restore --new-ensemble");
    }
    if let Some(limited) = shared.settings.restores.too_early(command) {
        running.measures.with(|readings| readings.add(metrics::RESTORE_RATE_LIMITED_COUNT, 1));
        return limited;
    }
    let (pieces, source) = mpsc::channel(PIECES_MAX);
    let (to, from) = oneshot::channel();
    let shared = shared.clone();
    let spawned = std::thread::Builder::new().name("restore".into()).spawn(move || {
        let started = Instant::now();
        // Nobody waits any more when the caller hung up; what was whole is restored all the same.
        let _ = to.send(restore(&shared, source, started));
    });
    if let Err(error) = spawned {
        return failed(&error.to_string());
    }
    pass_on(&mut body, pieces).await;
    match from.await.unwrap_or_else(|_| Err("the thread of the restore is gone".into())) {
        Ok(zxid) => {
            let mut fields = Fields::new();
            fields.insert("last_zxid".into(), zxid.0.into());
            fields.extend(command.answer(&View::not_serving()));
            document(StatusCode::OK, &fields)
        }
        Err(why) => failed(&why),
    }
}

/// Hands the body over, until it ends, or comes too slowly, or nobody reads it any more.
async fn pass_on(body: &mut Body, pieces: mpsc::Sender<io::Result<Bytes>>) {
    let (mut deadline, mut since) = (tokio::time::Instant::now() + PACE_TIME, 0);
    loop {
        let frame = match tokio::time::timeout_at(deadline, body.frame()).await {
            Ok(None) => return,
            Ok(Some(frame)) => frame.map_err(|error| io::Error::other(error.to_string())),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the sender is too slow")),
        };
        let piece = match frame.map(|frame| frame.into_data()) {
            Ok(Ok(data)) => Ok(data),
            // Trailers.
            Ok(Err(_)) => continue,
            Err(error) => Err(error),
        };
        since += piece.as_ref().map_or(0, Bytes::len) as u64;
        let (last, handing) = (piece.is_err(), tokio::time::Instant::now());
        if pieces.send(piece).await.is_err() || last {
            return;
        }
        // The reader's own time is not the sender's.
        deadline += handing.elapsed();
        if since >= PACE_BYTES {
            (deadline, since) = (tokio::time::Instant::now() + PACE_TIME, 0);
        }
    }
}

fn restore(shared: &Shared, source: mpsc::Receiver<io::Result<Bytes>>, started: Instant) -> Result<Zxid, String> {
    let Some(running) = shared.running.get() else { return Err("the server is not loaded".into()) };
    let limit = (memory_available() / TREE_SIZE_RATIO).max(BYTES_MIN);
    let pieces = Pieces { source, piece: Bytes::new() };
    let restored = read(pieces, limit, running.owners, running.digest);
    let put = restored.map_err(|error| error.to_string()).and_then(|tree| {
        tracing::warn!(nodes = tree.node_count(), zxid = %tree.zxid(), "all data is replaced by a snapshot");
        running.snapshotter.restore(tree).map_err(|error| error.to_string())
    });
    match &put {
        Ok(zxid) => {
            let ms = started.elapsed().as_millis() as i64;
            running.measures.with(|readings| readings.record(metrics::RESTORE_TIME, ms));
            tracing::info!(%zxid, ms, "restored");
        }
        Err(why) => {
            shared.settings.restores.give_back();
            running.measures.with(|readings| readings.add(metrics::RESTORE_ERROR_COUNT, 1));
            tracing::warn!(why, "a restore was refused; nothing has changed");
        }
    }
    put
}

/// Reads a snapshot of at most `limit` bytes, compressed or not, into a new tree.
pub(super) fn read(source: impl Read, limit: u64, owners: OwnerRules, digest: bool) -> Result<Tree, BadSnapshot> {
    let mut source = source;
    let mut head = [0; 8];
    let refused = |why: String| BadSnapshot { offset: 0, why };
    let mut filled = 0;
    while filled < head.len() {
        match source.read(&mut head[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) => return Err(refused(error.to_string())),
        }
    }
    let head = &head[..filled];
    let compression = Compression::of_content(head);
    let whole = Decompress::new(io::Cursor::new(head).chain(source), compression);
    // One byte more than allowed shows that there is more.
    let mut bounded = Bounded { source: whole, left: limit };
    let mut replay = Restored { replay: Replay::new(Tree::new(owners, digest)), zxid: None };
    replay.clear();
    let summary = read_snapshot(&mut bounded, Zxid::ZERO, &mut replay)?;
    let mut rest = [0; 1];
    let more = bounded.read(&mut rest).map_err(|error| refused(error.to_string()))?;
    if more > 0 || limit - bounded.left != summary.bytes {
        return Err(BadSnapshot { offset: summary.bytes, why: "there is more behind its end".into() });
    }
    let Some(zxid) = replay.zxid else {
        let why = "it does not say its last transaction: it was written without serializeLastProcessedZxid.enabled";
        return Err(BadSnapshot { offset: summary.bytes, why: why.into() });
    };
    if replay.replay.digest_mismatches > 0 {
        tracing::warn!(%zxid, "the digest of the restored data is another than its file says: it was written under load");
    }
    let mut tree = replay.replay.tree;
    for path in tree.restore_done() {
        tracing::error!(path, "the access list of this node is lost: only a super user may use it");
    }
    for session in tree.orphaned_sessions() {
        tree.drop_ephemerals(session);
    }
    tree.set_zxid(zxid);
    Ok(tree)
}

/// A snapshot without a file name: its transaction stands in it.
struct Restored {
    replay: Replay,
    zxid: Option<Zxid>,
}

impl Restore for Restored {
    fn clear(&mut self) {
        self.replay.clear();
    }

    fn session(&mut self, id: i64, timeout_ms: i32) {
        self.replay.session(id, timeout_ms);
    }

    fn acl(&mut self, key: i64, acl: Vec<Acl>) {
        self.replay.acl(key, acl);
    }

    fn node(&mut self, node: SnapshotNode<'_>) -> Result<(), NodeRefused> {
        self.replay.node(node)
    }

    fn snapshot_done(&mut self, _: Zxid, digest: Option<(Zxid, TxnDigest)>, last_zxid: Option<Zxid>) {
        self.zxid = last_zxid.or(digest.map(|(zxid, _)| zxid)).filter(|zxid| zxid.0 >= 0);
        self.replay.snapshot_done(self.zxid.unwrap_or_default(), digest, last_zxid);
    }

    fn replay(&mut self, record: &TxnRecord<'_>, body: &[u8]) {
        self.replay.replay(record, body);
    }
}

/// The body as the reading thread sees it.
struct Pieces {
    source: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.source.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.piece.len());
        buffer[..count].copy_from_slice(&self.piece.split_to(count));
        Ok(count)
    }
}

/// Fails where more comes than allowed.
struct Bounded<R> {
    source: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)? as u64;
        self.left = self.left.checked_sub(count).ok_or_else(|| io::Error::other("it is larger than memory allows"))?;
        Ok(count as usize)
    }
}
