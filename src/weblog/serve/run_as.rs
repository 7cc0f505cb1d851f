//! The user that a server becomes which was started as root (T-111).
//!
//! Root is given up for the whole process and for ever: groups, group, user, each of the real, the effective and the saved one.
//! The C library does it for every thread there is. It does not know what was read or bound before.

use core::fmt;
use nix::unistd::{Gid, Uid, User, geteuid, initgroups, setresgid, setresuid, setuid};
use std::ffi::CString;
use std::io;
use std::path::Path;

/// A user of this machine who is not root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunAs {
    name: String,
    uid: Uid,
    gid: Gid,
}

impl fmt::Display for RunAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl RunAs {
    /// Looks a user up.
    ///
    /// # Errors
    /// There is none of this name, or it is root; a text for the user that begins with the name.
    pub fn named(name: &str) -> Result<Self, String> {
        let found = User::from_name(name).map_err(|error| format!("{name}: {error}"))?;
        let make = "make one (useradd --system --no-create-home --shell /usr/sbin/nologin NAME)";
        let user = found.ok_or_else(|| format!("{name}: there is no such user: write another or {make}"))?;
        if user.uid.is_root() {
            return Err(format!("{name}: that is root, who is to be given up: write another or {make}"));
        }
        Ok(Self { name: user.name, uid: user.uid, gid: user.gid })
    }

    /// Becomes the user, if this is root; nothing happens if it is the user already.
    ///
    /// # Errors
    /// It is neither, or root would not go; a text for the user.
    pub fn give_up_root(&self) -> Result<(), String> {
        if !geteuid().is_root() {
            return if geteuid() == self.uid {
                Ok(())
            } else {
                Err(format!(
                    "run_as names {self}, and only root can become another: start it as root or as {self}, or leave run_as out"
                ))
            };
        }
        let failed = |error: nix::Error| format!("run_as {self}: root would not go: {error}");
        let name = CString::new(self.name.as_str()).map_err(|error| format!("run_as {self}: {error}"))?;
        initgroups(&name, self.gid).map_err(failed)?;
        setresgid(self.gid, self.gid, self.gid).map_err(failed)?;
        setresuid(self.uid, self.uid, self.uid).map_err(failed)?;
        // What is left over of root is found by asking for the rest.
        match setuid(Uid::from_raw(0)) {
            Err(_) => Ok(()),
            Ok(()) => Err(format!("run_as {self}: root would not go")),
        }
    }

    /// Gives a directory to the user that root has just made for him.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn own(&self, directory: &Path) -> io::Result<()> {
        std::os::unix::fs::lchown(directory, Some(self.uid.as_raw()), Some(self.gid.as_raw()))
    }
}

/// Whether this is root.
#[must_use]
pub fn is_root() -> bool {
    geteuid().is_root()
}
