//! A file to the server: under its name only once it is whole there.

use super::download::is_same;
use super::local::{Finish, MODE_MASK, kind, kind_name};
use super::operand::joined;
use super::remote::{Failure, Handle, ONLY_FAILURE};
use super::resume::{NOTE_LEN_MAX, NOTED_FROM, Source, compared, last, note, offset, partial};
use super::transfer::{Incoming, Outgoing, Sink};
use super::walk::{Directory, Way, not_copied, release};
use super::work::Work;
use crate::driver::task::Permit;
use crate::driver::text::escaped;
use crate::sftp::{Attributes, Pflags, Request};
use rustix::fs::{FileType, Stat, fstat};
use std::rc::Rc;

/// A file that is to be copied.
pub(super) struct File {
    pub(super) file: std::fs::File,
    /// Its path, for the user.
    pub(super) shown: Vec<u8>,
    /// Where it goes.
    pub(super) parent: Rc<Directory>,
    /// How it is called there.
    pub(super) name: Vec<u8>,
}

/// What the server is told of a file here.
pub(super) fn attributes(stat: &Stat) -> Attributes<'static> {
    // The protocol's times end in 2106, and begin in 1970.
    let seconds = |time: i64| u32::try_from(time.max(0)).unwrap_or(u32::MAX);
    Attributes {
        size: u64::try_from(stat.st_size).ok(),
        permissions: Some(stat.st_mode),
        ac_mod_time: Some((seconds(stat.st_atime), seconds(stat.st_mtime))),
        ..Attributes::default()
    }
}

/// Makes a directory, unless there is one; whether it was made.
pub(super) async fn make_directory(work: &Work, path: &[u8], mode: Option<u32>) -> Result<bool, Failure> {
    // The user's own rights until all is in it.
    let permissions = Some(mode.unwrap_or(0o755) | 0o700);
    let attrs = Attributes { permissions, ..Attributes::default() };
    let Err(failure) = work.remote.sftp.done(&Request::Mkdir { path, attrs }).await else { return Ok(true) };
    let there = work.remote.sftp.attrs(&Request::Stat { path }).await.map_err(|_| failure.clone())?;
    match there.permissions.map(kind) {
        Some(FileType::Directory) => Ok(false),
        Some(_) => Err(Failure::new("there it is no directory")),
        None => Err(failure),
    }
}

/// Gives a directory its mode and times.
pub(super) async fn finish_directory(
    work: &Work,
    directory: &Directory,
    finish: &Finish,
) -> Result<(), Failure> {
    let attrs = match (finish.mode, finish.times) {
        // As it was made.
        (Some(mode), None) if mode & 0o700 == 0o700 => return Ok(()),
        (permissions, ac_mod_time) => Attributes { permissions, ac_mod_time, ..Attributes::default() },
    };
    work.remote.sftp.done(&Request::Setstat { path: &directory.remote, attrs }).await
}

/// Copies a file.
pub(super) async fn copy(work: Rc<Work>, file: File, permit: Permit) {
    if let Err(mut failure) = try_copy(&work, &file).await {
        if failure.is_missing() {
            // The file is here: what is missing is the directory that it should go to.
            let target = joined(&file.parent.remote, &file.name);
            failure.text = format!("{} there: {}", escaped(&target), failure.text);
        } else if failure.text == ONLY_FAILURE {
            failure.text.push_str("; look at its disk and at DST");
        }
        work.failed(&file.shown, &failure);
    }
    drop(permit);
    release(&work, Way::Up, file.parent).await;
}

async fn try_copy(work: &Work, file: &File) -> Result<(), Failure> {
    let stat = fstat(&file.file)?;
    if kind(stat.st_mode) != FileType::RegularFile {
        return Err(not_copied(kind(stat.st_mode)));
    }
    let now = Source { size: u64::try_from(stat.st_size).unwrap_or(0), mtime: stat.st_mtime };
    let target = joined(&file.parent.remote, &file.name);
    let partial = joined(&file.parent.remote, &partial(&file.name));
    // In a directory that was just made nothing is in the way.
    let there = match file.parent.fresh {
        true => None,
        false => Some(work.remote.sftp.ask(&Request::Lstat { path: &target }).await?),
    };
    let mut left = None;
    if work.manner.resume {
        let there = match &there {
            Some(asked) => free(asked.attrs().await)?,
            None => None,
        };
        if let Some(there) = there
            && is_equal(work, file, &target, &there, now).await?
        {
            work.tell(&file.shown, "is there already");
            return Ok(());
        }
        left = self::left(work, file, &partial, now).await?;
    }
    let mode = work.mode(stat.st_mode);
    let (handle, from) = match left {
        Some((handle, from)) => {
            work.tell(&file.shown, &format!("goes on at {from} of {} bytes", now.size));
            (handle, from)
        }
        None => {
            // The note comes after it: beside what an earlier try has left it would be about other bytes.
            let handle = create(work, &partial, mode).await?;
            let ready = async {
                if now.size > NOTED_FROM {
                    write_note(work, &partial, now).await?;
                }
                match &there {
                    Some(asked) if !work.manner.resume => free(asked.attrs().await).map(drop),
                    _ => Ok(()),
                }
            };
            if let Err(failure) = ready.await {
                let _it_stays = work.remote.sftp.done(&Request::Remove { filename: &partial }).await;
                return Err(failure);
            }
            (handle, 0)
        }
    };
    let outgoing = Outgoing::new(work.progress.file(&escaped(&file.name), now.size.saturating_sub(from)));
    let sent = send(work, file, &stat, handle, from, &outgoing).await;
    let done = match sent {
        Ok(set) => work.remote.rename_over(&partial, &target).await.map(|()| set),
        Err(failure) => Err(failure),
    };
    let is_noted = now.size > NOTED_FROM;
    // Behind a WRITE that failed others may have succeeded: nothing goes on there.
    if is_noted && (done.is_ok() || outgoing.has_failed()) {
        let _it_stays = work.remote.sftp.done(&Request::Remove { filename: &note(&partial) }).await;
    }
    if done.is_err() && (!is_noted || outgoing.has_failed()) {
        let _it_stays = work.remote.sftp.done(&Request::Remove { filename: &partial }).await;
    }
    done?
}

