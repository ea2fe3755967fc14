//! A request that waits goes on while an earlier answer of its connection is still being sent to a peer that does not read.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use ottla_env::time;
use ottla_metadata::controller_door::{ControllerDoor, DoorAnswer, DoorContext, DoorError};
use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use support::{BETWEEN, encode, slow_client, with_controller};
use tokio::sync::Semaphore;

const PATIENCE: Duration = Duration::from_secs(20);

/// A controller that takes its time over a topic, and says how far it is.
#[derive(Debug)]
struct Slow {
    asked: Semaphore,
    may_go_on: Semaphore,
    done: Semaphore,
}

impl ControllerDoor for Slow {
    fn request<'a>(&'a self, _: DoorContext, api_key: i16, _: i16, _: Vec<u8>) -> DoorAnswer<'a> {
        Box::pin(async move {
            // The broker's heartbeats come here, too.
            if api_key == ApiKey::CreateTopics.code() {
                self.asked.add_permits(1);
                self.may_go_on.acquire().await.unwrap().forget();
                self.done.add_permits(1);
            }
            Err(DoorError::NotController)
        })
    }
}

async fn reached(step: &Semaphore, what: &str) {
    time::timeout(PATIENCE, step.acquire()).await.expect(what).unwrap().forget();
}

#[test]
fn what_waits_goes_on_while_an_answer_is_not_taken() {
    let nobody = || Semaphore::new(0);
    let controller = Arc::new(Slow { asked: nobody(), may_go_on: nobody(), done: nobody() });
    let door = Arc::clone(&controller);
    with_controller(door, &[1], &[], |rig| async move {
        let (client, all) = slow_client(&rig, BETWEEN + 1).await;
        let topic = CreatableTopic { name: "new", num_partitions: 1, replication_factor: 1, ..Default::default() };
        let create = CreateTopicsRequest { topics: vec![topic], ..CreateTopicsRequest::default() };
        let both = [encode(15, 1, &all), encode(7, 2, &create)].concat();
        client.stream.write_all(&both).await.unwrap();

        reached(&controller.asked, "begun while the answer before it is sent").await;
        controller.may_go_on.add_permits(1);
        reached(&controller.done, "woken while the answer before it is sent").await;
        let (id, answer) = client.receive().await;
        assert!(id == 1 && answer.len() > BETWEEN, "which was not taken until now");
        assert_eq!(client.receive().await.0, 2);
    });
}
