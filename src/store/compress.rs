//! Compression of snapshots: none, gzip, and snappy in the *xerial* stream framing that the original uses, which is not
//! snappy's own. Streams in both directions; what is in them is not known here.

use std::io::{self, Read, Write};

use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

/// How a snapshot is stored (`snapshot.compression.method`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Compression {
    /// As it is.
    #[default]
    None,
    /// RFC 1952.
    Gz,
    /// Snappy blocks, each behind its length.
    Snappy,
}

const GZ_MAGIC: [u8; 2] = [0x1f, 0x8b];
const SNAPPY_MAGIC: [u8; 8] = *b"\x82SNAPPY\0";
/// Magic, version and lowest compatible version.
const SNAPPY_HEADER: [u8; 16] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
/// Uncompressed bytes of a block.
const SNAPPY_BLOCK: usize = 32 << 10;
/// No writer makes blocks of more; what claims to be larger is damage.
const SNAPPY_BLOCK_MAX: usize = 64 << 20;

impl Compression {
    /// The compression a file name announces: by its last part, plain when unknown.
    pub fn of_name(name: &str) -> Self {
        match name.rsplit('.').next() {
            Some("gz") => Compression::Gz,
            Some("snappy") => Compression::Snappy,
            _ => Compression::None,
        }
    }

    /// What is appended to the file name.
    pub fn suffix(self) -> &'static str {
        match self {
            Compression::None => "",
            Compression::Gz => ".gz",
            Compression::Snappy => ".snappy",
        }
    }

    /// From the first bytes of a file or stream.
    pub fn of_content(head: &[u8]) -> Self {
        let compressed = [Compression::Gz, Compression::Snappy];
        compressed.into_iter().find(|kind| head.starts_with(kind.magic())).unwrap_or(Compression::None)
    }

    /// The first bytes of such a file.
    pub(super) fn magic(self) -> &'static [u8] {
        match self {
            Compression::None => &[],
            Compression::Gz => &GZ_MAGIC,
            Compression::Snappy => &SNAPPY_MAGIC,
        }
    }
}

/// The uncompressed stream of a compressed one.
pub enum Decompress<R> {
    /// As it is.
    None(R),
    /// Gzip.
    Gz(Box<MultiGzDecoder<R>>),
    /// Xerial snappy.
    Snappy(Box<SnappyReader<R>>),
}

impl<R: Read> Decompress<R> {
    /// Reads `source` as `compression`.
    pub fn new(source: R, compression: Compression) -> Self {
        match compression {
            Compression::None => Decompress::None(source),
            Compression::Gz => Decompress::Gz(Box::new(MultiGzDecoder::new(source))),
            Compression::Snappy => Decompress::Snappy(Box::new(SnappyReader::new(source))),
        }
    }
}

impl<R: Read> Read for Decompress<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Decompress::None(source) => source.read(buffer),
            Decompress::Gz(source) => source.read(buffer),
            Decompress::Snappy(source) => source.read(buffer),
        }
    }
}

/// Decodes the xerial framing: a header, then blocks of a length and raw snappy bytes. Streams may be concatenated.
pub struct SnappyReader<R> {
    source: R,
    header_read: bool,
    compressed: Vec<u8>,
    plain: Vec<u8>,
    used: usize,
}

impl<R: Read> SnappyReader<R> {
    fn new(source: R) -> Self {
        SnappyReader { source, header_read: false, compressed: Vec::new(), plain: Vec::new(), used: 0 }
    }

    /// Decodes the next block; false at the end.
    fn next_block(&mut self) -> io::Result<bool> {
        if !self.header_read {
            let mut header = [0; SNAPPY_HEADER.len()];
            self.source.read_exact(&mut header)?;
            if !header.starts_with(&SNAPPY_MAGIC) {
                return Err(bad("not a snappy stream"));
            }
            self.header_read = true;
        }
        let Some(length) = self.block_length()? else { return Ok(false) };
        let length = usize::try_from(length).ok().filter(|length| *length <= SNAPPY_BLOCK_MAX);
        let length = length.ok_or_else(|| bad("unreasonable length of a snappy block"))?;
        // Grows with what is really there, not with what the length claims.
        self.compressed.clear();
        let read = (&mut self.source).take(length as u64).read_to_end(&mut self.compressed)?;
        if read < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let plain = snap::raw::decompress_len(&self.compressed).map_err(io::Error::other)?;
        // The format cannot shrink by more than 64 times the few bytes of a copy, so a larger claim is a lie.
        if plain > SNAPPY_BLOCK_MAX || plain > length.saturating_mul(64) {
            return Err(bad("unreasonable length of an uncompressed snappy block"));
        }
        self.plain.resize(plain, 0);
        self.used = 0;
        snap::raw::Decoder::new().decompress(&self.compressed, &mut self.plain).map_err(io::Error::other)?;
        Ok(true)
    }

    fn block_length(&mut self) -> io::Result<Option<i32>> {
        loop {
            let mut length = [0; 4];
            match self.source.read(&mut length)? {
                0 => return Ok(None),
                count => self.source.read_exact(&mut length[count..])?,
            }
            if length != SNAPPY_MAGIC[..4] {
                return Ok(Some(i32::from_be_bytes(length)));
            }
            // A second stream behind the first: skip its header.
            self.source.read_exact(&mut [0; SNAPPY_HEADER.len() - 4])?;
        }
    }
}

