//! Trees, both ways: directories are listed as a stream, and each file is begun as soon as it may.
//!
//! A listing waits while enough files are on their way, so that nothing is remembered of a directory but its directories. Of
//! these the deepest have their turns first, so that few of those above are open. Links to directories are not followed: no
//! tree is endless but one that is really there, and that ends at [`DEPTH_MAX`].

use super::local::{Finish, Folder, is_name, kind, kind_name};
use super::operand::joined;
use super::remote::{Entry, Failure};
use super::work::Work;
use super::{download, upload};
use crate::driver::sftp::client::Asked;
use crate::driver::task::Permit;
use crate::sftp::{Attributes, Request};
use rustix::fs::FileType;
use std::collections::VecDeque;
use std::rc::Rc;

/// Directories within each other (OpenSSH: the same).
pub(super) const DEPTH_MAX: usize = 64;
/// Directories that were found and wait for their turn.
pub(super) const WAITING_MAX: usize = 65_536;
/// READDIRs of one directory under way.
const READDIRS: usize = 3;

/// A directory here and the one there: a copy of the other, once all in it is.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) parent: Option<Rc<Self>>,
    pub(super) folder: Folder,
    /// Its path at the server.
    pub(super) remote: Vec<u8>,
    /// The path of the source, for the user.
    pub(super) shown: Vec<u8>,
    pub(super) depth: usize,
    /// The copy was made by us: what is in it is ours.
    pub(super) fresh: bool,
    /// What the copy gets in the end.
    pub(super) finish: Option<Finish>,
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Down,
    Up,
}

/// A directory that is to be copied.
pub(super) struct Subdirectory {
    pub(super) way: Way,
    pub(super) parent: Rc<Directory>,
    /// Its name in both parents; without one it is copied into the parent's copy itself.
    pub(super) source: Option<Vec<u8>>,
    pub(super) target: Option<Vec<u8>>,
    /// Mode and times of the source.
    pub(super) attrs: Attributes<'static>,
}

impl Subdirectory {
    fn shown(&self) -> Vec<u8> {
        self.source
            .as_ref()
            .map_or_else(|| self.parent.shown.clone(), |name| joined(&self.parent.shown, name))
    }
}

/// Copies a directory with all that is in it; those in it are started.
pub(super) async fn copy(work: Rc<Work>, what: Subdirectory, permit: Permit) {
    let shown = what.shown();
    let mut found = Vec::new();
    let directory = match begin(&work, &what).await {
        Ok(directory) => {
            let listed = match what.way {
                Way::Down => list_remote(&work, &directory, &mut found).await,
                Way::Up => list_local(&work, &directory, &mut found).await,
            };
            if let Err(failure) = listed {
                work.failed(&shown, &failure);
            }
            Some(directory)
        }
        Err(failure) => {
            work.failed(&shown, &failure);
            None
        }
    };
    // The first one below goes on with the same permit: a chain of directories stays one.
    let mut own = Some(permit);
    if let Some(directory) = directory {
        for (name, attrs) in found {
            let permit = match own.take() {
                Some(permit) => permit,
                None => work.remote.listings.take_ranked(directory.depth).await,
            };
            work.waiting.set(work.waiting.get() - 1);
            let source = Some(name.clone());
            let below = Subdirectory {
                way: what.way,
                parent: Rc::clone(&directory),
                source,
                target: Some(name),
                attrs,
            };
            work.starter.start(copy(Rc::clone(&work), below, permit));
        }
        drop(own.take());
        release(&work, what.way, directory).await;
    }
    drop(own);
    release(&work, what.way, what.parent).await;
}

/// Makes the copy, empty, and opens both.
async fn begin(work: &Work, what: &Subdirectory) -> Result<Rc<Directory>, Failure> {
    let parent = &what.parent;
    let depth = parent.depth + 1;
    if depth > DEPTH_MAX {
        return Err(Failure::new(format!("more than {DEPTH_MAX} directories within each other")));
    }
    let below = |name: &Option<Vec<u8>>| match name {
        Some(name) => joined(&parent.remote, name),
        None => parent.remote.clone(),
    };
    let finish = work.finish(&what.attrs, 0o755);
    let (folder, remote, fresh) = match what.way {
        Way::Down => {
            let (folder, fresh) = match &what.target {
                Some(name) => parent.folder.make_child(name, finish.mode.unwrap_or(0o700))?,
                None => (parent.folder.try_clone()?, false),
            };
            (folder, below(&what.source), fresh)
        }
        Way::Up => {
            let folder = match &what.source {
                Some(name) => parent.folder.child(name)?,
                None => parent.folder.try_clone()?,
            };
            let remote = below(&what.target);
            let fresh = what.target.is_some() && upload::make_directory(work, &remote, finish.mode).await?;
            (folder, remote, fresh)
        }
    };
    let finish = (fresh || work.manner.preserve).then_some(finish);
    let shown = what.shown();
    Ok(Rc::new(Directory { parent: Some(Rc::clone(parent)), folder, remote, shown, depth, fresh, finish }))
}

/// Gives a directory back; whoever does so last gives it its mode and times, and so for those above it.
pub(super) async fn release(work: &Work, way: Way, directory: Rc<Directory>) {
    let mut last = Rc::into_inner(directory);
    while let Some(directory) = last {
        if let Some(finish) = &directory.finish {
            let finished = match way {
                Way::Down => directory.folder.finish(finish).map_err(Failure::from),
                Way::Up => upload::finish_directory(work, &directory, finish).await,
            };
            if let Err(failure) = finished {
                work.failed(&directory.shown, &failure);
            }
        }
        last = directory.parent.and_then(Rc::into_inner);
    }
}

