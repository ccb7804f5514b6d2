//! The machine and the account a server runs with, as `envi` shows them. The keys are the original's; those that name a
//! Java machine have no value here.

use super::version;
use std::path::Path;

/// Shown for what there is not.
const NOTHING: &str = "<NA>";

/// Keys and values in the order they are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// Keys and values.
    pub entries: Vec<(&'static str, String)>,
}

/// Facts that come from the system.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Name of the machine.
    pub host_name: Option<String>,
    /// Kernel release.
    pub os_version: Option<String>,
    /// Account.
    pub user_name: Option<String>,
    /// Its home.
    pub user_home: Option<String>,
    /// Working directory.
    pub user_dir: Option<String>,
    /// Folder for temporary files.
    pub temporary_dir: Option<String>,
    /// Memory that could be had, bytes.
    pub memory_free: u64,
    /// Memory of the machine, bytes.
    pub memory_max: u64,
    /// Memory this process has, bytes.
    pub memory_total: u64,
}

impl Environment {
    /// Puts the facts in their order.
    pub fn new(facts: Facts) -> Self {
        let or_nothing = |value: Option<String>| value.unwrap_or_else(|| NOTHING.into());
        let megabytes = |bytes: u64| format!("{}MB", bytes >> 20);
        let entries = vec![
            ("zookeeper.version", version::FULL.into()),
            ("host.name", or_nothing(facts.host_name)),
            ("java.version", NOTHING.into()),
            ("java.vendor", NOTHING.into()),
            ("java.home", NOTHING.into()),
            ("java.class.path", NOTHING.into()),
            ("java.library.path", NOTHING.into()),
            ("java.io.tmpdir", or_nothing(facts.temporary_dir)),
            ("java.compiler", NOTHING.into()),
            ("os.name", os_name().into()),
            ("os.arch", os_arch().into()),
            ("os.version", or_nothing(facts.os_version)),
            ("user.name", or_nothing(facts.user_name)),
            ("user.home", or_nothing(facts.user_home)),
            ("user.dir", or_nothing(facts.user_dir)),
            ("os.memory.free", megabytes(facts.memory_free)),
            ("os.memory.max", megabytes(facts.memory_max)),
            ("os.memory.total", megabytes(facts.memory_total)),
            ("oxkeeper.version", version::OXKEEPER.into()),
        ];
        Environment { entries }
    }

    /// Asks the system. Reads a few small files: not for the core.
    pub fn of_this_process() -> Self {
        let variable = |name| std::env::var(name).ok();
        let shown = |path: &Path| path.display().to_string();
        let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let process = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        Environment::new(Facts {
            host_name: first_line("/proc/sys/kernel/hostname"),
            os_version: first_line("/proc/sys/kernel/osrelease"),
            user_name: variable("USER").or_else(|| variable("LOGNAME")),
            user_home: variable("HOME"),
            user_dir: std::env::current_dir().ok().map(|path| shown(&path)),
            temporary_dir: Some(shown(&std::env::temp_dir())),
            memory_free: kilobytes(&memory, "MemAvailable:") << 10,
            memory_max: kilobytes(&memory, "MemTotal:") << 10,
            memory_total: kilobytes(&process, "VmRSS:") << 10,
        })
    }
}

/// Memory that could be had, bytes; 0 where the system does not say.
pub fn memory_available() -> u64 {
    kilobytes(&std::fs::read_to_string("/proc/meminfo").unwrap_or_default(), "MemAvailable:") << 10
}

fn first_line(file: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    text.lines().next().map(str::to_owned)
}

/// The number behind a name in a file of `name: number kB` lines; 0 if it is not there.
fn kilobytes(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// As Java names the system.
fn os_name() -> &'static str {
    match std::env::consts::OS {
        "linux" => "Linux",
        "macos" => "Mac OS X",
        other => other,
    }
}

/// As Java names the processor.
fn os_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_its_line() {
        let text = "MemTotal:       16315412 kB\nMemAvailable:    1024 kB\n";
        assert_eq!(kilobytes(text, "MemAvailable:"), 1024);
        assert_eq!(kilobytes(text, "VmRSS:"), 0);
    }

    #[test]
    fn this_process_has_an_environment() {
        let environment = Environment::of_this_process();
        let value = |key| environment.entries.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str());
        assert_eq!(value("java.compiler"), Some(NOTHING));
        assert_eq!(value("oxkeeper.version"), Some(env!("CARGO_PKG_VERSION")));
        assert!(value("zookeeper.version").is_some_and(|version| version.starts_with("3.9.5-")));
        assert!(value("user.dir").is_some_and(|dir| dir.starts_with('/')));
    }
}
