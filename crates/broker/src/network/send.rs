//! Sends responses: bytes gathered from as many responses as are ready, record bytes straight from their files.

use std::io::{self, ErrorKind, IoSlice};
use std::sync::Arc;

use ottla_env::fs::File;
use ottla_env::net::TcpStream;
use ottla_env::task;
use ottla_storage::FileSlice;

use super::reaper::Pulse;
use crate::context::Response;

/// Pieces of memory sent in one call at most.
const GATHER: usize = 32;
/// Bytes of a file sent in one call at most, so that one connection does not hold its thread for long.
const FILE_CHUNK: u64 = 1 << 20;
/// Bytes read at a time to bring a cold range into the page cache.
const WARM_CHUNK: u32 = 128 << 10;

enum Part<'a> {
    Bytes(&'a [u8]),
    File(&'a FileSlice),
}

/// Sends all of them in order and gives the number of bytes that came from files.
pub(super) async fn send(stream: &TcpStream, pulse: &Pulse, responses: &[Response]) -> io::Result<u64> {
    if let [only] = responses
        && only.holes.is_empty()
    {
        send_bytes(stream, pulse, &[&only.bytes]).await?;
        return Ok(0);
    }
    let mut gathered: Vec<&[u8]> = Vec::with_capacity(responses.len());
    let mut from_files = 0;
    for part in responses.iter().flat_map(parts) {
        match part {
            Part::Bytes(bytes) => gathered.push(bytes),
            Part::File(slice) => {
                send_bytes(stream, pulse, &gathered).await?;
                gathered.clear();
                send_file(stream, pulse, slice).await?;
                from_files += u64::from(slice.len);
            }
        }
    }
    send_bytes(stream, pulse, &gathered).await?;
    Ok(from_files)
}

/// The response in the order of the wire.
fn parts(response: &Response) -> impl Iterator<Item = Part<'_>> {
    let mut at = 0;
    let filled = response.holes.iter().flat_map(move |hole| {
        let before = response.bytes.get(at..hole.at).unwrap_or_default();
        at = hole.at;
        [Some(Part::Bytes(before)), response.slices.get(hole.index as usize).map(Part::File)]
    });
    let tail = response.holes.last().map_or(0, |hole| hole.at);
    filled.flatten().chain(std::iter::once(Part::Bytes(response.bytes.get(tail..).unwrap_or_default())))
}

async fn send_bytes(stream: &TcpStream, pulse: &Pulse, pieces: &[&[u8]]) -> io::Result<()> {
    for group in pieces.chunks(GATHER) {
        let mut slices = [IoSlice::new(&[]); GATHER];
        for (slot, piece) in slices.iter_mut().zip(group) {
            *slot = IoSlice::new(piece);
        }
        let mut rest = slices.get_mut(..group.len()).unwrap_or_default();
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            match stream.try_write_vectored(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => IoSlice::advance_slices(&mut rest, n),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    stream.writable().await?;
                    pulse.progress();
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
    Ok(())
}

async fn send_file(stream: &TcpStream, pulse: &Pulse, slice: &FileSlice) -> io::Result<()> {
    let file = open(slice).await?;
    warm(&file, slice).await?;
    let (mut at, end) = (slice.position, slice.position + u64::from(slice.len));
    while at < end {
        let chunk = usize::try_from((end - at).min(FILE_CHUNK)).unwrap_or(usize::MAX);
        match stream.try_send_file(&file, at, chunk) {
            // The file is shorter than its index says: the length was promised to the peer, so the connection goes.
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(n) => at += n as u64,
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                stream.writable().await?;
                pulse.progress();
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// The slice's file; on the blocking pool if it was closed to make room for others.
async fn open(slice: &FileSlice) -> io::Result<Arc<File>> {
    if slice.file.is_open() {
        return slice.file.open();
    }
    let file = Arc::clone(&slice.file);
    task::blocking("open", move || file.open()).await
}

/// Reads a range that is not in the page cache on the blocking pool first, because sendfile would wait for the disk on
/// this thread.
async fn warm(file: &Arc<File>, slice: &FileSlice) -> io::Result<()> {
    if file.is_cached(slice.position, u64::from(slice.len)) {
        return Ok(());
    }
    let (file, slice) = (Arc::clone(file), slice.clone());
    task::blocking("warm", move || {
        let mut scratch = vec![0; WARM_CHUNK.min(slice.len) as usize];
        let end = slice.position + u64::from(slice.len);
        let mut at = slice.position;
        while at < end {
            let n = file.read_at(&mut scratch, at)?;
            if n == 0 {
                break;
            }
            at += n as u64;
        }
        Ok(())
    })
    .await
}
