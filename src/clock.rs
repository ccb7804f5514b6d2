//! The only caller of the system's clocks. Everybody else is handed the time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Wall clock for transactions and session ids, a monotonic one for everything that expires.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
}

impl Default for Clock {
    fn default() -> Self {
        Clock { origin: Instant::now() }
    }
}

impl Clock {
    /// Milliseconds since the process began.
    pub fn now_ms(&self) -> i64 {
        self.origin.elapsed().as_millis() as i64
    }

    /// Microseconds since the process began.
    pub fn now_us(&self) -> i64 {
        self.origin.elapsed().as_micros() as i64
    }

    /// Until the monotonic clock shows `at_ms`.
    pub fn until(&self, at_ms: i64) -> Duration {
        Duration::from_millis(u64::try_from(at_ms - self.now_ms()).unwrap_or(0))
    }

    /// Milliseconds since the Unix epoch.
    pub fn wall_ms(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => since.as_millis() as i64,
            Err(before) => -(before.duration().as_millis() as i64),
        }
    }
}
