//! What operators ask a running server: four-letter words now, the admin server's pages over the same table later.
//! Knows the shape of the answers and nothing of how a server works: it renders a [`View`] that the server fills.
//! The words arrive in the reactor; `server` gathers the view.

pub mod commands;
pub mod environment;
pub mod four_letter;
pub(crate) mod java_text;
mod monitor;
pub mod process;
pub mod prometheus;
mod text;
pub mod version;
pub mod view;

#[cfg(test)]
mod prometheus_tests;
#[cfg(test)]
mod queries_tests;
#[cfg(test)]
mod tests;

pub use commands::{Command, Effect, Part};
pub use view::View;
