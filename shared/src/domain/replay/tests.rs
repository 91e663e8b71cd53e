use super::*;
use crate::shards::Shards;

const T0: Timestamp = Timestamp::from_millis(1_776_009_119_499);

fn endpoint() -> Endpoint {
    let names = ["call.started", "call.ended"].map(|name| EventName::from_stored(name).into()).to_vec();
    let (project, id, url) = (ProjectId::new(T0), EndpointId::new(T0), "https://example.com".to_owned());
    Endpoint::new(project, id, Shards::ONE, url, names, vec![1].into(), T0)
}

fn filter(status: DeliveryStatus, event_name: Option<&str>, include_skipped: bool) -> ReplayFilter {
    let event_name = event_name.map(EventName::from_stored);
    ReplayFilter { since: T0, until: T0, status, event_name, include_skipped }
}

fn replay() -> Replay {
    Replay::new(&endpoint(), filter(DeliveryStatus::Failed, None, false), T0, Duration::from_secs(86_400))
}

#[test]
fn every_partition_is_visited_once_and_then_the_events() {
    let endpoint = Endpoint { shards: Shards::new(3).expect("a number"), ..endpoint() };
    let filter = filter(DeliveryStatus::Success, None, true);
    let mut position = Position::first(&filter, &endpoint);
    let mut visited = Vec::new();
    while let Position::Deliveries { partition, .. } = position {
        visited.push(partition);
        position = Position::after_partition(partition, &filter, &endpoint);
    }
    assert_eq!(visited, Partition::all(endpoint.buckets_ever, endpoint.shards));
    assert_eq!(visited.len(), 6);
    assert_eq!(position, Position::Events { after: None });
}

#[test]
fn failures_are_looked_for_in_every_shard() {
    let endpoint = Endpoint { shards: Shards::new(3).expect("a number"), ..endpoint() };
    for status in [DeliveryStatus::Failed, DeliveryStatus::Retrying] {
        let filter = filter(status, Some("call.ended"), false);
        let mut position = Position::first(&filter, &endpoint);
        let mut visited = Vec::new();
        while let Position::Failures { shard, .. } = position {
            visited.push(shard.0);
            position = Position::after_shard(shard, &filter, &endpoint);
        }
        assert_eq!((visited, position), (vec![0, 1, 2], Position::End));
    }
}

#[test]
fn a_name_is_looked_for_where_its_deliveries_are() {
    let (endpoint, named) = (endpoint(), filter(DeliveryStatus::Success, Some("call.ended"), false));
    let partition = Partition { bucket: EventName::from_stored("call.ended").bucket(), shard: Shard(0) };
    assert_eq!(Position::first(&named, &endpoint), Position::deliveries(partition));
    assert_eq!(Position::after_partition(partition, &named, &endpoint), Position::End);
    let other = filter(DeliveryStatus::Success, Some("call.summary"), false);
    assert_eq!(Position::first(&other, &endpoint), Position::End);
    let mut with_wildcard = endpoint;
    with_wildcard.buckets_ever.insert(EventName::of_wildcards().bucket());
    let shared = Partition { bucket: EventName::of_wildcards().bucket(), shard: Shard(0) };
    assert_eq!(Position::first(&other, &with_wildcard), Position::deliveries(shared));
}

#[test]
fn a_replay_is_over_when_nothing_is_left_to_find_or_to_start() {
    let found = vec![Match::Delivery(DeliveryId::new(T0))];
    let progress = |page: &[Match], position| Progress {
        replayed: 1,
        last_started: None,
        position,
        page: page.to_vec(),
    };
    let one = replay().advanced(progress(&found, Position::End), T0);
    assert_eq!((one.status, one.step, one.matched, one.replayed), (ReplayStatus::Running, 1, 1, 1));
    let two = one.advanced(progress(&[], Position::End), T0);
    assert_eq!((two.status, two.step, two.matched, two.replayed), (ReplayStatus::Finished, 2, 1, 2));
}

#[test]
fn a_job_acts_for_its_own_step_and_for_the_next() {
    let (mut replay, endpoint) = (replay(), endpoint());
    replay.step = 5;
    let wake = |replay: &Replay, step| on_wake(Some(replay), Some(&endpoint), &replay.id, step, T0);
    assert_eq!(
        [3, 4, 5].map(|step| wake(&replay, step)),
        [StepAction::Finished, StepAction::Step, StepAction::Step]
    );
    replay.status = ReplayStatus::Finished;
    assert_eq!(wake(&replay, 5), StepAction::Finished);
}

#[test]
fn a_job_waits_for_its_row_and_then_gives_up() {
    let (replay, endpoint) = (replay(), endpoint());
    let wake = |seconds| {
        let now = T0.plus(Duration::from_secs(seconds));
        on_wake(None, Some(&endpoint), &replay.id, 0, now)
    };
    assert_eq!(wake(1), StepAction::NotYet { wait: ROW_POLL });
    assert_eq!(wake(60), StepAction::Finished);
}

#[test]
fn an_endpoint_that_is_closed_stops_its_replays() {
    let (replay, mut endpoint) = (replay(), endpoint());
    let wake = |endpoint| on_wake(Some(&replay), endpoint, &replay.id, 0, T0);
    assert_eq!(wake(None), StepAction::Stop { reason: StopReason::EndpointDeleted });
    endpoint.status = EndpointStatus::Disabled;
    assert_eq!(wake(Some(&endpoint)), StepAction::Stop { reason: StopReason::EndpointDisabled });
}
