//! Oxkeeper: a drop-in replacement for the Apache ZooKeeper server. The map of the house, and the way of a request:
//!
#![doc = include_str!("ARCHITECTURE.md")]

pub mod admin;
pub mod audit;
pub mod auth;
pub mod bench;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod dev;
pub mod engine;
pub mod guard;
pub mod jute;
pub mod membership;
pub mod metrics;
#[doc(hidden)]
pub mod mutant;
pub mod proto;
pub mod quorum;
pub mod reactor;
pub mod server;
pub mod signals;
#[cfg(any(test, feature = "simulation"))]
#[doc(hidden)]
pub mod simulation;
pub mod store;
pub mod talkers;
pub mod throttle;
pub mod tools;
pub mod top;
pub mod tree;
pub mod zab;

#[cfg(test)]
mod tidy;
