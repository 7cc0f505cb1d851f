//! What was asked for on the command line, done over SFTP: sources found, patterns expanded, the target looked at.

use super::local::{Folder, is_name, kind};
use super::operand::base_name;
use super::remote::Failure;
use super::walk::{Directory, Subdirectory, Way, copy, not_copied, release};
use super::work::Work;
use super::{FAILED, USAGE, download, upload};
use crate::driver::glob::{FITTING_MAX, Pattern, TooMany, expand};
use crate::sftp::{Attributes, Extension, Request};
use rustix::fs::{FileType, stat};
use std::fs::OpenOptions;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Where it goes, here.
#[derive(Clone)]
pub(super) enum Target {
    /// Into a directory.
    Into(Rc<Directory>),
    /// Under a name.
    Named(Rc<Directory>, Vec<u8>),
    Standard,
}

impl Target {
    /// Looks at the user's path. `many`: it must be a directory. An error has its exit status.
    pub(super) fn new(path: &Path, many: bool) -> Result<Self, (u8, String)> {
        let shown = path.display();
        let no_directory = || (USAGE, format!("{shown}: not a directory"));
        let open = |path: &Path| {
            Folder::open(path).map_err(|error| (FAILED, format!("{}: {error}", path.display())))
        };
        let bytes = path.as_os_str().as_bytes();
        if path.is_dir() {
            return Ok(Self::Into(Work::top(open(path)?, Vec::new(), bytes.to_vec())));
        }
        if many || bytes.ends_with(b"/") {
            return Err(no_directory());
        }
        let name = base_name(bytes).ok_or_else(no_directory)?;
        let above = match path.parent() {
            Some(above) if !above.as_os_str().is_empty() => above,
            _ => Path::new("."),
        };
        Ok(Self::Named(Work::top(open(above)?, Vec::new(), bytes.to_vec()), name.to_vec()))
    }
}

/// Copies from the host.
pub(super) async fn download(work: Rc<Work>, sources: Vec<Vec<u8>>, target: Target) {
    let mut found = Vec::new();
    for source in sources {
        let path = match there(&work, source.clone()).await {
            Ok(path) => path,
            Err(failure) => {
                work.failed(&source, &failure);
                continue;
            }
        };
        match find(&work, path).await {
            Ok(more) => found.extend(more),
            Err(failure) => work.failed(&source, &failure),
        }
    }
    if found.len() > 1 && matches!(target, Target::Named(..)) {
        work.failed(b"the target", &Failure::new("several files need a directory"));
        return work.status.set(USAGE);
    }
    for (path, attrs) in found {
        if let Err(failure) = begin_download(&work, &path, attrs, &target).await {
            work.failed(&path, &failure);
        }
    }
    if let Target::Into(directory) | Target::Named(directory, _) = target {
        release(&work, Way::Down, directory).await;
    }
}

async fn begin_download(
    work: &Rc<Work>,
    path: &[u8],
    attrs: Attributes<'static>,
    target: &Target,
) -> Result<(), Failure> {
    let file_type = attrs.permissions.map(kind);
    let is_directory = file_type == Some(FileType::Directory);
    if is_directory && !work.manner.recursive {
        return Err(Failure::new("is a directory; -r copies it"));
    }
    if !is_directory && !matches!(file_type, None | Some(FileType::RegularFile | FileType::Unknown)) {
        return Err(not_copied(file_type.unwrap_or(FileType::Unknown)));
    }
    let (parent, name) = match target {
        Target::Standard => return download::show(work, path).await,
        Target::Into(parent) => (parent, base_name(path)),
        Target::Named(parent, name) => (parent, Some(name.as_slice())),
    };
    let name = name.map(<[u8]>::to_vec);
    if is_directory {
        // Its own parent is the path as it was typed.
        let (folder, shown) = (parent.folder.try_clone()?, path.to_vec());
        let parent = Work::top(folder, path.to_vec(), shown);
        let permit = work.remote.listings.take().await;
        let below = Subdirectory { way: Way::Down, parent, source: None, target: name, attrs };
        work.starter.start(copy(Rc::clone(work), below, permit));
        return Ok(());
    }
    let name =
        name.filter(|name| is_name(name)).ok_or_else(|| Failure::new("has no name to be copied to"))?;
    let permit = work.files.take().await;
    let file = download::File { remote: path.to_vec(), parent: Rc::clone(parent), name };
    work.starter.start(download::copy(Rc::clone(work), file, attrs, permit));
    Ok(())
}

/// A path as the server knows it: `~USER` is asked for, if it can be. What stands behind it stays as it was typed, so that no
/// name here is the server's.
async fn there(work: &Work, path: Vec<u8>) -> Result<Vec<u8>, Failure> {
    if path.is_empty() {
        return Ok(b".".to_vec());
    }
    if !path.starts_with(b"~") || !work.remote.sftp.supports(Extension::ExpandPath) {
        return Ok(path);
    }
    let (user, rest) = path.split_at(path.iter().position(|byte| *byte == b'/').unwrap_or(path.len()));
    let names = work.remote.sftp.ask(&Request::ExpandPath { path: user }).await?.names().await?;
    let expanded = names.and_then(|mut names| names.pop()).map(|entry| entry.name);
    let expanded = expanded.ok_or_else(|| Failure::new("the server does not know this user"))?;
    let rest = if matches!(rest, b"" | b"/") { b"/." } else { rest };
    Ok([&expanded, rest].concat())
}

