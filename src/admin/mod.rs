//! What operators ask a running server: four-letter words and the admin server's JSON, over one table of commands.
//! Knows the shape of the answers and nothing of how a server works: it renders a [`View`] that the server fills.
//! The words arrive in the reactor, the admin server's requests in `server/http`; `server` gathers the view.

pub mod commands;
pub mod environment;
pub mod four_letter;
pub mod jackson;
pub(crate) mod java_text;
pub mod json;
mod monitor;
pub mod process;
pub mod prometheus;
mod text;
pub mod top;
pub mod version;
pub mod view;

#[cfg(test)]
mod json_tests;
#[cfg(test)]
mod prometheus_tests;
#[cfg(test)]
mod queries_tests;
#[cfg(test)]
mod tests;

pub use commands::{Command, Effect, Part, Work};
pub use view::View;
