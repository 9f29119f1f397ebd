//! The secret of an installation, and the seals that only its holder can make.

use std::fmt;
use std::io;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::folder::{Folder, ReadError};

const FILE: &str = "secret";
const LENGTH: usize = 32;
const WRONG_LENGTH: &str = "it has the wrong length";

/// How often two runners that start at once may get in each other's way.
const ATTEMPTS: u32 = 8;

/// 32 random bytes. Never shown.
pub(super) struct Secret([u8; LENGTH]);

impl Secret {
    /// The folder's; a new one where there is none. One that others could have
    /// read or written is worth nothing and is replaced, and with it go the
    /// seals that were made with it.
    pub(super) fn of_folder(folder: &Folder) -> io::Result<Self> {
        for _ in 0..ATTEMPTS {
            match folder.read_private(FILE, LENGTH as u64) {
                Ok(file) => match file.bytes.try_into() {
                    Ok(bytes) => return Ok(Secret(bytes)),
                    Err(_) => drop_untrusted(folder, WRONG_LENGTH)?,
                },
                Err(ReadError::Absent) => {}
                Err(ReadError::TooLarge) => drop_untrusted(folder, WRONG_LENGTH)?,
                Err(ReadError::Untrusted(reason)) => drop_untrusted(folder, &reason)?,
            }
            // Another runner may be first; then its secret is read.
            folder.create(FILE, &random()?)?;
        }
        let text = "the secret is being replaced by somebody else all the time";
        Err(io::Error::other(text))
    }

    pub(super) fn seal(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.mac(parts).finalize().into_bytes().into()
    }

    /// Whether a seal is the one that [`Secret::seal`] makes; takes the same
    /// time however much of it is right.
    pub(super) fn confirms(&self, seal: &[u8], parts: &[&[u8]]) -> bool {
        self.mac(parts).verify_slice(seal).is_ok()
    }

    fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        for part in parts {
            mac.update(part);
        }
        mac
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

fn random() -> io::Result<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

fn drop_untrusted(folder: &Folder, reason: &str) -> io::Result<()> {
    let file = folder.path().join(FILE);
    let shown = file.display();
    tracing::warn!("{shown} is replaced, so everything is compiled again: {reason}");
    match std::fs::remove_file(&file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
