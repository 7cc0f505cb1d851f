//! A file from the server: whole under its name, or not at all.

use super::local::{Part, kind};
use super::remote::{Failure, Handle};
use super::resume::{NOTED_FROM, Source, compared, last, offset};
use super::transfer::{Incoming, Sink};
use super::walk::{Directory, Way, not_copied, release};
use super::work::{Work, both};
use crate::driver::task::Permit;
use crate::driver::text::escaped;
use crate::sftp::{Attributes, Pflags, Request};
use core::ops::Range;
use rustix::fs::FileType;
use std::os::unix::fs::FileExt;
use std::rc::Rc;

/// A file that is to be copied.
pub(super) struct File {
    /// Its path at the server.
    pub(super) remote: Vec<u8>,
    /// Where it goes.
    pub(super) parent: Rc<Directory>,
    /// How it is called there.
    pub(super) name: Vec<u8>,
}

/// Copies a file; what is known of it is a hint.
pub(super) async fn copy(work: Rc<Work>, file: File, known: Attributes<'static>, permit: Permit) {
    if let Err(failure) = try_copy(&work, &file, &known).await {
        work.failed(&file.remote, &failure);
    }
    drop(permit);
    release(&work, Way::Down, file.parent).await;
}

async fn try_copy(work: &Rc<Work>, file: &File, known: &Attributes<'_>) -> Result<(), Failure> {
    let there = Part::check(&file.parent.folder, &file.name)?;
    let handle = work.remote.open(&file.remote, Pflags::READ, None).await?;
    let asked = work.remote.sftp.ask(&Request::Fstat { handle: handle.bytes() }).await?;
    let (mut from, mut size, mut part) = (0, known.size.unwrap_or(0), None);
    let mut attrs = None;
    if work.manner.resume {
        let now = regular(asked.attrs().await?)?;
        size = now.size.unwrap_or(0);
        if let Some(there) = there
            && is_equal(work, file, &handle, &now, &there).await?
        {
            work.tell(&file.remote, "is there already");
            return Ok(());
        }
        if let Some((left, len)) = left(work, file, &handle, &now).await? {
            work.tell(&file.remote, &format!("goes on at {len} of {size} bytes"));
            (from, part) = (len, Some(left));
        }
        attrs = Some(now);
    }
    let part = match part {
        Some(part) => part,
        None => Part::create(&file.parent, &file.name)?,
    };
    let bar = work.progress.file(&escaped(&file.name), size - from);
    let sink = Sink::File(Rc::clone(&part.file));
    let incoming = Incoming::new(sink, bar, work.remote.read_len(), from, size, u64::MAX);
    let told = async {
        let now = match attrs {
            Some(now) => now,
            None => match asked.attrs().await.and_then(regular) {
                Ok(now) => now,
                Err(failure) => {
                    incoming.fail_all(failure.clone());
                    return Err(failure);
                }
            },
        };
        let size = now.size.unwrap_or(0);
        incoming.know(size);
        if let Some(source) = source(&now).filter(|source| source.size > NOTED_FROM) {
            part.note(source)?;
        }
        Ok(now)
    };
    let (read, told) = both(incoming.read(&work.remote, &handle), told).await;
    // The size may have been told last.
    let read = read.and_then(|_| incoming.end());
    match (told, read) {
        (Ok(now), Ok(_)) => Ok(part.finish(&work.finish(&now, 0o644))?),
        (told, read) => {
            let is_noted = told.as_ref().is_ok_and(|now| now.size.is_some_and(|size| size > NOTED_FROM));
            if !is_noted {
                part.discard();
            }
            Err(told.err().or(read.err()).unwrap_or_else(|| Failure::new("it was not copied")))
        }
    }
}

/// Copies a file to standard output.
pub(super) async fn show(work: &Rc<Work>, remote: &[u8]) -> Result<(), Failure> {
    let Some(out) = &work.out else { return Ok(()) };
    let handle = work.remote.open(remote, Pflags::READ, None).await?;
    let attrs = work.remote.sftp.attrs(&Request::Fstat { handle: handle.bytes() }).await.and_then(regular)?;
    let size = attrs.size.unwrap_or(0);
    let bar = work.progress.file(&escaped(remote), size);
    let sink = Sink::Out(Rc::clone(out));
    let incoming = Incoming::new(sink, bar, work.remote.read_len(), 0, size, u64::MAX);
    incoming.read(&work.remote, &handle).await.map(drop)
}

/// Devices and the like are not read, whatever they were called in a listing.
fn regular(attrs: Attributes<'static>) -> Result<Attributes<'static>, Failure> {
    match attrs.permissions.map(kind) {
        None | Some(FileType::RegularFile | FileType::Unknown) => Ok(attrs),
        Some(special) => Err(not_copied(special)),
    }
}

fn source(attrs: &Attributes<'_>) -> Option<Source> {
    Some(Source { size: attrs.size?, mtime: attrs.ac_mod_time?.1.into() })
}

/// Whether what is here is the file already.
async fn is_equal(
    work: &Work,
    file: &File,
    handle: &Handle,
    now: &Attributes<'_>,
    there: &rustix::fs::Stat,
) -> Result<bool, Failure> {
    // Of an empty file there is nothing to compare, and some that say they are empty are not.
    let Some(now) = source(now).filter(|now| now.size > 0) else { return Ok(false) };
    if i128::from(there.st_size) != i128::from(now.size)
        || (work.manner.preserve && i128::from(there.st_mtime) != i128::from(now.mtime))
    {
        return Ok(false);
    }
    let Ok(here) = file.parent.folder.open_file(&file.name) else { return Ok(false) };
    is_same(work, handle, &here, last(now.size)).await
}

/// What is left of an earlier try, if it can go on.
async fn left(
    work: &Work,
    file: &File,
    handle: &Handle,
    now: &Attributes<'_>,
) -> Result<Option<(Part, u64)>, Failure> {
    let Some(now) = source(now) else { return Ok(None) };
    let Some((part, len, noted)) = Part::left(&file.parent, &file.name) else { return Ok(None) };
    let Some(from) = offset(noted, now, len) else { return Ok(None) };
    for range in compared(from) {
        if !is_same(work, handle, &part.file, range).await? {
            return Ok(None);
        }
    }
    Ok(Some((part, from)))
}

/// Whether a part of a file is the same at the server and here.
pub(super) async fn is_same(
    work: &Work,
    handle: &Handle,
    here: &std::fs::File,
    range: Range<u64>,
) -> Result<bool, Failure> {
    let mut own = vec![0; usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(0)];
    if here.read_exact_at(&mut own, range.start).is_err() {
        return Ok(false);
    }
    let block = work.remote.read_len();
    let sink = Sink::Memory(Vec::with_capacity(own.len()));
    let incoming = Incoming::new(sink, Default::default(), block, range.start, range.end, range.end);
    match incoming.read(&work.remote, handle).await {
        Ok(_) => Ok(incoming.into_memory() == own),
        Err(failure) if failure.code.is_some() => Err(failure),
        Err(_) => Ok(false),
    }
}
