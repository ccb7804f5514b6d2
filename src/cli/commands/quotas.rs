//! Quotas: setquota, listquota, delquota. The client does the work: limits and statistics are plain nodes below
//! `/zookeeper/quota` (`SetQuotaCommand`, `ListQuotaCommand`, `DelQuotaCommand`).

use super::Context;
use crate::cli::datum::Datum;
use crate::cli::error::Failure;
use crate::cli::options::{Options, Parsed, Together, flag, valued};
use crate::cli::quota::{BYTES, BYTES_HARD, COUNT, COUNT_HARD, Limits};
use crate::cli::walk::{AHEAD, Order, children, walk};
use crate::client::CreateMode;
use crate::proto::ErrorCode;
use crate::proto::acl::Acl;
use crate::proto::path::{QUOTA, QUOTA_LIMITS, QUOTA_STATS, ZOOKEEPER};

pub(super) const SET: Options = Options {
    all: &[
        valued("n", "num soft quota"),
        valued("b", "bytes soft quota"),
        valued("N", "num hard quota"),
        valued("B", "bytes hard quota"),
    ],
    together: Together::One,
};
pub(super) const DELETE: Options = Options {
    all: &[
        flag("n", "num soft quota"),
        flag("b", "bytes soft quota"),
        flag("N", "num hard quota"),
        flag("B", "bytes hard quota"),
    ],
    together: Together::AtMostOne,
};

/// Which number an option is about, and whether it counts nodes.
const KEYS: [(&str, &str, bool); 4] =
    [("n", COUNT, true), ("b", BYTES, false), ("N", COUNT_HARD, true), ("B", BYTES_HARD, false)];

fn limits_path(path: &str) -> String {
    format!("{QUOTA}{path}/{QUOTA_LIMITS}")
}

fn stats_path(path: &str) -> String {
    format!("{QUOTA}{path}/{QUOTA_STATS}")
}

fn read(cx: &Context, path: &str) -> Result<Limits, Failure> {
    let (data, _) = cx.session.data(path, false)?;
    Ok(Limits::parse(data.as_deref().unwrap_or_default()))
}

/// True for the failure that means: there is no such node.
fn is_missing(failure: &Failure) -> bool {
    failure.code() == Some(ErrorCode::NO_NODE)
}

pub(super) fn list(cx: &Context, args: &Parsed) -> Result<(), Failure> {
    let path = args.path();
    let limits = limits_path(path);
    cx.remark(&format!("absolute path is {limits}"));
    let both = read(cx, &limits).and_then(|limits| Ok((limits, read(cx, &stats_path(path))?)));
    match both {
        Ok((limits, usage)) => cx.say(&Datum::Quota { path, limits: &limits, usage: &usage }),
        Err(failure) if is_missing(&failure) => {
            cx.remark(&format!("quota for {path} does not exist."));
            Ok(())
        }
        Err(failure) => Err(failure),
    }
}

pub(super) fn set(cx: &Context, args: &Parsed) -> Result<(), Failure> {
    let path = args.path();
    // What is wrong here is said, and yet counts as done: so the original's exit codes have it.
    if path.starts_with(QUOTA) {
        cx.remark(&format!("cannot set a quota under the path: {QUOTA}"));
        return Ok(());
    }
    let wanted = match wanted(args) {
        Ok(wanted) => wanted,
        Err(why) => {
            cx.remark(why);
            return Ok(());
        }
    };
    if cx.session.exists(path, false)?.is_none() {
        return Err(Failure::Said(format!("{path} does not exist.")));
    }
    no_quota_below(cx, path)?;
    no_quota_above(cx, path)?;
    write(cx, path, &wanted)
}

