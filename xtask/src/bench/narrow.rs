//! A narrow line: connections are passed on, so many bits a second each way, all of them together.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;

/// Bytes that go at once.
const PIECE: usize = 1_250;

/// Both ways of the line.
pub(super) struct Narrow {
    bits_per_second: u64,
    up: Way,
    down: Way,
    open: AtomicBool,
    contact: Mutex<Option<Instant>>,
}

/// When the next byte may go.
type Way = Mutex<Instant>;

impl Narrow {
    /// A line that is cut.
    pub(super) fn cut(bits_per_second: u64) -> Arc<Self> {
        let way = || Mutex::new(Instant::now());
        Arc::new(Self {
            bits_per_second,
            up: way(),
            down: way(),
            open: AtomicBool::new(false),
            contact: Mutex::new(None),
        })
    }

    /// The line is there again.
    pub(super) fn mend(&self) {
        self.open.store(true, Ordering::Relaxed);
    }

    /// When somebody first got through.
    pub(super) fn contact(&self) -> Option<Instant> {
        *self.contact.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes connections on to a server, until the process ends; answers where it takes them.
    pub(super) fn to(self: &Arc<Self>, server: SocketAddr) -> Result<SocketAddr> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let line = Arc::clone(self);
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                if line.open.load(Ordering::Relaxed) {
                    line.pass(near, server);
                }
            }
        });
        Ok(address)
    }

    /// A connection that cannot be passed on is closed, as by a line that breaks.
    fn pass(self: &Arc<Self>, near: TcpStream, server: SocketAddr) {
        let Ok(far) = TcpStream::connect(server) else {
            return;
        };
        let mut contact = self.contact.lock().unwrap_or_else(PoisonError::into_inner);
        contact.get_or_insert_with(Instant::now);
        let (Ok(near_too), Ok(far_too)) = (near.try_clone(), far.try_clone()) else {
            return;
        };
        let (one, other) = (Arc::clone(self), Arc::clone(self));
        std::thread::spawn(move || one.carry(near, far, &one.up));
        std::thread::spawn(move || other.carry(far_too, near_too, &other.down));
    }

    fn carry(&self, mut from: TcpStream, mut to: TcpStream, way: &Way) {
        let mut piece = [0; PIECE];
        while let Ok(count @ 1..) = from.read(&mut piece) {
            self.wait(way, count);
            let part = piece.get(..count).unwrap_or_default();
            if to.write_all(part).is_err() {
                break;
            }
        }
        // Whoever is gone already needs no end.
        drop(to.shutdown(Shutdown::Write));
    }

    /// Waits until so many bytes have gone over the line after all before them.
    fn wait(&self, way: &Way, bytes: usize) {
        let takes = Duration::from_nanos(bytes as u64 * 8_000_000_000 / self.bits_per_second);
        let gone = {
            let mut next = way.lock().unwrap_or_else(PoisonError::into_inner);
            *next = (*next).max(Instant::now()) + takes;
            *next
        };
        while let Some(rest) = gone.checked_duration_since(Instant::now()) {
            std::thread::park_timeout(rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_line_passes_nothing_and_a_mended_one_takes_its_time() {
        let server = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let line = Narrow::cut(1_000_000);
        let address = line.to(server.local_addr().unwrap()).unwrap();
        let mut cut = TcpStream::connect(address).unwrap();
        assert_eq!(cut.read(&mut [0; 1]).unwrap_or(0), 0);
        assert!(line.contact().is_none());

        line.mend();
        let mut near = TcpStream::connect(address).unwrap();
        let (mut far, _) = server.accept().unwrap();
        let start = Instant::now();
        near.write_all(&[7; 12_500]).unwrap();
        far.read_exact(&mut [0; 12_500]).unwrap();
        assert!(start.elapsed() >= Duration::from_millis(95));
        assert!(line.contact().is_some());
    }
}
