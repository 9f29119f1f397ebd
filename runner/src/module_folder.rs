//! The folder of modules as it lies there: which of its files are modules, how
//! each looks from outside, and what is in it.
//!
//! Must not know what a module is good for, nor what was there before.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};
use nix::fcntl::OFlag;
use sandbox::LoadError;
use tracing::Level;

/// What a folder has at a moment.
#[derive(Debug, Default, Clone)]
pub struct Listing {
    /// Every `NAME.wasm`, by NAME.
    pub modules: BTreeMap<Arc<str>, ModuleFile>,
    /// About what else is there.
    pub remarks: BTreeSet<Remark>,
    /// Names of modules that [`Listing::keep`] did not keep.
    pub refused: BTreeSet<Arc<str>>,
}

/// Lines for the log about one folder.
const MOST_REMARKS: usize = 50;

/// A file `NAME.wasm`, or a link to one.
#[derive(Debug, Clone)]
pub struct ModuleFile {
    /// Where it is.
    pub path: PathBuf,
    /// How it looks.
    pub looks: Looks,
}

/// How a module looks: its file, and that of its signature where it has one.
pub type Looks = (Stamp, Option<Stamp>);

/// What is in a module's file, and in that of its signature.
pub struct Contents {
    /// All of it.
    pub wasm: Vec<u8>,
    /// What `NAME.wasm.sig` holds.
    pub signature: Option<Vec<u8>>,
}

/// What a signature's file is called, behind the name of what it signs.
const SIGNATURE: &str = ".sig";

/// Bytes of a signature's file; in base64 it has about 90.
const LARGEST_SIGNATURE: u64 = 4096;

/// How a file looks from outside, behind links. One that was written to looks
/// different, and so does another that took its place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    number: u64,
    /// Bytes.
    pub size: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    changed: (i64, i64),
}

/// A line for the log about something that is no module.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Remark {
    level: Level,
    text: String,
}

impl Remark {
    fn new(level: Level, text: String) -> Self {
        Remark { level, text }
    }

    /// What it says, and how bad that is.
    #[must_use]
    pub fn said(&self) -> (Level, &str) {
        (self.level, &self.text)
    }

    /// Writes it into the log.
    pub fn tell(&self) {
        let text = &self.text;
        match self.level {
            Level::ERROR => tracing::error!("{text}"),
            Level::WARN => tracing::warn!("{text}"),
            _ => tracing::debug!("{text}"),
        }
    }
}

impl From<&Metadata> for Stamp {
    fn from(file: &Metadata) -> Self {
        Stamp {
            device: file.dev(),
            number: file.ino(),
            size: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }
}

/// Looks at a folder.
///
/// # Errors
/// Where it cannot be read. A single file that cannot be is no error: it is
/// there, and looks like no other.
pub fn list(folder: &Path) -> io::Result<Listing> {
    let mut listing = Listing::default();
    let mut nearly = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if let Some(path) = listing.add(path) {
            nearly.push(path);
        }
    }
    for path in nearly {
        let remark = listing.nearly_a_module(&path);
        listing.remarks.insert(remark);
    }
    listing.remark_on_few();
    Ok(listing)
}

