//! What zkCli.sh lacks, for looking around: tree, find, watch.

use super::{Context, number};
use crate::cli::datum::Datum;
use crate::cli::error::Failure;
use crate::cli::kind::Kinds;
use crate::cli::options::{Options, Parsed, flag, valued};
use crate::cli::session::Notice;
use crate::cli::walk::{AHEAD, Answer, Known, Order, known, walk};
use crate::cli::watches::Removal;
use crate::client::{Client, Error, WatchMode};
use crate::clock::Clock;
use crate::proto::ErrorCode;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout_at};

pub(super) const TREE: Options = Options::any(&[valued("L", "levels below the path that are shown")]);
pub(super) const TREE_USAGE: &str = "[-L levels] [path]";

pub(super) const FIND: Options = Options::any(&[
    valued("name", "name of the node, with * and ?"),
    valued("kind", "persistent, ephemeral, container or ttl"),
    valued("data", "a part of the data"),
    valued("size", "bytes of data: N, +N for more, -N for less"),
    valued("owner", "session of an ephemeral node"),
    flag("empty", "no children"),
    valued("L", "levels below the path that are searched"),
]);
pub(super) const FIND_USAGE: &str =
    "[path] [-name pattern] [-kind kind] [-data text] [-size [+|-]bytes] [-owner session] [-empty] [-L levels]";

pub(super) const WATCH: Options =
    Options::any(&[valued("n", "end after so many events"), valued("t", "end after so many seconds")]);
pub(super) const WATCH_USAGE: &str = "[-n events] [-t seconds] [path]";

/// Said where it matters that a server does not tell kinds.
pub(super) const UNTOLD: &str = "This server does not tell containers and TTL nodes from persistent ones";

fn levels(args: &Parsed) -> Result<usize, Failure> {
    args.value("L").map_or(Ok(usize::MAX), number)
}

pub(super) fn tree(cx: &Context, args: &Parsed) -> Result<(), Failure> {
    let (top, levels) = (args.word(1).unwrap_or("/"), levels(args)?);
    crate::cli::path::check(top, false).map_err(Failure::Said)?;
    let (mut nodes, mut bytes, mut refused) = (0, 0, None);
    // For each level above the present node: how many of its nodes are still to come.
    let mut to_come: Vec<usize> = Vec::new();
    let kinds = Kinds::default();
    let ask = move |client, path| known(client, path, kinds.clone());
    walk(cx.session, top, (Order::Depth, AHEAD), ask, |node| {
        to_come.truncate(node.depth);
        if let Some(left) = to_come.last_mut() {
            *left = left.saturating_sub(1);
        }
        let lines = branches(&to_come);
        let show =
            |seen, hidden| cx.say(&Datum::Branch { lines: &lines, path: &node.path, depth: node.depth, seen, hidden });
        match node.answer {
            Err(failure) if node.depth == 0 => Err(failure),
            Err(failure) if failure.code() == Some(ErrorCode::NO_AUTH) => {
                show(Err(&failure), 0)?;
                refused = Some(failure);
                Ok(None)
            }
            Err(failure) => Err(failure),
            Ok(answer) => {
                nodes += 1;
                bytes += answer.stat.data_length.max(0) as u64;
                let below = node.depth < levels;
                show(Ok((&answer.stat, answer.kind)), if below { 0 } else { answer.names.len() })?;
                to_come.push(answer.names.len());
                Ok(below.then_some(answer))
            }
        }
    })?;
    cx.say(&Datum::TreeSize { nodes, bytes })?;
    // What was not seen makes the command fail, so that nobody takes the picture for the whole.
    refused.map_or(Ok(()), Err)
}

/// The lines in front of a node, from what is still to come at each level.
fn branches(to_come: &[usize]) -> String {
    let Some((last, above)) = to_come.split_last() else { return String::new() };
    let mut lines: String = above.iter().map(|left| if *left > 0 { "│   " } else { "    " }).collect();
    lines.push_str(if *last > 0 { "├── " } else { "└── " });
    lines
}

/// What is looked for.
struct Wanted<'a> {
    name: Option<&'a str>,
    kind: Option<&'a str>,
    data: Option<&'a [u8]>,
    size: Option<(std::cmp::Ordering, i64)>,
    owner: Option<i64>,
    empty: bool,
}

impl<'a> Wanted<'a> {
    fn of(args: &'a Parsed) -> Result<Self, Failure> {
        let kind = args.value("kind");
        if let Some(kind) = kind.filter(|kind| !["persistent", "ephemeral", "container", "ttl"].contains(kind)) {
            return Err(Failure::Said(format!("{kind} is no kind of node")));
        }
        let size = match args.value("size") {
            Some(text) => {
                let order = match text.as_bytes().first() {
                    Some(b'+') => std::cmp::Ordering::Greater,
                    Some(b'-') => std::cmp::Ordering::Less,
                    _ => std::cmp::Ordering::Equal,
                };
                Some((order, number(text.trim_start_matches(['+', '-']))?))
            }
            None => None,
        };
        let owner = match args.value("owner") {
            Some(text) => {
                let digits = text.strip_prefix("0x").unwrap_or(text);
                let owner = u64::from_str_radix(digits, 16);
                Some(owner.map_err(|_| Failure::Said(format!("{text} is no session")))? as i64)
            }
            None => None,
        };
        let data = args.value("data").map(str::as_bytes);
        Ok(Wanted { name: args.value("name"), kind, data, size, owner, empty: args.has("empty") })
    }

