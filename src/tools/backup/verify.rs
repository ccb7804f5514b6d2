//! `oxkeeper verify`: reads a backup from front to back, and says what can be restored from it.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::copy::Copied;
use super::manifest::Manifest;
use crate::tools::folders;
use crate::tools::output::{Failure, Output, complain, rfc3339};

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// The backup.
    backup: PathBuf,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

/// Verifies. Exit code 0: whole, 1: whole, but digests do not agree, 2: not to be restored.
pub fn verify(args: &Verify, out: &mut Output) -> Result<u8, Failure> {
    let worse = |failure: Failure| Failure { code: 2, ..failure };
    let manifest = Manifest::read(&args.backup).map_err(worse)?;
    let manifest = manifest.ok_or_else(|| {
        Failure::with_code(
            2,
            format!("{}: there is no backup.json: not a backup, or one that was never finished", args.backup.display()),
        )
    })?;
    let found = Copied::resume(&folders(&args.backup, None)).map_err(worse)?;
    let digest = format!("{:#x}", found.replay.tree.digest());
    let promised = manifest.zxid().map_err(worse)?;
    if found.zxid < promised {
        let text = format!("{}: ends with {}, before {promised}, which it names", args.backup.display(), found.zxid);
        return Err(Failure::with_code(2, text));
    }
    if found.zxid == promised && digest != manifest.digest {
        let text = format!("{}: leads to the digest {digest}, but names {}", args.backup.display(), manifest.digest);
        return Err(Failure::with_code(2, text));
    }
    let mismatches = found.replay.digest_mismatches;
    let made = found.time_ms.map(rfc3339);
    if args.json {
        let report = json!({
            "verdict": if mismatches == 0 { "whole" } else { "digests differ" },
            "zxid": found.zxid.to_string(), "lastTime": made, "snapshot": found.base.name, "nodes": found.nodes(),
            "replayed": found.replay.replayed, "digest": digest, "digestProven": found.digest_proven(),
            "digestMismatches": mismatches,
        });
        writeln!(out, "{report}")?;
    } else {
        let made = made.map_or_else(String::new, |made| format!(", made {made}"));
        writeln!(
            out,
            "{}: whole: {} and {} transactions up to {}{made}: {} nodes, digest {digest}",
            args.backup.display(),
            found.base.name,
            found.replay.replayed,
            found.zxid,
            found.nodes()
        )?;
    }
    if mismatches > 0 {
        out.flush()?;
        complain(&format!("after {mismatches} transactions the digest is not the one that the log says"));
    }
    Ok(u8::from(mismatches > 0))
}
