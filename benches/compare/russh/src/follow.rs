//! `tail -n0 -f`: a file is read once, by a thread of its own, and handed to all who follow it.

use bytes::Bytes;
use russh::Channel;
use russh::server::Msg;
use rustix::fs::inotify;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use tokio::sync::broadcast::{self, Sender};

/// Blocks that wait for one who does not keep up; more, and he is ended.
const BLOCKS_WAITING: usize = 1024;

/// What is added within this time of what was handed on is handed on together.
const TOGETHER: Duration = Duration::from_millis(5);

#[derive(Default)]
pub struct Files(Mutex<HashMap<PathBuf, Sender<Bytes>>>);

impl Files {
    fn blocks(&self, path: &Path) -> io::Result<broadcast::Receiver<Bytes>> {
        let mut files = self.0.lock().expect("no task panicked");
        if let Some(sender) = files.get(path) {
            return Ok(sender.subscribe());
        }
        let mut file = File::open(path)?;
        file.seek(SeekFrom::End(0))?;
        let events = inotify::init(inotify::CreateFlags::CLOEXEC)?;
        inotify::add_watch(&events, path, inotify::WatchFlags::MODIFY)?;
        let (sender, receiver) = broadcast::channel(BLOCKS_WAITING);
        files.insert(path.to_owned(), sender.clone());
        thread::spawn(move || {
            let (mut block, mut names) = (vec![0; 64 * 1024], [MaybeUninit::uninit(); 4096]);
            let mut events = inotify::Reader::new(events, &mut names);
            loop {
                while let Ok(n @ 1..) = file.read(&mut block) {
                    let _nobody_follows = sender.send(Bytes::copy_from_slice(&block[..n]));
                }
                thread::sleep(TOGETHER);
                if events.next().is_err() {
                    return;
                }
            }
        });
        Ok(receiver)
    }
}

pub async fn follow(files: Arc<Files>, channel: Channel<Msg>, path: PathBuf) -> Result<(), russh::Error> {
    if let Ok(mut blocks) = files.blocks(&path) {
        while let Ok(block) = blocks.recv().await {
            channel.data_bytes(block).await?;
        }
    }
    channel.exit_status(1).await?;
    channel.close().await
}
