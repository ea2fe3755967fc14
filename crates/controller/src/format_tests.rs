use super::*;

fn endpoint() -> Endpoint {
    Endpoint { listener: "CONTROLLER".into(), host: "127.0.0.1".into(), port: 19412 }
}

fn options(root: &Path, quorum: QuorumKind) -> FormatOptions {
    FormatOptions {
        cluster_id: "MkU3OEVBNTcwNTJENDM2Qk".into(),
        node_id: 1,
        log_dirs: vec![root.join("data"), root.join("data2")],
        metadata_log_dir: root.join("data"),
        quorum,
        release_version: None,
        features: BTreeMap::new(),
        ignore_formatted: false,
    }
}

fn run(options: &FormatOptions) -> Result<Vec<String>, FormatError> {
    let mut next = 0;
    format(options, 1000, &mut || {
        next += 1;
        [next; 16]
    })
}

fn bootstrap(root: &Path) -> snapshot_file::Snapshot {
    snapshot_file::read(&root.join("data/__cluster_metadata-0"), BOOTSTRAP).expect("a bootstrap snapshot")
}

#[test]
fn a_standalone_directory_names_its_voter_and_kafkas_levels() {
    let root = tempfile::tempdir().expect("a directory");
    run(&options(root.path(), QuorumKind::Standalone { endpoint: endpoint() })).expect("formats");
    let snapshot = bootstrap(root.path());
    assert_eq!(snapshot.kraft_version, 1);
    let properties = MetaProperties::read(&root.path().join("data")).expect("reads").expect("there");
    let voters = snapshot.voters.expect("voters");
    assert!(voters.is_only(ReplicaKey::new(1, properties.directory_id.expect("an id"))));
    assert_eq!(voters.get(1).expect("voter").endpoints, vec![endpoint()]);
    let levels: Vec<(String, i16)> = snapshot
        .records
        .into_iter()
        .map(|r| match r {
            MetadataRecord::FeatureLevel(r) => (r.name, r.feature_level),
            other => panic!("{other:?}"),
        })
        .collect();
    // The order and levels that Kafka 4.4.0 wrote.
    let expected = [
        ("metadata.version", 33),
        ("eligible.leader.replicas.version", 1),
        ("group.version", 1),
        ("share.version", 2),
        ("streams.version", 1),
        ("transaction.version", 2),
    ];
    assert_eq!(levels, expected.map(|(name, level)| (name.to_owned(), level)));
}

#[test]
fn a_static_directory_names_no_voters() {
    let root = tempfile::tempdir().expect("a directory");
    run(&options(root.path(), QuorumKind::Static)).expect("formats");
    let snapshot = bootstrap(root.path());
    assert_eq!((snapshot.kraft_version, snapshot.voters, snapshot.records.len()), (0, None, 6));
}

#[test]
fn a_formatted_directory_is_refused_or_left_alone() {
    let root = tempfile::tempdir().expect("a directory");
    let mut options = options(root.path(), QuorumKind::Static);
    run(&options).expect("formats");
    assert!(matches!(run(&options), Err(FormatError::AlreadyFormatted(_))));
    options.ignore_formatted = true;
    options.log_dirs.push(root.path().join("data3"));
    assert_eq!(run(&options).expect("formats the third").len(), 1);
    options.node_id = 2;
    assert!(matches!(run(&options), Err(FormatError::BelongsElsewhere { .. })));
}

#[test]
fn initial_controllers_must_name_this_node() {
    let root = tempfile::tempdir().expect("a directory");
    let controller = |id| InitialController { id, directory_id: Uuid([7; 16]), endpoint: endpoint() };
    let without = options(root.path(), QuorumKind::InitialControllers(vec![controller(2)]));
    assert!(matches!(run(&without), Err(FormatError::NotAmongInitialControllers(1))));
    let root = tempfile::tempdir().expect("a directory");
    run(&options(root.path(), QuorumKind::InitialControllers(vec![controller(1), controller(2)]))).expect("formats");
    assert_eq!(bootstrap(root.path()).voters.expect("voters").len(), 2);
    let properties = MetaProperties::read(&root.path().join("data")).expect("reads").expect("there");
    assert_eq!(properties.directory_id, Some(Uuid([7; 16])));
}

#[test]
fn kraft_version_must_go_with_the_kind() {
    let root = tempfile::tempdir().expect("a directory");
    let mut options = options(root.path(), QuorumKind::Static);
    options.features = BTreeMap::from([("kraft.version".to_owned(), 1)]);
    assert!(matches!(run(&options), Err(FormatError::KRaftVersion { level: 1, .. })));
}

#[test]
fn what_lies_in_a_directory_is_seen() {
    let root = tempfile::tempdir().expect("a directory");
    assert_eq!(inspect(&root.path().join("none")).expect("looks"), DirectoryState::Empty);
    fs::create_dir_all(root.path().join("lost+found")).expect("made");
    assert_eq!(inspect(root.path()).expect("looks"), DirectoryState::Empty);
    fs::write_atomically(root.path().join("letter.txt"), b"x").expect("written");
    assert_eq!(inspect(root.path()).expect("looks"), DirectoryState::Foreign);
}
