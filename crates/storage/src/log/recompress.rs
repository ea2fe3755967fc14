//! Batches in another codec than their producer's, where `compression.type` names one: the only case in which an append makes
//! new batches. Kafka class: `LogValidator`.

use ottla_protocol::record_batch::{self, BatchHeader};

use super::append::check_segment_bytes;
use crate::config::LogConfig;
use crate::error::AppendError;
use crate::validator::{self, AppendOrigin};

/// The batches, which were validated, with each in the topic's codec; None when all of them are, or it names none. Control
/// batches stay as they are.
pub(super) fn repacked(
    batches: &[u8],
    origin: AppendOrigin,
    config: &LogConfig,
) -> Result<Option<Vec<u8>>, AppendError> {
    let Some((codec, level)) = config.compression.filter(|_| origin != AppendOrigin::RaftLeader) else {
        return Ok(None);
    };
    let is_other = |header: &BatchHeader| !header.is_control() && header.compression() != Ok(codec);
    if !record_batch::batches(batches).flatten().any(|(header, _)| is_other(&header)) {
        return Ok(None);
    }
    let limit = config.max_decompressed_message_bytes;
    let mut all = Vec::with_capacity(batches.len());
    for (header, batch) in record_batch::batches(batches).flatten() {
        if !is_other(&header) {
            all.extend_from_slice(batch);
            continue;
        }
        let packed = record_batch::recompress(batch, codec, level, limit).map_err(|e| validator::refused(&e, limit))?;
        // As Kafka does, once more: it may have grown.
        if packed.len() > config.max_message_bytes && origin == AppendOrigin::Client {
            return Err(AppendError::MessageTooLarge { size: packed.len(), max: config.max_message_bytes });
        }
        all.extend(packed);
    }
    check_segment_bytes(&all, config)?;
    Ok(Some(all))
}
