//! Every definition explains itself: what the message is for, and for a request who sends it and what shaped it.

mod every_message;

use every_message::definitions;
use ottla_protocol_gen::Kind;

#[test]
fn no_message_lacks_its_doc() {
    for (module, m) in definitions() {
        let doc = m.doc.join(" ");
        assert!(doc.len() >= 20 && doc.ends_with('.'), "{module}.kmsg wants a `///` sentence: what is {} for?", m.name);
    }
}

#[test]
fn every_request_says_who_sends_it_and_which_proposal_shaped_it() {
    for (module, m) in definitions() {
        if m.kind != Kind::Request || m.versions.is_none() {
            continue;
        }
        let doc = m.doc.join(" ");
        assert!(doc.contains("Sent by") || doc.contains("first request of"), "{module}.kmsg does not say who sends it");
        // Kafka 4.4 brought this one without naming a proposal.
        let shaped = doc.contains("KIP-") || m.name == "UnregisterControllerRequest";
        assert!(shaped, "{module}.kmsg names no KIP");
    }
}

/// A number that stands for something must say what: these are the types that hide an enumeration.
#[test]
fn enumerations_are_spelled_out() {
    const NAMES: [&str; 12] = [
        "IsolationLevel",
        "KeyType",
        "ElectionType",
        "ConfigOperation",
        "ConfigSource",
        "EndpointType",
        "PatternType",
        "PermissionType",
        "AcknowledgeTypes",
        "DeliveryState",
        "UpgradeType",
        "SecurityProtocol",
    ];
    fn visit(module: &str, fields: &[ottla_protocol_gen::Field]) {
        for f in fields {
            assert!(!NAMES.contains(&f.name.as_str()) || !f.doc.is_empty(), "{module}: {} has no doc", f.name);
            visit(module, f.fields.as_deref().unwrap_or_default());
        }
    }
    for (module, m) in definitions() {
        visit(&module, &m.fields);
        m.structs.iter().for_each(|s| visit(&module, &s.fields));
    }
}
