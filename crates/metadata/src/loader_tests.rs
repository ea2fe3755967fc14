use super::*;
use crate::records::*;
use ottla_protocol::Uuid;

/// Keeps what it was told: offset, and the names of all topics then.
#[derive(Default)]
struct Witness(Mutex<Vec<(i64, Vec<String>)>>);

impl MetadataPublisher for Witness {
    fn name(&self) -> &'static str {
        "witness"
    }

    fn publish(&self, delta: &MetadataDelta, image: &Arc<MetadataImage>) {
        assert_eq!(delta.apply(image.offset, image.epoch), **image);
        self.0.lock().push((image.offset, names(image)));
    }
}

fn names(image: &MetadataImage) -> Vec<String> {
    image.topics.iter().map(|t| t.name.to_string()).collect()
}

fn topic(n: u8) -> MetadataRecord {
    TopicRecord { name: format!("t{n}"), topic_id: Uuid([n; 16]) }.into()
}

fn batch(last_offset: i64, records: Vec<MetadataRecord>) -> CommittedBatch {
    CommittedBatch { last_offset, epoch: 1, records }
}

fn begin() -> MetadataRecord {
    BeginTransactionRecord { name: None }.into()
}

fn loader() -> (MetadataLoader, Arc<Witness>) {
    let (loader, witness) = (MetadataLoader::new(), Arc::new(Witness::default()));
    loader.add_publisher(Arc::clone(&witness) as Arc<dyn MetadataPublisher>);
    (loader, witness)
}

fn told(witness: &Witness) -> Vec<(i64, Vec<String>)> {
    std::mem::take(&mut *witness.0.lock())
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

#[test]
fn batches_move_the_view_and_are_told_once() {
    let (loader, witness) = loader();
    let view = loader.view();
    loader.load_batches([batch(0, vec![topic(1)]), batch(2, vec![topic(2), NoOpRecord {}.into()])]).unwrap();
    assert_eq!(told(&witness), [(2, strings(&["t1", "t2"]))]);
    assert_eq!((view.current().offset, view.current().epoch), (2, 1));
}

#[test]
fn a_transaction_takes_effect_at_its_end() {
    let (loader, witness) = loader();
    loader.load_batches([batch(2, vec![topic(1), begin(), topic(2)])]).unwrap();
    assert_eq!(told(&witness), [(0, strings(&["t1"]))]);
    loader.load_batches([batch(3, vec![topic(3)])]).unwrap();
    assert_eq!(told(&witness), []);
    assert_eq!(loader.current().offset, 0);
    loader.load_batches([batch(4, vec![EndTransactionRecord {}.into()])]).unwrap();
    assert_eq!(told(&witness), [(4, strings(&["t1", "t2", "t3"]))]);
}

#[test]
fn an_aborted_transaction_never_was() {
    let (loader, witness) = loader();
    let abort = MetadataRecord::from(AbortTransactionRecord { reason: None });
    loader.load_batches([batch(1, vec![topic(1), begin()]), batch(4, vec![topic(2), abort, topic(3)])]).unwrap();
    assert_eq!(told(&witness), [(0, strings(&["t1"])), (4, strings(&["t1", "t3"]))]);
}

#[test]
fn transactions_out_of_order_are_refused() {
    for records in [vec![begin(), begin()], vec![EndTransactionRecord {}.into()]] {
        let (loader, _) = loader();
        let refused = loader.load_batches([batch(1, records)]);
        assert!(matches!(refused, Err(LoadError::Transaction { last_offset: 1, .. })));
    }
}

#[test]
fn a_publisher_that_comes_late_is_told_all() {
    let (loader, _) = loader();
    loader.load_snapshot(6, 3, [topic(1), topic(2)]).unwrap();
    let late = Arc::new(Witness::default());
    loader.add_publisher(Arc::clone(&late) as Arc<dyn MetadataPublisher>);
    loader.load_batches([batch(7, vec![RemoveTopicRecord { topic_id: Uuid([1; 16]) }.into()])]).unwrap();
    assert_eq!(told(&late), [(6, strings(&["t1", "t2"])), (7, strings(&["t2"]))]);
}

#[test]
fn a_record_that_does_not_fit_stops_the_loader() {
    let (loader, _) = loader();
    let orphan = PartitionRecord { topic_id: Uuid([9; 16]), ..PartitionRecord::default() };
    let refused = loader.load_batches([batch(5, vec![orphan.into()])]);
    assert!(matches!(refused, Err(LoadError::Replay { last_offset: 5, .. })));
    assert_eq!(loader.current().offset, -1);
}
