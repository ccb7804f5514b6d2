//! A process of this machine seen through `/proc`: CPU time, whole and by thread, and resident memory.
//! Knows nothing of what the process is.

use std::collections::BTreeMap;
use std::fs;
use std::io;

/// Clock ticks of `/proc` per second: fixed for user space by the kernel's interface.
const TICKS_PER_SECOND: u64 = 100;

/// A process at one moment.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// CPU time in user mode, ms; ended threads included.
    pub user_ms: u64,
    /// CPU time in the kernel, ms.
    pub system_ms: u64,
    /// CPU time of each living thread, ms, by id, with its name.
    pub threads: BTreeMap<u32, (String, u64)>,
    /// Resident memory, bytes.
    pub rss_bytes: u64,
    /// Highest resident memory so far, bytes.
    pub rss_peak_bytes: u64,
}

impl Sample {
    /// Reads `/proc/<pid>`.
    pub fn of(pid: u32) -> io::Result<Self> {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("process {pid}: {error}"));
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).map_err(named)?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).map_err(named)?;
        let (_, user_ms, system_ms) = times(&stat).ok_or_else(|| named(io::ErrorKind::InvalidData.into()))?;
        let mut threads = BTreeMap::new();
        for entry in fs::read_dir(format!("/proc/{pid}/task")).map_err(named)?.flatten() {
            // A thread may end between the listing and the reading.
            let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
            let id = entry.file_name().to_string_lossy().parse();
            if let (Ok(id), Some((name, user_ms, system_ms))) = (id, times(&stat)) {
                threads.insert(id, (name, user_ms + system_ms));
            }
        }
        let rss_bytes = kilobytes(&status, "VmRSS:") * 1024;
        Ok(Sample { user_ms, system_ms, threads, rss_bytes, rss_peak_bytes: kilobytes(&status, "VmHWM:") * 1024 })
    }

    /// The sum of several processes; `None` of none.
    pub fn of_all(pids: &[u32]) -> io::Result<Option<Self>> {
        let mut sum: Option<Sample> = None;
        for pid in pids {
            let one = Sample::of(*pid)?;
            let sum = sum.get_or_insert_default();
            sum.user_ms += one.user_ms;
            sum.system_ms += one.system_ms;
            sum.threads.extend(one.threads);
            sum.rss_bytes += one.rss_bytes;
            sum.rss_peak_bytes += one.rss_peak_bytes;
        }
        Ok(sum)
    }

    /// This process.
    pub fn own() -> io::Result<Self> {
        Self::of(std::process::id())
    }

    /// CPU time, ms.
    pub fn cpu_ms(&self) -> u64 {
        self.user_ms + self.system_ms
    }

    /// CPU time since `before` by thread name, most first; numbers at the end of names are dropped, so that pools stand
    /// as one.
    pub fn threads_since(&self, before: &Sample) -> Vec<(String, u64)> {
        let mut by_name: BTreeMap<&str, u64> = BTreeMap::new();
        for (id, (name, ms)) in &self.threads {
            let earlier = before.threads.get(id).map_or(0, |(_, ms)| *ms);
            *by_name.entry(family(name)).or_default() += ms.saturating_sub(earlier);
        }
        let mut list: Vec<_> = by_name.into_iter().filter(|(_, ms)| *ms > 0).collect();
        list.sort_by_key(|(_, ms)| std::cmp::Reverse(*ms));
        list.into_iter().map(|(name, ms)| (name.to_owned(), ms)).collect()
    }
}

fn family(name: &str) -> &str {
    name.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '-' | '#' | ':' | ' '))
}

/// Name, user and system time in ms of a `stat` line. The name stands in parentheses and may hold any character.
fn times(stat: &str) -> Option<(String, u64, u64)> {
    let (head, tail) = stat.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    let mut fields = tail.split_ascii_whitespace().skip(11);
    let mut ms = || Some(fields.next()?.parse::<u64>().ok()? * 1000 / TICKS_PER_SECOND);
    Some((name.to_owned(), ms()?, ms()?))
}

fn kilobytes(status: &str, key: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_behind_the_name() {
        let line = "12 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0";
        assert_eq!(times(line), Some(("a) b (c".to_owned(), 1500, 250)));
        assert_eq!(times("nonsense"), None);
    }

    #[test]
    fn pools_of_threads_are_one_family() {
        let at = |ms| (String::from("NIOWorkerThread-7"), ms);
        let before = Sample { threads: BTreeMap::from([(1, at(10))]), ..Sample::default() };
        let after = Sample { threads: BTreeMap::from([(1, at(30)), (2, at(5))]), ..Sample::default() };
        assert_eq!(after.threads_since(&before), [("NIOWorkerThread".to_owned(), 25)]);
    }

    #[test]
    fn this_process_has_memory() {
        assert!(Sample::own().unwrap().rss_bytes > 0);
    }
}
