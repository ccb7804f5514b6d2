//! Access lists: getAcl, setAcl, and the text form of a list (`AclParser`).

use super::{Context, version};
use crate::cli::datum::Datum;
use crate::cli::error::{Failure, plain_message};
use crate::cli::options::{Options, Parsed, flag, valued};
use crate::cli::walk::{Order, children, walk};
use crate::proto::acl::{ADMIN, Acl, CREATE, DELETE, READ, WRITE};

pub(super) const GET: Options = Options::any(&[flag("s", "stats")]);
pub(super) const SET: Options = Options::any(&[flag("s", "stats"), valued("v", "version"), flag("R", "recursive")]);

/// Reads `scheme:id:perms,...`. As in the original, what is wrong is said and left out.
pub(super) fn parse(cx: &Context, text: &str) -> Vec<Acl> {
    // As Java splits: empty pieces at the end do not count, but a text without a comma is one piece.
    let pieces = text.split(',').take(match text.trim_end_matches(',') {
        "" => usize::from(text.is_empty()),
        kept => kept.split(',').count(),
    });
    let entry = |piece: &str| match (piece.find(':'), piece.rfind(':')) {
        (Some(first), Some(last)) if first < last => {
            let perms = permissions(cx, &piece[last + 1..]);
            Some(Acl::new(perms, &piece[..first], &piece[first + 1..last]))
        }
        _ => {
            cx.remark(&format!("{piece} does not have the form scheme:id:perm"));
            None
        }
    };
    pieces.filter_map(entry).collect()
}

fn permissions(cx: &Context, letters: &str) -> i32 {
    letters.chars().fold(0, |bits, letter| {
        bits | match letter {
            'r' => READ,
            'w' => WRITE,
            'c' => CREATE,
            'd' => DELETE,
            'a' => ADMIN,
            _ => {
                cx.remark(&format!("Unknown perm type: {letter}"));
                0
            }
        }
    })
}

pub(super) fn get(cx: &Context, args: &Parsed) -> Result<(), Failure> {
    let (acl, stat) = cx.session.acl(args.path())?;
    cx.say(&Datum::Acl { path: args.path(), acl: &acl, stat: args.has("s").then_some(&stat) })
}

pub(super) fn set(cx: &Context, args: &Parsed) -> Result<(), Failure> {
    let acl = parse(cx, args.word(2).unwrap_or_default());
    let version = version(args)?;
    if args.has("R") {
        return set_below(cx, args.path(), &acl, version);
    }
    let stat = cx.session.set_acl(args.path(), &acl, version)?;
    cx.say(&Datum::Done { path: args.path(), stat: args.has("s").then_some(&stat) })
}

/// Sets the list of each node; one that refuses is said, and the others go on.
fn set_below(cx: &Context, path: &str, acl: &[Acl], version: i32) -> Result<(), Failure> {
    let set = |path: &str| match cx.session.set_acl(path, acl, version) {
        Ok(_) => Ok(()),
        Err(Failure::Keeper { code, path, .. }) => {
            cx.say(&Datum::AclRefused { message: &plain_message(code, path.as_deref()) })
        }
        Err(other) => Err(other),
    };
    cx.session.data(path, false)?;
    set(path)?;
    // Not a question ahead: the list that was just set may forbid it.
    walk(cx.session, path, (Order::Depth, 1), children, |node| {
        let answer = node.answer?;
        answer.names.iter().try_for_each(|name| set(&crate::cli::path::child(&node.path, name)))?;
        Ok(Some(answer))
    })
}
