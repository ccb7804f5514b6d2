//! Oxkeeper: a drop-in replacement for the Apache ZooKeeper server.
