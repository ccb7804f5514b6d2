//! Transaction ids.

use std::fmt;

/// A transaction id: the epoch in the high 32 bits, a counter in the low 32. Compared as a signed 64-bit number, as Java does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Zxid(pub i64);

impl Zxid {
    /// The zxid before the first transaction.
    pub const ZERO: Zxid = Zxid(0);

    /// Builds a zxid of its two halves.
    pub fn new(epoch: u32, counter: u32) -> Self {
        Zxid((i64::from(epoch) << 32) | i64::from(counter))
    }

    /// The epoch: which leader's term this transaction belongs to.
    pub fn epoch(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The position in the epoch.
    pub fn counter(self) -> u32 {
        self.0 as u32
    }

    /// The zxid after this one in the same epoch; at the end of the counter it runs into the next epoch, as a
    /// standalone Java server does.
    pub fn next(self) -> Self {
        Zxid(self.0.wrapping_add(1))
    }
}

impl fmt::Display for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:x}", self.0)
    }
}

impl fmt::Debug for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zxid(0x{:x})", self.0)
    }
}
