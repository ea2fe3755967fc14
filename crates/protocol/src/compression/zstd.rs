//! Zstandard with contexts that outlive a batch: making one costs a third of packing a small batch.

use std::cell::RefCell;
use std::io;

use zstd::zstd_safe::{
    self, CCtx, CParameter, DCtx, DParameter, InBuffer, OutBuffer, ResetDirective, compress_bound, get_error_name,
};

/// Largest window that a frame may name, as a power of two; what Kafka's own reader accepts. A producer at level 22 does
/// name 128 MiB.
const WINDOW_LOG_MAX: u32 = 27;
/// Kafka's default level.
const DEFAULT_LEVEL: i32 = 3;
/// A context that grew beyond this, for a frame with a huge window, is given up instead of kept.
const KEPT_CONTEXT_BYTES: usize = 4 << 20;

thread_local! {
    static COMPRESS: RefCell<Option<CCtx<'static>>> = const { RefCell::new(None) };
    static DECOMPRESS: RefCell<Option<DCtx<'static>>> = const { RefCell::new(None) };
}

fn name(code: zstd_safe::ErrorCode) -> String {
    get_error_name(code).to_owned()
}

/// Appends one frame to `out`.
pub(super) fn compress(level: Option<i32>, input: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    let kept = COMPRESS.with_borrow_mut(Option::take);
    let mut context = kept.or_else(CCtx::try_create).ok_or("no memory for a context")?;
    context.set_parameter(CParameter::CompressionLevel(level.unwrap_or(DEFAULT_LEVEL))).map_err(name)?;
    let start = out.len();
    out.resize(start + compress_bound(input.len()), 0);
    let written = context.compress2(out.get_mut(start..).unwrap_or_default(), input).map_err(name);
    out.truncate(start + written.as_ref().copied().unwrap_or(0));
    if context.sizeof() <= KEPT_CONTEXT_BYTES {
        COMPRESS.with_borrow_mut(|kept| *kept = Some(context));
    }
    written.map(drop)
}

/// Reads frame after frame.
pub(super) struct ZstdReader<'a> {
    /// Taken only by `drop`.
    context: Option<DCtx<'static>>,
    input: InBuffer<'a>,
    /// Whether the last frame was read to its end.
    whole: bool,
}

impl<'a> ZstdReader<'a> {
    pub(super) fn new(input: &'a [u8]) -> Result<Self, String> {
        let kept = DECOMPRESS.with_borrow_mut(Option::take);
        let mut context = kept.or_else(DCtx::try_create).ok_or("no memory for a context")?;
        context.reset(ResetDirective::SessionOnly).map_err(name)?;
        context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX)).map_err(name)?;
        Ok(Self { context: Some(context), input: InBuffer::around(input), whole: true })
    }

    pub(super) fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let Some(context) = &mut self.context else { return Ok(0) };
        let mut output = OutBuffer::around(out);
        loop {
            let before = self.input.pos;
            if self.whole && before == self.input.src.len() {
                return Ok(0);
            }
            let hint =
                context.decompress_stream(&mut output, &mut self.input).map_err(|c| io::Error::other(name(c)))?;
            self.whole = hint == 0;
            if output.pos() > 0 {
                return Ok(output.pos());
            }
            if !self.whole && self.input.pos == before {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the frame is cut short"));
            }
        }
    }
}

impl Drop for ZstdReader<'_> {
    fn drop(&mut self) {
        if let Some(context) = self.context.take().filter(|c| c.sizeof() <= KEPT_CONTEXT_BYTES) {
            DECOMPRESS.with_borrow_mut(|kept| *kept = Some(context));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Compression, decompress};
    use super::*;

    #[test]
    fn a_context_is_clean_after_a_broken_frame() {
        let input = b"zstd ".repeat(1000);
        let (mut packed, mut out) = (Vec::new(), Vec::new());
        compress(Some(1), &input, &mut packed).unwrap();
        assert!(decompress(Compression::Zstd, &packed[..packed.len() - 2], &mut out, input.len()).is_err());
        decompress(Compression::Zstd, &packed, &mut out, input.len()).unwrap();
        assert_eq!(out, input);
    }

    #[test]
    fn frames_one_after_the_other_are_one() {
        let (mut packed, mut out) = (Vec::new(), Vec::new());
        compress(None, b"one", &mut packed).unwrap();
        compress(None, b"", &mut packed).unwrap();
        compress(None, b"two", &mut packed).unwrap();
        decompress(Compression::Zstd, &packed, &mut out, 6).unwrap();
        assert_eq!(out, b"onetwo");
    }
}
