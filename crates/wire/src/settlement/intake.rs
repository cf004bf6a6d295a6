//! The bytes of a file on their way in: counted, hashed, bounded, with a look ahead.

use std::io::{ErrorKind, Read};

use popwatch_core::limits;

use super::FileFault;

/// How many bytes are asked for at once.
const CHUNK_BYTES: usize = 64 << 10;
/// What may stand before UTF-8 text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads a file once.
pub(super) struct Intake<'a> {
    input: &'a mut dyn Read,
    hasher: blake3::Hasher,
    bytes: u64,
    /// Read and not yet taken.
    ahead: Vec<u8>,
    /// Where in it the rest begins.
    at: usize,
}

impl<'a> Intake<'a> {
    pub(super) fn new(input: &'a mut dyn Read) -> Self {
        Self {
            input,
            hasher: blake3::Hasher::new(),
            bytes: 0,
            ahead: Vec::new(),
            at: 0,
        }
    }

    /// The first byte that is not blank, behind a byte order mark; `None` for a blank file. Nothing
    /// but that mark and blanks is taken.
    pub(super) fn first_byte(&mut self) -> Result<Option<u8>, FileFault> {
        self.refill()?;
        if self.ahead.starts_with(BYTE_ORDER_MARK) {
            self.at = BYTE_ORDER_MARK.len();
        }
        loop {
            let rest = self.ahead.get(self.at..).unwrap_or_default();
            if let Some(found) = rest.iter().position(|byte| !byte.is_ascii_whitespace()) {
                self.at += found;
                return Ok(self.ahead.get(self.at).copied());
            }
            self.at = self.ahead.len();
            if self.refill()? == 0 {
                return Ok(None);
            }
        }
    }

    /// Fills the buffer as far as the file goes; answers how many bytes came.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, FileFault> {
        let ahead = self.ahead.get(self.at..).unwrap_or_default();
        let mut filled = ahead.len().min(buffer.len());
        buffer[..filled].copy_from_slice(&ahead[..filled]);
        self.at += filled;
        while filled < buffer.len() {
            let count = self.pull(&mut buffer[filled..])?;
            if count == 0 {
                break;
            }
            filled += count;
        }
        Ok(filled)
    }

    /// The next byte, `None` at the end.
    pub(super) fn byte(&mut self) -> Result<Option<u8>, FileFault> {
        if self.at == self.ahead.len() && self.refill()? == 0 {
            return Ok(None);
        }
        let byte = self.ahead.get(self.at).copied();
        self.at += 1;
        Ok(byte)
    }

    /// BLAKE3 and number of all bytes that came.
    pub(super) fn finish(self) -> ([u8; 32], u64) {
        (*self.hasher.finalize().as_bytes(), self.bytes)
    }

    /// Replaces what was taken by the next chunk.
    fn refill(&mut self) -> Result<usize, FileFault> {
        let mut chunk = std::mem::take(&mut self.ahead);
        chunk.resize(CHUNK_BYTES, 0);
        let mut filled = 0;
        while filled < chunk.len() {
            let count = self.pull(&mut chunk[filled..])?;
            if count == 0 {
                break;
            }
            filled += count;
        }
        chunk.truncate(filled);
        self.ahead = chunk;
        self.at = 0;
        Ok(filled)
    }

    fn pull(&mut self, buffer: &mut [u8]) -> Result<usize, FileFault> {
        let count = loop {
            match self.input.read(buffer) {
                Ok(count) => break count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(FileFault::Input(error.kind())),
            }
        };
        self.hasher.update(&buffer[..count]);
        self.bytes += u64::try_from(count).unwrap_or(u64::MAX);
        if self.bytes > limits::SETTLEMENT_FILE_BYTES_MAX {
            return Err(FileFault::TooLarge {
                what: "the size in bytes",
                max: limits::SETTLEMENT_FILE_BYTES_MAX,
            });
        }
        Ok(count)
    }
}
