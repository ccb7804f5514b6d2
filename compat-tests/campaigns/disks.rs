//! Campaigns on a file system of their own: power cuts, a full disk, a failing fsync. They mount an image in a file, so
//! they need root. What must hold afterwards is in `campaign`.

use crate::Args;
use crate::campaign::Campaign;
use crate::server::{Place, Process};
use crate::wire::Wire;
use rand::Rng;
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A server that cannot write ends, and one that was given space serves again, within this.
const PATIENCE: Duration = Duration::from_secs(30);
/// What the log says of a full disk.
const FULL: &str = "the server starts again by itself";

fn run(program: &str, words: &[&str]) -> Result<(), String> {
    let done = Command::new(program).args(words).output().map_err(|error| format!("{program}: {error}"))?;
    if done.status.success() {
        return Ok(());
    }
    Err(format!("{program} {}: {}", words.join(" "), String::from_utf8_lossy(&done.stderr).trim()))
}

/// A file system in a file.
struct Image {
    file: PathBuf,
    mount: PathBuf,
}

impl Image {
    fn make(work: &Path, kind: &str, mib: u64) -> Result<Image, String> {
        let image = Image { file: work.join(format!("disk.{kind}")), mount: work.join("disk") };
        let file = fs::File::create(&image.file).map_err(|error| error.to_string())?;
        file.set_len(mib << 20).map_err(|error| error.to_string())?;
        let _ = fs::create_dir(&image.mount);
        let force = if kind == "xfs" { "-f" } else { "-F" };
        // No blocks are kept for root, who runs this.
        let more: &[&str] = if kind == "xfs" { &[] } else { &["-m", "0"] };
        let file = image.file.to_string_lossy().into_owned();
        run(&format!("mkfs.{kind}"), &[more, &["-q", force, &file]].concat())?;
        image.mount()?;
        Ok(image)
    }

    fn mount(&self) -> Result<(), String> {
        run("mount", &["-o", "loop", &self.file.to_string_lossy(), &self.mount.to_string_lossy()])
    }

    fn unmount(&self) -> Result<(), String> {
        run("umount", &[&self.mount.to_string_lossy()])
    }

    /// What was not synced is gone, and nothing can be written any more.
    fn cut(&self) -> Result<(), String> {
        run("xfs_io", &["-x", "-c", "shutdown", &self.mount.to_string_lossy()])
    }

    /// Leaves so many free bytes.
    fn fill(&self, leave: u64) -> Result<(), String> {
        let space = rustix::fs::statvfs(&self.mount).map_err(|error| error.to_string())?;
        let length = (space.f_bavail * space.f_frsize).saturating_sub(leave);
        run("fallocate", &["-l", &length.to_string(), &self.filler()])
    }

    fn filler(&self) -> String {
        self.mount.join("filler").to_string_lossy().into_owned()
    }

    fn free(&self) -> Result<(), String> {
        fs::remove_file(self.filler()).map_err(|error| error.to_string())
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = self.unmount();
        let _ = fs::remove_file(&self.file);
    }
}

/// The power fails, the file system forgets what was not synced, the machine comes back.
pub fn powercut(args: &Args, seed: u64) -> Result<String, String> {
    let image = Image::make(&args.work, &args.fs, 400)?;
    let mut place = Place::new(&args.work)?;
    place.data = image.mount.join("data");
    place.logs = if seed.is_multiple_of(2) { image.mount.join("logs") } else { place.data.clone() };
    let mut campaign = Campaign::new(place, seed, args.sessions);
    campaign.vary(true);
    let mut process = campaign.place.start(&args.server)?;
    campaign.prepare(&mut process)?;
    for round in 1..=args.rounds {
        let tell = |why| format!("round {round}: {why}");
        let millis = campaign.rng.random_range(20..700);
        let death = |process: Process| {
            // A machine without power runs no program: an fsync that overlaps the cut may return success and be no such
            // thing, and nobody must be left to say so to a client.
            process.pause();
            image.cut()?;
            process.kill();
            image.unmount()?;
            image.mount()
        };
        let died = campaign.load(process, Duration::from_millis(millis), death);
        died.and_then(|result| result).map_err(tell)?;
        campaign.vary(true);
        process = campaign.place.start(&args.server)?;
        let dump = campaign.verify(&mut process).map_err(tell)?;
        if round % 10 == 0 {
            eprintln!("round {round}: {} nodes, {}", dump.nodes.len(), campaign.summary());
        }
    }
    let summary = campaign.summary();
    // And one that runs on without its disk ends by itself.
    let ended = campaign.load(process, Duration::from_millis(300), |mut process| {
        image.cut()?;
        Ok::<_, String>(process.wait(PATIENCE))
    })??;
    match ended {
        Some(status) if !status.success() => Ok(format!("rounds={} {summary}", args.rounds)),
        ended => Err(format!("a server that lost its disk: {ended:?}")),
    }
}

type Case = fn(&Args, u64) -> Result<String, String>;

/// Everything that a disk can refuse.
pub fn diskfull(args: &Args, seed: u64) -> Vec<(String, Result<String, String>)> {
    let cases: [(&str, Case); 3] =
        [("diskfull-log", full_log), ("diskfull-snapshots", full_snapshots), ("fsync-error", failing_sync)];
    cases.into_iter().map(|(name, case)| (name.to_owned(), case(args, seed))).collect()
}

