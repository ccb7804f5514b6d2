//! `oxkeeper init`: makes the folders of a new member, as `zkServer-initialize.sh` does: `version-2`, `myid`, and the
//! marker `initialize`, which allows the member to begin an empty database.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::live;
use super::output::{Failure, Output};
use crate::store::disk::replace_small;
use crate::store::{Dirs, Disk, RealDisk};

/// Arguments of `init`.
#[derive(Debug, Args)]
pub struct Init {
    /// The data folder (dataDir).
    #[arg(required_unless_present = "configfile", conflicts_with = "configfile")]
    data_dir: Option<PathBuf>,
    /// The folder of the logs, where it is another one.
    #[arg(long, conflicts_with = "configfile")]
    log_dir: Option<PathBuf>,
    /// Take the folders from a zoo.cfg.
    #[arg(long)]
    configfile: Option<PathBuf>,
    /// The number of this member in the ensemble.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=255))]
    myid: Option<u8>,
    /// Remove what the folders hold.
    #[arg(long)]
    force: bool,
    /// Leave the marker out: the member then takes its data from the others.
    #[arg(long)]
    no_initialize: bool,
}

/// Makes them.
pub fn run(args: &Init, out: &mut Output) -> Result<u8, Failure> {
    let (data_dir, log_dir) = places(args)?;
    let dirs = Dirs::new(&data_dir, Some(&log_dir));
    let full: Vec<_> = [&dirs.snapshots, &dirs.logs].into_iter().filter(|dir| dir.is_dir()).collect();
    if let Some(dir) = full.first().filter(|_| !args.force) {
        let hint = "it may hold data. Use --force to remove it";
        return Err(Failure::new(format!("{}: the folder exists, and {hint}", dir.display())));
    }
    let held = if full.is_empty() { None } else { Some(live::hold(&dirs)?) };
    for dir in full {
        remove(dir)?;
    }
    drop(held);
    dirs.open(&RealDisk, true)?;
    let write = |path: &Path, text: &str| {
        replace_small(&RealDisk, path, text.as_bytes())
            .map_err(|error| Failure::new(format!("{}: cannot write: {error}", path.display())))
    };
    match args.myid {
        Some(id) => {
            writeln!(out, "Using myid of {id}")?;
            write(&data_dir.join("myid"), &format!("{id}\n"))?;
        }
        None => writeln!(
            out,
            "No myid provided, be sure to specify it in {} if using non-standalone",
            data_dir.join("myid").display()
        )?,
    }
    if !args.no_initialize {
        write(&data_dir.join("initialize"), "")?;
    }
    Ok(0)
}

fn places(args: &Init) -> Result<(PathBuf, PathBuf), Failure> {
    if let Some(file) = &args.configfile {
        // The configuration of a member cannot be loaded as a whole before there is a myid.
        let text = std::fs::read_to_string(file)
            .map_err(|error| Failure::new(format!("{}: cannot read the configuration: {error}", file.display())))?;
        let set = |key: &str| {
            live::settings(&text).filter(|(name, _)| *name == key).last().map(|(_, dir)| PathBuf::from(dir))
        };
        let data_dir = set("dataDir").ok_or_else(|| Failure::new(format!("{}: dataDir is not set", file.display())))?;
        let log_dir = set("dataLogDir").unwrap_or_else(|| data_dir.clone());
        return Ok((data_dir, log_dir));
    }
    let data_dir = args.data_dir.clone().expect("clap wants it where there is no configuration");
    let log_dir = args.log_dir.clone().unwrap_or_else(|| data_dir.clone());
    Ok((data_dir, log_dir))
}

/// Removes the files of the store, and the folder when nothing else is in it.
fn remove(dir: &Path) -> Result<(), Failure> {
    let failed =
        |error: std::io::Error| Failure::new(format!("{}: cannot remove the old data: {error}", dir.display()));
    for name in RealDisk.list(dir).map_err(failed)? {
        RealDisk.remove(&dir.join(name)).map_err(failed)?;
    }
    RealDisk.sync_dir(dir).map_err(failed)
}
