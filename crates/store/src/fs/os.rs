//! The operating system's files under one root folder.
//!
//! Space is allocated at creation, so that a write inside a segment cannot run out of it.
//! `sync_data` is fdatasync on Linux and a full flush of the drive's cache on macOS.

use std::fs::{self, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::{File, Fs};

/// Files below a root folder.
#[derive(Debug, Clone)]
pub struct OsFs {
    root: PathBuf,
}

impl OsFs {
    /// Uses `root`, which is made if it does not exist. Fails when it cannot be made.
    pub fn new(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        Ok(Self {
            root: root.to_path_buf(),
        })
    }

    /// The root folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The system's number of the kind of file system; `None` where there are no such numbers.
    #[cfg(target_os = "linux")]
    pub fn file_system(&self) -> io::Result<Option<u64>> {
        Ok(u64::try_from(rustix::fs::statfs(&self.root)?.f_type).ok())
    }

    /// The system's number of the kind of file system; `None` where there are no such numbers.
    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unnecessary_wraps, reason = "as it is where there are numbers")]
    pub fn file_system(&self) -> io::Result<Option<u64>> {
        Ok(None)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Makes the folder a name lies in, durably.
    fn folder_of(&self, path: &Path) -> io::Result<()> {
        match path.parent() {
            Some(folder) if !folder.is_dir() => {
                fs::create_dir_all(folder)?;
                fs::File::open(&self.root)?.sync_all()
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl Fs for OsFs {
    type File = OsFile;
    type Lock = OsLock;

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.path(dir)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            if let (true, Ok(name)) = (
                entry.file_type()?.is_file(),
                entry.file_name().into_string(),
            ) {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn create(&self, name: &str, len: u64) -> io::Result<OsFile> {
        let path = self.path(name);
        self.folder_of(&path)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        if let Err(error) = allocate(&file, len) {
            fs::remove_file(&path)?;
            return Err(error);
        }
        Ok(OsFile(file))
    }

    fn open(&self, name: &str) -> io::Result<OsFile> {
        let path = self.path(name);
        let both = OpenOptions::new().read(true).write(true).open(&path);
        match both {
            Ok(file) => Ok(OsFile(file)),
            // A read-only disk can still be read; writes then fail by themselves.
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                fs::File::open(&path).map(OsFile)
            }
            Err(error) => Err(error),
        }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let target = self.path(to);
        self.folder_of(&target)?;
        fs::rename(self.path(from), target)
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        match fs::File::open(self.path(dir)) {
            Ok(folder) => folder.sync_all(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.root)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn total_bytes(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.root)?;
        Ok(stat.f_blocks.saturating_mul(stat.f_frsize))
    }

    fn lock(&self) -> io::Result<OsLock> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.path("LOCK"))?;
        match file.try_lock() {
            Ok(()) => Ok(OsLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

#[cfg(target_os = "linux")]
fn allocate(file: &fs::File, len: u64) -> io::Result<()> {
    if len == 0 {
        return Ok(());
    }
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, len) {
        Ok(()) => Ok(()),
        // Some file systems cannot allocate ahead; there a write may still run out of space.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => file.set_len(len),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn allocate(file: &fs::File, len: u64) -> io::Result<()> {
    file.set_len(len)
}

/// An open file of the operating system.
#[derive(Debug)]
pub struct OsFile(fs::File);

impl File for OsFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buf.len() {
            let (Some(rest), Ok(done)) = (buf.get_mut(filled..), u64::try_from(filled)) else {
                break;
            };
            match self.0.read_at(rest, offset + done) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

/// Holds the folder until it is dropped.
#[derive(Debug)]
pub struct OsLock {
    _file: fs::File,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("popwatch-{name}-{}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        path
    }

    #[test]
    fn a_file_is_allocated_written_cut_and_renamed() {
        let root = scratch("osfs");
        let disk = OsFs::new(&root).unwrap();
        assert!(disk.list("journal").unwrap().is_empty());
        let file = disk.create("journal/a.pwj", 8192).unwrap();
        assert_eq!(file.len().unwrap(), 8192);
        assert!(disk.create("journal/a.pwj", 1).is_err());
        file.write_at(b"hello", 4096).unwrap();
        file.sync_data().unwrap();
        file.set_len(4101).unwrap();
        let mut buf = [1; 8];
        assert_eq!(file.read_at(&mut buf, 4096).unwrap(), 5);
        assert_eq!(&buf[..5], b"hello");
        disk.rename("journal/a.pwj", "quarantine/a.pwj").unwrap();
        disk.sync_dir("journal").unwrap();
        assert_eq!(disk.list("quarantine").unwrap(), ["a.pwj"]);
        disk.unlink("quarantine/a.pwj").unwrap();
        assert!(disk.open("quarantine/a.pwj").is_err());
        let (free, total) = (disk.free_bytes().unwrap(), disk.total_bytes().unwrap());
        assert!(0 < free && free <= total);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_folder_is_locked_once() {
        let root = scratch("oslock");
        let disk = OsFs::new(&root).unwrap();
        let held = disk.lock().unwrap();
        assert_eq!(
            disk.lock().map(drop).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        drop(held);
        assert!(disk.lock().is_ok());
        fs::remove_dir_all(root).unwrap();
    }
}
