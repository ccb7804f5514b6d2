//! Limits that protect the operator, beyond those of the original and off unless said: budgets of memory and disk, above
//! which writes that make the server grow are refused before the machine ends it, and rates of requests by identity and by
//! place in the tree. Pure decisions: what was measured and the time are handed in. The counts live in shared atomics,
//! which order no other memory, so that all reactors obey the same limit without a lock.

mod budget;
mod rate;

pub use budget::{Budget, Budgets, Shortage, Usage, grows};
pub use rate::{PrefixRates, Rate, Rates};
