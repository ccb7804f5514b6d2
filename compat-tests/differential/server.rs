//! A server under test: a process with a directory of its own, started, ended and started again. Knows the command
//! line and four-letter words, nothing of the client protocol; that is in `side`.

use crate::bodies::SUPER_DIGEST;
use crate::plan::Profile;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// Longest time a server may take to serve, or to end.
const PATIENCE: Duration = Duration::from_secs(40);
/// Below the range the kernel takes for outgoing connections, so that nobody is given the port of a stopped server.
const PORTS: std::ops::Range<u16> = 12_000..31_000;

/// Logging of a Java server: errors, without those that tell of odd requests.
const LOGBACK: &str = r#"<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{HH:mm:ss.SSS} %-5level %logger{0} - %msg%n</pattern></encoder>
  </appender>
  <logger name="org.apache.zookeeper.server.FinalRequestProcessor" level="OFF"/>
  <logger name="org.apache.zookeeper.server.PrepRequestProcessor" level="OFF"/>
  <logger name="org.apache.zookeeper.server.DataTree" level="OFF"/>
  <logger name="org.apache.zookeeper.CreateMode" level="OFF"/>
  <root level="ERROR"><appender-ref ref="OUT"/></root>
</configuration>
"#;

/// A running server.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its dataDir.
    pub data: PathBuf,
    command: String,
    home: PathBuf,
    profile: Profile,
    process: Option<Child>,
}

impl Server {
    /// Starts `command` (a shell command to which the path of a zoo.cfg is appended) in an empty folder below `home`.
    pub fn start(command: &str, home: &Path, profile: &Profile) -> Result<Server, String> {
        let server = Server {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?)),
            data: home.join("data"),
            command: command.to_owned(),
            home: home.to_owned(),
            profile: *profile,
            process: None,
        };
        let tell = |error| format!("{}: {error}", home.display());
        fs::create_dir_all(&server.data).map_err(tell)?;
        fs::write(home.join("logback.xml"), LOGBACK).map_err(tell)?;
        let mut server = server;
        server.launch()?;
        Ok(server)
    }

    /// Writes zoo.cfg and starts the process; waits until it serves.
    pub fn launch(&mut self) -> Result<(), String> {
        let config = self.home.join("zoo.cfg");
        let mut text = format!(
            "tickTime=200\nmaxSessionTimeout=600000\ndataDir={}\nclientPort={}\nclientPortAddress={}\nmaxClientCnxns=0\n\
             admin.enableServer=false\n4lw.commands.whitelist=*\nextendedTypesEnabled=true\nforceSync=no\n\
             DigestAuthenticationProvider.superDigest={SUPER_DIGEST}\n",
            self.data.display(),
            self.address.port(),
            self.address.ip(),
        );
        for line in self.profile.config {
            text.push_str(line);
            text.push('\n');
        }
        fs::write(&config, text).map_err(|error| format!("{}: {error}", config.display()))?;
        let log = fs::OpenOptions::new().create(true).append(true).open(self.home.join("server.log"));
        let log = log.map_err(|error| format!("server.log: {error}"))?;
        let both = log.try_clone().map_err(|error| format!("server.log: {error}"))?;
        // The reaper of containers and TTL nodes works by the clock, so it is put off to another day.
        let mut flags = vec![
            "-Dznode.container.checkIntervalMs=1000000000".to_owned(),
            format!("-Dlogback.configurationFile={}", self.home.join("logback.xml").display()),
        ];
        flags.extend(self.profile.flags.iter().map(|&flag| flag.to_owned()));
        let child = Command::new("bash")
            .arg("-c")
            .arg(format!("exec {} \"$0\"", self.command))
            .arg(&config)
            .env("SERVER_JVMFLAGS", flags.join(" "))
            .current_dir(&self.home)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(both)
            .spawn();
        let child = child.map_err(|error| format!("{}: {error}", self.command))?;
        // Whoever ends this runner can still find the server.
        let told = fs::write(self.home.join("pid"), format!("{}\n", child.id()));
        self.process = Some(child);
        told.map_err(|error| format!("pid: {error}"))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if self.word(b"srvr").is_ok_and(|answer| answer.contains("Mode: ")) {
                return Ok(());
            }
            if let Some(why) = self.death() {
                return Err(why);
            }
            if Instant::now() > deadline {
                return Err(format!("{} does not serve after {PATIENCE:?}\n{}", self.command, self.log_tail()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends the process as an operator does.
    pub fn stop(&mut self) -> Result<(), String> {
        let Some(mut child) = self.process.take() else { return Ok(()) };
        let pid = child.id().to_string();
        let _ = Command::new("kill").arg(&pid).stderr(Stdio::null()).status();
        let deadline = Instant::now() + PATIENCE;
        loop {
            match child.try_wait() {
                Ok(Some(_)) => return fs::remove_file(self.home.join("pid")).map_err(|error| format!("pid: {error}")),
                Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(2)),
                _ => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(format!("{} did not end within {PATIENCE:?} of SIGTERM", self.command));
                }
            }
        }
    }

    /// What to say when the process has ended by itself.
    pub fn death(&mut self) -> Option<String> {
        let status = self.process.as_mut()?.try_wait().ok()??;
        Some(format!("{} ended by itself: {status}\n{}", self.command, self.log_tail()))
    }

    /// The last lines the server logged.
    pub fn log_tail(&self) -> String {
        let text = fs::read(self.home.join("server.log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }

    /// Sends a four-letter word; the whole answer.
    pub fn word(&self, word: &[u8]) -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&self.address, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(word)?;
        stream.shutdown(std::net::Shutdown::Write)?;
        let mut answer = vec![];
        // A server that refuses the bytes may reset the connection; what came before counts.
        let _ = stream.read_to_end(&mut answer);
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// Exchanges the directories of two stopped servers.
    pub fn swap_data(&mut self, other: &mut Server) {
        std::mem::swap(&mut self.data, &mut other.data);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.process.take() {
            let _ = child.kill();
            let _ = child.wait();
            let _ = fs::remove_file(self.home.join("pid"));
        }
    }
}

/// A port nobody listens on.
fn free_port() -> Result<u16, String> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = (std::process::id() as u16).wrapping_mul(97);
    for _ in 0..500 {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = PORTS.start + start.wrapping_add(number) % (PORTS.end - PORTS.start);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err("no free port".to_owned())
}
