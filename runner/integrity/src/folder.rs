//! Whether just anybody could have put a module where it lies: by writing to it,
//! by putting another in its place, or by renaming a folder on the way there.
//!
//! It looks at permissions as they are now and says nothing about who used them
//! before. Access control lists show here as the rights of the group.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{Metadata, symlink_metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use nix::unistd::geteuid;

const BY_EVERYBODY: u32 = 0o002;
const BY_ITS_GROUP: u32 = 0o020;
/// In such a folder a name belongs to the owner of what has it.
const STICKY: u32 = 0o1000;

const ROOT: u32 = 0;

/// As many as Linux follows (`path_resolution(7)`).
const MOST_LINKS: usize = 40;

/// Why modules are not taken from a folder.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It, or what leads there, cannot be looked at.
    #[error("{}: {reason}", .path.display())]
    Unreadable {
        /// What.
        path: PathBuf,
        /// Why.
        reason: io::Error,
    },
    /// It is a file.
    #[error("{} is not a folder", .0.display())]
    NotAFolder(PathBuf),
    /// Everybody may put modules there, or another folder in its place.
    #[error(
        "everybody may write to {path} (mode {mode:04o}), so anybody could replace the modules \
         of {folder}; `chmod o-w {path}`",
        path = .path.display(),
        folder = .folder.display()
    )]
    OpenFolder {
        /// The folder that is open: that of the modules, or one above.
        path: PathBuf,
        /// That of the modules.
        folder: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Everybody may write to a module.
    #[error("everybody may write to {path} (mode {mode:04o}); `chmod o-w {path}`", path = .path.display())]
    OpenFile {
        /// The module.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A module belongs to somebody who has no say here.
    #[error(
        "{path} (mode {mode:04o}) belongs to user {owner}, who is neither root nor the runner's \
         user nor the owner of the folder; look at it, then `chown {expected} {path}` and \
         `chmod u=rw,go=r {path}`",
        path = .path.display()
    )]
    ForeignOwner {
        /// The module.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
        /// Whose it is.
        owner: u32,
        /// Whose it should be.
        expected: u32,
    },
}

/// Judges a folder of modules, and the folders and links on the way there; a
/// module in it is for [`check_module`]. The remarks are sentences on what is allowed and worth a look: a group that may write, owners
/// of folders above who are somebody else.
///
/// # Errors
/// [`FolderError`], of the first thing that is wrong.
pub fn check_folder(path: &Path) -> Result<Vec<String>, FolderError> {
    let mut remarks = Vec::new();
    let mut way = way_to(path)?;
    let Some((folder, found)) = way.pop() else {
        return Err(FolderError::NotAFolder(path.to_owned()));
    };
    if !found.is_dir() {
        return Err(FolderError::NotAFolder(path.to_owned()));
    }
    // The sticky bit keeps others from replacing a module, not from adding one.
    check_open(&folder, &found, path, BY_EVERYBODY)?;
    remark_group(&folder, &found, &mut remarks);
    check_way(&way, path, found.uid(), &mut remarks)?;
    Ok(remarks)
}

/// Judges a module: by what the system says of the file that was opened, so that
/// it is the one that is read, and, where a link leads to it, by the folders on
/// the way. The remarks are as for [`check_folder`].
///
/// # Errors
/// [`FolderError`], of the first thing that is wrong.
pub fn check_module(entry: &Path, opened: &Metadata) -> Result<Vec<String>, FolderError> {
    let mut remarks = Vec::new();
    let folder = entry.parent().unwrap_or(Path::new("."));
    let folder = if folder == Path::new("") {
        Path::new(".")
    } else {
        folder
    };
    let found = std::fs::metadata(folder).map_err(|source| unreadable(folder, source))?;
    check_file(entry, opened, found.uid())?;
    remark_group(entry, opened, &mut remarks);
    if symlink_metadata(entry).is_ok_and(|entry| entry.is_symlink()) {
        let mut way = way_to(entry)?;
        way.pop();
        check_way(&way, folder, found.uid(), &mut Vec::new())?;
    }
    Ok(remarks)
}

