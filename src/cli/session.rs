//! A session that outlives its connections: it reconnects, leaves its watches and identities anew, and tells of its
//! states (`org.apache.zookeeper.ClientCnxn`). Knows no command and no chroot beyond adding it. Next room:
//! `zookeeper`, the operations on it; below: `crate::client`, one connection.

use super::error::Failure;
use super::watches::{Watches, event_name, lists};
use crate::client::{self, Client, Error, Events, Options, addresses};
use crate::proto::ErrorCode;
use rand::Rng;
use rand::seq::SliceRandom;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Longest pause between two rounds over all servers.
const PAUSE_MAX_MS: u64 = 1_000;
/// How long a session is given to say goodbye.
const CLOSE_MAX: Duration = Duration::from_secs(2);

/// `ZooKeeper.States`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// On its way to a server.
    Connecting,
    /// Connected.
    Connected,
    /// Connected to a server that only reads.
    ConnectedReadOnly,
    /// Closed by us, or expired.
    Closed,
    /// An identity was refused.
    AuthFailed,
}

impl State {
    /// The name in the prompt.
    pub fn name(self) -> &'static str {
        match self {
            State::Connecting => "CONNECTING",
            State::Connected => "CONNECTED",
            State::ConnectedReadOnly => "CONNECTEDREADONLY",
            State::Closed => "CLOSED",
            State::AuthFailed => "AUTH_FAILED",
        }
    }

    /// Whether requests make sense.
    pub fn is_alive(self) -> bool {
        !matches!(self, State::Closed | State::AuthFailed)
    }

    fn is_connected(self) -> bool {
        matches!(self, State::Connected | State::ConnectedReadOnly)
    }
}

/// What the shell shows of watches and of the session (`WatchedEvent`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// `SyncConnected`, `Disconnected`, ...
    pub state: &'static str,
    /// `None`, `NodeCreated`, ...
    pub kind: &'static str,
    /// The node, of events of nodes.
    pub path: Option<String>,
    /// The transaction, or -1.
    pub zxid: i64,
}

/// Where notices go.
pub type Listener = Box<dyn Fn(&Notice) + Send + Sync>;

/// What a session is opened with.
pub struct Settings {
    /// `host:port,host:port`, without a chroot.
    pub servers: Vec<String>,
    /// The subtree that this session takes for the whole; empty for all.
    pub chroot: String,
    /// Session timeout to ask for.
    pub timeout: Duration,
    /// Whether a server that only reads will do.
    pub read_only: bool,
    /// Longest wait for one reply, if limited.
    pub request_timeout: Option<Duration>,
}

/// The present of a session.
#[derive(Debug)]
struct Life {
    state: State,
    client: Option<Client>,
    /// Rounds over all servers in which none could be reached: whoever waits gives up after one.
    failed_rounds: u64,
    trouble: Option<String>,
}

struct Shared {
    settings: Settings,
    life: watch::Sender<Life>,
    watches: Mutex<Watches>,
    identities: Mutex<Vec<(String, Option<Vec<u8>>)>>,
    /// Identities on which the server's word is still out.
    judged: Mutex<Vec<JoinHandle<()>>>,
    /// The last state that was told, so that nothing is told twice.
    told: Mutex<&'static str>,
    listener: Listener,
}

/// A session of the shell.
pub struct Session {
    shared: Arc<Shared>,
    runtime: Arc<Runtime>,
    interrupts: Arc<Notify>,
}

/// The threads that all sessions of a shell share: one for the connection, beside the caller's.
pub fn runtime() -> std::io::Result<Arc<Runtime>> {
    Builder::new_multi_thread().worker_threads(1).max_blocking_threads(2).enable_all().build().map(Arc::new)
}

impl Session {
    /// Begins to connect, and returns at once. `interrupts` ends a wait.
    pub fn open(runtime: &Arc<Runtime>, settings: Settings, interrupts: &Arc<Notify>, listener: Listener) -> Self {
        let life = Life { state: State::Connecting, client: None, failed_rounds: 0, trouble: None };
        let shared = Arc::new(Shared {
            settings,
            life: watch::Sender::new(life),
            watches: Mutex::default(),
            identities: Mutex::default(),
            judged: Mutex::default(),
            told: Mutex::new("Disconnected"),
            listener,
        });
        runtime.spawn(shared.clone().keep());
        Session { shared, runtime: runtime.clone(), interrupts: interrupts.clone() }
    }

    /// How it is.
    pub fn state(&self) -> State {
        self.shared.life.borrow().state
    }

