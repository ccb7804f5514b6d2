//! `oxkeeper txnlog verify`: every frame of a log or of all logs of a folder.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::logs_of;
use crate::tools::check::{self, Level};
use crate::tools::output::{Failure, Output};

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// Log files, or folders: dataDir, dataLogDir or version-2.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// One JSON object for all.
    #[arg(long)]
    json: bool,
}

/// Checks and reports; the result is the exit code.
pub fn run(args: &Verify, out: &mut Output) -> Result<u8, Failure> {
    let mut reports = Vec::new();
    for path in &args.paths {
        reports.extend(check::logs(&logs_of(path)?, path.is_dir())?);
    }
    let level = reports.iter().map(check::LogReport::level).max().unwrap_or(Level::Fine);
    if args.json {
        let logs: Vec<_> = reports.iter().map(check::LogReport::to_json).collect();
        writeln!(out, "{}", json!({"verdict": level.word(), "logs": logs}))?;
    } else {
        for report in &reports {
            writeln!(out, "{}", report.summary())?;
            for finding in &report.findings {
                writeln!(out, "  {}: {}", finding.level.word(), finding.text)?;
            }
        }
        writeln!(out, "{}", level.word())?;
    }
    Ok(level.exit_code())
}
