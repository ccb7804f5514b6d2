//! Watches that stay: addWatch, removewatches.

use super::Context;
use crate::cli::error::Failure;
use crate::cli::options::{Options, Parsed, flag, valued};
use crate::cli::watches::Removal;
use crate::client::WatchMode;

pub(super) const ADD: Options = Options::any(&[valued("m", "")]);
pub(super) const ADD_USAGE: &str = "[-m mode] path # optional mode is one of [PERSISTENT, PERSISTENT_RECURSIVE] - \
                                    default is PERSISTENT_RECURSIVE";
pub(super) const REMOVE: Options = Options::any(&[
    flag("c", "child watcher type"),
    flag("d", "data watcher type"),
    flag("p", "persistent watcher type"),
    flag("r", "persistent recursive watcher type"),
    flag("a", "any watcher type"),
    flag("l", "remove locally when there is no server connection"),
]);

pub(super) fn add(cx: &Context, args: &Parsed) -> Result<(), Failure> {
    let mode = match args.value("m").map(str::to_uppercase).as_deref() {
        None | Some("PERSISTENT_RECURSIVE") => WatchMode::PersistentRecursive,
        Some("PERSISTENT") => WatchMode::Persistent,
        Some(_) => return Err(Failure::Said(format!("addWatch {ADD_USAGE}"))),
    };
    cx.session.add_watch(args.path(), mode)
}

pub(super) fn remove(cx: &Context, args: &Parsed) -> Result<(), Failure> {
    let kinds = [("c", Removal::Children), ("d", Removal::Data), ("p", Removal::Persistent), ("r", Removal::Recursive)];
    let removal = kinds.into_iter().find(|(option, _)| args.has(option)).map_or(Removal::Any, |(_, kind)| kind);
    cx.session.remove_watches(args.path(), removal, args.has("l"))
}
