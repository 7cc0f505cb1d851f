//! A passphrase tried off the loop: its derivation takes as long as the file asks for, a second and more.

use crate::crypto::sign::PrivateKey;
use crate::keys::private_key::{Encrypted, PrivateKeyError};
use core::fmt;
use mio::Waker;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;
use zeroize::Zeroizing;

/// One try. Dropping it leaves the thread to its end, which wipes what comes out.
pub struct Unlocking(Receiver<Result<PrivateKey, PrivateKeyError>>);

impl Unlocking {
    /// Starts to decrypt; `waker` is used at the end.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start(file: Arc<Encrypted>, passphrase: Zeroizing<String>, waker: Arc<Waker>) -> io::Result<Self> {
        let (sender, result) = sync_channel(1);
        thread::Builder::new().name("unlock".to_owned()).spawn(move || {
            let result = file.decrypt(passphrase.as_bytes()).map(|file| file.key);
            drop(passphrase);
            let _nobody_waits = sender.send(result);
            let _nobody_waits = waker.wake();
        })?;
        Ok(Self(result))
    }

    /// The key, once it is there; it is given once. [`PrivateKeyError::WrongPassphrase`] if another passphrase may help.
    #[must_use]
    pub fn done(&self) -> Option<Result<PrivateKey, UnlockError>> {
        match self.0.try_recv() {
            Ok(result) => Some(result.map_err(UnlockError::Key)),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(UnlockError::Failed)),
        }
    }
}

/// Why a passphrase gives no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnlockError {
    /// What the file says.
    Key(PrivateKeyError),
    /// The thread is gone, or the key was given before.
    Failed,
}

impl fmt::Display for UnlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(error) => error.fmt(f),
            Self::Failed => f.write_str("the key could not be decrypted"),
        }
    }
}

impl core::error::Error for UnlockError {}
