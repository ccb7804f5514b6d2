//! Whether a server holds a data folder. Asked before anything is written there, and said aloud when the answer is yes.
//!
//! Four signs are looked at: the lock that an Oxkeeper server keeps on its folders for its lifetime; a process that has
//! a file in them open, as any server has once it has written; a running server of Apache's whose configuration names
//! them; and a pid file of zkServer.sh. A server on another machine, on a shared file system, shows none of them.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::output::Failure;
use crate::store::{Dirs, FolderLock};

/// Longer command lines and configurations are not read.
const TEXT_MAX: u64 = 1 << 20;

/// What shows that a folder is in use; `None` when nothing does.
pub fn holder(dirs: &Dirs) -> Option<String> {
    let folders = folders(dirs);
    folders.iter().find_map(|dir| locked(dir)).or_else(|| pid_file(dirs)).or_else(|| by_processes(&folders))
}

/// Takes the folders for a tool that changes them, or says which server holds them.
pub fn hold(dirs: &Dirs) -> Result<FolderLock, Failure> {
    refuse_if_held(dirs)?;
    Ok(FolderLock::take(dirs)?)
}

/// Fails when a server holds the folders.
pub fn refuse_if_held(dirs: &Dirs) -> Result<(), Failure> {
    match holder(dirs) {
        None => Ok(()),
        Some(sign) => Err(Failure::new(format!(
            "{}: a server holds this folder: {sign}. Stop it first; nothing was changed",
            dirs.snapshots.display()
        ))),
    }
}

/// The existing ones, by their real names.
fn folders(dirs: &Dirs) -> Vec<PathBuf> {
    let mut folders: Vec<_> =
        [&dirs.snapshots, &dirs.logs].into_iter().filter_map(|dir| dir.canonicalize().ok()).collect();
    folders.dedup();
    folders
}

/// An exclusive lock is in somebody's hands.
fn locked(dir: &Path) -> Option<String> {
    FolderLock::is_taken(dir).then(|| format!("{} is locked by a running server or tool", dir.display()))
}

fn pid_file(dirs: &Dirs) -> Option<String> {
    let path = dirs.snapshots.parent()?.join("zookeeper_server.pid");
    let pid: u32 = small_text(&path)?.trim().parse().ok()?;
    let command = command_line(pid)?;
    let server = command.iter().any(|word| is_server_class(word) || word.contains("oxkeeper"));
    server.then(|| format!("{} names process {pid}, which runs", path.display()))
}

/// Looks through the processes of this machine, as far as this user may.
fn by_processes(folders: &[PathBuf]) -> Option<String> {
    let own = std::process::id();
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        if pid == own {
            continue;
        }
        if let Some(file) = open_file_in(pid, folders) {
            return Some(format!("process {pid} has {} open", file.display()));
        }
        if let Some(config) = configured_for(pid, folders) {
            return Some(format!("process {pid} runs a server with {config}, which names it"));
        }
    }
    None
}

/// A file of the folders that the process may write to. Reading alone is what these tools do, too.
fn open_file_in(pid: u32, folders: &[PathBuf]) -> Option<PathBuf> {
    for entry in fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten() {
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        let inside = target.parent().is_some_and(|dir| folders.iter().any(|folder| folder == dir));
        if inside && writes(pid, &entry.file_name().to_string_lossy()) {
            return Some(target);
        }
    }
    None
}

fn writes(pid: u32, descriptor: &str) -> bool {
    let info = small_text(Path::new(&format!("/proc/{pid}/fdinfo/{descriptor}"))).unwrap_or_default();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    // Octal; the lowest two bits are the way of access, 0 for reading. Unknown counts as writing.
    flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok()).is_none_or(|flags| flags & 3 != 0)
}

/// The configuration of a server of Apache's that names one of the folders.
fn configured_for(pid: u32, folders: &[PathBuf]) -> Option<String> {
    let command = command_line(pid)?;
    let class = command.iter().position(|word| is_server_class(word))?;
    let base = fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
    let names = |dir: &str| {
        let dir = base.join(dir.trim()).join("version-2").canonicalize();
        dir.is_ok_and(|dir| folders.contains(&dir))
    };
    let arguments = &command[class + 1..];
    // `port dataDir` is the short form.
    if let Some(dir) = arguments.get(1)
        && names(dir)
    {
        return Some(format!("the folder {dir}"));
    }
    let config = base.join(arguments.first()?);
    let text = small_text(&config)?;
    let mut dirs = settings(&text).filter(|(key, _)| matches!(*key, "dataDir" | "dataLogDir"));
    dirs.any(|(_, dir)| names(dir)).then(|| config.display().to_string())
}

/// Keys and values of a zoo.cfg, as far as a line stands for itself.
pub fn settings(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', '!']));
    lines.filter_map(|line| {
        let (key, rest) = line.split_once(['=', ':', ' ', '\t'])?;
        // Blanks may stand around the sign.
        let rest = rest.trim_start();
        let signed = line[key.len()..].starts_with(['=', ':']);
        Some((key, if signed { rest } else { rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start() }))
    })
}

fn is_server_class(word: &str) -> bool {
    matches!(word.rsplit('.').next(), Some("QuorumPeerMain" | "ZooKeeperServerMain"))
}

fn command_line(pid: u32) -> Option<Vec<String>> {
    let text = small_text(Path::new(&format!("/proc/{pid}/cmdline")))?;
    Some(text.split('\0').map(str::to_owned).collect())
}

fn small_text(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(TEXT_MAX).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
