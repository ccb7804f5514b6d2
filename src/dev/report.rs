//! What is shown: the members' own lines with their number in front, and what becomes of the ensemble.

use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;

/// Colours of the members' numbers, in turn: what a dark and a light terminal both show well.
const COLOURS: [u8; 6] = [36, 35, 33, 32, 34, 31];

/// Standard output, a line at a time.
pub struct Console {
    out: Mutex<io::Stdout>,
    coloured: bool,
}

impl Console {
    /// Coloured on a terminal, unless NO_COLOR is set.
    pub fn to_stdout() -> Self {
        let out = io::stdout();
        let coloured = out.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Console { out: Mutex::new(out), coloured }
    }

    /// A line of a member.
    pub fn member(&self, id: u8, line: &str) {
        let colour = COLOURS[usize::from(id.wrapping_sub(1)) % COLOURS.len()];
        self.line(&id.to_string(), colour, line);
    }

    /// Lines of this program.
    pub fn say(&self, text: &str) {
        text.lines().for_each(|line| self.line("dev", 1, line));
    }

    fn line(&self, who: &str, colour: u8, line: &str) {
        let line = match self.coloured {
            true => format!("\x1b[{colour}m{who:>3} |\x1b[0m {line}\n"),
            false => format!("{who:>3} | {line}\n"),
        };
        // Whoever reads may be gone; the ensemble goes on.
        let mut out = self.out.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
    }
}

/// To standard error.
pub fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// A member as it is known now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its number.
    pub id: u8,
    /// Where clients connect.
    pub port: u16,
    /// Whether it votes.
    pub votes: bool,
    /// Its process, while there is one.
    pub process: Option<u32>,
    /// What it says that it is, while it serves.
    pub role: Option<String>,
}

/// How the ensemble is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Everybody serves.
    Whole,
    /// Clients are served, not by everybody.
    Partly,
    /// No leader with enough voters behind it.
    Down,
}

/// The state that members make together.
pub fn state(members: &[Known]) -> State {
    let serving = |member: &&Known| member.process.is_some() && member.role.is_some();
    let leads = |member: &Known| matches!(member.role.as_deref(), Some("leader" | "standalone"));
    let voters = members.iter().filter(|member| member.votes).count();
    let voting = members.iter().filter(serving).filter(|member| member.votes).count();
    if 2 * voting <= voters || members.iter().filter(serving).filter(|member| leads(member)).count() != 1 {
        State::Down
    } else if members.iter().filter(serving).count() == members.len() {
        State::Whole
    } else {
        State::Partly
    }
}

/// One line for each member.
pub fn table(members: &[Known]) -> String {
    let line = |member: &Known| {
        let (id, port) = (member.id, member.port);
        match (member.process, member.role.as_deref()) {
            (None, _) => format!("  {id:<3} 127.0.0.1:{port:<6} does not run"),
            (Some(process), role) => {
                format!("  {id:<3} 127.0.0.1:{port:<6} {:<15} process {process}", role.unwrap_or("does not serve"))
            }
        }
    };
    members.iter().map(line).collect::<Vec<_>>().join("\n")
}
