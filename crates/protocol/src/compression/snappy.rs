//! Snappy in the two forms that Kafka meets: raw, and the blocks of the xerial library, which Java and most clients write.
//!
//! ```text
//! xerial   0x82 'SNAPPY' 0x00 | version i32 = 1 | compatible i32 = 1 | (length i32 | raw snappy)*
//! ```

use std::io;

/// What begins the xerial form; raw snappy cannot begin so, as 0x82 0x53 would be followed by a literal.
const XERIAL_MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
const XERIAL_VERSION: u32 = 1;
/// Input bytes of one block, as the xerial library cuts them.
const BLOCK_BYTES: usize = 32 << 10;
/// More than one byte of raw snappy can stand for: its best is a copy of 64 bytes in three. A block that announces more
/// is a lie, and is refused before memory is taken for it.
const MAX_RATIO: usize = 32;

/// Reads either form, block by block.
pub(super) struct SnappyReader<'a> {
    form: Form<'a>,
    block: Vec<u8>,
    at: usize,
}

enum Form<'a> {
    /// The rest of the blocks.
    Xerial(&'a [u8]),
    /// The one block, until it is read.
    Raw(Option<&'a [u8]>),
}

impl<'a> SnappyReader<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        // The version fields are passed over, as Kafka's reader does with every version that it can read.
        let form = match input.strip_prefix(XERIAL_MAGIC).and_then(|rest| rest.split_first_chunk::<8>()) {
            Some((_versions, blocks)) => Form::Xerial(blocks),
            None => Form::Raw(Some(input).filter(|b| !b.is_empty())),
        };
        Self { form, block: Vec::new(), at: 0 }
    }

    pub(super) fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let ready = self.block.get(self.at..).unwrap_or_default();
            if !ready.is_empty() {
                let n = ready.len().min(out.len());
                if let (Some(to), Some(from)) = (out.get_mut(..n), ready.get(..n)) {
                    to.copy_from_slice(from);
                }
                self.at += n;
                return Ok(n);
            }
            let Some(packed) = self.next_block()? else { return Ok(0) };
            unpack(packed, &mut self.block)?;
            self.at = 0;
        }
    }

    fn next_block(&mut self) -> io::Result<Option<&'a [u8]>> {
        match &mut self.form {
            Form::Raw(block) => Ok(block.take()),
            Form::Xerial([]) => Ok(None),
            Form::Xerial(rest) => {
                let (length, after) = rest.split_first_chunk::<4>().ok_or_else(|| broken("a block has no length"))?;
                // A stream that was appended to has the header again between two blocks.
                if let Some((_, blocks)) = rest.strip_prefix(XERIAL_MAGIC).and_then(|r| r.split_first_chunk::<8>()) {
                    *rest = blocks;
                    return self.next_block();
                }
                let (block, after) = after
                    .split_at_checked(u32::from_be_bytes(*length) as usize)
                    .ok_or_else(|| broken("a block is cut short"))?;
                *rest = after;
                Ok(Some(block))
            }
        }
    }
}

fn unpack(packed: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let size = snap::raw::decompress_len(packed).map_err(io::Error::other)?;
    if size > packed.len().saturating_mul(MAX_RATIO) {
        return Err(broken("a block announces more than it can hold"));
    }
    out.resize(size, 0);
    let n = snap::raw::Decoder::new().decompress(packed, out).map_err(io::Error::other)?;
    out.truncate(n);
    Ok(())
}

fn broken(cause: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, cause)
}

/// Appends the xerial form of `input` to `out`.
pub(super) fn compress_xerial(input: &[u8], out: &mut Vec<u8>) -> Result<(), snap::Error> {
    out.extend_from_slice(XERIAL_MAGIC);
    out.extend_from_slice(&XERIAL_VERSION.to_be_bytes());
    out.extend_from_slice(&XERIAL_VERSION.to_be_bytes());
    let mut encoder = snap::raw::Encoder::new();
    let mut block = vec![0; snap::raw::max_compress_len(BLOCK_BYTES.min(input.len()))];
    for chunk in input.chunks(BLOCK_BYTES) {
        let n = encoder.compress(chunk, &mut block)?;
        out.extend_from_slice(&(n as u32).to_be_bytes());
        out.extend_from_slice(block.get(..n).unwrap_or_default());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Compression, decompress};
    use super::*;

    #[test]
    fn raw_snappy_is_read_too() {
        let input = b"raw snappy, as some clients write it, raw snappy".repeat(100);
        let packed = snap::raw::Encoder::new().compress_vec(&input).unwrap();
        let mut out = Vec::new();
        decompress(Compression::Snappy, &packed, &mut out, input.len()).unwrap();
        assert_eq!(out, input);
    }

    #[test]
    fn two_xerial_streams_one_after_the_other_are_one() {
        let mut packed = Vec::new();
        compress_xerial(b"one", &mut packed).unwrap();
        compress_xerial(b"two", &mut packed).unwrap();
        let mut out = Vec::new();
        decompress(Compression::Snappy, &packed, &mut out, 6).unwrap();
        assert_eq!(out, b"onetwo");
    }

    #[test]
    fn a_block_that_lies_about_its_size_takes_no_memory() {
        let mut packed = XERIAL_MAGIC.to_vec();
        packed.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
        packed.extend_from_slice(&6u32.to_be_bytes());
        packed.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0]); // announces four gigabytes
        let mut out = Vec::new();
        let e = decompress(Compression::Snappy, &packed, &mut out, 1 << 30).unwrap_err();
        assert!(e.to_string().contains("more than it can hold"), "{e}");
    }
}
