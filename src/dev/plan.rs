//! Who is where: folders, ports and the zoo.cfg of each member, checked by the code that a server reads it with.

use std::fs::{self, File, TryLockError};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use super::{Args, Refusal};
use crate::config::{Config, SystemProperties};
use crate::server;

/// From the client port to the others: 2181 goes with 2888 for the quorum, 3888 for elections, 8080 for the admin server.
const QUORUM: u16 = 707;
const ELECTION: u16 = 1707;
const ADMIN: u16 = 5899;
/// Client ports of the first member that are tried, in these steps.
const FIRST: u16 = 2181;
const STEP: u16 = 100;
const TRIES: u16 = 100;

/// A member and where it lives.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its number.
    pub id: u8,
    /// Its folder: zoo.cfg, and dataDir in `data`.
    pub home: PathBuf,
    /// Where clients connect.
    pub port: u16,
    /// Whether it votes.
    pub votes: bool,
}

impl Place {
    /// Its configuration.
    pub fn config(&self) -> PathBuf {
        self.home.join("zoo.cfg")
    }

    fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    fn server_line(&self) -> String {
        let role = if self.votes { "" } else { ":observer" };
        format!("server.{}=127.0.0.1:{}:{}{role}\n", self.id, self.port + QUORUM, self.port + ELECTION)
    }
}

/// An ensemble that can be started.
#[derive(Debug)]
pub struct Plan {
    /// Its folder.
    pub folder: PathBuf,
    /// Its members, voters first, in the order of their numbers.
    pub members: Vec<Place>,
    /// Keeps others of its kind away.
    _lock: File,
}

impl Plan {
    /// Chooses ports, makes the folders and writes the configurations.
    pub fn make(args: &Args) -> Result<Self, Refusal> {
        let failed = |path: &Path, error: std::io::Error| Refusal::new(format!("{}: {error}", path.display()));
        fs::create_dir_all(&args.data).map_err(|error| failed(&args.data, error))?;
        let folder = fs::canonicalize(&args.data).map_err(|error| failed(&args.data, error))?;
        let lock = lock(&folder)?;
        let count = u16::from(args.servers) + u16::from(args.observers);
        same_ensemble(&folder, count)?;
        let first = match args.port {
            Some(port) => free(port, count).map(|()| port).map_err(Refusal::new)?,
            None => {
                (0..TRIES).map(|at| FIRST + at * STEP).find(|port| free(*port, count).is_ok()).ok_or_else(|| {
                    Refusal::new(format!("no free ports from {FIRST} upwards were found: --port says which to use"))
                })?
            }
        };
        let place = |at: u16| {
            let id = at as u8 + 1;
            Place { id, home: folder.join(id.to_string()), port: first + at, votes: id <= args.servers }
        };
        let members: Vec<_> = (0..count).map(place).collect();
        let plan = Plan { folder, members, _lock: lock };
        for member in &plan.members {
            let write = |path: PathBuf, text: String| fs::write(&path, text).map_err(|error| failed(&path, error));
            fs::create_dir_all(member.data()).map_err(|error| failed(&member.home, error))?;
            write(member.data().join("myid"), format!("{}\n", member.id))?;
            write(member.config(), plan.text(member, &args.settings))?;
        }
        plan.members.iter().try_for_each(|member| check(member, plan.members.len()))?;
        Ok(plan)
    }

    /// As clients write it.
    pub fn connection_string(&self) -> String {
        let all: Vec<_> = self.members.iter().map(|member| format!("127.0.0.1:{}", member.port)).collect();
        all.join(",")
    }

    fn text(&self, member: &Place, settings: &[(String, String)]) -> String {
        let (id, count, port, admin) = (member.id, self.members.len(), member.port, member.port + ADMIN);
        let data = escaped(&member.data().to_string_lossy());
        let mut text = format!(
            "# Member {id} of {count}, written by oxkeeper dev at each start.\n\
             tickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir={data}\nclientPort={port}\n\
             clientPortAddress=127.0.0.1\n4lw.commands.whitelist=*\nadmin.serverAddress=127.0.0.1\nadmin.serverPort={admin}\n\
             autopurge.purgeInterval=1\nmaxClientCnxns=0\n"
        );
        if !member.votes {
            text += "peerType=observer\n";
        }
        text.extend(self.members.iter().map(Place::server_line));
        text.extend(settings.iter().map(|(key, value)| format!("{}={}\n", escaped(key), escaped(value))));
        text
    }
}

/// A word `key=value`.
pub fn setting(word: &str) -> Result<(String, String), String> {
    match word.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().into(), value.trim().into())),
        _ => Err("write it as a line of zoo.cfg: key=value".into()),
    }
}

/// Text as a properties file takes it, on one line.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r")
}

fn lock(folder: &Path) -> Result<File, Refusal> {
    let path = folder.join("lock");
    let refused = |why: String| Refusal::new(format!("{}: {why}", folder.display()));
    let file = File::create(&path).map_err(|error| refused(error.to_string()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(refused("another oxkeeper dev runs here; --data names another folder".into()))
        }
        Err(TryLockError::Error(error)) => Err(refused(error.to_string())),
    }
}

/// Members that come empty beside members that know something could outvote them.
fn same_ensemble(folder: &Path, count: u16) -> Result<(), Refusal> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let members = entries.filter(|entry| entry.file_name().to_str().is_some_and(|name| name.parse::<u8>().is_ok()));
    // A folder without data is left of an ensemble that was refused.
    let there = members.filter(|entry| entry.path().join("data/version-2").is_dir()).count();
    if there == 0 || there == usize::from(count) {
        return Ok(());
    }
    Err(Refusal::new(format!(
        "{}: this is the data of {there} members, and {count} are asked for. Remove it, or take another folder with --data",
        folder.display()
    )))
}

/// All ports of members that begin with this one.
fn free(first: u16, count: u16) -> Result<(), String> {
    if u32::from(first) + u32::from(ADMIN) + u32::from(count) > u32::from(u16::MAX) {
        return Err(format!("there are not {count} ports from {first} upwards, and as many {ADMIN} above them"));
    }
    for offset in [0, QUORUM, ELECTION, ADMIN] {
        for port in (0..count).map(|at| first + offset + at) {
            TcpListener::bind(("127.0.0.1", port)).map_err(|error| {
                format!("port {port} on 127.0.0.1: {error}. --port names another one to begin with")
            })?;
        }
    }
    Ok(())
}

/// Refuses what a server would refuse, before any is started, and settings that undo the plan.
fn check(member: &Place, members: usize) -> Result<(), Refusal> {
    let flag = |name| std::env::var(name).ok();
    let (system, _) = SystemProperties::collect([], flag("SERVER_JVMFLAGS").as_deref(), flag("JVMFLAGS").as_deref());
    let refused = |why: String| Refusal::new(format!("member {}: {why}", member.id));
    let config = Config::load(&member.config(), &system).map_err(|error| refused(error.to_string()))?;
    server::check(&config).map_err(|error| refused(error.to_string()))?;
    let as_planned = config.data_dir == member.data()
        && config.client_port == Some(member.port)
        && config.more.my_id.is_none_or(|id| id == i64::from(member.id))
        && config.more.ensemble.members.len() == members;
    match as_planned {
        true => Ok(()),
        false => Err(refused("dataDir, ports and members are decided by dev: --set must leave them alone".into())),
    }
}
