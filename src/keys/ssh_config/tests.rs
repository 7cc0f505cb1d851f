//! Hosts, blocks and hostile files.