fn check_file(path: &Path, opened: &Metadata, folder_owner: u32) -> Result<(), FolderError> {
    let mode = opened.mode() & 0o7777;
    let path = path.to_owned();
    if !trusted(opened.uid(), folder_owner) {
        return Err(FolderError::ForeignOwner {
            path,
            mode,
            owner: opened.uid(),
            expected: folder_owner,
        });
    }
    if mode & BY_EVERYBODY != 0 {
        return Err(FolderError::OpenFile { path, mode });
    }
    Ok(())
}

/// What stands on the way: folders, and links in them.
fn check_way(
    way: &[(PathBuf, Metadata)],
    folder: &Path,
    folder_owner: u32,
    remarks: &mut Vec<String>,
) -> Result<(), FolderError> {
    for (path, found) in way {
        if found.is_dir() {
            let sticky = found.mode() & STICKY != 0;
            check_open(path, found, folder, if sticky { 0 } else { BY_EVERYBODY })?;
            if !sticky {
                remark_group(path, found, remarks);
            }
        }
        if !trusted(found.uid(), folder_owner) {
            let (shown, owner) = (path.display(), found.uid());
            remarks.push(format!(
                "{shown} belongs to user {owner}, who can put another in its place"
            ));
        }
    }
    Ok(())
}

fn check_open(
    path: &Path,
    found: &Metadata,
    folder: &Path,
    forbidden: u32,
) -> Result<(), FolderError> {
    let mode = found.mode() & 0o7777;
    match mode & forbidden {
        0 => Ok(()),
        // Such as volumes of configuration in Kubernetes, which look open.
        _ if is_read_only(path) => Ok(()),
        _ => Err(FolderError::OpenFolder {
            path: path.to_owned(),
            folder: folder.to_owned(),
            mode,
        }),
    }
}

/// Whether nobody can write to what lies there, whatever its permissions say.
fn is_read_only(path: &Path) -> bool {
    let of = nix::sys::statvfs::statvfs(path);
    of.is_ok_and(|of| of.flags().contains(nix::sys::statvfs::FsFlags::ST_RDONLY))
}

fn remark_group(path: &Path, found: &Metadata, remarks: &mut Vec<String>) {
    let (shown, group, mode) = (path.display(), found.gid(), found.mode() & 0o7777);
    if mode & BY_ITS_GROUP != 0 {
        remarks.push(format!(
            "group {group} may write to {shown} (mode {mode:04o})"
        ));
    }
}

fn trusted(owner: u32, folder_owner: u32) -> bool {
    [ROOT, geteuid().as_raw(), folder_owner].contains(&owner)
}

/// Every folder and link that the system passes on its way to a path, each after
/// the folder it is in; the last is what the path stands for.
fn way_to(path: &Path) -> Result<Vec<(PathBuf, Metadata)>, FolderError> {
    let absolute = std::path::absolute(path).map_err(|source| unreadable(path, source))?;
    let mut ahead: VecDeque<OsString> = names_of(&absolute).collect();
    let mut here = PathBuf::from("/");
    let mut way = vec![looked_at(&here)?];
    let mut links = 0;
    while let Some(name) = ahead.pop_front() {
        if name == ".." {
            // Its parent was passed before.
            here.pop();
            way.push(looked_at(&here)?);
            continue;
        }
        let there = here.join(&name);
        let (there, found) = looked_at(&there)?;
        if !found.is_symlink() {
            here.clone_from(&there);
            way.push((there, found));
            continue;
        }
        links += 1;
        if links > MOST_LINKS {
            let source = io::Error::other("too many links lead there");
            return Err(unreadable(path, source));
        }
        let target = std::fs::read_link(&there).map_err(|source| unreadable(&there, source))?;
        if target.is_absolute() {
            here = PathBuf::from("/");
        }
        for name in names_of(&target).collect::<Vec<_>>().into_iter().rev() {
            ahead.push_front(name);
        }
        way.push((there, found));
    }
    if way.last().is_some_and(|(_, last)| last.is_symlink()) {
        // A link to a folder that was passed before, such as `/`.
        way.push(looked_at(&here)?);
    }
    Ok(way)
}

fn names_of(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    })
}

fn looked_at(path: &Path) -> Result<(PathBuf, Metadata), FolderError> {
    let found = symlink_metadata(path).map_err(|source| unreadable(path, source))?;
    Ok((path.to_owned(), found))
}

fn unreadable(path: &Path, source: io::Error) -> FolderError {
    FolderError::Unreadable {
        path: path.to_owned(),
        reason: source,
    }
}