impl Listing {
    /// A file whose ending is that of a module but for the case of its letters
    /// is returned: what it is depends on the others.
    fn add(&mut self, path: PathBuf) -> Option<PathBuf> {
        let shown = path.display();
        // What editors, copying programs and builds are in the middle of.
        let name = path.file_name().map(OsStr::as_encoded_bytes);
        if name.is_some_and(|name| name.starts_with(b".")) {
            return None;
        }
        let (stamp, metadata) = match std::fs::metadata(&path) {
            Ok(metadata) => (Stamp::from(&metadata), Some(metadata)),
            // A link to nothing, or gone since the folder was read.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.remark(Level::WARN, format!("{shown} is ignored: {error}"));
                return None;
            }
            // There is something; to open it will say what is wrong.
            Err(_) => (Stamp::default(), None),
        };
        let extension = path.extension().and_then(|extension| extension.to_str());
        let name = path.file_stem().and_then(|stem| stem.to_str());
        match (metadata, extension, name) {
            (Some(metadata), ..) if metadata.is_dir() => {
                self.remark(Level::DEBUG, format!("{shown} is ignored: it is a folder"));
            }
            // Opening a pipe would wait for whoever writes to it.
            (Some(metadata), ..) if !metadata.is_file() => {
                self.remark(Level::WARN, format!("{shown} is ignored: it is not a file"));
            }
            (_, Some("wasm"), Some(name)) => {
                let name = Arc::from(name);
                let signature = std::fs::metadata(signature_of(&path));
                let signature = signature.ok().map(|metadata| Stamp::from(&metadata));
                let looks = (stamp, signature);
                self.modules.insert(name, ModuleFile { path, looks });
            }
            // It belongs to the module before it.
            (_, Some("sig"), Some(name)) if name.ends_with(".wasm") => {}
            (_, Some("cwasm"), _) => {
                let refused = LoadError::Precompiled;
                self.remark(Level::ERROR, format!("{shown} is refused: {refused}"));
            }
            (_, Some(extension), Some(_)) if extension.eq_ignore_ascii_case("wasm") => {
                return Some(path);
            }
            _ => self.remark(
                Level::WARN,
                format!("{shown} is ignored: expected NAME.wasm"),
            ),
        }
        None
    }

    /// Leaves as many modules as there may be: those that are `known`, and of the
    /// others the first by name. A known one that is not here counts until it is
    /// given up, so that nobody has more by renaming.
    pub fn keep(&mut self, most: usize, known: &BTreeSet<Arc<str>>) {
        let mut room = most.saturating_sub(known.len());
        let (mut first, mut refused) = (None, BTreeSet::new());
        self.modules.retain(|name, file| {
            if known.contains(name) {
                return true;
            }
            if let Some(less) = room.checked_sub(1) {
                room = less;
                return true;
            }
            refused.insert(Arc::clone(name));
            first.get_or_insert_with(|| file.path.clone());
            false
        });
        if let Some(first) = first {
            let text = format!(
                "{} is refused, the first of {} modules beyond the {most} that \
                 limits.modules allows; raise it, or remove some",
                first.display(),
                refused.len()
            );
            self.remark(Level::ERROR, text);
        }
        self.refused = refused;
    }

    /// Whoever fills the folder with what is no module does not fill the log.
    fn remark_on_few(&mut self) {
        let more = self.remarks.len().saturating_sub(MOST_REMARKS);
        while self.remarks.len() > MOST_REMARKS {
            self.remarks.pop_last();
        }
        if more > 0 {
            let text = format!("{more} more files beside the modules are ignored or refused");
            self.remark(Level::WARN, text);
        }
    }

    fn remark(&mut self, level: Level, text: String) {
        self.remarks.insert(Remark::new(level, text));
    }

    /// `a.WASM` would be the plugin `a` on another system, and is the second of
    /// this name where `a.wasm` is there too. Which of them the operator means
    /// cannot be told, so the one that is spelled as documented is it.
    fn nearly_a_module(&self, path: &Path) -> Remark {
        let shown = path.display();
        let name = path.file_stem().and_then(|stem| stem.to_str());
        match name.and_then(|name| self.modules.get_key_value(name)) {
            Some((name, first)) => Remark::new(
                Level::ERROR,
                format!(
                    "{shown} is refused: it would be a second module of the plugin {name}, which \
                     is {}; remove one of them",
                    first.path.display()
                ),
            ),
            None => Remark::new(
                Level::WARN,
                format!("{shown} is ignored: expected NAME.wasm, in small letters"),
            ),
        }
    }
}

/// A whole module, unless it has more than `limit` bytes: compiling one takes
/// many times its size in memory. None where somebody wrote to it meanwhile.
///
/// # Errors
/// The system's, and one for a module that is too large, or that just anybody
/// could have written.
pub fn read(file: &Path, limit: u64) -> Result<Option<Contents>> {
    if let Some(folder) = file.parent() {
        integrity::check_folder(folder)?;
    }
    // The file may be another than the one that was listed: a pipe, which
    // would make us wait for whoever writes to it, or one that still grows.
    let flags = OFlag::O_NONBLOCK.bits();
    let mut opened = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(file)
        .map_err(|error| io::Error::new(error.kind(), explained(&error)))?;
    let before = opened.metadata()?;
    if !before.is_file() {
        bail!("it is not a file");
    }
    integrity::check_module(file, &before)?;
    let mut wasm = Vec::new();
    let most = limit.saturating_add(1);
    (&mut opened).take(most).read_to_end(&mut wasm)?;
    if wasm.len() as u64 > limit {
        let mib = limit >> 20;
        bail!("it has more than {mib} MiB, the most that limits.module_mib allows");
    }
    let whole = Stamp::from(&before) == Stamp::from(&opened.metadata()?);
    let signature = read_signature(&signature_of(file))?;
    Ok(whole.then_some(Contents { wasm, signature }))
}

/// The system's reason, and what may be done where it is that this process may
/// not look there: it has given up what was neither there nor named at its start.
#[must_use]
pub fn explained(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::PermissionDenied => format!(
            "{error}; where its permissions are right and it came after the start, name the folder \
             in confinement.read"
        ),
        _ => error.to_string(),
    }
}

fn signature_of(module: &Path) -> PathBuf {
    let mut name = module.as_os_str().to_owned();
    name.push(SIGNATURE);
    PathBuf::from(name)
}