fn times_said(place: &Place, text: &str) -> usize {
    String::from_utf8_lossy(&fs::read(place.log_file()).unwrap_or_default()).matches(text).count()
}

/// The log has no room: nobody is served, and the same process serves again once there is space.
fn full_log(args: &Args, seed: u64) -> Result<String, String> {
    let image = Image::make(&args.work, &args.fs, 400)?;
    let mut place = Place::new(&args.work)?;
    place.data = image.mount.join("data-full");
    place.logs.clone_from(&place.data);
    place.config = "preAllocSize=1024\nsnapCount=2000\n".into();
    let mut campaign = Campaign::new(place, seed, args.sessions);
    let mut process = campaign.place.start(&args.server)?;
    campaign.prepare(&mut process)?;
    for round in 1..=3 {
        let tell = |why: String| format!("round {round}: {why}");
        image.fill(4 << 20).map_err(tell)?;
        let address = campaign.place.address();
        let before = times_said(&campaign.place, FULL);
        let place = campaign.place.copy_of_paths();
        let death = |mut process: Process| {
            let started = Instant::now();
            // Full it is when nobody listens any more.
            while TcpStream::connect(address).is_ok() {
                process.alive()?;
                if started.elapsed() > PATIENCE {
                    return Err("a full disk and clients are still served".to_owned());
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            std::thread::sleep(Duration::from_secs(2));
            process.alive()?;
            match times_said(&place, FULL) - before {
                1 => Ok(process),
                times => Err(format!("'{FULL}' was said {times} times")),
            }
        };
        process = campaign.load(process, Duration::from_secs(1), death).and_then(|result| result).map_err(tell)?;
        image.free()?;
        campaign.verify(&mut process).map_err(tell)?;
    }
    process.stop()?;
    Ok(format!("rounds=3 {}", campaign.summary()))
}

/// Snapshots have no room, the log has: clients are served on, a restart works, and snapshots come back with the space.
fn full_snapshots(args: &Args, seed: u64) -> Result<String, String> {
    let image = Image::make(&args.work, &args.fs, 400)?;
    let mut place = Place::new(&args.work)?;
    (place.data, place.logs) = (image.mount.join("snapshots"), args.work.join("logs"));
    place.config = "preAllocSize=1024\nsnapCount=200\n".into();
    let mut campaign = Campaign::new(place, seed, args.sessions);
    let mut process = campaign.place.start(&args.server)?;
    campaign.prepare(&mut process)?;
    image.fill(8 << 10)?;
    let before = times_said(&campaign.place, "snapshot failed");
    for _ in 0..3 {
        let still = |mut process: Process| process.alive().map(|()| process.kill());
        campaign.load(process, Duration::from_secs(1), still).and_then(|result| result)?;
        process = campaign.place.start(&args.server)?;
        campaign.verify(&mut process).map_err(|why| format!("no room for snapshots: {why}"))?;
    }
    let failed = times_said(&campaign.place, "snapshot failed") - before;
    if failed == 0 {
        return Err("no snapshot failed: the disk was not full".into());
    }
    image.free()?;
    let written = times_said(&campaign.place, "snapshot written");
    campaign.load(process, Duration::from_secs(1), Process::kill)?;
    if times_said(&campaign.place, "snapshot written") == written {
        return Err("there is space again, and no snapshot is written".into());
    }
    process = campaign.place.start(&args.server)?;
    campaign.verify(&mut process)?;
    process.stop()?;
    Ok(format!("failed-snapshots={failed} {}", campaign.summary()))
}

/// An fsync that fails says nothing about what is on the disk: the server ends, and acknowledges nothing of it.
fn failing_sync(args: &Args, seed: u64) -> Result<String, String> {
    if run("strace", &["-V"]).is_err() {
        return Err("strace is missing".into());
    }
    let mut place = Place::new(&args.work)?;
    place.data = args.work.join("data-sync");
    place.logs.clone_from(&place.data);
    let mut campaign = Campaign::new(place, seed, args.sessions);
    let mut process = campaign.place.start(&args.server)?;
    campaign.prepare(&mut process)?;
    process.stop()?;
    for _ in 0..4 {
        let when = campaign.rng.random_range(5..60);
        let inject = format!("-e trace=fdatasync -e inject=fdatasync:error=EIO:when={when}+");
        process = campaign.place.start(&format!("strace -f -qq -o /dev/null {inject} {}", args.server))?;
        let death = |mut process: Process| {
            let ended = process.wait(PATIENCE);
            if ended.is_none() {
                process.kill_children();
            }
            ended.filter(|status| !status.success()).map(drop).ok_or("fsync fails and the server goes on".to_owned())
        };
        campaign.load(process, Duration::from_millis(100), death).and_then(|result| result)?;
        process = campaign.place.start(&args.server)?;
        campaign.verify(&mut process)?;
        Wire::open_soon(process.address, None, 0, || process.alive())?.close().map_err(|error| error.to_string())?;
        process.stop()?;
    }
    Ok(format!("rounds=4 {}", campaign.summary()))
}
