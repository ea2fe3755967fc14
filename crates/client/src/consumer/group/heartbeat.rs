//! The task that tells the coordinator that a member is alive, and tells the member what the coordinator answers.

use std::sync::Arc;

use ottla_env::{task, time};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::heartbeat_request::HeartbeatRequest;

use super::{Membership, Phase};
use crate::error::Error;

/// The task; ends when this is dropped.
#[derive(Debug)]
pub(in crate::consumer) struct Heartbeat(task::JoinHandle<()>);

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Heartbeat {
    pub(in crate::consumer) fn start(membership: Arc<Membership>) -> Self {
        Self(task::spawn("consumer-heartbeat", async move {
            loop {
                time::sleep(membership.config.heartbeat_interval).await;
                membership.beat().await;
            }
        }))
    }
}

/// What the answer to a heartbeat means.
#[derive(Debug, PartialEq, Eq)]
enum News {
    None,
    /// The group rebalances: join, keeping what we own until then.
    Rebalance,
    /// The coordinator does not know us, or not in this generation: what we own is not ours any more.
    Lost {
        member_id_gone: bool,
    },
}

impl Membership {
    async fn beat(&self) {
        let (phase, polled) = {
            let state = self.state.lock();
            (state.phase, state.polled_at.elapsed())
        };
        if phase != Phase::Member {
            return;
        }
        if polled > self.config.max_poll_interval {
            tracing::warn!(
                interval_ms = self.config.max_poll_interval.as_millis() as i64,
                "the application has not polled for longer than max.poll.interval.ms and leaves its group; \
                 raise it, or lower max.poll.records"
            );
            if let Err(e) = self.leave("max.poll.interval.ms is over").await {
                tracing::debug!(error = %e, "the coordinator did not hear the leave");
            }
            self.report(News::Lost { member_id_gone: true });
            return;
        }
        let outcome = self.send_heartbeat().await;
        if let Err(e) = &outcome {
            tracing::debug!(error = %e, "heartbeat");
        }
        self.report(judge(&outcome));
    }

    async fn send_heartbeat(&self) -> Result<(), Error> {
        let committer = self.committer();
        let connection = self.coordinator.connection().await?;
        let request = HeartbeatRequest {
            group_id: self.coordinator.group(),
            generation_id: committer.generation,
            member_id: &committer.member_id,
            group_instance_id: committer.instance_id.as_deref(),
            ..Default::default()
        };
        let response = connection.send(&request).await.map_err(|e| self.coordinator.lost(e))?;
        self.coordinator.check(response.decode()?.error_code)
    }

    fn report(&self, news: News) {
        {
            let mut state = self.state.lock();
            match news {
                News::None => return,
                // A join began meanwhile: what the answer says is of the generation before.
                _ if state.phase == Phase::Joining => return,
                News::Rebalance => state.wants_join = true,
                News::Lost { member_id_gone } => {
                    (state.phase, state.wants_join, state.lost, state.generation) = (Phase::Out, true, true, -1);
                    if member_id_gone {
                        state.member_id.clear();
                    }
                }
            }
        }
        self.news.notify_one();
    }
}

fn judge(outcome: &Result<(), Error>) -> News {
    match outcome {
        Ok(()) => News::None,
        Err(e) => match e.code() {
            Some(ErrorCode::RebalanceInProgress) => News::Rebalance,
            Some(ErrorCode::IllegalGeneration) => News::Lost { member_id_gone: false },
            Some(ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId) => News::Lost { member_id_gone: true },
            // The coordinator is away or loading: the session lasts for a while.
            _ => News::None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_coordinator_that_does_not_know_us_takes_partitions_away() {
        let answer = |code: ErrorCode| judge(&Err(Error::broker("group g", code.code(), None)));
        assert_eq!(judge(&Ok(())), News::None);
        assert_eq!(answer(ErrorCode::RebalanceInProgress), News::Rebalance);
        assert_eq!(answer(ErrorCode::IllegalGeneration), News::Lost { member_id_gone: false });
        assert_eq!(answer(ErrorCode::UnknownMemberId), News::Lost { member_id_gone: true });
        assert_eq!(answer(ErrorCode::NotCoordinator), News::None);
    }
}
