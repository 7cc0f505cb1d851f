//! stub
#![allow(missing_docs)]
use std::net::SocketAddr;
pub fn login(user: &[u8], address: Option<SocketAddr>, method: &str, with: &str) {
    crate::tell!("login {} {address:?} {method} {with}", crate::driver::text::escaped(user));
}
pub fn refused(address: Option<SocketAddr>, user: &[u8], why: &str, with: &str) {
    crate::tell!("refused {} {address:?} {why} {with}", crate::driver::text::escaped(user));
}
pub fn command(user: &[u8], address: Option<SocketAddr>, command: &str) {
    crate::tell!("command {} {address:?} {command}", crate::driver::text::escaped(user));
}
pub fn end(user: &[u8], address: Option<SocketAddr>, seconds: f64, why: &str) {
    crate::tell!("end {} {address:?} {seconds} {why}", crate::driver::text::escaped(user));
}
pub fn notice(text: &str) {
    crate::tell!("{text}");
}
