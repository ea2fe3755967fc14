//! What must hold between properties for a node to start, each broken rule a sentence that names the remedy.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::broker_config::{Identity, QuorumKind};
use crate::config::dynamic::parse_overrides;
use crate::config::listeners::{Address, Listener, SecurityProtocol, parse_listeners, parse_protocol_map};
use crate::config::reader::Reader;
use crate::config::settings::Origin;

/// Reads all settings; `None`, or problems in the reader, when the node cannot start with them.
pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Identity> {
    check_roles(reader);
    let node_id = read_node_id(reader);
    let listeners = read_listeners(reader);
    let inter_broker_listener_name = read_inter_broker_listener(reader, &listeners);
    let log_dirs = read_log_dirs(reader);
    let quorum = read_quorum_kind(reader, node_id, &listeners);
    check_numbers(reader);
    check_dynamic(reader, &log_dirs);
    warn_of_replication(reader);

    Some(Identity {
        node_id: node_id?,
        listeners,
        inter_broker_listener_name,
        controller_listener_names: upper(reader.list("controller.listener.names")),
        metadata_log_dir: reader.text("metadata.log.dir").or_else(|| log_dirs.first().cloned())?,
        log_dirs,
        quorum: quorum?,
    })
}

fn upper(names: Vec<String>) -> Vec<String> {
    names.into_iter().map(|name| name.to_ascii_uppercase()).collect()
}

fn check_roles(reader: &mut Reader<'_>) {
    if !reader.is_set("process.roles") {
        return reader.problem("`process.roles` is missing: write process.roles=broker,controller".into());
    }
    let roles: BTreeSet<String> = reader.list("process.roles").into_iter().collect();
    if roles != BTreeSet::from(["broker".into(), "controller".into()]) {
        let at = reader.at("process.roles");
        reader.problem(format!("{at}: only broker and controller together are served yet: write broker,controller"));
    }
}

fn read_node_id(reader: &mut Reader<'_>) -> Option<i32> {
    let node = reader.maybe_number("node.id");
    let broker = reader.maybe_number("broker.id").filter(|id| *id >= 0);
    if let (Some(node), Some(broker)) = (node, broker)
        && node != broker
    {
        let at = reader.at("broker.id");
        reader.problem(format!("{at} is {broker} but `node.id` is {node}: remove `broker.id`"));
    }
    let id = node.or(broker).and_then(|id| i32::try_from(id).ok());
    if id.is_none() {
        reader.problem("`node.id` is missing: write node.id=1, or another number that no other node has".into());
    }
    id
}

fn read_protocol_map(reader: &mut Reader<'_>, controllers: &[String]) -> BTreeMap<String, SecurityProtocol> {
    const KEY: &str = "listener.security.protocol.map";
    let text = reader.text(KEY).unwrap_or_default();
    let mut map = parse_protocol_map(&text).unwrap_or_else(|why| {
        let at = reader.at(KEY);
        reader.problem(format!("{at}: {why}"));
        BTreeMap::new()
    });
    if !reader.is_set(KEY) {
        // As in Kafka: who writes no map means PLAINTEXT for the controller's listeners.
        for name in controllers {
            map.entry(name.clone()).or_insert(SecurityProtocol::Plaintext);
        }
    }
    map
}

fn addresses(reader: &mut Reader<'_>, key: &'static str) -> Vec<(String, Address)> {
    parse_listeners(&reader.list(key)).unwrap_or_else(|why| {
        let at = reader.at(key);
        reader.problem(format!("{at}: {why}"));
        Vec::new()
    })
}

