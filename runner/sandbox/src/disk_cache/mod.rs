//! Compiled components on disk, so that a runner which is started again does
//! not compile what it compiled before.
//!
//! What lies here is native code and would run outside of any sandbox, so
//! nothing is believed because of where it lies: each file carries a seal, made
//! with a secret that only this installation has, over its bytes and over what
//! they are for. A file whose seal does not hold is compiled anew and replaced.
//! No failure of the cache is a failure of the load.
//!
//! Must not know plugins, or who decides where the folder is.

mod entry;
mod eviction;
mod folder;
mod key;
mod secret;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use wasmtime::component::Component;

use self::entry::SealedFile;
use self::folder::{Folder, ReadError};
use self::key::Key;
use self::secret::Secret;
use crate::{CompileError, Engine, Shape};

/// Where the native code of a component came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeOrigin {
    /// Compiled just now.
    Compiled,
    /// Compiled earlier, and read from the disk.
    DiskCache,
}

/// Why a folder cannot hold compiled components.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// It cannot be made, read or written.
    #[error("{}: {source}", .folder.display())]
    Unusable {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is a file or a symbolic link.
    #[error("{} is not a folder (a link to one will not do)", .0.display())]
    NotAFolder(PathBuf),
    /// Its owner could change what lies in it.
    #[error("{} belongs to user {owner} and this process runs as user {user}", .folder.display())]
    ForeignOwner {
        /// The folder.
        folder: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        user: u32,
    },
    /// Others could change what lies in it.
    #[error("others may write to {} (mode {mode:04o}); `chmod go-w` it", .folder.display())]
    WritableByOthers {
        /// The folder.
        folder: PathBuf,
        /// Its permissions.
        mode: u32,
    },
}

/// A folder of compiled components.
#[derive(Debug)]
pub struct DiskCache {
    folder: Folder,
    secret: Secret,
    max_bytes: u64,
    /// A full or read-only disk is worth one line, not one per component.
    cannot_write: AtomicBool,
}

impl DiskCache {
    /// Opens a folder for at most so many bytes of compiled components; it is
    /// made where it is missing, its parent too, but nothing above that. What
    /// is there must belong to the user of this process, and nobody else may
    /// be allowed to write to it.
    ///
    /// # Errors
    /// [`CacheError`].
    pub fn open(folder: &Path, max_bytes: u64) -> Result<Self, CacheError> {
        let folder = Folder::claim(folder)?;
        let secret = Secret::of_folder(&folder).map_err(|source| CacheError::Unusable {
            folder: folder.path().to_owned(),
            source,
        })?;
        Ok(DiskCache {
            folder,
            secret,
            max_bytes,
            cannot_write: AtomicBool::new(false),
        })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn component(
        &self,
        engine: &wasmtime::Engine,
        wasm: &[u8],
        keep: Keep,
        compile: impl FnOnce(&[u8]) -> Result<Component, CompileError>,
    ) -> Result<(Component, CodeOrigin), CompileError> {
        let started = Instant::now();
        let key = Key::new(engine, wasm);
        match self.read(engine, &key) {
            Ok(component) => {
                tracing::debug!("{} took {:?}", self.shown(&key), started.elapsed());
                return Ok((component, CodeOrigin::DiskCache));
            }
            Err(Miss::Absent) => {}
            Err(Miss::Outdated(reason)) => tracing::debug!("{}: {reason}", self.shown(&key)),
            Err(Miss::Untrusted(reason)) => tracing::warn!(
                "{} is not used and will be replaced: {reason}",
                self.shown(&key)
            ),
        }
        let component = compile(wasm)?;
        if keep == Keep::Now {
            self.keep(&key, &component);
        }
        Ok((component, CodeOrigin::Compiled))
    }

    fn keep(&self, key: &Key, component: &Component) {
        match self.write(key, component) {
            Ok(()) => {}
            Err(error) if self.cannot_write.swap(true, Ordering::Relaxed) => {
                tracing::debug!("{} cannot be written: {error}", self.shown(key));
            }
            Err(error) => tracing::warn!(
                "compiled components cannot be kept, so the next start compiles them again: {}: \
                 {error}",
                self.shown(key)
            ),
        }
    }

    fn read(&self, engine: &wasmtime::Engine, key: &Key) -> Result<Component, Miss> {
        let file = match self.folder.read(&key.file_name(), self.max_bytes) {
            Ok(file) => file,
            Err(ReadError::Absent) => return Err(Miss::Absent),
            Err(ReadError::TooLarge) => {
                return Err(Miss::Outdated("larger than the whole cache".into()));
            }
            Err(ReadError::Untrusted(reason)) => return Err(Miss::Untrusted(reason)),
        };
        let Some(code) = entry::verify(&file.bytes, key, &self.secret) else {
            let reason = "it is damaged, or this installation did not write it";
            return Err(Miss::Untrusted(reason.into()));
        };
        let component = code
            .into_component(engine)
            .map_err(|error| Miss::Outdated(format!("{error:#}")))?;
        // What was used last is dropped last; without it only that suffers.
        let _ = file.handle.set_modified(std::time::SystemTime::now());
        Ok(component)
    }

    fn write(&self, key: &Key, component: &Component) -> std::io::Result<()> {
        let file = SealedFile::new(component, key, &self.secret)?;
        if file.len() > self.max_bytes {
            tracing::debug!("{}: larger than the whole cache", self.shown(key));
            return Ok(());
        }
        let name = key.file_name();
        self.folder.replace(&name, &file.parts())?;
        eviction::make_room(self.folder.path(), self.max_bytes, &name);
        Ok(())
    }

    fn shown(&self, key: &Key) -> String {
        let file = self.folder.path().join(key.file_name());
        file.display().to_string()
    }
}

/// Why a component has to be compiled.
enum Miss {
    /// It never was.
    Absent,
    /// We wrote it, and it does not fit any more.
    Outdated(String),
    /// Who wrote it is not known.
    Untrusted(String),
}

/// When code that was compiled is written to the disk, which can take seconds
/// where others write much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Before it is used.
    Now,
    /// When somebody calls [`keep`].
    Later,
}

/// The native code of a component, from the engine's cache if it has one and
/// the code is there. May compile, so it belongs on a thread that may block.
///
/// # Errors
/// [`CompileError`], where it has to be compiled and cannot be.
pub(crate) fn component(
    engine: &Engine,
    wasm: &[u8],
    keep: Keep,
) -> Result<(Component, CodeOrigin), CompileError> {
    let compile = |wasm: &[u8]| engine.compile(wasm, Shape::WithoutShim);
    match engine.cache() {
        Some(cache) => cache.component(engine.wasmtime(), wasm, keep, compile),
        None => Ok((compile(wasm)?, CodeOrigin::Compiled)),
    }
}

/// Writes the code of a component into the engine's cache, if it has one.
pub(crate) fn keep(engine: &Engine, wasm: &[u8], component: &Component) {
    if let Some(cache) = engine.cache() {
        cache.keep(&Key::new(engine.wasmtime(), wasm), component);
    }
}