/// None where there is none.
fn read_signature(file: &Path) -> Result<Option<Vec<u8>>> {
    let flags = OFlag::O_NONBLOCK.bits();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(file);
    let opened = match opened {
        Ok(opened) => opened,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut signature = Vec::new();
    opened.take(LARGEST_SIGNATURE).read_to_end(&mut signature)?;
    Ok(Some(signature))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn of_two_that_differ_in_case_only_the_second_should_be_refused() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let files = ["a.wasm", "a.WASM", "a.Wasm", "b.WASM", "A.wasm"];
        for file in files.map(OsStr::new) {
            std::fs::write(folder.path().join(file), "").expect("file");
        }
        let odd = folder.path().join(OsStr::from_bytes(b"c\xff.wasm"));
        std::fs::write(odd, "").expect("file");
        let listing = list(folder.path()).expect("a folder");
        let names: Vec<_> = listing.modules.keys().map(|name| &**name).collect();
        assert_eq!(names, ["A", "a"], "the gateway tells these two apart");
        let rows = [
            ("a.WASM", Level::ERROR, "a.wasm; remove one"),
            ("a.Wasm", Level::ERROR, "a.wasm; remove one"),
            ("b.WASM", Level::WARN, "in small letters"),
            ("c\u{fffd}.wasm", Level::WARN, "expected NAME.wasm"),
        ];
        for (file, level, text) in rows {
            let said = |remark: &&Remark| remark.text.contains(file);
            let remark = listing.remarks.iter().find(said).expect(file);
            assert_eq!(remark.level, level, "{remark:?}");
            assert!(remark.text.contains(text), "{remark:?}");
        }
        assert_eq!(listing.remarks.len(), rows.len(), "{:?}", listing.remarks);
    }

    #[test]
    fn a_folder_full_of_other_files_should_be_told_of_in_few_lines() {
        let folder = tempfile::tempdir().expect("temporary folder");
        for number in 0..MOST_REMARKS + 7 {
            std::fs::write(folder.path().join(format!("{number}.txt")), "").expect("file");
        }
        std::fs::write(folder.path().join("a.cwasm"), "").expect("file");
        let remarks = list(folder.path()).expect("a folder").remarks;
        assert_eq!(remarks.len(), MOST_REMARKS + 1);
        let said = |text: &str| remarks.iter().any(|remark| remark.text.contains(text));
        assert!(said("8 more files"), "{remarks:?}");
        // What matters most is said first.
        assert!(said("a.cwasm is refused"), "{remarks:?}");
    }

    #[test]
    fn of_too_many_modules_those_that_are_known_should_stay() {
        let folder = tempfile::tempdir().expect("temporary folder");
        for name in ["a", "b", "c", "d"] {
            let file = folder.path().join(format!("{name}.wasm"));
            std::fs::write(file, "").expect("file");
        }
        // The limit, what is known, what is left, the first that is refused.
        let rows = [
            (4, "", "abcd", None),
            (2, "", "ab", Some("c.wasm is refused, the first of 2")),
            (2, "d", "ad", Some("b.wasm is refused, the first of 2")),
            (2, "cd", "cd", Some("a.wasm is refused, the first of 2")),
            // The last of them is not here for a moment.
            (3, "cdx", "cd", Some("a.wasm is refused, the first of 2")),
            (1, "x", "", Some("a.wasm is refused, the first of 4")),
        ];
        for (most, known, left, refused) in rows {
            let mut listing = list(folder.path()).expect("a folder");
            let known = known.chars().map(|name| name.to_string().into());
            listing.keep(most, &known.collect());
            let names: String = listing.modules.keys().map(|name| &**name).collect();
            assert_eq!(names, left, "{most}");
            let said = listing.remarks.iter().map(Remark::said);
            let said: Vec<_> = said.collect();
            assert_eq!(said.len(), usize::from(refused.is_some()), "{said:?}");
            if let Some(text) = refused {
                assert!(said[0].1.contains(text), "{said:?}");
                assert_eq!(said[0].0, Level::ERROR);
            }
        }
    }

    #[test]
    fn a_file_should_look_different_once_it_was_written_to_or_replaced() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("a.wasm");
        let stamp = || list(folder.path()).expect("a folder").modules["a"].looks;
        std::fs::write(&file, "1").expect("file");
        let first = stamp();
        assert_eq!(stamp(), first);
        let times = std::fs::metadata(&file).expect("file");
        // Of the same size and, as far as it says itself, of the same time.
        let beside = folder.path().join("beside");
        std::fs::write(&beside, "2").expect("file");
        let made = std::fs::File::options()
            .write(true)
            .open(&beside)
            .expect("file");
        made.set_modified(times.modified().expect("a time"))
            .expect("set");
        std::fs::rename(&beside, &file).expect("renamed");
        assert_ne!(stamp(), first);
    }
}