/// The numbers that the options give.
fn wanted(args: &Parsed) -> Result<Vec<(&'static str, i64)>, &'static str> {
    let mut wanted = Vec::new();
    for (option, key, nodes) in KEYS {
        let Some(text) = args.value(option) else { continue };
        let number: i64 = text.parse().map_err(|_| "NumberFormatException happens when parsing the option value")?;
        match nodes {
            true if i32::try_from(number).is_err() => {
                return Err("NumberFormatException happens when parsing the option value");
            }
            true if number <= 0 => return Err("the num quota must be greater than zero"),
            false if number < 0 => return Err("the bytes quota must be greater than or equal to zero"),
            _ => wanted.push((key, number)),
        }
    }
    Ok(wanted)
}

fn trimmed(quota_path: &str) -> &str {
    quota_path.strip_prefix(QUOTA).unwrap_or(quota_path)
}

fn no_quota_below(cx: &Context, path: &str) -> Result<(), Failure> {
    let top = format!("{QUOTA}{path}");
    let looked = walk(cx.session, &top, (Order::Depth, AHEAD), children, |node| {
        let answer = node.answer?;
        if node.path != top && answer.names.iter().any(|name| name == QUOTA_LIMITS) {
            let below = trimmed(&node.path);
            return Err(Failure::Said(format!("{path} has a child {below} which has a quota")));
        }
        Ok(Some(answer))
    });
    match looked {
        Err(failure) if is_missing(&failure) => Ok(()),
        other => other,
    }
}

fn no_quota_above(cx: &Context, path: &str) -> Result<(), Failure> {
    let above = path.match_indices('/').skip(1).map(|(at, _)| &path[..at]);
    for above in above {
        let names = match cx.session.children(&format!("{QUOTA}{above}"), false) {
            Ok((names, _)) if names.is_empty() => return Ok(()),
            Ok((names, _)) => names,
            Err(failure) if is_missing(&failure) => return Ok(()),
            Err(failure) => return Err(failure),
        };
        if names.iter().any(|name| name == QUOTA_LIMITS) {
            return Err(Failure::Said(format!("{path} has a parent {above} which has a quota")));
        }
    }
    Ok(())
}

/// Creates a node that may be there already.
fn ensure(cx: &Context, path: &str) -> Result<(), Failure> {
    match cx.session.create(path, None, &Acl::open_unsafe(), CreateMode::Persistent) {
        Err(failure) if failure.code() != Some(ErrorCode::NODE_EXISTS) => Err(failure),
        _ => Ok(()),
    }
}

fn write(cx: &Context, path: &str, wanted: &[(&'static str, i64)]) -> Result<(), Failure> {
    if cx.session.exists(QUOTA, false)?.is_none() {
        ensure(cx, ZOOKEEPER)?;
        ensure(cx, QUOTA)?;
    }
    let ends = path.match_indices('/').skip(1).map(|(at, _)| at).chain([path.len()]);
    for end in ends.filter(|_| path != "/") {
        let node = format!("{QUOTA}{}", &path[..end]);
        if cx.session.exists(&node, false)?.is_none() {
            ensure(cx, &node)?;
        }
    }
    let path = if path == "/" { "" } else { path };
    let (limits_path, stats_path) = (limits_path(path), stats_path(path));
    let fresh = cx.session.exists(&limits_path, false)?.is_none();
    let mut limits = if fresh { Limits::unset() } else { read(cx, &limits_path)? };
    wanted.iter().for_each(|(key, number)| limits.set(key, *number));
    if fresh {
        let (open, mode) = (Acl::open_unsafe(), CreateMode::Persistent);
        cx.session.create(&limits_path, Some(limits.to_string().as_bytes()), &open, mode)?;
        cx.session.create(&stats_path, Some(b"count=0,bytes=0"), &open, mode)?;
        limits = read(cx, &limits_path)?;
        return warn(cx, &limits, &read(cx, &stats_path)?);
    }
    warn(cx, &limits, &read(cx, &stats_path)?)?;
    cx.session.set_data(&limits_path, limits.to_string().as_bytes(), -1).map(drop)
}

/// A limit below what there is already.
fn warn(cx: &Context, limits: &Limits, usage: &Limits) -> Result<(), Failure> {
    for (what, soft, hard) in [("count", COUNT, COUNT_HARD), ("bytes", BYTES, BYTES_HARD)] {
        let there_is = usage.get(soft);
        if [soft, hard].iter().any(|key| (0..there_is).contains(&limits.get(key))) {
            let text = format!("[Warning]: the {what} quota you create is less than the existing {what}:{there_is}");
            cx.say(&Datum::Line(&text))?;
        }
    }
    Ok(())
}

pub(super) fn delete(cx: &Context, args: &Parsed) -> Result<(), Failure> {
    let path = args.path();
    match delete_quota(cx, args, path) {
        Err(failure) if is_missing(&failure) => {
            cx.remark(&format!("quota for {path} does not exist."));
            Ok(())
        }
        other => other,
    }
}

fn delete_quota(cx: &Context, args: &Parsed, path: &str) -> Result<(), Failure> {
    let limits_path = limits_path(path);
    if cx.session.exists(&limits_path, false)?.is_none() {
        return cx.say(&Datum::Line(&format!("Quota does not exist for {path}")));
    }
    let mut limits = read(cx, &limits_path)?;
    let parts: Vec<_> = KEYS.iter().filter(|(option, _, _)| args.has(option)).collect();
    if !parts.is_empty() {
        parts.iter().for_each(|(_, key, _)| limits.set(key, -1));
        return cx.session.set_data(&limits_path, limits.to_string().as_bytes(), -1).map(drop);
    }
    let mut node = format!("{QUOTA}{path}");
    for name in cx.session.children(&node, false)?.0 {
        cx.session.delete(&format!("{node}/{name}"), -1)?;
    }
    // What is empty above goes too.
    while node != QUOTA && cx.session.children(&node, false)?.0.is_empty() {
        cx.session.delete(&node, -1)?;
        node.truncate(node.rfind('/').unwrap_or(0));
    }
    Ok(())
}
