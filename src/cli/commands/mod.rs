//! The table of commands: names, usage, options and what they do. One entry for each, read by the shell, by `help`, by
//! the usage of the original and by completion. Each family of commands has a file of its own.

mod acl;
mod ensemble;
mod explore;
mod nodes;
mod quotas;
mod subtree;
mod transfer;
mod watching;

use super::console::Console;
use super::datum::Datum;
use super::error::Failure;
use super::options::{Options, Parsed};
use super::session::Session;

/// What a command works with.
pub struct Context<'s> {
    /// The session.
    pub session: &'s Session,
    /// Where it prints.
    pub console: &'s Console,
}

impl Context<'_> {
    fn say(&self, datum: &Datum) -> Result<(), Failure> {
        self.console.say(datum)
    }

    fn remark(&self, line: &str) {
        self.console.remark(line);
    }
}

/// Does what a command does.
type Run = fn(&Context, &Parsed) -> Result<(), Failure>;

/// A command.
pub struct Command {
    /// Its name.
    pub name: &'static str,
    /// What stands behind its name.
    pub usage: &'static str,
    /// Its options.
    pub options: Options,
    /// Whether its usage explains the options.
    explained: bool,
    /// The fewest and the most words, itself among them.
    words: (usize, usize),
    /// What it is for, of commands that zkCli.sh lacks.
    pub own: Option<&'static str>,
    /// What it does; nothing for those that the shell itself does.
    run: Option<Run>,
}

/// As many words as one likes.
const ANY: usize = usize::MAX;

const fn command(name: &'static str, usage: &'static str, options: Options, least: usize, run: Run) -> Command {
    Command { name, usage, options, explained: false, words: (least, ANY), own: None, run: Some(run) }
}

const fn of_shell(name: &'static str, usage: &'static str) -> Command {
    Command { name, usage, options: Options::NONE, explained: false, words: (0, ANY), own: None, run: None }
}

impl Command {
    const fn explained(self) -> Self {
        Command { explained: true, ..self }
    }

    const fn at_most(self, most: usize) -> Self {
        Command { words: (self.words.0, most), ..self }
    }

    const fn own(self, what: &'static str) -> Self {
        Command { own: Some(what), ..self }
    }

    /// How it is used, and what its options are for where that is worth a line.
    pub fn usage(&self) -> String {
        let line = format!("{} {}", self.name, self.usage);
        if self.explained { format!("{line}\n{}", self.options.help()) } else { line }
    }

    /// Whether the shell itself does it.
    pub fn is_of_shell(&self) -> bool {
        self.run.is_none()
    }

    /// Does it. Words are the whole line, the command's name first.
    pub fn run(&self, context: &Context, words: &[String]) -> Result<(), Failure> {
        let Some(run) = self.run else { return Ok(()) };
        let parsed = self.options.parse(words).map_err(Failure::Said)?;
        if !(self.words.0..=self.words.1).contains(&parsed.words.len()) {
            return Err(Failure::Said(self.usage()));
        }
        run(context, &parsed)
    }
}