fn read_listeners(reader: &mut Reader<'_>) -> Vec<Listener> {
    let controllers = upper(reader.list("controller.listener.names"));
    let protocols = read_protocol_map(reader, &controllers);
    let bound = addresses(reader, "listeners");
    let advertised: BTreeMap<String, Address> = addresses(reader, "advertised.listeners").into_iter().collect();
    let at = reader.at("listeners");
    let mut listeners: Vec<Listener> = Vec::new();
    for (name, bind) in bound {
        if listeners.iter().any(|l| l.name == name) {
            reader.problem(format!("{at}: {name} occurs twice; give each listener a name of its own"));
        }
        if bind.port != 0 && listeners.iter().any(|l| l.bind.port == bind.port && l.bind.host == bind.host) {
            reader.problem(format!("{at}: {bind} occurs twice; give each listener a port of its own"));
        }
        let Some(protocol) = protocols.get(&name).copied() else {
            let map = reader.at("listener.security.protocol.map");
            reader.problem(format!("{map} does not name listener {name}: add {name}:PLAINTEXT to it"));
            continue;
        };
        if protocol != SecurityProtocol::Plaintext {
            reader.problem(format!(
                "{at}: {name} is {}, and only PLAINTEXT is served yet; map it to PLAINTEXT if you trust its network",
                protocol.name()
            ));
        }
        let is_controller = controllers.contains(&name);
        let advertised = advertised.get(&name).unwrap_or(&bind).clone();
        listeners.push(Listener { name, protocol, bind, advertised, is_controller });
    }
    check_advertised(reader, &advertised, &listeners);
    check_controller_listeners(reader, &controllers, &listeners);
    if listeners.iter().all(|l| l.is_controller) {
        reader.problem(format!("{at} has no listener for clients: add one, such as PLAINTEXT://localhost:9092"));
    }
    listeners
}

fn check_advertised(reader: &mut Reader<'_>, advertised: &BTreeMap<String, Address>, listeners: &[Listener]) {
    let at = reader.at("advertised.listeners");
    for (name, address) in advertised {
        if !listeners.iter().any(|l| l.name == *name) {
            reader.problem(format!("{at}: {name} is not among `listeners`: add it there, or remove it here"));
        }
        if address.is_wildcard() {
            reader.problem(format!("{at}: nobody can connect to {address}: write the name by which clients reach it"));
        }
    }
    for listener in listeners.iter().filter(|l| !advertised.contains_key(&l.name) && !l.bind.host.is_empty()) {
        if listener.bind.is_wildcard() && !listener.is_controller {
            let (name, address) = (&listener.name, &listener.bind);
            reader.problem(format!(
                "`advertised.listeners` must name {name}, since nobody can connect to {address}: write \
                 advertised.listeners={name}://<name of this machine>:{}",
                address.port
            ));
        }
    }
}

fn check_controller_listeners(reader: &mut Reader<'_>, controllers: &[String], listeners: &[Listener]) {
    let at = reader.at("controller.listener.names");
    let Some(first) = controllers.first() else {
        return reader.problem(
            "`controller.listener.names` is missing: write controller.listener.names=CONTROLLER and add \
             CONTROLLER://localhost:9093 to `listeners`"
                .into(),
        );
    };
    if !listeners.iter().any(|l| l.name == *first) {
        reader.problem(format!("{at}: {first} is not among `listeners`: add {first}://localhost:9093 there"));
    }
}

fn read_inter_broker_listener(reader: &mut Reader<'_>, listeners: &[Listener]) -> String {
    const KEY: &str = "inter.broker.listener.name";
    // Without a name it is the listener named for the protocol between brokers, which can only be PLAINTEXT here.
    let name = reader.text(KEY).map_or_else(|| "PLAINTEXT".to_owned(), |name| name.to_ascii_uppercase());
    let clients: Vec<&str> = listeners.iter().filter(|l| !l.is_controller).map(|l| l.name.as_str()).collect();
    if !clients.contains(&name.as_str()) && !clients.is_empty() {
        let at = reader.at(KEY);
        let choice = clients.join(" or ");
        reader.problem(format!("{at}: {name} is no listener for brokers: write {KEY}={choice}"));
    }
    name
}

