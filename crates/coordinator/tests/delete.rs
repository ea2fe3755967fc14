//! DeleteGroups and OffsetDelete. Codes asked of Apache Kafka 4.4.

mod harness;

use harness::{Driver, GROUP, prompt_config, protocol, subscription};
use ottla_coordinator::group::api::{
    DeleteGroupsRequest, GroupRequest, GroupResponse, OffsetDeleteRequest, OffsetDeleteResponse,
};
use ottla_protocol::ErrorCode;

fn delete_offsets(driver: &mut Driver, topics: &[&str]) -> OffsetDeleteResponse {
    let topics = topics.iter().map(|topic| ((*topic).to_owned(), vec![0])).collect();
    let token = driver.send(GroupRequest::OffsetDelete(OffsetDeleteRequest { group_id: GROUP.into(), topics }));
    match driver.replies.remove(&token) {
        Some(GroupResponse::OffsetDelete(response)) => response,
        other => panic!("OffsetDelete is not answered: {other:?}"),
    }
}

#[test]
fn a_group_goes_with_its_offsets_once_nobody_is_in_it() {
    let mut driver = Driver::new(prompt_config());
    assert_eq!(driver.delete_group(GROUP), ErrorCode::GroupIdNotFound);
    let (ids, generation) = driver.stable_group(1);
    driver.commit_offset(&ids[0], generation, "t", 1);
    assert_eq!(driver.delete_group(GROUP), ErrorCode::NonEmptyGroup);
    driver.leave(&ids[0], None);
    assert_eq!(driver.delete_group(GROUP), ErrorCode::None);
    assert_eq!((driver.offset("t"), driver.state()), (-1, "Dead"));
    assert_eq!(driver.delete_group(GROUP), ErrorCode::GroupIdNotFound);
    let next = driver.fail_over();
    assert_eq!((next.offset("t"), next.state()), (-1, "Dead"));
}

#[test]
fn a_deletion_that_is_not_appended_has_never_been() {
    let mut driver = Driver::new(prompt_config());
    driver.commit_offset("", -1, "t", 1);
    driver.refuse = Some(ErrorCode::NotEnoughReplicas);
    assert_eq!(driver.delete_group(GROUP), ErrorCode::CoordinatorNotAvailable);
    assert_eq!((driver.offset("t"), driver.state()), (1, "Empty"));
}

#[test]
fn several_groups_are_deleted_each_with_its_own_code() {
    let mut driver = Driver::new(prompt_config());
    driver.stable_group(1);
    let mut request = driver.commit_request("", -1, "t", 1);
    request.group_id = "simple".into();
    driver.send(GroupRequest::OffsetCommit(request));
    let names = ["simple", GROUP, "none", "simple"].map(str::to_owned).to_vec();
    let token = driver.send(GroupRequest::Delete(DeleteGroupsRequest { groups: names }));
    let Some(GroupResponse::Delete(results)) = driver.replies.remove(&token) else { panic!("not answered") };
    let codes: Vec<ErrorCode> = results.into_iter().map(|(_, code)| code).collect();
    let not_found = ErrorCode::GroupIdNotFound;
    assert_eq!(codes, [ErrorCode::None, ErrorCode::NonEmptyGroup, not_found, not_found]);
}

#[test]
fn offsets_of_topics_in_use_stay() {
    let mut driver = Driver::new(prompt_config());
    assert_eq!(delete_offsets(&mut driver, &["t"]).error, ErrorCode::GroupIdNotFound);
    let mut request = driver.join_request("");
    request.known_member_id_required = false;
    request.protocols = vec![protocol("range", &subscription(&["used"]))];
    let token = driver.send(GroupRequest::Join(request));
    driver.advance(20);
    let joined = driver.joined(token);
    let sync = driver.send_sync(&joined.member_id, joined.generation_id, &[]);
    assert!(driver.synced(sync).error.is_none());
    for topic in ["used", "dropped"] {
        driver.commit_offset(&joined.member_id, joined.generation_id, topic, 1);
    }
    let response = delete_offsets(&mut driver, &["used", "dropped", "never"]);
    let codes: Vec<ErrorCode> = response.topics.iter().map(|t| t.partitions[0].1).collect();
    assert_eq!(codes, [ErrorCode::GroupSubscribedToTopic, ErrorCode::None, ErrorCode::None]);
    assert_eq!((driver.offset("used"), driver.offset("dropped")), (1, -1));
}

#[test]
fn offsets_of_members_that_are_no_consumers_stay() {
    let mut driver = Driver::new(prompt_config());
    let mut request = driver.join_request("");
    (request.known_member_id_required, request.protocol_type) = (false, "connect".into());
    let token = driver.send(GroupRequest::Join(request));
    driver.advance(20);
    let joined = driver.joined(token);
    assert_eq!(delete_offsets(&mut driver, &["t"]).error, ErrorCode::NonEmptyGroup);
    driver.leave(&joined.member_id, None);
    assert_eq!(delete_offsets(&mut driver, &["t"]).error, ErrorCode::None);
}

#[test]
fn a_deletion_that_is_committed_late_stays() {
    let mut driver = Driver::new(prompt_config());
    driver.commit_offset("", -1, "t", 1);
    driver.hold_commits = true;
    let token = driver.send(GroupRequest::Delete(DeleteGroupsRequest { groups: vec![GROUP.into()] }));
    driver.advance(driver.config.offsets_commit_timeout_ms);
    let late = vec![(GROUP.to_owned(), ErrorCode::CoordinatorNotAvailable)];
    assert_eq!(driver.replies.remove(&token), Some(GroupResponse::Delete(late)));
    driver.hold_commits = false;
    driver.commit();
    assert_eq!((driver.offset("t"), driver.state()), (-1, "Dead"));
}