/// All commands, sorted by name as the original sorts them.
pub static COMMANDS: &[Command] = &[
    command("addWatch", watching::ADD_USAGE, watching::ADD, 2, watching::add).at_most(2),
    command("addauth", "scheme auth", Options::NONE, 2, ensemble::add_auth),
    command("close", "", Options::NONE, 0, ensemble::close),
    command("config", "[-c] [-w] [-s]", ensemble::CONFIG, 1, ensemble::config),
    of_shell("connect", "host:port"),
    command("create", "[-s] [-e] [-c] [-t ttl] path [data] [acl]", nodes::CREATE, 2, nodes::create),
    command("delete", "[-v version] path", nodes::DELETE, 2, nodes::delete),
    command("deleteall", "path [-b batch size]", subtree::DELETE_ALL, 2, subtree::delete_all),
    command("delquota", "[-n|-b|-N|-B] path", quotas::DELETE, 2, quotas::delete),
    command("export", transfer::EXPORT_USAGE, transfer::EXPORT, 1, transfer::export)
        .at_most(2)
        .own("a subtree as JSON: data, kinds and access lists"),
    command("find", explore::FIND_USAGE, explore::FIND, 1, explore::find)
        .at_most(2)
        .own("nodes below a path by name, kind, data"),
    command("get", "[-s] [-w] [-b] [-x] path", nodes::GET, 2, nodes::get).explained(),
    command("getAcl", "[-s] path", acl::GET, 2, acl::get),
    command("getAllChildrenNumber", "path", Options::NONE, 2, nodes::all_children_number),
    command("getEphemerals", "path", Options::NONE, 1, nodes::ephemerals),
    of_shell("help", "[command]").own("this list, or the options of one command"),
    of_shell("history", ""),
    command("import", transfer::IMPORT_USAGE, transfer::IMPORT, 2, transfer::import)
        .at_most(3)
        .own("what export has written"),
    command("listquota", "path", Options::NONE, 2, quotas::list),
    command("ls", "[-s] [-w] [-R] path", subtree::LIST, 0, subtree::list),
    of_shell("printwatches", "on|off"),
    of_shell("quit", ""),
    command("reconfig", ensemble::RECONFIG_USAGE, ensemble::RECONFIG, 0, ensemble::reconfig),
    of_shell("redo", "cmdno"),
    command("removewatches", "path [-c|-d|-a] [-l]", watching::REMOVE, 2, watching::remove),
    command("set", "path data [-s] [-v version] [-b]", nodes::SET, 3, nodes::set).explained(),
    command("setAcl", "[-s] [-v version] [-R] path acl", acl::SET, 3, acl::set),
    command("setquota", "-n|-b|-N|-B val path", quotas::SET, 2, quotas::set),
    command("stat", "[-w] path", nodes::STAT, 2, nodes::stat),
    command("sync", "path", Options::NONE, 2, ensemble::sync),
    command("tree", explore::TREE_USAGE, explore::TREE, 1, explore::tree).at_most(2).own("a picture of a subtree"),
    command("version", "", Options::NONE, 1, ensemble::version).at_most(1),
    command("watch", explore::WATCH_USAGE, explore::WATCH, 1, explore::watch)
        .at_most(2)
        .own("events below a path as they come"),
    command("whoami", "", Options::NONE, 0, ensemble::who_am_i),
];

/// The command of a name.
pub fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name)
}

/// The list that the original shows when it does not know a command: its own commands.
pub fn original_usage() -> String {
    let head = "ZooKeeper -server host:port -client-configuration properties-file cmd args".to_owned();
    let original = COMMANDS.iter().filter(|command| command.own.is_none());
    original.fold(head, |text, command| format!("{text}\n\t{} {}", command.name, command.usage))
}

/// Everything there is.
pub fn help() -> String {
    let own = COMMANDS.iter().filter_map(|command| Some((command, command.own?)));
    let head = format!("{}\nBeyond zkCli:", original_usage());
    own.fold(head, |text, (command, what)| format!("{text}\n\t{} {}  # {what}", command.name, command.usage))
}

/// A whole number of Java.
fn number<T: std::str::FromStr>(text: &str) -> Result<T, Failure> {
    text.parse().map_err(|_| Failure::Said(format!("For input string: \"{text}\"")))
}

/// The value of an option as a version; without the option any version will do.
fn version(parsed: &Parsed) -> Result<i32, Failure> {
    parsed.value("v").map_or(Ok(-1), number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_names_are_unique() {
        assert!(COMMANDS.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    /// From `spec/captures/zkcli.session.stderr.txt`.
    #[test]
    fn the_usage_is_that_of_the_original() {
        let usage = original_usage();
        let lines: Vec<_> = usage.lines().collect();
        assert_eq!(lines.len(), 29);
        assert_eq!(lines[0], "ZooKeeper -server host:port -client-configuration properties-file cmd args");
        assert_eq!(
            lines[1],
            "\taddWatch [-m mode] path # optional mode is one of [PERSISTENT, PERSISTENT_RECURSIVE] - default is \
             PERSISTENT_RECURSIVE"
        );
        assert_eq!(lines[3], "\tclose ");
        assert_eq!(lines[28], "\twhoami ");
    }

    #[test]
    fn a_usage_explains_options_where_the_original_does() {
        let usage = find("get").map(Command::usage);
        let expected = "get [-s] [-w] [-b] [-x] path\n -b   Output data in base64 format\n \
             -s   Print znode stats additionally\n -w   Watch for changes on the znode\n \
             -x   Output data in hexdump format\n";
        assert_eq!(usage.as_deref(), Some(expected));
    }
}