    /// The watches it has left.
    pub fn watches(&self) -> MutexGuard<'_, Watches> {
        locked(&self.shared.watches)
    }

    /// Tells what was decided here, not by a server.
    pub fn tell(&self, kind: &'static str, path: &str) {
        let state = *locked(&self.shared.told);
        (self.shared.listener)(&Notice { state, kind, path: Some(path.to_owned()), zxid: -1 });
    }

    /// A path as the server knows it.
    pub fn server_path(&self, path: &str) -> String {
        self.shared.server_path(path)
    }

    /// A path that the server named, as this session knows it.
    pub fn own_path(&self, path: &str) -> String {
        self.shared.own_path(path)
    }

    /// Waits until connected; false when that took longer than `most`, or will never be.
    pub fn wait_connected(&self, most: Duration) -> bool {
        let mut life = self.shared.life.subscribe();
        let connected =
            async { life.wait_for(|life| life.state.is_connected() || !life.state.is_alive()).await.map(drop) };
        let _ = self.wait(async { timeout(most, connected).await });
        self.state().is_connected()
    }

    /// Waits until every server was tried once, or one is there.
    pub fn wait_first_round(&self, most: Duration) {
        let mut life = self.shared.life.subscribe();
        let tried =
            async { life.wait_for(|life| life.state != State::Connecting || life.failed_rounds > 0).await.map(drop) };
        let _ = self.wait(async { timeout(most, tried).await });
    }

    /// Runs something that waits; Ctrl-C ends it where the shell wants that.
    pub fn wait<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.interrupts.notified() => Err(Failure::Interrupted),
                done = work => Ok(done),
            }
        })
    }

    /// A client to ask, as soon as there is a connection.
    pub async fn client(&self) -> Result<Client, Failure> {
        let mut life = self.shared.life.subscribe();
        let failed_before = life.borrow().failed_rounds;
        loop {
            {
                let now = life.borrow_and_update();
                let failure = |code| Failure::Keeper { code, path: None, trouble: now.trouble.clone() };
                match (now.state, &now.client) {
                    (State::AuthFailed, _) => return Err(failure(ErrorCode::AUTH_FAILED)),
                    (State::Closed, _) => return Err(failure(ErrorCode::SESSION_EXPIRED)),
                    (_, Some(client)) => return Ok(client.clone()),
                    (_, None) if now.failed_rounds > failed_before => return Err(failure(ErrorCode::CONNECTION_LOSS)),
                    _ => {}
                }
            }
            if life.changed().await.is_err() {
                return Err(Failure::keeper(ErrorCode::CONNECTION_LOSS, None));
            }
        }
    }

    /// Asks the server, about a path where there is one.
    pub fn ask<T>(
        &self,
        path: Option<&str>,
        question: impl AsyncFnOnce(&Client) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        let work = async {
            let client = self.client().await?;
            question(&client).await.map_err(|error| failure(error, None))
        };
        let limit = self.shared.settings.request_timeout;
        let answer = self.wait(async {
            match limit {
                Some(limit) => {
                    timeout(limit, work).await.unwrap_or(Err(Failure::keeper(ErrorCode::REQUEST_TIMEOUT, None)))
                }
                None => work.await,
            }
        })?;
        answer.map_err(|failure| about(failure, path))
    }

    /// The threads, for work beside the caller's.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Adds an identity, now and to each later connection. The server's refusal ends the session.
    pub fn add_identity(&self, scheme: &str, auth: Option<Vec<u8>>) -> Result<(), Failure> {
        if !self.state().is_alive() {
            return Ok(());
        }
        locked(&self.shared.identities).push((scheme.to_owned(), auth.clone()));
        let client = self.shared.life.borrow().client.clone();
        // Without a connection the next one will bring it.
        let Some(client) = client else { return Ok(()) };
        let shared = self.shared.clone();
        // Sent before this returns: what is asked next is asked with it.
        let Ok(pending) = self.wait(async { client.send_auth(scheme, auth.as_deref()).await })? else { return Ok(()) };
        let judged = self.runtime.spawn(async move { shared.judge(pending).await });
        locked(&self.shared.judged).push(judged);
        Ok(())
    }

    /// Ends the session, and its ephemeral nodes with it.
    pub fn close(&self) {
        let client = self.shared.life.borrow().client.clone();
        if !self.state().is_alive() {
            return;
        }
        self.shared.become_state(State::Closed, None);
        if let Some(client) = client {
            let _ = self.runtime.block_on(async { timeout(CLOSE_MAX, client.close()).await });
        }
        self.shared.tell_state("Closed");
    }
}

/// A lock that a panic elsewhere does not make useless.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// What an error of the connection is for a command.
pub fn failure(error: Error, path: Option<&str>) -> Failure {
    let (code, trouble) = match error {
        Error::Server(code) => (code, None),
        Error::SessionRefused => (ErrorCode::SESSION_EXPIRED, None),
        Error::Malformed(error) => (ErrorCode::MARSHALLING_ERROR, Some(error.to_string())),
        Error::Io(error) => (ErrorCode::CONNECTION_LOSS, Some(error.to_string())),
        Error::Closed => (ErrorCode::CONNECTION_LOSS, None),
    };
    Failure::Keeper { code, path: path.map(str::to_owned), trouble }
}

/// The same failure, about this path.
fn about(failure: Failure, path: Option<&str>) -> Failure {
    match failure {
        Failure::Keeper { code, path: None, trouble } => {
            Failure::Keeper { code, path: path.map(str::to_owned), trouble }
        }
        other => other,
    }
}

impl Shared {
    fn server_path(&self, path: &str) -> String {
        match path {
            "/" if !self.settings.chroot.is_empty() => self.settings.chroot.clone(),
            _ => format!("{}{path}", self.settings.chroot),
        }
    }

