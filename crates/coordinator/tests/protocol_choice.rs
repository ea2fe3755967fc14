//! Which protocol a generation speaks: each member votes for the first of its own that all support.

mod harness;

use harness::{Driver, prompt_config, protocol};
use ottla_coordinator::group::api::GroupRequest;
use ottla_protocol::ErrorCode;

fn generation_of(votes: &[&[&str]]) -> Vec<Result<String, ErrorCode>> {
    let mut driver = Driver::new(prompt_config());
    let mut tokens = Vec::new();
    for names in votes {
        let mut request = driver.join_request("");
        request.known_member_id_required = false;
        request.protocols = names.iter().map(|name| protocol(name, name.as_bytes())).collect();
        tokens.push(driver.send(GroupRequest::Join(request)));
    }
    driver.advance(100);
    let responses: Vec<_> = tokens.into_iter().map(|token| driver.joined(token)).collect();
    for member in responses.iter().flat_map(|r| &r.members) {
        let chosen = responses.iter().find_map(|r| r.protocol_name.clone()).expect("a protocol");
        assert_eq!(
            &*member.metadata,
            chosen.as_bytes(),
            "the leader gets the metadata of the protocol that was chosen"
        );
    }
    responses.into_iter().map(|r| r.protocol_name.ok_or(r.error)).collect()
}

#[test]
fn the_most_votes_win() {
    let chosen = generation_of(&[&["range", "sticky"], &["sticky", "range"], &["sticky", "range"]]);
    assert!(chosen.iter().all(|name| name.as_deref() == Ok("sticky")), "{chosen:?}");
}

#[test]
fn what_one_member_does_not_speak_is_not_chosen() {
    let chosen = generation_of(&[&["sticky", "range"], &["sticky", "range"], &["range"]]);
    assert!(chosen.iter().all(|name| name.as_deref() == Ok("range")), "{chosen:?}");
}

#[test]
fn who_shares_no_protocol_is_refused() {
    let chosen = generation_of(&[&["range"], &["sticky"], &["range"]]);
    assert_eq!(chosen[1], Err(ErrorCode::InconsistentGroupProtocol));
    assert_eq!((chosen[0].as_deref(), chosen[2].as_deref()), (Ok("range"), Ok("range")));
}

/// A rolling upgrade from one assignor to another: first add the new one, then drop the old.
#[test]
fn an_assignor_is_replaced_step_by_step() {
    let mut driver = Driver::new(prompt_config());
    let (ids, _) = driver.stable_group(2);
    let steps: [&[&str]; 3] = [&["sticky", "range"], &["sticky", "range"], &["sticky"]];
    let expected = ["range", "sticky", "sticky"];
    let members = [0, 1, 0];
    for ((names, expected), member) in steps.into_iter().zip(expected).zip(members) {
        let mut request = driver.join_request(&ids[member]);
        request.protocols = names.iter().map(|name| protocol(name, b"new")).collect();
        let first = driver.send(GroupRequest::Join(request));
        let other = &ids[1 - member];
        let mut request = driver.join_request(other);
        request.protocols = if expected == "range" {
            vec![protocol("range", b"r")]
        } else {
            vec![protocol("sticky", b"new"), protocol("range", b"new")]
        };
        let second = driver.send(GroupRequest::Join(request));
        assert_eq!(driver.joined(second).protocol_name.as_deref(), Some(expected));
        assert_eq!(driver.joined(first).protocol_name.as_deref(), Some(expected));
    }
}
