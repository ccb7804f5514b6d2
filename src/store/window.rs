//! A buffer that slides over a stream: parsers look at a stretch of bytes in place and say how much they used, and the
//! checksum of everything used is kept on the way. Memory grows only with bytes that were really there.

use std::io::{self, Read};

use simd_adler32::Adler32;

/// Room of the first read; doubled with each until [`ROOM_MAX`], so that small files take little.
const ROOM_MIN: usize = 16 << 10;
/// Room from then on, unless the view needs more.
const ROOM_MAX: usize = 1 << 20;

/// The window.
pub struct Window<R> {
    source: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Up to here the bytes of the buffer are in the checksum.
    summed: usize,
    checksum: Adler32,
    /// Position of `buffer[0]` in the stream.
    base: u64,
}

impl<R: Read> Window<R> {
    /// A window at the beginning of `source`, which is at position `base`.
    pub fn new(source: R, base: u64) -> Self {
        Window { source, buffer: Vec::new(), start: 0, end: 0, summed: 0, checksum: Adler32::new(), base }
    }

    /// What is in view.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Position of the view in the stream.
    pub fn position(&self) -> u64 {
        self.base + self.start as u64
    }

    /// Brings at least `count` bytes into view; false when the stream ends before.
    pub fn ensure(&mut self, count: usize) -> io::Result<bool> {
        while self.end - self.start < count {
            self.make_room();
            match self.source.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Ok(false),
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// The next `N` bytes, used up; `None` at the end of the stream.
    pub fn array<const N: usize>(&mut self) -> io::Result<Option<[u8; N]>> {
        if !self.ensure(N)? {
            return Ok(None);
        }
        let array = self.bytes().first_chunk::<N>().copied();
        self.consume(N);
        Ok(array)
    }

    /// Moves the view forward over bytes that are in it.
    pub fn consume(&mut self, count: usize) {
        assert!(count <= self.end - self.start, "consume {count} of {}", self.end - self.start);
        self.start += count;
    }

    /// Adler-32 of everything used so far.
    pub fn checksum(&mut self) -> u32 {
        self.sum();
        self.checksum.finish()
    }

    fn sum(&mut self) {
        self.checksum.write(&self.buffer[self.summed..self.start]);
        self.summed = self.start;
    }

    /// Room for at least one byte behind the view, once the buffer is read to its end: the view moves to the front, in
    /// a buffer of twice the size while that is small, or while the view fills most of it.
    fn make_room(&mut self) {
        if self.end < self.buffer.len() {
            return;
        }
        self.sum();
        let view = self.start..self.end;
        if self.buffer.len() < ROOM_MAX || view.len() * 2 > self.buffer.len() {
            let mut larger = vec![0; (self.buffer.len() * 2).max(ROOM_MIN)];
            larger[..view.len()].copy_from_slice(&self.buffer[view.clone()]);
            self.buffer = larger;
        } else {
            self.buffer.copy_within(view.clone(), 0);
        }
        self.base += self.start as u64;
        (self.start, self.end, self.summed) = (0, view.len(), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream that gives one to seven bytes at a time.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 = self.1 % 7 + 1;
            let count = self.1.min(self.0.len()).min(buffer.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    #[test]
    fn the_view_and_the_checksum_follow_what_is_used() {
        let bytes: Vec<u8> = (0..3_000_000u32).map(|i| (i * 7 + i / 251) as u8).collect();
        let mut window = Window::new(Drip(&bytes, 0), 16);
        let mut used = 0;
        for step in [1, 5, 70_000, 3, 1_500_000, 12, 900_000] {
            assert!(window.ensure(step).unwrap());
            assert_eq!(&window.bytes()[..step], &bytes[used..used + step]);
            window.consume(step);
            used += step;
            assert_eq!(window.position(), 16 + used as u64);
            let mut expected = Adler32::new();
            expected.write(&bytes[..used]);
            assert_eq!(window.checksum(), expected.finish());
        }
        assert!(!window.ensure(bytes.len()).unwrap());
        assert_eq!(window.bytes(), &bytes[used..]);
    }
}
