//! `oxkeeper cli`: ZooKeeper's shell without Java. Commands, options, texts and exit codes are those of zkCli.sh 3.9.5
//! (`org.apache.zookeeper.ZooKeeperMain` and `org.apache.zookeeper.cli`), and what it lacks. Knows the client and the
//! wire, nothing of the server's rooms.
//!
//! The way of a line: `shell` reads it, `words` cuts it, `options` sorts it, `commands` has the table and what each
//! does; `zookeeper` are the operations, `session` keeps the connection, `watches` remembers; results are a `datum`,
//! which `text` or `json` renders for the `console`.

mod arguments;
mod commands;
mod complete;
mod console;
mod datum;
mod document;
mod error;
pub mod four_letter;
mod json;
mod kind;
mod options;
mod path;
mod quota;
mod session;
mod shell;
mod text;
mod walk;
mod watches;
mod words;
mod zookeeper;

use arguments::{Arguments, Configuration, HELP};
use error::Failure;
use shell::Shell;
use std::io::Write;

/// Exit code of a wrong configuration (`ExitCode.INVALID_INVOCATION`).
const INVALID_INVOCATION: u8 = 2;

/// Runs the shell and returns its exit code. `variable` looks a variable of the environment up.
pub fn run(words: impl IntoIterator<Item = String>, variable: impl Fn(&str) -> Option<String>) -> u8 {
    let arguments = Arguments::parse(words);
    let mut err = std::io::stderr();
    if arguments.help {
        return std::io::stdout().write_all(HELP.as_bytes()).map_or(1, |()| 0);
    }
    if let Some(mistake) = &arguments.mistake {
        let _ = writeln!(err, "{mistake}");
    }
    let flags = (variable("CLIENT_JVMFLAGS"), variable("JVMFLAGS"));
    let configuration = match Configuration::load(&arguments, flags.0.as_deref(), flags.1.as_deref()) {
        Ok(configuration) => configuration,
        Err(why) => {
            let _ = writeln!(err, "{why}");
            return INVALID_INVOCATION;
        }
    };
    match Shell::new(arguments, configuration) {
        Ok(shell) => shell.run(),
        Err(failure) => {
            let _ = writeln!(err, "{}", failure.message());
            if let Failure::Keeper { trouble: Some(trouble), .. } = &failure {
                let _ = writeln!(err, "{trouble}");
            }
            failure.exit_code()
        }
    }
}
