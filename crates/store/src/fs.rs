//! The one seam between the journal and a disk, small enough that every call can be made to fail.
//!
//! Names are relative, with `/` between folder and file: `journal/000000000001.pwj`. All calls
//! block. What a call promises:
//!
//! ```text
//! create, rename, unlink   visible at once, durable after sync_dir of the folder
//! write_at, set_len        visible at once, durable after sync_data of the file
//! sync_data                all or an error; after an error what was written may be gone for good
//! lock                     held until the value is dropped or the process ends
//! ```

pub mod faulty;
mod harm;
pub mod honest;
#[cfg(unix)]
pub mod os;

use std::io;

/// A folder of files.
pub trait Fs {
    /// An open file.
    type File: File;
    /// Holds the folder for this process.
    type Lock;

    /// Names of the files in a folder, without the folder, ascending. A folder that does not exist
    /// is empty.
    fn list(&self, dir: &str) -> io::Result<Vec<String>>;
    /// Makes a new file of `len` zero bytes with its space allocated. Fails when the name exists;
    /// leaves no file behind when it fails for lack of space.
    fn create(&self, name: &str, len: u64) -> io::Result<Self::File>;
    /// Opens an existing file for reading and writing.
    fn open(&self, name: &str) -> io::Result<Self::File>;
    /// Gives a file another name, replacing what had it. The target's folder is made if need be.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a name.
    fn unlink(&self, name: &str) -> io::Result<()>;
    /// Makes the names in a folder durable. A folder that does not exist is durable as it is.
    fn sync_dir(&self, dir: &str) -> io::Result<()>;
    /// Bytes that can still be allocated.
    fn free_bytes(&self) -> io::Result<u64>;
    /// Bytes of the whole file system.
    fn total_bytes(&self) -> io::Result<u64>;
    /// Takes the folder for this process; [`io::ErrorKind::WouldBlock`] when another has it.
    fn lock(&self) -> io::Result<Self::Lock>;
}

/// An open file.
pub trait File {
    /// Fills `buf` from `offset` on; answers how many bytes there were, fewer only at the end.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all of `bytes`. After an error any part of it may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes everything written so far durable.
    fn sync_data(&self) -> io::Result<()>;
    /// Cuts or extends with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether there is no byte.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}
