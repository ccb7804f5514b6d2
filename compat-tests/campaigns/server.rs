//! A server as a process: started, killed, ended, looked at. Knows command lines and files, nothing of the protocol.

use crate::wire::word;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A server ends within this after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(30);
/// Below the range the kernel takes for outgoing connections, so that nobody is given the port of a stopped server.
const PORTS: std::ops::Range<u16> = 12_000..31_000;

/// What the campaign knows of a server and its files.
pub struct Place {
    pub home: PathBuf,
    pub data: PathBuf,
    pub logs: PathBuf,
    pub port: u16,
    /// More lines of zoo.cfg.
    pub config: String,
}

impl Place {
    pub fn new(home: &Path) -> Result<Place, String> {
        let port = free_port()?;
        Ok(Place { home: home.into(), data: home.join("data"), logs: home.join("data"), port, config: String::new() })
    }

    /// The same place, for somebody who only looks.
    pub fn copy_of_paths(&self) -> Place {
        let (home, data, logs) = (self.home.clone(), self.data.clone(), self.logs.clone());
        Place { home, data, logs, port: self.port, config: self.config.clone() }
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    pub fn log_file(&self) -> PathBuf {
        self.home.join("server.log")
    }

    /// Starts `command`, a shell command to which the path of a zoo.cfg is appended, and returns at once.
    pub fn start(&self, command: &str) -> Result<Process, String> {
        let tell = |error| format!("{}: {error}", self.home.display());
        fs::create_dir_all(&self.home).map_err(tell)?;
        let text = format!(
            "tickTime=2000\nmaxSessionTimeout=120000\ndataDir={}\ndataLogDir={}\nclientPort={}\n\
             clientPortAddress=127.0.0.1\nmaxClientCnxns=0\nadmin.enableServer=false\n4lw.commands.whitelist=*\n{}",
            self.data.display(),
            self.logs.display(),
            self.port,
            self.config
        );
        let config = self.home.join("zoo.cfg");
        fs::write(&config, text).map_err(tell)?;
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log_file()).map_err(tell)?;
        let both = log.try_clone().map_err(tell)?;
        let child = Command::new("bash")
            .arg("-c")
            .arg(format!("exec {command} \"$0\""))
            .arg(&config)
            .current_dir(&self.home)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(both)
            .spawn();
        let child = child.map_err(|error| format!("{command}: {error}"))?;
        Ok(Process { child, address: self.address(), log: self.log_file() })
    }

    /// A copy of the files for another server, and its place.
    pub fn copy(&self, name: &str) -> Result<Place, String> {
        let home = self.home.join(name);
        let _ = fs::remove_dir_all(&home);
        fs::create_dir_all(&home).map_err(|error| error.to_string())?;
        let mut copy = Place::new(&home)?;
        copy.config.clone_from(&self.config);
        copy_folder(&self.data, &copy.data)?;
        if self.logs != self.data {
            copy.logs = home.join("logs");
            copy_folder(&self.logs, &copy.logs)?;
        }
        Ok(copy)
    }
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), String> {
    // Logs are preallocated: holes stay holes.
    let status = Command::new("cp").arg("-a").arg("--sparse=always").arg(from).arg(to).status();
    status.ok().filter(ExitStatus::success).map(drop).ok_or_else(|| format!("cannot copy {}", from.display()))
}

/// A running server.
pub struct Process {
    child: Child,
    pub address: SocketAddr,
    log: PathBuf,
}

impl Process {
    /// An error once the process has ended by itself.
    pub fn alive(&mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(format!("the server ended by itself: {status}\n{}", tail(&self.log, 15))),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Waits until the server says that it serves. Java may leave a connection unanswered for ever
    /// that comes before.
    pub fn await_serving(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        while !word(self.address, "srvr", Duration::from_secs(1)).is_ok_and(|answer| answer.contains("Mode: ")) {
            self.alive()?;
            if Instant::now() > deadline {
                return Err(format!("the server does not serve after {PATIENCE:?}\n{}", tail(&self.log, 15)));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// SIGSTOP: it does nothing more, until it is killed.
    pub fn pause(&self) {
        let _ = Command::new("kill").args(["-STOP", &self.child.id().to_string()]).status();
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits until the process ends by itself.
    pub fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                _ if Instant::now() > deadline => return None,
                _ => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// SIGKILL to the processes that this one has started, for one that stands between.
    pub fn kill_children(&self) {
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        for child in children.split_whitespace() {
            let _ = Command::new("kill").args(["-9", child]).status();
        }
    }

    /// SIGTERM.
    pub fn stop(mut self) -> Result<(), String> {
        let _ = Command::new("kill").arg(self.child.id().to_string()).stderr(Stdio::null()).status();
        match self.wait(PATIENCE) {
            Some(_) => Ok(()),
            None => Err(format!("the server did not end within {PATIENCE:?} of SIGTERM")),
        }
    }

    /// A line of `mntr`.
    pub fn reading(&self, key: &str) -> Option<String> {
        let answer = word(self.address, "mntr", PATIENCE).ok()?;
        answer.lines().find_map(|line| Some(line.strip_prefix(key)?.strip_prefix('\t')?.to_owned()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The last lines of a log.
pub fn tail(log: &Path, lines: usize) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// A port nobody listens on.
fn free_port() -> Result<u16, String> {
    use rand::Rng;
    for _ in 0..500 {
        let port = rand::rng().random_range(PORTS);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err("no free port".to_owned())
}
