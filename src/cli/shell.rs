//! The loop of the shell: prompt, history, redo, and the commands that are about the shell itself (`ZooKeeperMain`).
//! Next room: `commands`, all the others.

use super::arguments::{Arguments, Configuration};
use super::commands::{Context, find, help, original_usage};
use super::complete::Completion;
use super::console::{Console, Format};
use super::datum::Datum;
use super::error::Failure;
use super::session::{Session, runtime};
use super::words;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Config, Editor};
use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::Notify;

/// Lines that the history of the shell shows, the present one beside them.
const HISTORY_SHOWN: usize = 10;
/// Lines that the history file keeps.
const HISTORY_FILE_MAX: usize = 1_000;
/// How long the prompt waits for a connection.
const PROMPT_PATIENCE: Duration = Duration::from_secs(1);

/// The session that completion and commands share; `connect` puts another in its place.
pub type Current = Arc<Mutex<Arc<Session>>>;

/// The session of the moment.
pub fn current(sessions: &Current) -> Arc<Session> {
    sessions.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The shell.
pub struct Shell {
    arguments: Arguments,
    configuration: Configuration,
    console: Arc<Console>,
    runtime: Arc<Runtime>,
    interrupts: Arc<Notify>,
    sessions: Current,
    host: String,
    /// A line for each command so far, the present one last.
    history: Vec<String>,
    exit_code: u8,
    quit: bool,
}

impl Shell {
    /// Begins to connect. The error is for the user, with the exit code.
    pub fn new(arguments: Arguments, configuration: Configuration) -> Result<Self, Failure> {
        let console = Arc::new(Console::new(arguments.format, arguments.quiet));
        console.greet(&format!("Connecting to {}\n", arguments.server));
        let runtime = runtime()?;
        // The process ends when the shell does; nobody waits for a name that is being looked up.
        std::mem::forget(runtime.clone());
        let interrupts = Arc::new(Notify::new());
        let settings = configuration.settings(&arguments, &arguments.server).map_err(Failure::Said)?;
        let session = Session::open(&runtime, settings, &interrupts, listener(&console));
        let host = arguments.server.clone();
        let sessions = Arc::new(Mutex::new(Arc::new(session)));
        let (history, exit_code, quit) = (Vec::new(), 0, false);
        let shell =
            Shell { arguments, configuration, console, runtime, interrupts, sessions, host, history, exit_code, quit };
        shell.wait_as_told()?;
        Ok(shell)
    }

    fn session(&self) -> Arc<Session> {
        current(&self.sessions)
    }

    /// -waitforconnection.
    fn wait_as_told(&self) -> Result<(), Failure> {
        let timeout = self.arguments.timeout().map_err(Failure::Said)?;
        if self.arguments.wait && !self.session().wait_connected(timeout) {
            self.session().close();
            return Err(Failure::keeper(crate::proto::ErrorCode::CONNECTION_LOSS, None));
        }
        Ok(())
    }

    /// Runs the command of the command line, or asks for commands; returns the exit code.
    pub fn run(mut self) -> u8 {
        if !self.arguments.command.is_empty() {
            let words = std::mem::take(&mut self.arguments.command);
            self.execute(&words);
            return self.exit_code;
        }
        self.console.greet("Welcome to ZooKeeper!\n");
        let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        match terminal {
            true => self.converse(),
            false => self.read_lines(),
        }
        self.exit_code
    }

    fn prompt(&self) -> String {
        format!("[zk: {}({}) {}] ", self.host, self.session().state().name(), self.history.len())
    }

    /// Lines from a file or a pipe. What stands around the results is that of zkCli.sh on a dumb terminal.
    fn read_lines(&mut self) {
        self.console.greet("JLine support is enabled\n");
        self.session().wait_first_round(PROMPT_PATIENCE);
        let mut input = std::io::stdin().lock();
        let mut line = Vec::new();
        while !self.quit {
            self.console.greet(&self.prompt());
            line.clear();
            match input.read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => {
                    self.console.greet("JLine support is disabled\n");
                    break;
                }
                Ok(_) => self.line(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r'])),
            }
        }
    }

    /// Lines from a person at a terminal: editing, history, completion; Ctrl-C ends a command, not the shell.
    fn converse(&mut self) {
        let config = Config::builder().completion_type(CompletionType::List).max_history_size(HISTORY_FILE_MAX);
        let Ok(config) = config.map(rustyline::config::Builder::build) else { return self.read_lines() };
        let Ok(mut editor) = Editor::<Completion, FileHistory>::with_config(config) else { return self.read_lines() };
        editor.set_helper(Some(Completion::new(self.sessions.clone())));
        if let Ok(printer) = editor.create_external_printer() {
            self.console.print_above(Box::new(printer));
        }
        self.console.greet("Tab completes commands and paths, `help` lists the commands, Ctrl-D ends.\n");
        let file = history_file();
        file.iter().for_each(|file| drop(editor.load_history(file)));
        let interrupts = self.interrupts.clone();
        self.runtime.spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                interrupts.notify_waiters();
            }
        });
        self.session().wait_first_round(PROMPT_PATIENCE);
        while !self.quit {
            match editor.readline(&self.prompt()) {
                Ok(line) => {
                    // Passwords do not belong into a file.
                    if !line.trim_start().starts_with("addauth") {
                        let _ = editor.add_history_entry(line.as_str());
                    }
                    self.line(&line);
                }
                Err(ReadlineError::Interrupted) => {}
                Err(_) => break,
            }
        }
        file.iter().for_each(|file| drop(editor.save_history(file)));
    }

    fn line(&mut self, line: &str) {
        let words = words::split(line);
        if !line.trim().is_empty() {
            self.history.push(line.to_owned());
            self.execute(&words);
        }
    }

    /// Runs a command and says what went wrong.
    fn execute(&mut self, words: &[String]) {
        let done = self.command(words).and_then(|()| self.console.flush());
        self.exit_code = match done {
            Ok(()) if self.quit => self.exit_code,
            Ok(()) => 0,
            Err(failure) => {
                self.console.failed(&failure);
                self.quit |= matches!(failure, Failure::Output(_));
                failure.exit_code()
            }
        };
    }

    fn command(&mut self, words: &[String]) -> Result<(), Failure> {
        let usage = |failure| {
            self.console.remark(&original_usage());
            Err(failure)
        };
        let Some(name) = words.first() else { return usage(Failure::Said("No command entered".into())) };
        let Some(command) = find(name) else { return usage(Failure::NoCommand(name.clone())) };
        let session = self.session();
        match (command.name, words.get(1)) {
            ("quit", _) => {
                session.close();
                self.quit = true;
                Ok(())
            }
            ("redo", Some(number)) => self.redo(number),
            ("history", _) => self.show_history(),
            ("help", None) => self.console.say(&Datum::Line(&help())),
            ("help", Some(name)) => {
                let command = find(name).ok_or_else(|| Failure::NoCommand(name.clone()))?;
                let options = command.options.help();
                self.console.say(&Datum::Line(format!("{} {}\n{options}", command.name, command.usage).trim_end()))
            }
            ("printwatches", None) => {
                let now = if self.console.prints_watches() { "on" } else { "off" };
                self.console.say(&Datum::Line(&format!("printwatches is {now}")))
            }
            ("printwatches", Some(word)) => {
                self.console.print_watches(word == "on");
                Ok(())
            }
            ("connect", server) => self.connect(server.cloned()),
            _ if command.is_of_shell() => Ok(()),
            _ if !session.state().is_alive() => match self.console.format() {
                Format::Text => self.console.say(&Datum::Line("Not connected")),
                Format::Json => Err(Failure::Said("Not connected".into())),
            },
            _ => command.run(&Context { session: &session, console: &self.console }, words),
        }
    }

    fn connect(&mut self, server: Option<String>) -> Result<(), Failure> {
        let server = server.unwrap_or_else(|| self.host.clone());
        let settings = self.configuration.settings(&self.arguments, &server).map_err(Failure::Said)?;
        self.session().close();
        let session = Session::open(&self.runtime, settings, &self.interrupts, listener(&self.console));
        *self.sessions.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(session);
        self.host = server;
        self.wait_as_told()?;
        self.session().wait_first_round(PROMPT_PATIENCE);
        Ok(())
    }

    fn redo(&mut self, number: &str) -> Result<(), Failure> {
        let now = self.history.len().saturating_sub(1);
        let line = number.parse().ok().filter(|at: &usize| *at < now).and_then(|at| self.history.get(at)).cloned();
        let line = line.ok_or_else(|| Failure::Said("Command index out of range".into()))?;
        let words = words::split(&line);
        if words.first().is_some_and(|name| name == "redo") {
            return Err(Failure::Said("No redoing redos".into()));
        }
        if let Some(present) = self.history.last_mut() {
            *present = line;
        }
        self.command(&words)
    }

    fn show_history(&self) -> Result<(), Failure> {
        let first = self.history.len().saturating_sub(HISTORY_SHOWN + 1);
        let lines = self.history.iter().enumerate().skip(first);
        lines.into_iter().try_for_each(|(at, line)| self.console.say(&Datum::Line(&format!("{at} - {line}"))))
    }
}

fn listener(console: &Arc<Console>) -> super::session::Listener {
    let console = console.clone();
    Box::new(move |notice| console.notice(notice))
}

/// Where lines are kept between two shells, so that they can be found again.
fn history_file() -> Option<PathBuf> {
    match std::env::var_os("OXKEEPER_CLI_HISTORY") {
        Some(file) if file.is_empty() => None,
        Some(file) => Some(file.into()),
        None => std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".oxkeeper_history")),
    }
}
