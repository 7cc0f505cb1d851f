//! stub
#![allow(missing_docs)]
use crate::driver::gate::Startups;
use core::time::Duration;
use std::path::PathBuf;
pub struct Settings {
    pub users: super::users::Users,
    pub logs: Vec<LogFile>,
    pub limits: Limits,
}
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    pub name: String,
    pub path: PathBuf,
    pub log_format: Option<String>,
}
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    pub login_grace: Option<Duration>,
    pub max_startups: Startups,
    pub max_auth_tries: u32,
    pub max_connections: u32,
    pub per_source: u32,
    pub max_sessions: u32,
    pub idle: Option<Duration>,
    pub keepalive: Option<Duration>,
    pub ring: usize,
}
impl Default for Limits {
    fn default() -> Self {
        Self {
            login_grace: Some(Duration::from_secs(30)),
            max_startups: Startups::default(),
            max_auth_tries: 6,
            max_connections: 10_000,
            per_source: 0,
            max_sessions: 10,
            idle: None,
            keepalive: Some(Duration::from_secs(30)),
            ring: 10_000,
        }
    }
}