impl<R: Read> Read for SnappyReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.used == self.plain.len() {
            if !self.next_block()? {
                return Ok(0);
            }
        }
        let count = buffer.len().min(self.plain.len() - self.used);
        buffer[..count].copy_from_slice(&self.plain[self.used..self.used + count]);
        self.used += count;
        Ok(count)
    }
}

fn bad(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// The compressed stream of an uncompressed one.
pub enum Compress<W: Write> {
    /// As it is.
    None(W),
    /// Gzip.
    Gz(Box<GzEncoder<W>>),
    /// Xerial snappy.
    Snappy(Box<SnappyWriter<W>>),
}

impl<W: Write> Compress<W> {
    /// Writes to `target` as `compression`.
    pub fn new(target: W, compression: Compression) -> Self {
        match compression {
            Compression::None => Compress::None(target),
            // Level 1 takes a third of the time of the usual 6 for a tenth more bytes; the snapshot thread shares its cores.
            Compression::Gz => Compress::Gz(Box::new(GzEncoder::new(target, flate2::Compression::fast()))),
            Compression::Snappy => Compress::Snappy(Box::new(SnappyWriter::new(target))),
        }
    }

    /// Appends bytes.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Compress::None(target) => target.write_all(bytes),
            Compress::Gz(target) => target.write_all(bytes),
            Compress::Snappy(target) => target.write(bytes),
        }
    }

    /// Ends the stream and gives back what was written to.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Compress::None(target) => Ok(target),
            Compress::Gz(target) => target.finish(),
            Compress::Snappy(target) => target.finish(),
        }
    }
}

/// Encodes the xerial framing.
pub struct SnappyWriter<W> {
    target: W,
    plain: Vec<u8>,
    out: Vec<u8>,
}

impl<W: Write> SnappyWriter<W> {
    fn new(target: W) -> Self {
        SnappyWriter { target, plain: Vec::with_capacity(SNAPPY_BLOCK), out: SNAPPY_HEADER.to_vec() }
    }

    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (head, tail) = bytes.split_at(bytes.len().min(SNAPPY_BLOCK - self.plain.len()));
            self.plain.extend_from_slice(head);
            bytes = tail;
            if self.plain.len() == SNAPPY_BLOCK {
                self.put_block()?;
            }
        }
        Ok(())
    }

    fn put_block(&mut self) -> io::Result<()> {
        let start = self.out.len();
        self.out.resize(start + 4 + snap::raw::max_compress_len(self.plain.len()), 0);
        let length =
            snap::raw::Encoder::new().compress(&self.plain, &mut self.out[start + 4..]).map_err(io::Error::other)?;
        self.out[start..start + 4].copy_from_slice(&(length as u32).to_be_bytes());
        self.out.truncate(start + 4 + length);
        self.plain.clear();
        self.target.write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<W> {
        if !self.plain.is_empty() || !self.out.is_empty() {
            self.put_block()?;
        }
        Ok(self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn compressed(bytes: &[u8], compression: Compression, step: usize) -> Vec<u8> {
        let mut stream = Compress::new(Vec::new(), compression);
        bytes.chunks(step).for_each(|chunk| stream.write(chunk).unwrap());
        stream.finish().unwrap()
    }

    fn plain(bytes: &[u8], compression: Compression) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Decompress::new(bytes, compression).read_to_end(&mut out)?;
        Ok(out)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn what_is_packed_is_unpacked(bytes in proptest::collection::vec(0u8..4, 0..70_000), step in 1usize..40_000) {
            for compression in [Compression::None, Compression::Gz, Compression::Snappy] {
                let packed = compressed(&bytes, compression, step);
                prop_assert!(packed.starts_with(compression.magic()));
                prop_assert_eq!(&plain(&packed, compression).unwrap(), &bytes);
            }
        }

        #[test]
        fn garbage_is_an_error_or_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..300), keep in 0usize..20) {
            for compression in [Compression::Gz, Compression::Snappy] {
                let mut packed = compressed(b"0123456789", compression, 10);
                packed.truncate(keep);
                packed.extend_from_slice(&bytes);
                let _ = plain(&packed, compression);
            }
        }
    }

    #[test]
    fn a_block_that_claims_gigabytes_allocates_nothing() {
        let mut bytes = SNAPPY_HEADER.to_vec();
        bytes.extend_from_slice(&5i32.to_be_bytes());
        bytes.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0x0f]);
        assert!(plain(&bytes, Compression::Snappy).is_err());
        let mut bytes = SNAPPY_HEADER.to_vec();
        bytes.extend_from_slice(&i32::MAX.to_be_bytes());
        assert!(plain(&bytes, Compression::Snappy).is_err());
    }

    #[test]
    fn concatenated_snappy_streams_are_one() {
        let mut bytes = compressed(b"one ", Compression::Snappy, 4);
        bytes.extend(compressed(b"two", Compression::Snappy, 3));
        assert_eq!(plain(&bytes, Compression::Snappy).unwrap(), b"one two");
    }
}