    /// `SendThread.stripChroot`.
    fn own_path(&self, path: &str) -> String {
        match path.strip_prefix(self.settings.chroot.as_str()) {
            Some("") => "/".to_owned(),
            Some(rest) if rest.starts_with('/') => rest.to_owned(),
            _ => path.to_owned(),
        }
    }

    fn become_state(&self, state: State, client: Option<Client>) {
        self.life.send_modify(|life| {
            // What has ended stays ended.
            if life.state.is_alive() {
                life.state = state;
                life.client = client;
            }
        });
    }

    fn tell_state(&self, state: &'static str) {
        let last = std::mem::replace(&mut *locked(&self.told), state);
        if last != state {
            (self.listener)(&Notice { state, kind: "None", path: None, zxid: -1 });
        }
    }

    fn is_alive(&self) -> bool {
        self.life.borrow().state.is_alive()
    }

    /// Waits for the server's word on an identity.
    async fn judge(&self, pending: client::Pending) {
        if let Err(Error::Server(ErrorCode::AUTH_FAILED)) = pending.reply().await {
            self.become_state(State::AuthFailed, None);
            self.tell_state("AuthFailed");
        }
    }

    /// Keeps the session connected for as long as it lives.
    async fn keep(self: Arc<Self>) {
        let settings = &self.settings;
        let servers = u32::try_from(settings.servers.len()).unwrap_or(1).max(1);
        let mut options = Options {
            session_timeout: settings.timeout,
            connect_timeout: settings.timeout / servers,
            read_only: settings.read_only,
            ..Options::default()
        };
        let mut order = settings.servers.clone();
        order.shuffle(&mut rand::rng());
        let mut pause_ms = 50;
        loop {
            match self.round(&order, &options).await {
                Ok((client, events)) => {
                    pause_ms = 50;
                    // A session of a server that only reads means nothing to the others.
                    if !client.read_only() {
                        options.resume = Some(*client.session());
                    }
                    self.serve(&client, events, options.last_zxid).await;
                    // A server that refuses an identity hangs up behind its word: the word counts.
                    let judged = std::mem::take(&mut *locked(&self.judged));
                    for one in judged {
                        let _ = one.await;
                    }
                    options.last_zxid = options.last_zxid.max(client.last_zxid());
                    if !self.is_alive() {
                        return;
                    }
                    self.become_state(State::Connecting, None);
                    self.tell_state("Disconnected");
                    order.rotate_left(1);
                }
                Err(Error::SessionRefused) => {
                    self.become_state(State::Closed, None);
                    self.tell_state("Expired");
                    return;
                }
                Err(error) => self.life.send_modify(|life| {
                    life.failed_rounds += 1;
                    life.trouble = Some(error.to_string());
                }),
            }
            let pause = rand::rng().random_range(0..=pause_ms);
            sleep(Duration::from_millis(pause)).await;
            pause_ms = (pause_ms * 2).min(PAUSE_MAX_MS);
            if !self.is_alive() {
                return;
            }
        }
    }

    /// The first of the servers that takes us.
    async fn round(&self, order: &[String], options: &Options) -> Result<(Client, Events), Error> {
        let mut last = Error::Closed;
        for server in order {
            match resolve(server).await {
                Ok(found) => match Client::connect(&found, options).await {
                    Ok(opened) => return Ok(opened),
                    Err(Error::SessionRefused) => return Err(Error::SessionRefused),
                    Err(error) => last = error,
                },
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }

    /// One connection from its first moment to its last.
    async fn serve(&self, client: &Client, mut events: Events, last_zxid: i64) {
        let identities = locked(&self.identities).clone();
        let mut judged = Vec::new();
        for (scheme, auth) in &identities {
            let Ok(pending) = client.send_auth(scheme, auth.as_deref()).await else { return };
            judged.push(self.judge(pending));
        }
        for one in judged {
            one.await;
        }
        let pieces = locked(&self.watches).pieces(|path| self.server_path(path));
        for piece in &pieces {
            if client.set_watches(last_zxid, &lists(piece)).await.is_err() {
                return;
            }
        }
        let (state, told) = match client.read_only() {
            true => (State::ConnectedReadOnly, "ConnectedReadOnly"),
            false => (State::Connected, "SyncConnected"),
        };
        // Told first: what a command prints comes after the news of the connection.
        if self.is_alive() {
            self.tell_state(told);
        }
        self.become_state(state, Some(client.clone()));
        while let Some(event) = events.recv().await {
            let Some(kind) = event_name(event.kind) else { continue };
            let path = self.own_path(&event.path);
            if locked(&self.watches).fire(event.kind, &path) {
                (self.listener)(&Notice { state: told, kind, path: Some(path), zxid: event.zxid });
            }
        }
    }
}

async fn resolve(server: &str) -> std::io::Result<Vec<SocketAddr>> {
    let server = server.to_owned();
    tokio::task::spawn_blocking(move || addresses(&server)).await.unwrap_or_else(|error| Err(error.into()))
}