    fn is(&self, path: &str, found: &Looked) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        let stat = &found.known.stat;
        let holds = |part: &[u8]| part.is_empty() || found.data.windows(part.len()).any(|window| window == part);
        self.name.is_none_or(|pattern| matches(pattern, name))
            && self.kind.is_none_or(|wanted| found.known.kind.name() == wanted)
            && self.size.is_none_or(|(order, size)| i64::from(stat.data_length).cmp(&size) == order)
            && self.owner.is_none_or(|owner| stat.ephemeral_owner == owner)
            && (!self.empty || found.known.names.is_empty())
            && self.data.is_none_or(holds)
    }
}

/// What is asked about a node that may be the one.
struct Looked {
    known: Known,
    data: Vec<u8>,
}

impl Answer for Looked {
    fn names(&self) -> &[String] {
        &self.known.names
    }
}

async fn look(client: Client, path: String, with_data: bool, kinds: Kinds) -> Result<Looked, Error> {
    let data = match with_data {
        true => client.get_data(&path, false).await?.0.unwrap_or_default(),
        false => Vec::new(),
    };
    Ok(Looked { known: known(client, path, kinds).await?, data })
}

pub(super) fn find(cx: &Context, args: &Parsed) -> Result<(), Failure> {
    let (top, levels) = (args.word(1).unwrap_or("/"), levels(args)?);
    crate::cli::path::check(top, false).map_err(Failure::Said)?;
    let wanted = Wanted::of(args)?;
    let with_data = wanted.data.is_some();
    let kinds = Kinds::default();
    let mut refused = None;
    walk(
        cx.session,
        top,
        (Order::Depth, AHEAD),
        |client, path| look(client, path, with_data, kinds.clone()),
        |node| match node.answer {
            Err(failure) if node.depth > 0 && failure.code() == Some(ErrorCode::NO_AUTH) => {
                cx.remark(&failure.message());
                refused = Some(failure);
                Ok(None)
            }
            Err(failure) => Err(failure),
            Ok(found) => {
                if wanted.is(&node.path, &found) {
                    let Known { stat, kind, .. } = &found.known;
                    cx.say(&Datum::Found { path: &node.path, stat, kind: *kind })?;
                }
                Ok((node.depth < levels).then_some(found))
            }
        },
    )?;
    if wanted.kind.is_some() && kinds.untold() {
        cx.remark(UNTOLD);
    }
    match refused {
        Some(_) => Err(Failure::Said("Not everything was searched".into())),
        None => Ok(()),
    }
}

/// Whether a name is what a pattern says: `*` is any text, `?` any character.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where the last star was, and how much of the name it has taken.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, n) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

pub(super) fn watch(cx: &Context, args: &Parsed) -> Result<(), Failure> {
    let path = args.word(1).unwrap_or("/");
    let most: u64 = args.value("n").map_or(Ok(u64::MAX), number)?;
    let seconds: Option<u32> = args.value("t").map(number).transpose()?;
    let mut events = cx.console.tap();
    let seen = watch_until(cx, path, &mut events, most, seconds);
    cx.console.untap();
    let there = cx.session.watches().has(Removal::Recursive, path);
    if there && cx.session.state().is_alive() {
        let server = cx.session.server_path(path);
        let _ = cx.session.ask(None, async |client| client.remove_watches(&server, Removal::Recursive as i32).await);
        cx.session.watches().remove(Removal::Recursive, path);
    }
    match seen {
        // Ctrl-C is how a person ends it.
        Err(Failure::Interrupted) => Ok(()),
        other => other,
    }
}

fn watch_until(
    cx: &Context,
    path: &str,
    events: &mut Receiver<Notice>,
    most: u64,
    seconds: Option<u32>,
) -> Result<(), Failure> {
    cx.session.add_watch(path, WatchMode::PersistentRecursive)?;
    let end = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds.into()));
    let clock = Clock::default();
    let mut count = 0;
    while count < most {
        let next = cx.session.wait(async {
            match end {
                Some(end) => timeout_at(end, events.recv()).await,
                None => Ok(events.recv().await),
            }
        })?;
        let notice = match next {
            Err(_) => return Ok(()),
            Ok(Some(notice)) => notice,
            Ok(None) => {
                return Err(Failure::Said("Events came faster than they could be shown; some were lost".into()));
            }
        };
        let unix_ms = clock.wall_ms();
        let of_node = notice.kind != "None";
        if of_node || notice.state != "SyncConnected" || count > 0 {
            cx.say(&Datum::Seen { unix_ms, notice: &notice })?;
            cx.console.flush()?;
        }
        count += u64::from(of_node);
        if !cx.session.state().is_alive() {
            return Err(Failure::keeper(ErrorCode::SESSION_EXPIRED, Some(path)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_have_stars_and_question_marks() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*b*d", "abcbd", true),
            ("*b*d", "abcb", false),
            ("abc", "abc", true),
            ("", "a", false),
            ("?ü?", "aüb", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn the_picture_closes_a_branch_with_its_last_node() {
        assert_eq!(branches(&[]), "");
        assert_eq!(branches(&[1]), "├── ");
        assert_eq!(branches(&[1, 0]), "│   └── ");
        assert_eq!(branches(&[0, 2]), "    ├── ");
    }

    proptest! {
        #[test]
        fn a_name_is_its_own_pattern(name in "[a-c]{0,8}") {
            prop_assert!(matches(&name, &name));
            let pattern = format!("*{name}*");
            prop_assert!(matches(&pattern, &name));
        }
    }
}