/// Sends the file from `from` on; what came of its mode and times is told apart, since the file is whole without them.
async fn send(
    work: &Work,
    file: &File,
    stat: &Stat,
    handle: Handle,
    from: u64,
    outgoing: &Rc<Outgoing>,
) -> Result<Result<(), Failure>, Failure> {
    let end = outgoing.send(&work.remote, &handle, &file.file, from).await?;
    // Behind the last WRITE: a server deals with requests for one file in their order (draft §4).
    let set = match work.manner.preserve {
        true => {
            let times = attributes(stat).ac_mod_time;
            let permissions = Some(work.mode(stat.st_mode));
            let attrs = Attributes { permissions, ac_mod_time: times, ..Attributes::default() };
            Some(work.remote.sftp.ask(&Request::Fsetstat { handle: handle.bytes(), attrs }).await?)
        }
        false => None,
    };
    let (closed, _permit) = work.remote.sftp.close(handle).await?;
    outgoing.acknowledged().await?;
    let set = match set {
        Some(set) => set.done().await,
        None => Ok(()),
    };
    closed.done().await?;
    if i128::from(end) < i128::from(stat.st_size) {
        return Err(Failure::new(format!("ended after {end} of {} bytes", stat.st_size)));
    }
    Ok(set)
}

/// Whether a name is free, or a file's that may be replaced.
fn free(there: Result<Attributes<'static>, Failure>) -> Result<Option<Attributes<'static>>, Failure> {
    match there {
        Ok(attrs) => match attrs.permissions.map(kind) {
            None | Some(FileType::RegularFile | FileType::Unknown) => Ok(Some(attrs)),
            Some(other) => Err(Failure::new(format!("there it is {}", kind_name(other)))),
        },
        Err(failure) if failure.is_missing() => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// A file that was not there before.
async fn create(work: &Work, path: &[u8], mode: u32) -> Result<Handle, Failure> {
    let flags = Pflags::WRITE | Pflags::CREAT | Pflags::EXCL;
    match work.remote.open(path, flags, Some(mode & MODE_MASK)).await {
        Err(failure) if !failure.is_missing() => {
            work.remote.sftp.done(&Request::Remove { filename: path }).await.map_err(|_| failure)?;
            work.remote.open(path, flags, Some(mode & MODE_MASK)).await
        }
        opened => opened,
    }
}

async fn write_note(work: &Work, partial: &[u8], source: Source) -> Result<(), Failure> {
    let handle = create(work, &note(partial), 0o600).await?;
    let text = source.note();
    let request = Request::Write { handle: handle.bytes(), offset: 0, data: text.as_bytes() };
    work.remote.sftp.done(&request).await
}

async fn read_note(work: &Work, partial: &[u8]) -> Option<Source> {
    let path = note(partial);
    let attrs = work.remote.sftp.attrs(&Request::Lstat { path: &path }).await.ok()?;
    let len = attrs.size.filter(|len| (1..=NOTE_LEN_MAX as u64).contains(len))?;
    let handle = work.remote.open(&path, Pflags::READ, None).await.ok()?;
    let sink = Sink::Memory(Vec::new());
    let incoming = Incoming::new(sink, Default::default(), work.remote.read_len(), 0, len, len);
    incoming.read(&work.remote, &handle).await.ok()?;
    Source::from_note(&incoming.into_memory())
}

/// Whether what is there is the file already.
async fn is_equal(
    work: &Work,
    file: &File,
    target: &[u8],
    there: &Attributes<'_>,
    now: Source,
) -> Result<bool, Failure> {
    let mtime = there.ac_mod_time.map(|(_, mtime)| i64::from(mtime));
    if now.size == 0 || there.size != Some(now.size) || (work.manner.preserve && mtime != Some(now.mtime)) {
        return Ok(false);
    }
    let Ok(handle) = work.remote.open(target, Pflags::READ, None).await else { return Ok(false) };
    is_same(work, &handle, &file.file, last(now.size)).await
}

/// What is left of an earlier try, if it can go on.
async fn left(
    work: &Work,
    file: &File,
    partial: &[u8],
    now: Source,
) -> Result<Option<(Handle, u64)>, Failure> {
    let Some(attrs) = work.remote.sftp.attrs_if_any(&Request::Lstat { path: partial }).await? else {
        return Ok(None);
    };
    let noted = read_note(work, partial).await;
    let (Some(FileType::RegularFile), Some(len)) = (attrs.permissions.map(kind), attrs.size) else {
        return Ok(None);
    };
    let Some(from) = offset(noted, now, len) else { return Ok(None) };
    let Ok(handle) = work.remote.open(partial, Pflags::READ | Pflags::WRITE, None).await else {
        return Ok(None);
    };
    for range in compared(from) {
        if !is_same(work, &handle, &file.file, range).await? {
            return Ok(None);
        }
    }
    Ok(Some((handle, from)))
}