/// STATs under way for what a pattern has found.
const STATS_MAX: usize = 64;

type Found = Vec<(Vec<u8>, Attributes<'static>)>;

/// The file of exactly this name, or else those that a pattern means.
async fn find(work: &Work, path: Vec<u8>) -> Result<Found, Failure> {
    let missing = match work.remote.sftp.attrs(&Request::Stat { path: &path }).await {
        Ok(attrs) => return Ok(vec![(path, attrs)]),
        Err(failure) => failure,
    };
    if !missing.is_missing() || !Pattern::is_one(&path) {
        return Err(missing);
    }
    let listed = async |directory: &[u8], pattern: &Pattern| match fitting(work, directory, pattern).await {
        // What is no directory, or cannot be read, has nothing that fits.
        Err(failure) if failure.code.is_some() => Ok(Vec::new()),
        names => names,
    };
    let found = expand(&path, listed).await?;
    let mut files = Vec::new();
    for paths in found.chunks(STATS_MAX) {
        let mut asked = Vec::new();
        for path in paths {
            asked.push(work.remote.sftp.ask(&Request::Stat { path }).await?);
        }
        for (path, asked) in paths.iter().zip(asked) {
            match asked.attrs().await {
                Ok(attrs) => files.push((path.clone(), attrs)),
                Err(failure) if failure.is_missing() => {}
                Err(failure) => return Err(failure),
            }
        }
    }
    if files.is_empty() { Err(missing) } else { Ok(files) }
}

/// The names in a directory that fit; what the server sends is matched here.
async fn fitting(work: &Work, path: &[u8], pattern: &Pattern) -> Result<Vec<Vec<u8>>, Failure> {
    let _permit = work.remote.listings.take().await;
    let handle = work.remote.sftp.open_directory(path).await?;
    let mut fitting = Vec::new();
    while let Some(entries) =
        work.remote.sftp.ask(&Request::Readdir { handle: handle.bytes() }).await?.names().await?
    {
        let names = entries.into_iter().map(|entry| entry.name);
        fitting.extend(names.filter(|name| is_name(name) && pattern.fits(name)));
        if fitting.len() > FITTING_MAX {
            return Err(TooMany.into());
        }
    }
    Ok(fitting)
}

/// Copies to the host.
pub(super) async fn upload(work: Rc<Work>, sources: Vec<PathBuf>, path: Vec<u8>) {
    let shown = path.clone();
    let looked = async {
        let path = there(&work, path).await?;
        let attrs = work.remote.sftp.attrs_if_any(&Request::Stat { path: &path }).await?;
        Ok((path, attrs.map(|attrs| attrs.permissions.map(kind))))
    };
    let (path, kind_there) = match looked.await {
        Ok(looked) => looked,
        Err(failure) => return work.failed(&shown, &failure),
    };
    let is_directory = kind_there == Some(Some(FileType::Directory));
    if !is_directory && (sources.len() > 1 || path.ends_with(b"/")) {
        work.failed(&shown, &Failure::new("not a directory"));
        return work.status.set(USAGE);
    }
    for source in sources {
        if let Err(failure) = begin_upload(&work, &source, &path, is_directory).await {
            work.failed(source.as_os_str().as_bytes(), &failure);
        }
    }
}

async fn begin_upload(work: &Rc<Work>, source: &Path, path: &[u8], into: bool) -> Result<(), Failure> {
    let shown = source.as_os_str().as_bytes().to_vec();
    let stat = stat(source)?;
    let is_directory = kind(stat.st_mode) == FileType::Directory;
    if is_directory && !work.manner.recursive {
        return Err(Failure::new("is a directory; -r copies it"));
    }
    let (above, name) = match into {
        true => (path.to_vec(), base_name(&shown).map(<[u8]>::to_vec)),
        false => match base_name(path) {
            Some(name) => {
                let above = path.strip_suffix(name).unwrap_or_default();
                (above.to_vec(), Some(name.to_vec()))
            }
            None => (path.to_vec(), None),
        },
    };
    if is_directory {
        let parent = Work::top(Folder::open(source)?, above, shown);
        let permit = work.remote.listings.take().await;
        let attrs = upload::attributes(&stat);
        let below = Subdirectory { way: Way::Up, parent, source: None, target: name, attrs };
        work.starter.start(copy(Rc::clone(work), below, permit));
        return Ok(());
    }
    if kind(stat.st_mode) != FileType::RegularFile {
        return Err(not_copied(kind(stat.st_mode)));
    }
    let name = name.ok_or_else(|| Failure::new("has no name to be copied to"))?;
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = OpenOptions::new().read(true).custom_flags(flags).open(source)?;
    let permit = work.files.take().await;
    let parent = Work::top(Folder::open(Path::new("."))?, above, Vec::new());
    let file = upload::File { file, shown, parent, name };
    work.starter.start(upload::copy(Rc::clone(work), file, permit));
    Ok(())
}

/// Of two exit statuses the one that says more.
pub(super) const fn worst(a: u8, b: u8) -> u8 {
    match (a, b) {
        (255, _) | (_, 255) => 255,
        (USAGE, _) | (_, USAGE) => USAGE,
        (FAILED, _) | (_, FAILED) => FAILED,
        (a, _) => a,
    }
}