type Found = Vec<(Vec<u8>, Attributes<'static>)>;

fn remember(
    work: &Work,
    found: &mut Found,
    name: Vec<u8>,
    attrs: Attributes<'static>,
) -> Result<(), Failure> {
    if work.waiting.get() >= WAITING_MAX {
        return Err(Failure::new(format!("more than {WAITING_MAX} directories wait")));
    }
    work.waiting.set(work.waiting.get() + 1);
    found.push((name, attrs));
    Ok(())
}

async fn list_remote(work: &Rc<Work>, directory: &Rc<Directory>, found: &mut Found) -> Result<(), Failure> {
    let handle = work.remote.sftp.open_directory(&directory.remote).await?;
    let mut asked = VecDeque::new();
    loop {
        while asked.len() < READDIRS {
            asked.push_back(work.remote.sftp.ask(&Request::Readdir { handle: handle.bytes() }).await?);
        }
        let Some(answer) = asked.pop_front() else { return Ok(()) };
        let Some(entries) = answer.names().await? else { return Ok(()) };
        let mut about = Vec::new();
        for entry in entries.into_iter().filter(|entry| !matches!(entry.name.as_slice(), b"." | b"..")) {
            let path = joined(&directory.remote, &entry.name);
            let request = match file_type(&entry) {
                _ if !is_name(&entry.name) => None,
                Some(FileType::Symlink) => Some(Request::Stat { path: &path }),
                None | Some(FileType::Unknown) => Some(Request::Lstat { path: &path }),
                _ => None,
            };
            let asked = match request {
                Some(request) => Some(work.remote.sftp.ask(&request).await?),
                None => None,
            };
            about.push((path, entry, asked));
        }
        for (path, entry, asked) in about {
            take_remote(work, directory, path, entry, asked, found).await?;
        }
    }
}

/// Takes one entry of a listing; `asked` is about what it does not say, or about what its link leads to.
async fn take_remote(
    work: &Rc<Work>,
    directory: &Rc<Directory>,
    path: Vec<u8>,
    mut entry: Entry,
    asked: Option<Rc<Asked>>,
    found: &mut Found,
) -> Result<(), Failure> {
    match complete(work, &path, &mut entry, asked).await {
        Ok(Some(FileType::Directory)) => return remember(work, found, entry.name, entry.attrs),
        Ok(Some(FileType::RegularFile) | None) => {
            let permit = work.files.take().await;
            let file = download::File { remote: path, parent: Rc::clone(directory), name: entry.name };
            work.starter.start(download::copy(Rc::clone(work), file, entry.attrs, permit));
        }
        Ok(Some(special)) => work.failed(&path, &not_copied(special)),
        Err(failure) => work.failed(&path, &failure),
    }
    Ok(())
}

/// What an entry is, if the server says that at all; links are followed to files.
async fn complete(
    work: &Work,
    path: &[u8],
    entry: &mut Entry,
    asked: Option<Rc<Asked>>,
) -> Result<Option<FileType>, Failure> {
    if !is_name(&entry.name) {
        return Err(Failure::new("the server sent what is no name of a file"));
    }
    let mut through_link = file_type(entry) == Some(FileType::Symlink);
    if let Some(asked) = asked {
        entry.attrs = asked.attrs().await?;
        if file_type(entry) == Some(FileType::Symlink) {
            through_link = true;
            entry.attrs = work.remote.sftp.attrs(&Request::Stat { path }).await?;
        }
    }
    match file_type(entry) {
        Some(FileType::Directory) if through_link => Err(not_followed()),
        file_type => Ok(file_type),
    }
}

fn file_type(entry: &Entry) -> Option<FileType> {
    entry.attrs.permissions.map(kind)
}

async fn list_local(work: &Rc<Work>, directory: &Rc<Directory>, found: &mut Found) -> Result<(), Failure> {
    for name in directory.folder.names()? {
        let name = name?;
        let shown = joined(&directory.shown, &name);
        if let Err(failure) = take_local(work, directory, name, found).await {
            work.failed(&shown, &failure);
        }
    }
    Ok(())
}

async fn take_local(
    work: &Rc<Work>,
    directory: &Rc<Directory>,
    name: Vec<u8>,
    found: &mut Found,
) -> Result<(), Failure> {
    let folder = &directory.folder;
    let Some(mut stat) = folder.look(&name)? else { return Ok(()) };
    let through_link = kind(stat.st_mode) == FileType::Symlink;
    if through_link {
        stat = folder.look_through(&name)?;
    }
    match kind(stat.st_mode) {
        FileType::Directory if through_link => Err(not_followed()),
        FileType::Directory => remember(work, found, name, upload::attributes(&stat)),
        FileType::RegularFile => {
            let permit = work.files.take().await;
            let file = folder.open_file(&name)?;
            let shown = joined(&directory.shown, &name);
            let target = upload::File { file, shown, parent: Rc::clone(directory), name };
            work.starter.start(upload::copy(Rc::clone(work), target, permit));
            Ok(())
        }
        special => Err(not_copied(special)),
    }
}

fn not_followed() -> Failure {
    Failure::new("a symbolic link to a directory is not followed")
}

pub(super) fn not_copied(special: FileType) -> Failure {
    Failure::new(format!("{} is not copied", kind_name(special)))
}
