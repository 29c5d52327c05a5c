//! Inputs that come in pieces.

use std::io::{Cursor, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

/// An endless input after its text; reports how much of it was read.
pub(super) struct Endless {
    pub(super) text: Cursor<Vec<u8>>,
    pub(super) after: &'static [u8],
    pub(super) read: Arc<AtomicUsize>,
    /// How often `after` comes.
    pub(super) times: usize,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut count = self.text.read(buffer)?;
        if count == 0 && self.times > 0 {
            self.times -= 1;
            count = self.after.len();
            buffer[..count].copy_from_slice(self.after);
        }
        self.read.fetch_add(count, Ordering::SeqCst);
        Ok(count)
    }
}

/// An input that comes piece by piece, and ends when nobody can send any more.
pub(super) struct Fed {
    pieces: mpsc::Receiver<String>,
    now: Cursor<Vec<u8>>,
}

impl Fed {
    pub(super) fn pair() -> (mpsc::Sender<String>, Box<dyn Read + Send>) {
        let (sender, pieces) = mpsc::channel();
        (sender, Box::new(Self { pieces, now: Cursor::default() }))
    }
}

impl Read for Fed {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let count = self.now.read(buffer)?;
            if count > 0 {
                return Ok(count);
            }
            match self.pieces.recv() {
                Ok(piece) => self.now = Cursor::new(piece.into_bytes()),
                Err(_) => return Ok(0),
            }
        }
    }
}
