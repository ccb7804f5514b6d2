//! One member: its process, the lines that it writes, and the role that it tells.

use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::plan::Place;
use super::report::Console;
use crate::cli::four_letter;

/// Tells a server that it belongs to a `dev`, and which.
pub const PARENT: &str = "OXKEEPER_DEV_PARENT";
/// A longer line is shown in parts.
const LINE_BYTES_MAX: u64 = 64 << 10;
/// Between two questions for the role.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// A member's process.
pub struct Member {
    child: Child,
}

impl Member {
    /// Starts it. Must be called by the thread that lives as long as the program: the system ends the process with it.
    pub fn start(program: &Path, place: &Place, verbose: bool, console: &Arc<Console>) -> io::Result<Self> {
        let mut command = Command::new(program);
        // A group of its own: Ctrl-C is for `dev`, which ends its members itself.
        command.arg("server").arg(place.config()).current_dir(&place.home).process_group(0);
        command.env(PARENT, std::process::id().to_string());
        if !verbose {
            command.env("OXKEEPER_LOG", "warn");
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        if let Some(out) = child.stdout.take() {
            show(place.id, out, console.clone());
        }
        if let Some(err) = child.stderr.take() {
            show(place.id, err, console.clone());
        }
        Ok(Member { child })
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it has ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks it to end, or with `Signal::KILL` ends it.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // Until it was waited for, the number belongs to nobody else.
            let _ = kill_process(pid, signal);
        }
    }
}

/// The end of a process in words.
pub fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(9)) => "killed by SIGKILL".into(),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => status.to_string(),
    }
}

/// Shows what comes out of a process, in a thread of its own, until its end.
fn show(id: u8, stream: impl Read + Send + 'static, console: Arc<Console>) {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
            console.member(id, String::from_utf8_lossy(&line).trim_end());
            line.clear();
        }
    });
}

/// Tells each change of what the server behind a port says that it is, in a thread of its own, until nobody listens.
pub fn watch(port: u16, tell: impl Fn(Option<String>) -> bool + Send + 'static) {
    std::thread::spawn(move || {
        let mut last = None;
        loop {
            let role = role(port);
            if role != last {
                last.clone_from(&role);
                if !tell(role) {
                    return;
                }
            }
            std::thread::sleep(ASK_EVERY);
        }
    });
}

/// `Mode:` of `srvr`; nothing while the server does not serve.
fn role(port: u16) -> Option<String> {
    let answer = four_letter::ask("127.0.0.1", port, "srvr").ok()?;
    let answer = String::from_utf8(answer).ok()?;
    answer.lines().find_map(|line| line.strip_prefix("Mode: ")).map(|role| role.trim().to_owned())
}
