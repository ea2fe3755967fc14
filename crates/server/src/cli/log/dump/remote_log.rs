//! Records of `__remote_log_metadata`, in the words of the `toString` of Kafka's `RemoteLogSegmentMetadata`,
//! `RemoteLogSegmentMetadataUpdate`, `RemotePartitionDeleteMetadata` and `RemoteLogSegmentMetadataSnapshot`.

use ottla_protocol::message::Message;
use ottla_protocol::messages::remote_log_segment_metadata_record as segment;
use ottla_protocol::messages::remote_log_segment_metadata_snapshot_record as snapshot;
use ottla_protocol::messages::remote_log_segment_metadata_update_record as update;
use ottla_protocol::messages::remote_partition_delete_metadata_record as delete;
use ottla_protocol::reader::Reader;

/// A record as text. Kafka class: `RemoteLogMetadataSerde`.
///
/// # Errors
/// A sentence that says why the bytes are none.
pub(super) fn record(value: Option<&[u8]>) -> Result<String, String> {
    let mut r = Reader::new(value.ok_or("the record has no value")?);
    let mut number = || r.uvarint().map_err(|e| e.to_string());
    let (frame, id, version) = (number()?, number()?, number()?);
    if frame != 1 {
        return Err(format!("Could not deserialize metadata record with frame version {frame}."));
    }
    let version = i16::try_from(version).map_err(|_| format!("Value for version was too large: {version}"))?;
    let text = match id {
        0 => segment::RemoteLogSegmentMetadataRecord::decode(&mut r, version).map(|m| segment_text(&m)),
        1 => update::RemoteLogSegmentMetadataUpdateRecord::decode(&mut r, version).map(|m| update_text(&m)),
        2 => delete::RemotePartitionDeleteMetadataRecord::decode(&mut r, version).map(|m| delete_text(&m)),
        3 => snapshot::RemoteLogSegmentMetadataSnapshotRecord::decode(&mut r, version).map(|m| snapshot_text(&m)),
        other => return Err(format!("Unknown metadata id {other}")),
    };
    text.map_err(|e| e.to_string())
}

fn segment_text(m: &segment::RemoteLogSegmentMetadataRecord<'_>) -> String {
    let id = &m.remote_log_segment_id;
    let partition = &id.topic_id_partition;
    format!(
        "RemoteLogSegmentMetadata{{remoteLogSegmentId=RemoteLogSegmentId{{topicIdPartition={}:{}-{}, id={}}}, startOffset={}, \
         endOffset={}, brokerId={}, maxTimestampMs={}, eventTimestampMs={}, segmentLeaderEpochs={}, segmentSizeInBytes={}, \
         customMetadata={}, state={}, txnIdxEmpty={}}}",
        partition.id,
        partition.name,
        partition.partition,
        id.id,
        m.start_offset,
        m.end_offset,
        m.broker_id,
        m.max_timestamp_ms,
        m.event_timestamp_ms,
        epochs(m.segment_leader_epochs.iter().map(|e| (e.leader_epoch, e.offset))),
        m.segment_size_in_bytes,
        custom(m.custom_metadata),
        segment_state(m.remote_log_segment_state),
        m.txn_index_empty,
    )
}

fn update_text(m: &update::RemoteLogSegmentMetadataUpdateRecord<'_>) -> String {
    let id = &m.remote_log_segment_id;
    let partition = &id.topic_id_partition;
    format!(
        "RemoteLogSegmentMetadataUpdate{{remoteLogSegmentId=RemoteLogSegmentId{{topicIdPartition={}:{}-{}, id={}}}, \
         customMetadata={}, state={}, eventTimestampMs={}, brokerId={}}}",
        partition.id,
        partition.name,
        partition.partition,
        id.id,
        custom(m.custom_metadata),
        segment_state(m.remote_log_segment_state),
        m.event_timestamp_ms,
        m.broker_id,
    )
}

fn delete_text(m: &delete::RemotePartitionDeleteMetadataRecord<'_>) -> String {
    let partition = &m.topic_id_partition;
    let state = match m.remote_partition_delete_state {
        0 => "DELETE_PARTITION_MARKED".to_owned(),
        1 => "DELETE_PARTITION_STARTED".to_owned(),
        2 => "DELETE_PARTITION_FINISHED".to_owned(),
        other => other.to_string(),
    };
    format!(
        "RemotePartitionDeleteMetadata{{topicPartition={}:{}-{}, state={state}, eventTimestampMs={}, brokerId={}}}",
        partition.id, partition.name, partition.partition, m.event_timestamp_ms, m.broker_id,
    )
}

fn snapshot_text(m: &snapshot::RemoteLogSegmentMetadataSnapshotRecord<'_>) -> String {
    format!(
        "RemoteLogSegmentMetadataSnapshot{{segmentId={}, startOffset={}, endOffset={}, maxTimestampMs={}, \
         segmentLeaderEpochs={}, segmentSizeInBytes={}, customMetadata={}, state={}, txnIdxEmpty={}}}",
        m.segment_id,
        m.start_offset,
        m.end_offset,
        m.max_timestamp_ms,
        epochs(m.segment_leader_epochs.iter().map(|e| (e.leader_epoch, e.offset))),
        m.segment_size_in_bytes,
        custom(m.custom_metadata),
        segment_state(m.remote_log_segment_state),
        m.txn_index_empty,
    )
}

/// A `NavigableMap`, so by epoch.
fn epochs(epochs: impl Iterator<Item = (i32, i64)>) -> String {
    let sorted: std::collections::BTreeMap<i32, i64> = epochs.collect();
    let text: Vec<_> = sorted.iter().map(|(epoch, offset)| format!("{epoch}={offset}")).collect();
    format!("{{{}}}", text.join(", "))
}

fn custom(bytes: Option<&[u8]>) -> String {
    bytes.map_or("Optional.empty".to_owned(), |b| format!("Optional[CustomMetadata{{{} bytes}}]", b.len()))
}

fn segment_state(state: i8) -> String {
    match state {
        0 => "COPY_SEGMENT_STARTED".to_owned(),
        1 => "COPY_SEGMENT_FINISHED".to_owned(),
        2 => "DELETE_SEGMENT_STARTED".to_owned(),
        3 => "DELETE_SEGMENT_FINISHED".to_owned(),
        other => other.to_string(),
    }
}
