//! Oxkeeper: a drop-in replacement for the Apache ZooKeeper server.

pub mod admin;
pub mod auth;
pub mod bench;
pub mod client;
pub mod config;
pub mod engine;
pub mod jute;
pub mod metrics;
pub mod proto;
pub mod reactor;
pub mod throttle;
pub mod tree;
pub mod clock;
pub mod server;
pub mod store;
pub mod zab;
