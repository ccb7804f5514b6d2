//! The table of metrics: every name there is, and the readings that a thread keeps of them.
//! Plain fields, no clock and no sharing: each thread counts for itself, the server merges what it collects. Nothing else
//! may name a metric. How readings are shown is in `admin::monitor` and `admin::prometheus`.

macro_rules! constants {
    ($kind:ident, $index:expr;) => {};
    ($kind:ident, $index:expr; $first:ident $($rest:ident)*) => {
        #[allow(missing_docs)]
        pub const $first: $kind = $kind($index);
        constants!($kind, $index + 1; $($rest)*);
    };
}

mod distribution;
mod histogram;
mod own;
mod readings;
mod table;
mod unused;

pub use distribution::{Distribution, Spread};
pub use histogram::Histogram;
pub use own::*;
pub use readings::{KEYS_MAX, Number, Readings, WINDOW_MS};
pub use table::*;
pub use unused::UNUSED;

/// Which metrics provider is configured: it decides what is kept of a summary and how readings are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Provider {
    /// `NullMetricsProvider`: nothing is kept.
    None,
    /// `DefaultMetricsProvider`.
    #[default]
    Default,
    /// `PrometheusMetricsProvider`.
    Prometheus,
}

/// The first name of a path, which the metrics by namespace have as their key; the root has none
/// (`PathUtils.getTopNamespace`).
pub fn namespace_of(path: &str) -> Option<&str> {
    Some(crate::proto::path::namespace(path)).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::namespace_of;

    #[test]
    fn a_namespace_is_the_first_name() {
        assert_eq!(namespace_of("/a/b"), Some("a"));
        assert_eq!(namespace_of("/a"), Some("a"));
        assert_eq!((namespace_of("/"), namespace_of("")), (None, None));
    }
}