fn read_log_dirs(reader: &mut Reader<'_>) -> Vec<String> {
    let key = if reader.is_set("log.dirs") { "log.dirs" } else { "log.dir" };
    let dirs = reader.list(key);
    let at = reader.at(key);
    if dirs.is_empty() || dirs.iter().any(String::is_empty) {
        reader.problem(format!("{at}: a directory is missing: write log.dirs=/var/lib/ottla, or another path"));
    }
    let distinct: BTreeSet<&String> = dirs.iter().collect();
    if distinct.len() < dirs.len() {
        reader.problem(format!("{at}: a directory occurs twice"));
    }
    dirs
}

fn read_quorum_kind(reader: &mut Reader<'_>, node_id: Option<i32>, listeners: &[Listener]) -> Option<QuorumKind> {
    let controller = listeners.iter().find(|l| l.is_controller)?;
    let (voters, servers) = ("controller.quorum.voters", "controller.quorum.bootstrap.servers");
    if reader.is_set(voters) {
        return read_voters(reader, voters, node_id?);
    }
    if reader.is_set(servers) {
        return read_bootstrap_servers(reader, servers, controller);
    }
    let is_first_run = reader.settings.get("controller.listener.names").is_some_and(|s| s.origin == Origin::FirstRun);
    if !is_first_run {
        let address = &controller.advertised;
        reader.problem(format!(
            "`{servers}` is missing: write {servers}={address}, the controller listener of this node"
        ));
    }
    Some(QuorumKind::Dynamic { bootstrap_servers: vec![controller.advertised.clone()] })
}

fn read_voters(reader: &mut Reader<'_>, key: &'static str, node_id: i32) -> Option<QuorumKind> {
    let at = reader.at(key);
    let mut voters = Vec::new();
    for item in reader.list(key) {
        let parsed = item.split_once('@').and_then(|(id, address)| Some((id.parse().ok()?, Address::parse(address)?)));
        match parsed {
            Some(voter) => voters.push(voter),
            None => reader.problem(format!("{at}: `{item}` is not id@host:port")),
        }
    }
    match voters.as_slice() {
        [(id, _)] if *id == node_id => {}
        _ => reader.problem(format!("{at}: only this node can be a voter yet: write {key}={node_id}@host:port alone")),
    }
    Some(QuorumKind::Static { voters })
}

fn read_bootstrap_servers(reader: &mut Reader<'_>, key: &'static str, controller: &Listener) -> Option<QuorumKind> {
    let at = reader.at(key);
    let mut bootstrap_servers = Vec::new();
    for item in reader.list(key) {
        match Address::parse(&item) {
            Some(address) => bootstrap_servers.push(address),
            None => reader.problem(format!("{at}: `{item}` is not host:port")),
        }
    }
    // A node that was meant to join a quorum must not found one of its own. Names cannot be resolved here, ports can be told
    // apart.
    let is_this_node = |address: &Address| [controller.bind.port, controller.advertised.port].contains(&address.port);
    if !matches!(bootstrap_servers.as_slice(), [one] if is_this_node(one)) {
        let here = &controller.advertised;
        reader.problem(format!("{at}: a quorum of other nodes cannot be joined yet: write {key}={here} alone"));
    }
    Some(QuorumKind::Dynamic { bootstrap_servers })
}

