//! One node: create, delete, get, set, stat, and what is counted below it or belongs to the session.

use super::{Context, version};
use crate::cli::datum::{Datum, Form};
use crate::cli::error::{Failure, plain_message};
use crate::cli::options::{Options, Parsed, flag, valued};
use crate::client::CreateMode;
use crate::proto::ErrorCode;
use crate::proto::acl::Acl;
use crate::proto::owner::TTL_MAX_MS;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub(super) const CREATE: Options =
    Options::any(&[flag("e", "ephemeral"), flag("s", "sequential"), flag("c", "container"), valued("t", "ttl")]);
pub(super) const DELETE: Options = Options::any(&[valued("v", "version")]);
pub(super) const GET: Options = Options::any(&[
    flag("s", "Print znode stats additionally"),
    flag("w", "Watch for changes on the znode"),
    flag("b", "Output data in base64 format"),
    flag("x", "Output data in hexdump format"),
]);
pub(super) const SET: Options = Options::any(&[
    flag("s", "Print znode stats additionally"),
    valued("v", "Set with an expected version"),
    flag("b", "Supply data in base64 format"),
]);
pub(super) const STAT: Options = Options::any(&[flag("w", "watch")]);

pub(super) fn create(cx: &Context, args: &Parsed) -> Result<(), Failure> {
    let mode = create_mode(args).map_err(Failure::Said)?;
    let acl = match args.word(3) {
        Some(text) => super::acl::parse(cx, text),
        None => Acl::open_unsafe(),
    };
    let data = args.word(2).map(str::as_bytes);
    let created = cx.session.create(args.path(), data, &acl, mode).inspect_err(|failure| match failure {
        Failure::Keeper { code: ErrorCode::INVALID_ACL, path, .. } => {
            cx.remark(&plain_message(ErrorCode::INVALID_ACL, path.as_deref()));
        }
        Failure::Keeper { code: ErrorCode::EPHEMERAL_ON_LOCAL_SESSION, .. } => {
            cx.remark("Unable to create ephemeral node on a local session");
        }
        _ => {}
    })?;
    cx.say(&Datum::Created { path: &created })
}

fn create_mode(args: &Parsed) -> Result<CreateMode, String> {
    let (ephemeral, sequential, container) = (args.has("e"), args.has("s"), args.has("c"));
    if container && (ephemeral || sequential) {
        return Err("-c cannot be combined with -s or -e. Containers cannot be ephemeral or sequential.".into());
    }
    let ttl: Option<i64> = match args.value("t") {
        Some(text) => Some(text.parse().map_err(|_| "-t argument must be a long value")?),
        None => None,
    };
    if ttl.is_some() && ephemeral {
        return Err("TTLs cannot be used with Ephemeral znodes".into());
    }
    if ttl.is_some() && container {
        return Err("TTLs cannot be used with Container znodes".into());
    }
    if ttl.is_some_and(|ttl| !(1..=TTL_MAX_MS).contains(&ttl)) {
        return Err(format!("ttl must be positive and cannot be larger than: {TTL_MAX_MS}"));
    }
    Ok(match (ephemeral, sequential, ttl) {
        (true, true, _) => CreateMode::EphemeralSequential,
        (true, false, _) => CreateMode::Ephemeral,
        (false, true, Some(ttl)) => CreateMode::PersistentSequentialTtl(ttl),
        (false, false, Some(ttl)) => CreateMode::PersistentTtl(ttl),
        (false, true, None) => CreateMode::PersistentSequential,
        (false, false, None) if container => CreateMode::Container,
        (false, false, None) => CreateMode::Persistent,
    })
}

pub(super) fn delete(cx: &Context, args: &Parsed) -> Result<(), Failure> {
    if args.words.len() > 2 {
        cx.remark("'delete path [version]' has been deprecated. Please use 'delete [-v version] path' instead.");
    }
    cx.session.delete(args.path(), version(args)?)?;
    cx.say(&Datum::Done { path: args.path(), stat: None })
}

/// Whether to leave a watch: by its option, or by any word behind the path, as old releases had it.
pub(super) fn watching(cx: &Context, args: &Parsed, name: &str, options: &str) -> bool {
    let old = args.words.len() > 2;
    if old {
        cx.remark(&format!("'{name} path [watch]' has been deprecated. Please use '{name} {options} path' instead."));
    }
    old || args.has("w")
}

pub(super) fn get(cx: &Context, args: &Parsed) -> Result<(), Failure> {
    let watch = watching(cx, args, "get", "[-s] [-w]");
    let (data, stat) = cx.session.data(args.path(), watch)?;
    let form = match (args.has("x"), args.has("b")) {
        (true, _) => Form::Hex,
        (_, true) => Form::Base64,
        _ => Form::Plain,
    };
    let stat = args.has("s").then_some(&stat);
    cx.say(&Datum::Data { path: args.path(), data: data.as_deref(), form, stat })
}

pub(super) fn set(cx: &Context, args: &Parsed) -> Result<(), Failure> {
    let text = args.word(2).unwrap_or_default();
    let data = match args.has("b") {
        true => STANDARD.decode(text).map_err(|error| Failure::Said(format!("Illegal base64: {error}")))?,
        false => text.as_bytes().to_vec(),
    };
    let stat = cx.session.set_data(args.path(), &data, version(args)?)?;
    cx.say(&Datum::Done { path: args.path(), stat: args.has("s").then_some(&stat) })
}

pub(super) fn stat(cx: &Context, args: &Parsed) -> Result<(), Failure> {
    let watch = watching(cx, args, "stat", "[-w]");
    match cx.session.exists(args.path(), watch)? {
        Some(stat) => cx.say(&Datum::Stat { path: args.path(), stat: &stat }),
        None => Err(Failure::keeper(ErrorCode::NO_NODE, Some(args.path()))),
    }
}

pub(super) fn all_children_number(cx: &Context, args: &Parsed) -> Result<(), Failure> {
    let count = cx.session.all_children_number(args.path())?;
    cx.say(&Datum::Count { path: args.path(), count })
}

pub(super) fn ephemerals(cx: &Context, args: &Parsed) -> Result<(), Failure> {
    let paths = cx.session.ephemerals(args.word(1).unwrap_or("/"))?;
    cx.say(&Datum::Ephemerals { paths: &paths })
}
