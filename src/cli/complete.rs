//! Completion at the terminal: commands, their options, and paths, which the server is asked for
//! (`JLineZNodeCompleter`). Knows no command's meaning.

use super::commands::{COMMANDS, find};
use super::path::child;
use super::session::Session;
use super::shell::{Current, current};
use super::walk::sort;
use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};
use std::time::Duration;

/// How long a person who pressed Tab waits for the server.
const PATIENCE: Duration = Duration::from_millis(800);

/// What completes a line.
pub struct Completion {
    sessions: Current,
}

impl Completion {
    /// Asks the session of the moment.
    pub fn new(sessions: Current) -> Self {
        Completion { sessions }
    }
}

impl Completer for Completion {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let line = line.get(..at).unwrap_or(line);
        let start = line.rfind(char::is_whitespace).map_or(0, |space| space + 1);
        let (before, word) = line.split_at(start);
        let found = match word {
            _ if word.starts_with('/') => paths(&current(&self.sessions), word),
            _ if word.starts_with('-') => options(before, word),
            _ if before.trim().is_empty() || before.trim() == "help" => commands(word),
            _ => Vec::new(),
        };
        Ok((start, found))
    }
}

fn commands(word: &str) -> Vec<String> {
    COMMANDS.iter().map(|command| command.name.to_owned()).filter(|name| name.starts_with(word)).collect()
}

fn options(before: &str, word: &str) -> Vec<String> {
    let command = before.split_whitespace().next().and_then(find);
    let names = command.iter().flat_map(|command| command.options.all).map(|option| format!("-{}", option.name));
    names.filter(|name| name.starts_with(word)).collect()
}

/// Children of the node that the word names up to its last slash.
fn paths(session: &Session, word: &str) -> Vec<String> {
    let (parent, prefix) = word.rsplit_once('/').unwrap_or(("", word));
    let parent = if parent.is_empty() { "/" } else { parent };
    if !session.wait_connected(Duration::ZERO) || super::path::check(parent, false).is_err() {
        return Vec::new();
    }
    let server = session.server_path(parent);
    let asked = session.wait(async {
        let client = session.client().await.ok()?;
        tokio::time::timeout(PATIENCE, client.children(&server, false)).await.ok()?.ok()
    });
    let Ok(Some((mut names, _))) = asked else { return Vec::new() };
    names.retain(|name| name.starts_with(prefix));
    sort(&mut names);
    names.iter().map(|name| child(parent, name)).collect()
}

impl Hinter for Completion {
    type Hint = String;
}
impl Highlighter for Completion {}
impl Validator for Completion {}
impl Helper for Completion {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_options_are_completed() {
        assert_eq!(commands("getA"), ["getAcl", "getAllChildrenNumber"]);
        assert_eq!(options("create ", "-"), ["-e", "-s", "-c", "-t"]);
        assert!(options("nosuch ", "-").is_empty());
    }
}