/// Rules between numbers, of a start and of a change while the node runs.
pub(crate) fn check_numbers(reader: &mut Reader<'_>) {
    if let Some(n) = reader.maybe_number("log.roll.ms").filter(|n| *n < 1) {
        let at = reader.at("log.roll.ms");
        reader.problem(format!("{at} cannot be {n}: it must be at least 1"));
    }
    for key in ["log.retention.ms", "log.retention.minutes", "log.retention.hours"] {
        if let Some(n) = reader.maybe_number(key).filter(|n| *n == 0 || *n < -1) {
            let at = reader.at(key);
            reader.problem(format!("{at} cannot be {n}: it must be -1, for ever, or at least 1"));
        }
    }
    let queued: i64 = reader.number("queued.max.request.bytes");
    let largest: i64 = reader.number("socket.request.max.bytes");
    if queued > 0 && queued < largest {
        let at = reader.at("queued.max.request.bytes");
        reader.problem(format!(
            "{at} cannot be {queued}: it must hold a request of `socket.request.max.bytes`, {largest}"
        ));
    }
    check_cleaner(reader);
    let (min, max) = ("group.min.session.timeout.ms", "group.max.session.timeout.ms");
    if reader.number::<i64>(min) > reader.number::<i64>(max) {
        let at = reader.at(min);
        reader.problem(format!("{at} must not be above `{max}`"));
    }
    let heartbeat: i64 = reader.number("broker.heartbeat.interval.ms");
    let session: i64 = reader.number("broker.session.timeout.ms");
    if heartbeat.saturating_mul(2) > session {
        let at = reader.at("broker.heartbeat.interval.ms");
        reader.warn(format!(
            "{at} is {heartbeat}: above half of `broker.session.timeout.ms`, {session}, one late heartbeat fences the broker"
        ));
    }
}

/// Rules of properties that change while the node runs, beyond those of numbers.
pub(crate) fn check_dynamic(reader: &mut Reader<'_>, log_dirs: &[String]) {
    const CORDONED: &str = "cordoned.log.dirs";
    let cordoned = reader.list(CORDONED);
    let at = reader.at(CORDONED);
    let is_all = cordoned.iter().any(|path| path == "*");
    if is_all && cordoned.len() > 1 {
        reader.problem(format!("{at}: `*` is all log directories, and must stand alone"));
    } else if let Some(stranger) = cordoned.iter().find(|path| !is_all && !log_dirs.contains(path)) {
        reader.problem(format!("{at}: `{stranger}` is none of `log.dirs`: {}", log_dirs.join(", ")));
    }
    const OVERRIDES: &str = "max.connections.per.ip.overrides";
    let overrides = parse_overrides(&reader.text(OVERRIDES).unwrap_or_default());
    let per_address: i64 = reader.number("max.connections.per.ip");
    match overrides {
        Err(why) => {
            let at = reader.at(OVERRIDES);
            reader.problem(format!("{at}: {why}"));
        }
        Ok(overrides) if overrides.is_empty() && per_address == 0 => {
            let at = reader.at("max.connections.per.ip");
            reader.problem(format!("{at} can be 0 only if `{OVERRIDES}` names the hosts that may connect"));
        }
        Ok(_) => {}
    }
}

/// Every cleaner thread needs memory to get anywhere.
fn check_cleaner(reader: &mut Reader<'_>) {
    const THREAD_BYTES_MIN: i64 = 1 << 20;
    let (threads, memory) = ("log.cleaner.threads", "log.cleaner.dedupe.buffer.size");
    let count: i64 = reader.number(threads);
    let bytes: i64 = reader.number(memory);
    if reader.boolean("log.cleaner.enable") && count == 0 {
        let at = reader.at(threads);
        reader.problem(format!("{at} cannot be 0: write at least 1, or `log.cleaner.enable=false`"));
    } else if count > 0 && bytes / count <= THREAD_BYTES_MIN {
        let at = reader.at(memory);
        reader
            .problem(format!("{at} cannot be {bytes}: it must be more than 1048576 for each of `{threads}`, {count}"));
    }
}

/// Replication that one node cannot give: Kafka's defaults stay, what follows from them is said.
fn warn_of_replication(reader: &mut Reader<'_>) {
    let one_node = [
        ("default.replication.factor", "topics that are created without a factor would be refused"),
        ("offsets.topic.replication.factor", "`__consumer_offsets` cannot be created, and groups cannot work"),
        ("min.insync.replicas", "writes with acks=all would be refused"),
    ];
    for (key, consequence) in one_node {
        let wanted: i64 = reader.number(key);
        if wanted > 1 {
            let at = reader.at(key);
            reader.warn(format!("{at} is {wanted}, but the cluster has one node: {consequence}; set {key}=1"));
        }
    }
}
