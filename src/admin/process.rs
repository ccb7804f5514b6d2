//! This process as the system and the allocator see it, in the families that the original's exporter has for it
//! (`io.prometheus.client.hotspot.StandardExports`, `MemoryPoolsExports`, `ThreadExports`).

use tikv_jemalloc_ctl::{epoch, stats};

/// Families that the original's exporter has and this server has not.
pub const ABSENT: &[(&str, &str)] = &[
    ("jvm_buffer_pool_capacity_bytes", "there is no pool of direct buffers: an idle connection owns no buffer"),
    ("jvm_buffer_pool_used_buffers", "there is no pool of direct buffers"),
    ("jvm_buffer_pool_used_bytes", "there is no pool of direct buffers"),
    ("jvm_classes_loaded", "there are no classes"),
    ("jvm_classes_loaded_total", "there are no classes"),
    ("jvm_classes_unloaded_total", "there are no classes"),
    ("jvm_gc_collection_seconds", "there is no garbage collector"),
    ("jvm_info", "there is no Java machine; oxkeeper_build_info tells the version"),
    ("jvm_memory_bytes_init", "the heap begins empty"),
    ("jvm_memory_pool_allocated_bytes_total", "there are no pools and generations"),
    ("jvm_memory_pool_bytes_committed", "there are no pools and generations"),
    ("jvm_memory_pool_bytes_init", "there are no pools and generations"),
    ("jvm_memory_pool_bytes_max", "there are no pools and generations"),
    ("jvm_memory_pool_bytes_used", "there are no pools and generations"),
    ("jvm_threads_daemon", "no thread keeps this process alive"),
    ("jvm_threads_deadlocked", "nobody looks for deadlocks at run time"),
    ("jvm_threads_deadlocked_monitor", "there are no monitors"),
    ("jvm_threads_peak", "the system does not remember it"),
    ("jvm_threads_started_total", "the system does not count them"),
    ("jvm_threads_state", "a thread's state in the kernel is not what the states of Java threads mean"),
];

/// A process at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Process {
    /// Time on processors, user and system, seconds.
    pub cpu_seconds: f64,
    /// When it began, seconds since the Unix epoch.
    pub start_seconds: f64,
    /// Open file descriptors.
    pub open_fds: u64,
    /// How many there may be.
    pub max_fds: u64,
    /// Address space, bytes.
    pub virtual_bytes: u64,
    /// In memory, bytes.
    pub resident_bytes: u64,
    /// Threads.
    pub threads: u64,
    /// What the allocator has handed out, bytes.
    pub heap_used: u64,
    /// What it holds of the system for that, bytes.
    pub heap_committed: u64,
}

/// Name, help, the label `area` and the value.
type Sample = (&'static str, &'static str, Option<&'static str>, f64);

/// Open file descriptors. Linux tells their number as the size of the folder since 6.2; before, they are counted, which takes
/// a microsecond for each.
pub fn open_fds() -> u64 {
    let folder = "/proc/self/fd";
    match std::fs::metadata(folder).map_or(0, |folder| folder.len()) {
        0 => std::fs::read_dir(folder).map_or(0, |entries| entries.count() as u64),
        size => size,
    }
}

impl Process {
    /// Asks the system and the allocator. Reads a few small files: not for the core.
    pub fn this() -> Self {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
        let boot = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        let boot = boot.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok()).unwrap_or(0);
        let ticks = rustix::param::clock_ticks_per_second();
        let mut process = Process {
            open_fds: open_fds(),
            max_fds: max_fds(&read("limits")),
            ..of_stat(&read("stat"), ticks, rustix::param::page_size() as u64, boot)
        };
        // Its statistics are those of its last epoch.
        if epoch::advance().is_ok() {
            process.heap_used = stats::allocated::read().unwrap_or(0) as u64;
            process.heap_committed = stats::active::read().unwrap_or(0) as u64;
        }
        process
    }

    /// All but the processor time, which is a counter.
    pub fn gauges(&self) -> impl Iterator<Item = Sample> {
        let heap = Some("heap");
        [
            (
                "process_start_time_seconds",
                "Start time of the process since unix epoch in seconds.",
                None,
                self.start_seconds,
            ),
            ("process_open_fds", "Number of open file descriptors.", None, self.open_fds as f64),
            ("process_max_fds", "Maximum number of open file descriptors.", None, self.max_fds as f64),
            ("process_virtual_memory_bytes", "Virtual memory size in bytes.", None, self.virtual_bytes as f64),
            ("process_resident_memory_bytes", "Resident memory size in bytes.", None, self.resident_bytes as f64),
            ("jvm_memory_bytes_used", "Bytes that the allocator has handed out.", heap, self.heap_used as f64),
            ("jvm_memory_bytes_committed", "Bytes on pages that the allocator uses.", heap, self.heap_committed as f64),
            ("jvm_memory_bytes_max", "-1: the heap has no bound of its own.", heap, -1.0),
            ("jvm_threads_current", "Threads of this process.", None, self.threads as f64),
        ]
        .into_iter()
    }
}

/// What `/proc/self/stat` tells; the name in it may hold anything, so the numbers are those behind its last bracket.
fn of_stat(stat: &str, ticks: u64, page: u64, boot_seconds: u64) -> Process {
    let numbers: Vec<u64> = stat
        .rsplit_once(')')
        .map(|(_, rest)| rest.split_whitespace().map(|word| word.parse().unwrap_or(0)).collect())
        .unwrap_or_default();
    // The third field is the first behind the bracket.
    let field = |number: usize| numbers.get(number - 3).copied().unwrap_or(0);
    let seconds = |field: u64| field as f64 / ticks.max(1) as f64;
    Process {
        cpu_seconds: seconds(field(14) + field(15)),
        start_seconds: boot_seconds as f64 + seconds(field(22)),
        threads: field(20),
        virtual_bytes: field(23),
        resident_bytes: field(24) * page,
        ..Process::default()
    }
}

/// The soft limit in `/proc/self/limits`; no limit is the greatest number.
fn max_fds(limits: &str) -> u64 {
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().nth(3));
    soft.map_or(0, |soft| soft.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_stand_behind_the_name() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 38 0 1000 4096000 25 18446744073709551615 1";
        let process = of_stat(stat, 100, 4096, 5_000);
        assert_eq!((process.cpu_seconds, process.start_seconds, process.threads), (2.0, 5_010.0, 38));
        assert_eq!((process.virtual_bytes, process.resident_bytes), (4_096_000, 102_400));
        assert_eq!(of_stat("torn", 100, 4096, 0).threads, 0);
    }

    #[test]
    fn limits_are_read_from_their_line() {
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files            20000                20000                files\n";
        assert_eq!(max_fds(limits), 20_000);
        assert_eq!(max_fds("Max open files unlimited unlimited files"), u64::MAX);
    }

    #[test]
    fn open_files_are_counted() {
        let files: Vec<_> = (0..300).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
        let many = open_fds();
        assert!(many >= files.len() as u64 && many < 10_000, "{many}");
    }

    #[test]
    fn this_process_is_there() {
        let process = Process::this();
        assert!(
            process.resident_bytes > 0 && process.threads > 0 && process.open_fds > 0 && process.start_seconds > 1e9
        );
    }
}
